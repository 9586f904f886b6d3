# SPDX-License-Identifier: MIT
"""One-dimensional total variation: the prox of every line along an axis, and its derivative."""

import functools
from typing import Literal, NamedTuple, TypedDict, Unpack, overload

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxtv import _arguments
from jaxtv._operators import tv1d, tv1d_mass
from jaxtv._plain import ring
from jaxtv._plumbing import primitive, sharding

METHODS = ("direct", "newton")


class LineInfo(NamedTuple):
    """How a line's prox was found. Each field has the shape of ``x`` without ``axis``.

    Attributes:
      iterations: int32; the Newton steps made, at most 100: the direct method solves a line that
        needs more. 0 for a line with nothing to solve, and for ``method="direct"``, which does not
        iterate.
    """

    iterations: Array


class _Options(TypedDict, total=False):
    axis: int
    method: str
    data_weight: ArrayLike | None
    periodic: bool


@overload
def prox_tv_1d(
    x: ArrayLike,
    lam: ArrayLike,
    *,
    return_info: Literal[False] = False,
    **options: Unpack[_Options],
) -> Array: ...


@overload
def prox_tv_1d(
    x: ArrayLike, lam: ArrayLike, *, return_info: Literal[True], **options: Unpack[_Options]
) -> tuple[Array, LineInfo]: ...


def prox_tv_1d(
    x: ArrayLike,
    lam: ArrayLike,
    *,
    axis: int = -1,
    method: str = "direct",
    data_weight: ArrayLike | None = None,
    periodic: bool = False,
    return_info: bool = False,
) -> Array | tuple[Array, LineInfo]:
    r"""Proximity operator of one-dimensional total variation.

    .. math::
      \operatorname{argmin}_y \tfrac12 \sum_k m_k (y_k - x_k)^2
      + \sum_k \lambda_k |y_{k+1} - y_k|

    Solved exactly, and independently for each line of ``x`` along ``axis``.

    Args:
      x: signal of any shape, with ``n`` samples along ``axis``. float32, float64, bfloat16 or
        float16; half types are computed in float32.
      lam: weight, at least 0, in the units of ``x``. Broadcasts against ``x``: one number, one per
        channel, one per line; along ``axis`` it has size 1, or ``n - 1`` for a weight on each pair
        of neighbours. Traced: a new value does not recompile.
      axis: the axis along which variation is measured.
      method: ``"direct"`` walks along a line once and is the faster. ``"newton"`` is the method of
        the paper, projected Newton steps on the dual. Both give the same answer to rounding.
        ``"newton"`` takes neither of the next two.
      data_weight: the weight :math:`m` of each sample's square, at least 0 and finite; None for
        ones. Broadcasts against ``x``, with size 1 or that of ``x`` along each axis. For noise of
        standard deviation :math:`\sigma_k`, give :math:`1 / \sigma_k^2` and ``lam`` in units of
        its inverse; for samples at distances, the length that each stands for; 0 where a sample is
        missing: ``x`` may be NaN there.
      periodic: the last sample is a neighbour of the first. ``lam`` then has size 1 or ``n`` along
        ``axis``: entry ``k`` is for samples ``k`` and ``k + 1``, the last for the last and the
        first, which of two samples are the same pair again.
      return_info: also return a :class:`LineInfo`.

    Returns:
      Array of the shape and dtype of ``x``, or the pair of it and a :class:`LineInfo`. ``lam = 0``
      gives ``x``; ``lam`` of at least :func:`jaxtv.lambda_max`, also infinity, gives the mean of
      the line. A line with a non-finite sample, with a negative or NaN weight, or with a
      ``data_weight`` that is negative or not finite, is all NaN; no other line changes.

      A missing sample has the value of a neighbour: of those between two samples, the jump is at
      the least ``lam``, and if several are the least, at the first of them. What no ``lam > 0``
      ties to a sample with data, as in a line without any, is not determined: it is 0, and so are
      its derivatives.

    Raises:
      TypeError: if an argument has a wrong type: lists are not arrays, integers not floating.
      ValueError: if ``axis`` is out of range, ``lam`` or ``data_weight`` does not broadcast or is a
        negative number, or ``method`` is unknown or does not solve the problem.

    Differentiable in ``x``, ``lam`` and ``data_weight``, in reverse mode (:mod:`jaxtv.forward`: in
    both), by implicit differentiation. Where the result is constant along a line, its derivative in
    ``lam`` is 0.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.prox_tv_1d(jnp.array([0.0, 0.0, 4.0]), 1.0)
      Array([0.5, 0.5, 3. ], dtype=float32)
      >>> jaxtv.prox_tv_1d(jnp.array([0.0, 0.0, 4.0]), 1.0, periodic=True)
      Array([1., 1., 2.], dtype=float32)
      >>> x = jnp.array([0.0, jnp.nan, 4.0])
      >>> jaxtv.prox_tv_1d(x, 1.0, data_weight=jnp.array([1.0, 0.0, 2.0]))
      Array([1. , 3.5, 3.5], dtype=float32)

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (1), (6), (7) and (8). Condat, "A Direct Algorithm for 1-D Total Variation Denoising",
      IEEE Signal Processing Letters 2013.
    """
    return checked(x, lam, axis, method, data_weight, periodic, return_info)


def checked(
    x: ArrayLike,
    lam: ArrayLike,
    axis: int,
    method: str,
    data_weight: ArrayLike | None,
    periodic: bool,
    return_info: bool,
    both_modes: bool = False,
) -> Array | tuple[Array, LineInfo]:
    """The result of `prox_tv_1d`, with derivatives in reverse mode or in both modes."""
    x = _arguments.signal(x)
    axis = _arguments.tv_axis(axis, x.ndim)
    lam = _arguments.real(lam, "lam")
    method = _arguments.choice(method, "method", METHODS)
    periodic = _arguments.flag(periodic, "periodic")
    return_info = _arguments.flag(return_info, "return_info")
    if data_weight is not None:
        data_weight = _arguments.data_weight(data_weight)
    if method == "newton" and (periodic or data_weight is not None):
        raise ValueError(
            "method must be 'direct' with data_weight or periodic=True, got 'newton': its steps "
            "are for open lines of equal data weights."
        )
    y, info = _prox_tv_1d(x, lam, data_weight, axis, method, periodic, both_modes)
    return (y, info) if return_info else y


@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _prox_tv_1d(
    x: ArrayLike,
    lam: ArrayLike,
    data_weight: ArrayLike | None,
    axis: int,
    method: str,
    periodic: bool,
    both_modes: bool,
) -> tuple[Array, LineInfo]:
    x = jnp.asarray(x)
    lam = (_arguments.ring_weights if periodic else _arguments.weights)(lam, x, axis)
    weights = [lam]
    if data_weight is not None:
        weights.append(_arguments.sample_weights(data_weight, x, "data_weight"))
    # The direct method converts half types itself, short lines as it reads and writes.
    stored = method == "direct" and len(weights) == 1 and not periodic
    operands = sharding.placed((axis,), x if stored else x.astype(lam.dtype), *weights)
    rule = solve if both_modes else solve_reverse_only
    y, iterations = rule(*operands, axis=axis, method=method, periodic=periodic)
    return sharding.sharded_as(y.astype(x.dtype), x), LineInfo(iterations.squeeze(axis))


# The derivative. With y the prox, D the differences between neighbours, s = sign(D y) and P the
# mean over each maximal run of equal y, the optimality conditions read (core/run.h)
#
#     y = P (x - D^T (lam * s)).
#
# Runs and signs are constant near almost every (x, lam), so there
#
#     dy = P (dx - D^T (s * dlam)),
#
# and as P is symmetric, a cotangent y_bar pulls back to
#
#     x_bar = P y_bar,      lam_bar = -s * (D P y_bar),   summed over what shares a weight.
#
# This is Eq. (8)-(9) of the CVPR paper: their L (L^T L)^-1 L^T, on the columns of the jumps, is P.
# At a tie, x is where two such formulas meet; the one taken counts equal neighbours as one run.
# With data weights, see _operators/tv1d_mass.py; of rings, _plain/ring.py.
def solve(
    x: Array,
    lam: Array,
    mass: Array | None = None,
    *,
    axis: int,
    method: str,
    periodic: bool = False,
) -> tuple[Array, Array]:
    """The prox, and the iterations that each line took, of size 1 along `axis`.

    `tv1d.push_forward` is the tangent map, `tv1d.pull_back` its transpose.
    """
    if method == "newton":
        return tv1d.newton(x, lam, axis=axis)
    iterations = jnp.zeros_like(x.sum(axis, keepdims=True), jnp.int32)
    if periodic:
        return ring.prox(x, lam, mass, axis=axis), iterations
    if mass is not None:
        return tv1d_mass.prox(x, lam, mass, axis=axis), iterations
    return tv1d.prox(x, lam, axis=axis), iterations


solve_reverse_only = primitive.reverse_only(solve)

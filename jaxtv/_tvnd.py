# SPDX-License-Identifier: MIT
"""Total variation over several axes: its value and its prox, composed of line solves."""

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import _alternating, _arguments, _tv1d

Weights = ArrayLike | tuple[ArrayLike, ...]


class ProxInfo(NamedTuple):
    """How well an image's prox was solved. Each field has the batch shape of ``x``.

    Attributes:
      gap: duality gap at the result, in squared units of ``x``.
      error_bound: ``sqrt(gap)``, an upper bound of the distance ``||y - y*||`` to the solution.
      sweeps: passes over all axes that were made.
      converged: whether the bound met ``tol``.
    """

    gap: Array
    error_bound: Array
    sweeps: Array
    converged: Array


def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    return_info: bool = False,
) -> Array | tuple[Array, ProxInfo]:
    r"""Proximity operator of anisotropic total variation over any number of axes.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_2^2
        + \sum_{a} \sum_e \lambda_{a,e} |(D_a y)_e|

    with :math:`D_a` the differences between neighbours along axis :math:`a`. The other axes of
    ``x`` are batch axes: each image (volume, ...) is solved on its own.

    Args:
      x: array of any shape. float32, float64, bfloat16 or float16; half types are computed in
        float32.
      lam: weight, at least 0, in the units of ``x``: one for all axes, which broadcasts against
        ``x`` with size 1 along every axis of ``axes``; or a tuple of one weight for each axis,
        which may vary along the other axes and have size ``n - 1`` along its own (a weight for each
        pair of neighbours). Traced: a new value does not recompile.
      axes: the axes along which variation is measured.
      num_sweeps: ``None`` iterates to ``tol``. ``K`` makes exactly ``K`` sweeps of proximal Dykstra
        (Alg. 1 of the paper), the last axis first.
      tol: for ``num_sweeps=None``, the relative error at which an image stops:
        ``||y - y*|| <= tol * ||x - mean(x)||``, certified by the duality gap. In float32 the gap
        itself is good to about ``1e-4``.
      max_sweeps: for ``num_sweeps=None``, where an image stops at the latest.
      return_info: also return a :class:`ProxInfo`.

    Returns:
      Array of the shape and dtype of ``x``, or the pair of it and a :class:`ProxInfo`. An image
      with a non-finite pixel or with a negative or NaN weight is all NaN; no other image changes.

    Raises:
      TypeError: if ``x`` is not of a floating type.
      ValueError: if an axis is out of range or repeated, ``lam`` does not broadcast, or ``tol``
        or a number of sweeps is negative.

    Differentiable in ``x`` and ``lam``, in reverse mode: through the sweeps for ``num_sweeps=K``,
    implicitly at the result for ``num_sweeps=None``. ``tol`` has no derivative.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> x = jnp.array([[0.0, 0.0, 9.0], [0.0, 0.0, 9.0]])
      >>> jaxtv.prox_tv(x, (0.0, 1.0), axes=(0, 1))
      Array([[0.5, 0.5, 8. ],
             [0.5, 0.5, 8. ]], dtype=float32)

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (2) and Alg. 1. Chambolle, Pock, "A remark on accelerated block coordinate descent for
      computing the proximity operators of a sum of convex functions", SMAI J. Comput. Math. 2015.
    """
    if num_sweeps is not None:
        num_sweeps = _arguments.count(num_sweeps, "num_sweeps")
    _arguments.not_negative(tol, "tol")
    _arguments.not_negative(max_sweeps, "max_sweeps")
    y, info = _prox_tv(x, lam, tol, max_sweeps, axes=tuple(axes), num_sweeps=num_sweeps)
    return (y, info) if return_info else y


def prox_tv_2d(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: tuple[int, int] = (-2, -1),
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    return_info: bool = False,
) -> Array | tuple[Array, ProxInfo]:
    r"""Proximity operator of two-dimensional anisotropic total variation.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_F^2
        + \lambda \Bigl( \sum_{i,j} |y_{i+1,j} - y_{i,j}| + \sum_{i,j} |y_{i,j+1} - y_{i,j}| \Bigr)

    :func:`prox_tv` for two axes, with the same arguments, results and derivatives.

    Args:
      x: images. For channels last use ``axes=(-3, -2)``; every other axis is a batch axis.
      lam: as in :func:`prox_tv`, for example one number, or shape ``[C, 1, 1]`` for one weight per
        channel of images ``[..., C, H, W]``.
      axes: the two image axes.
      num_sweeps: as in :func:`prox_tv`.
      tol: as in :func:`prox_tv`.
      max_sweeps: as in :func:`prox_tv`.
      return_info: as in :func:`prox_tv`.

    Returns:
      As :func:`prox_tv`.

    Raises:
      TypeError: as :func:`prox_tv`.
      ValueError: as :func:`prox_tv`, and if ``axes`` are not two.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> x = jnp.zeros((4, 4)).at[:, 2:].set(1.0)
      >>> jaxtv.prox_tv_2d(x, 0.1)[0]
      Array([0.05, 0.05, 0.95, 0.95], dtype=float32)

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (2) and Alg. 1.
    """
    if len(axes) != 2:
        raise ValueError(f"axes must name two axes, got {axes}: use prox_tv for another number.")
    return prox_tv(
        x,
        lam,
        axes=axes,
        num_sweeps=num_sweeps,
        tol=tol,
        max_sweeps=max_sweeps,
        return_info=return_info,
    )


def total_variation(x: ArrayLike, *, axes: Sequence[int], lam: Weights = 1.0) -> Array:
    r"""The anisotropic total variation of each image.

    .. math:: \sum_{a} \sum_e \lambda_{a,e} |(D_a x)_e|

    Args:
      x: floating array of any shape.
      axes: the axes along which variation is measured.
      lam: weight, as in :func:`prox_tv`.

    Returns:
      Array of the dtype of ``x``, of its shape without ``axes``.

    Raises:
      TypeError: if ``x`` is not of a floating type.
      ValueError: if an axis is out of range or repeated, or ``lam`` does not broadcast.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.total_variation(jnp.array([[0.0, 1.0], [0.0, 3.0]]), axes=(0, 1))
      Array(6., dtype=float32)
    """
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(tuple(axes), x.ndim)
    lams = _arguments.weights_per_axis(lam, x, axes)
    wide = x.astype(_arguments.compute_type(x))
    return _alternating.total_variation(wide, lams, axes).squeeze(axes).astype(x.dtype)


@functools.partial(jax.jit, static_argnames=("axes", "num_sweeps"))
def _prox_tv(
    x: ArrayLike,
    lam: Weights,
    tol: ArrayLike,
    max_sweeps: ArrayLike,
    *,
    axes: tuple[int, ...],
    num_sweeps: int | None,
) -> tuple[Array, ProxInfo]:
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(axes, x.ndim)
    lams = _arguments.weights_per_axis(lam, x, axes)
    wide = x.astype(_arguments.compute_type(x))
    if x.size == 0:
        num_sweeps = 0
    tol = jnp.asarray(tol, wide.dtype)
    # The last axis goes first, so that a sweep over (rows, columns) is that of Alg. 1.
    order, weights = axes[::-1], lams[::-1]
    if num_sweeps is not None:
        y, gap = _dykstra(wide, weights, order, num_sweeps)
        sweeps = jnp.full_like(gap, num_sweeps, jnp.int32)
    else:
        limit = jnp.asarray(max_sweeps, jnp.int32)
        solution: _alternating.Solution = _solve(wide, weights, tol, limit, order)
        y, gap, sweeps = solution.y, solution.gap, solution.sweeps
    # Without any weight the prox is x, also in the sign of a zero.
    weighted = functools.reduce(operator.or_, ((w != 0).any(axes, keepdims=True) for w in weights))
    y = _replace(y, jnp.where(weighted, y, wide))
    valid = _valid(wide, weights, axes)
    y = jnp.where(valid, y, jnp.nan)
    gap = jnp.where(valid, gap, jnp.nan)
    bound = jnp.sqrt(gap)
    converged = bound <= tol * _alternating.deviation(wide, axes)
    info = ProxInfo(*(lax.stop_gradient(f).squeeze(axes) for f in (gap, bound, sweeps, converged)))
    return y.astype(x.dtype), info


def _valid(x: Array, lams: tuple[Array, ...], axes: tuple[int, ...]) -> Array:
    """Whether an image and its weights are such that it has a prox; TV axes of size 1."""
    valid = jnp.isfinite(x).all(axes, keepdims=True)
    for lam in lams:
        valid &= (lam >= 0).all(axes, keepdims=True)
    return valid


@jax.custom_jvp
def _replace(y: Array, value: Array) -> Array:
    """`value`, with the derivative of `y`."""
    del y
    return value


_replace.defjvp(lambda primals, tangents: (primals[1], tangents[0]))


def _dykstra(
    x: Array, lams: tuple[Array, ...], axes: tuple[int, ...], num_sweeps: int
) -> tuple[Array, Array]:
    """`num_sweeps` sweeps of proximal Dykstra, and the duality gap of each image."""

    def sweep(state, _):
        y, duals = state
        updated = []
        for lam, axis, dual in zip(lams, axes, duals, strict=True):
            z = y + dual
            y = _tv1d.prox(z, lam, axis)
            updated.append(z - y)
        return (y, tuple(updated)), None

    start = (x, tuple(jnp.zeros_like(x) for _ in axes))
    (y, duals), _ = lax.scan(sweep, start, length=num_sweeps)
    return y, _alternating.gap(lax.stop_gradient(y), lax.stop_gradient(duals), lams, axes)


# Implicit differentiation at the solution. Let A be the edges, of any axis, across which y is
# equal, P the mean over the connected components of A, and s the signs of the other differences.
# As in one dimension (_tv1d.py), y = P (x - sum_a D_a^T (lam_a * s_a)) with A and s locally
# constant, so
#
#     x_bar = P y_bar,      lam_bar_a = -s_a * (D_a P y_bar),   summed over what shares a weight.
@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _solve(
    x: Array, lams: tuple[Array, ...], tol: Array, max_sweeps: Array, axes: tuple[int, ...]
) -> _alternating.Solution:
    return _alternating.solve(x, lams, tol, max_sweeps, axes)


def _solve_fwd(x, lams, tol, max_sweeps, axes):
    solution: _alternating.Solution = _solve(x, lams, tol, max_sweeps, axes)
    jumps = tuple(jnp.sign(jnp.diff(b, axis=a)) for b, a in zip(solution.blocks, axes, strict=True))
    undefined = jnp.where(_valid(x, lams, axes), 0, jnp.nan).astype(x.dtype)
    return solution, (jumps, undefined, lams, tol, max_sweeps)


def _solve_bwd(axes, residuals, cotangent):
    jumps, undefined, lams, tol, max_sweeps = residuals
    jumps = lax.stop_gradient(jumps)
    x_bar = _alternating.component_mean(cotangent.y, jumps, axes) + undefined
    lams_bar = []
    for lam, jump, axis in zip(lams, jumps, axes, strict=True):
        edges_bar = -jump * jnp.diff(x_bar, axis=axis)
        lams_bar.append(_tv1d.WeightSpec.of(lam).pull_back(edges_bar))
    no_sweeps_bar = np.zeros(max_sweeps.shape, jax.dtypes.float0)
    return x_bar, tuple(lams_bar), jnp.zeros_like(tol), no_sweeps_bar


_solve.defvjp(_solve_fwd, _solve_bwd)

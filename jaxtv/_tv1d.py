# SPDX-License-Identifier: MIT
"""One-dimensional total variation: the prox of every line along an axis, and its derivative."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import _arguments, _lines


def prox_tv_1d(x: ArrayLike, lam: ArrayLike, *, axis: int = -1) -> Array:
    r"""Proximity operator of one-dimensional total variation.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_2^2 + \sum_k \lambda_k |y_{k+1} - y_k|

    Solved exactly, and independently for each line of ``x`` along ``axis``.

    Args:
      x: signal of any shape, with ``n`` samples along ``axis``. float32, float64, bfloat16 or
        float16; half types are computed in float32.
      lam: weight, at least 0, in the units of ``x``. Broadcasts against ``x``: one number, one per
        channel, one per line; along ``axis`` it has size 1, or ``n - 1`` for a weight on each pair
        of neighbours. Traced: a new value does not recompile.
      axis: the axis along which variation is measured.

    Returns:
      Array of the shape and dtype of ``x``. ``lam = 0`` gives ``x``; ``lam`` of at least
      :func:`jaxtv.lambda_max`, also infinity, gives the mean of the line. A line with a non-finite
      sample or with a negative or NaN weight is all NaN; no other line changes.

    Raises:
      TypeError: if ``x`` is not of a floating type.
      ValueError: if ``axis`` is out of range or ``lam`` does not broadcast.

    Differentiable in ``x`` and ``lam``, in reverse mode, by implicit differentiation. Where the
    result is constant along a line, its derivative in ``lam`` is 0.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.prox_tv_1d(jnp.array([0.0, 0.0, 4.0]), 1.0)
      Array([0.5, 0.5, 3. ], dtype=float32)

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (1) and (8). Condat, "A Direct Algorithm for 1-D Total Variation Denoising", IEEE Signal
      Processing Letters 2013.
    """
    return _prox_tv_1d(x, lam, axis)


@functools.partial(jax.jit, static_argnums=2)
def _prox_tv_1d(x: ArrayLike, lam: ArrayLike, axis: int) -> Array:
    x = _arguments.signal(x)
    axis = _arguments.tv_axis(axis, x.ndim)
    lam = _arguments.weights(lam, x, axis)
    return prox(x.astype(lam.dtype), lam, axis).astype(x.dtype)


def prox(x: Array, lam: Array, axis: int) -> Array:
    """`_lines.prox` with its derivative, on operands that fit it."""
    x, lam = _lines.match_manual_axes(x, lam)
    return _prox(x, lam, axis, WeightSpec.of(lam))


class WeightSpec(NamedTuple):
    """What the cotangent of a weight must look like."""

    shared: tuple[int, ...]  # the dimensions of size 1, to sum over
    sharding: jax.sharding.PartitionSpec  # empty but on a mesh with explicit axes

    @classmethod
    def of(cls, lam: Array) -> "WeightSpec":
        """The specification of `lam`."""
        shared = tuple(d for d, size in enumerate(lam.shape) if size == 1)
        return cls(shared, jax.typeof(lam).sharding.spec)

    def pull_back(self, per_edge: Array) -> Array:
        """The cotangent of a weight from that of each edge it weighs."""
        total = per_edge.sum(self.shared, keepdims=True)
        if jax.typeof(total).sharding.spec == self.sharding:
            return total
        return jax.sharding.reshard(total, self.sharding)


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
@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _prox(x: Array, lam: Array, axis: int, spec: WeightSpec) -> Array:
    del spec  # for the derivative
    return _lines.prox(x, lam, axis=axis)


def _prox_fwd(x: Array, lam: Array, axis: int, spec: WeightSpec):
    y = _prox(x, lam, axis, spec)
    return y, y


def _prox_bwd(axis: int, spec: WeightSpec, y: Array, y_bar: Array):
    y = lax.stop_gradient(y)
    x_bar = _lines.run_mean(y, y_bar, axis=axis)
    edges_bar = -jnp.sign(jnp.diff(y, axis=axis)) * jnp.diff(x_bar, axis=axis)
    return x_bar, spec.pull_back(edges_bar)


_prox.defvjp(_prox_fwd, _prox_bwd)


def lambda_max(x: ArrayLike, *, axis: int = -1, keepdims: bool = False) -> Array:
    r"""The smallest weight for which the TV prox of a line is constant.

    .. math::
      \lambda_{\max} = \max_k \Bigl| \sum_{i \le k} (x_i - \operatorname{mean}(x)) \Bigr|

    From there on :func:`jaxtv.prox_tv_1d` gives the mean of the line, and its derivative in ``lam``
    is 0: a learned weight that gets there stays there.

    Args:
      x: floating array of any shape.
      axis: the axis along which variation is measured.
      keepdims: keep ``axis`` with size 1, so that the result can be a weight for ``x``.

    Returns:
      Array of the dtype of ``x``, of its shape without ``axis``.

    Raises:
      TypeError: if ``x`` is not of a floating type.
      ValueError: if ``axis`` is out of range.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.lambda_max(jnp.array([0.0, 0.0, 3.0]))
      Array(2., dtype=float32)
    """
    x = _arguments.signal(x)
    axis = _arguments.tv_axis(axis, x.ndim)
    if x.shape[axis] == 0:
        return x.sum(axis, keepdims=keepdims)
    wide = x.astype(_arguments.compute_type(x))
    dual = jnp.cumsum(wide - wide.mean(axis, keepdims=True), axis=axis)
    return jnp.abs(dual).max(axis, keepdims=keepdims).astype(x.dtype)

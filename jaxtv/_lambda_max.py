# SPDX-License-Identifier: MIT
"""From which weight on the prox of total variation is constant."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import _arguments
from jaxtv._plain import measures
from jaxtv._plain.differences import divergence
from jaxtv._plumbing import primitive, sharding

LONGEST = 4096
"""The longest axis whose cosine transform is made, by a matrix of its square."""


def lambda_max(
    x: ArrayLike,
    *,
    axis: int = -1,
    axes: Sequence[int] | None = None,
    keepdims: bool = False,
) -> Array:
    r"""The smallest weight for which the TV prox of a line is constant, rounded up.

    .. math::
      \lambda_{\max} = \max_k \Bigl| \sum_{i \le k} (x_i - \operatorname{mean}(x)) \Bigr|

    From there on :func:`jaxtv.prox_tv_1d` gives the mean of the line, and its derivative in ``lam``
    is 0: a learned weight that gets there stays there. For this to hold in floating point at the
    result itself, it is larger than the formula says, by ``n * eps / 2 * (lambda_max + max|x|)``
    for a line of ``n`` samples and the ``eps`` of the result's type.

    With ``axes``, an upper bound of that weight for an image or a volume. The smallest is

    .. math::
      \min_p \max_{a,e} |p_{a,e}| \quad\text{with}\quad
      \sum_a D_a^T p_a = x - \operatorname{mean}(x),

    a linear program. Any such :math:`p` bounds it; this is the one of the least squares, :math:`p_a
    = D_a u` with :math:`\sum_a D_a^T D_a u = x - \operatorname{mean}(x)`. It is certified: what
    rounding leaves of the constraint is repaired, and what rounding may have hidden is added. It
    was 1.0 to 1.6 times the smallest on photographs, edges and volumes, and 1.9 times on an image
    of noise; it is larger where an axis has more than 4096 pixels, for which another :math:`p`
    serves. For ``kind="isotropic"`` take ``sqrt(len(axes))`` times it.

    Args:
      x: floating array of any shape.
      axis: the axis along which variation is measured.
      axes: instead of ``axis``, the axes of an image or a volume, as in :func:`jaxtv.prox_tv`.
      keepdims: keep these axes with size 1, so that the result can be a weight for ``x``.

    Returns:
      Array of the shape of ``x`` without ``axis`` or ``axes``: float64 for float64, else float32,
      since sums over a line are out of the range of half types. 0 for a constant line, inf where
      the result overflows, NaN for a line with a non-finite sample.

    Raises:
      TypeError: if an argument has a wrong type, as in :func:`jaxtv.prox_tv`.
      ValueError: if an axis is out of range or repeated, or both ``axis`` and ``axes`` are given.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> x = jnp.array([0.0, 0.0, 3.0])
      >>> lam = jaxtv.lambda_max(x)
      >>> print(f"{lam:.3f}")
      2.000
      >>> jaxtv.prox_tv_1d(x, lam)
      Array([1., 1., 1.], dtype=float32)
      >>> image = jnp.zeros((3, 3)).at[1, 1].set(9.0)
      >>> print(f"{jaxtv.lambda_max(image, axes=(0, 1)):.3f}")  # four edges carry away 8
      2.000

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (1) and (2). Meyer, "Oscillating Patterns in Image Processing and Nonlinear Evolution
      Equations", AMS 2001, on the dual norm.
    """
    x = _arguments.signal(x)
    keepdims = _arguments.flag(keepdims, "keepdims")
    if axes is None:
        return _of_lines(x, _arguments.tv_axis(axis, x.ndim), keepdims)
    if axis != -1:
        raise ValueError(
            f"axis must be left out where axes are given, got axis={_arguments.shown(axis)} and "
            f"axes={_arguments.shown(axes)}: pass one of the two."
        )
    found = _arguments.tv_axes(axes, x.ndim)
    if len(found) == 1:
        return _of_lines(x, found[0], keepdims)
    return _of_images(x, found, keepdims)


# How far to round up. A solver sums up to n terms to a height of at most lambda_max, and rounds
# each by at most eps / 2 of that: a weight larger by n * eps / 2 * lambda_max meets no jump but for
# close calls. Say such a jump splits the line into lengths l and r, and the weight is larger by d.
# Then the two levels differ by at least d / l + d / r >= 4 d / n, in the order against the jump.
# That is no jump (core/run.h), if it is not lost in the rounding of the levels, about eps * max|x|
# each: for that, d = n * eps / 2 * max|x| is enough.
@functools.partial(jax.jit, static_argnums=(1, 2))
def _of_lines(x: ArrayLike, axis: int, keepdims: bool) -> Array:
    wide, rest, unit = _deviations(x, (axis,))
    if wide.size == 0:
        return wide.sum(axis, keepdims=keepdims)
    top = jnp.abs(_running_sum(rest, axis)).max(axis, keepdims=True)
    eps = jnp.finfo(wide.dtype).eps
    slack = wide.shape[axis] * eps / 2 * (top + jnp.abs(wide).max(axis, keepdims=True))
    top = top + lax.stop_gradient(jnp.where(top > 0, slack, 0))
    top = top * unit
    return top if keepdims else top.squeeze(axis)


# How far off a flow p that was found in floating point may be. What is left of the constraint,
# x - mean(x) - sum_a D_a^T p_a, is computed to within 2 a + 3 roundings of numbers of at most
# 2 (max|x| + a max|p|), for `a` axes, so to within e = (2 a + 3) eps (max|x| + a max|p|) at each
# pixel. The flow q that carries a remainder off along one axis after the other is a sum of at most
# n_a numbers, or of their means, along axis a. So p + q, q that of the computed remainder, is off a
# flow that meets the constraint by at most max(n_a) * e; the roundings of q itself are of size eps
# times e. The next integer covers them.
@functools.partial(jax.jit, static_argnums=(1, 2))
def _of_images(x: ArrayLike, axes: tuple[int, ...], keepdims: bool) -> Array:
    wide, rest, unit = _deviations(x, axes)
    if wide.size == 0:
        return wide.sum(axes, keepdims=keepdims)
    flows = _least_squares_flows(rest, axes)
    left = rest
    for p, axis in zip(flows, axes, strict=True):
        left = left - divergence(p, axis)
    flows = [p + q for p, q in zip(flows, _flows_axis_by_axis(left, axes), strict=True)]
    tops = (jnp.abs(p).max(axes, keepdims=True, initial=0) for p in flows)
    top = functools.reduce(jnp.maximum, tops)
    roundings = 2 * len(axes) + 4
    at_pixel = roundings * jnp.finfo(wide.dtype).eps
    at_pixel *= jnp.abs(wide).max(axes, keepdims=True) + len(axes) * top
    slack = max(wide.shape[a] for a in axes) * at_pixel
    top = top + lax.stop_gradient(jnp.where(top > 0, slack, 0))
    top = top * unit
    return top if keepdims else top.squeeze(axes)


def _deviations(x: ArrayLike, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """``x`` in units in which no sum overflows, that less its mean, and the unit."""
    (x,) = sharding.placed(axes, jnp.asarray(x))
    wide = x.astype(primitive.computed_type(x.dtype))
    if x.size == 0:
        return wide, wide, wide
    unit = lax.stop_gradient(measures.unit_of(wide, axes))
    wide = wide / unit
    first = wide
    for axis in axes:
        first = lax.slice_in_dim(first, 0, 1, axis=axis)
    rest = wide - first
    for _ in range(2):  # once more on what the rounding of the mean left
        rest = rest - rest.mean(axes, keepdims=True)
    return wide, rest, unit


def _least_squares_flows(rest: Array, axes: tuple[int, ...]) -> list[Array]:
    """Flows D_a u with sum_a D_a^T D_a u = rest: cosines are the eigenvectors of D_a^T D_a.

    They are products with matrices since XLA's FFT fails along an axis that is cut over devices.
    """
    if max(rest.shape[axis] for axis in axes) > LONGEST:
        return [jnp.diff(jnp.zeros_like(rest), axis=axis) for axis in axes]
    u, eigenvalues = rest, np.zeros((1,) * rest.ndim)
    for axis in axes:
        n = rest.shape[axis]
        per_frequency = 4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2
        others = [d for d in range(rest.ndim) if d != axis]
        eigenvalues = eigenvalues + np.expand_dims(per_frequency, others)
        u = _times(_cosines(n, rest.dtype), u, axis)
    eigenvalues.flat[0] = math.inf  # of the mean, which is 0
    u = u / eigenvalues.astype(rest.dtype)
    for axis in axes:
        u = _times(_cosines(rest.shape[axis], rest.dtype).T, u, axis)
    return [-jnp.diff(u, axis=axis) for axis in axes]


def _cosines(n: int, dtype: Any) -> Array:
    """The orthogonal matrix of the cosine transform (DCT-II), a row for each frequency."""
    k = lax.optimization_barrier(jnp.arange(n, dtype=jnp.int32))  # not computed by the compiler
    quarters = k[:, None] * (2 * k + 1) % (4 * n)
    table = jnp.cos(quarters.astype(dtype) * (math.pi / (2 * n)))
    return table * jnp.where(k == 0, math.sqrt(1 / n), math.sqrt(2 / n))[:, None].astype(dtype)


def _times(matrix: Array, x: Array, axis: int) -> Array:
    product = jnp.tensordot(matrix, x, (1, axis), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(product, 0, axis)


def _flows_axis_by_axis(rest: Array, axes: tuple[int, ...]) -> list[Array]:
    """Flows that level each line along the first axis, then their means along the next, ..."""
    rest, flows = lax.stop_gradient(rest), []
    for axis in axes:
        mean = rest.mean(axis, keepdims=True)
        flows.append(lax.slice_in_dim(_running_sum(rest - mean, axis), 0, -1, axis=axis))
        rest = mean
    return flows


def _running_sum(v: Array, axis: int) -> Array:
    """The sums up to each sample, and once more of what their additions rounded off."""
    sums = jnp.cumsum(v, axis=axis)
    before = [(1, 0) if d == axis else (0, 0) for d in range(v.ndim)]
    steps = jnp.diff(jnp.pad(sums, before), axis=axis)
    return sums + jnp.cumsum(v - steps, axis=axis)

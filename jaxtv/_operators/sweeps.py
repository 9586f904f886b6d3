# SPDX-License-Identifier: MIT
"""A fixed number of sweeps over the axes of every image, Alg. 1 of the paper, and its derivatives.

With v_a the image that axis a takes from x, x = y + sum_a v_a throughout, a half sweep along a is

    z = x - sum_{b != a} v_b,      y = prox_a(z),      v_a = z - y,

which is proximal Dykstra with its sums eliminated: the same iterates, but rounding does not add up.
Near almost every (x, lam) the runs of each y and the signs s of the jumps between them are
constant. With P the mean over runs (`_tv1d.py`), a half sweep then has the tangent

    dz = dx - sum_{b != a} dv_b,   dy = P (dz - D^T (s * dlam)),   dv_a = dz - dy,

and with V_a the cotangent of its z, that of the whole is, half sweep by half sweep backwards from
V_next = y_bar and all V_a = 0,

    m = P (V_next - V_a),   lam_bar_a -= s * (D m),   V_a += m,   V_next = V_a,

at whose end V_next is x_bar. So all that the derivatives need is a code of two bits per pixel and
half sweep (`core/sweeps.h`): how the pixel's `y` compares with that of its next neighbour. Four
half sweeps share a byte, a *plane* of such bytes stands before the first of the TV axes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray

from jaxtv._plain import sweeps as plain_sweeps
from jaxtv._plumbing import primitive, sharding


def prox(
    x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int
) -> tuple[Array, Array]:
    """`num_sweeps` sweeps, at least one, and the codes.

    Args:
      x: any shape; half types are computed in float32.
      lams: weights in the type that is computed in, one for each of `axes`, as for `tv1d.prox`.
      axes: at least two, in the order in which a sweep solves along them, not negative.
      num_sweeps: how many.
    """
    params = {"axes": axes, "num_sweeps": num_sweeps, "keep_bits": True}
    y, bits = primitive.bind(_sweeps_p, x, *lams, **params)
    return y, bits


def solve(x: Array, *lams: Array, axes: tuple[int, ...], num_sweeps: int) -> Array:
    """The result of `prox`; the codes are all that its derivatives keep."""
    params = {"axes": axes, "num_sweeps": num_sweeps, "keep_bits": False}
    return primitive.bind(_sweeps_p, x, *lams, **params)[0]


solve_reverse_only = primitive.reverse_only(solve)


def reverse(
    y_bar: Array, bits: Array, *, axes: tuple[int, ...], num_sweeps: int, edges: tuple[int, ...]
) -> list[Array]:
    """The cotangents of `x` and of the weights along each axis, from that of the result.

    Args:
      y_bar: the cotangent of the result.
      bits: the codes.
      axes: as for `prox`.
      num_sweeps: as for `prox`.
      edges: for each axis, 1 for a number for each edge, 0 for their sum over each line.
    """
    params = {"axes": axes, "num_sweeps": num_sweeps, "edges": edges}
    return primitive.bind(_reverse_p, y_bar, bits, **params)


def tangent(
    dx: Array,
    dlams: Sequence[Array],
    bits: Array,
    *,
    axes: tuple[int, ...],
    num_sweeps: int,
    edges: tuple[int, ...],
) -> Array:
    """The tangent of the result, from those of `x` and of the weights: `reverse` transposed."""
    params = {"axes": axes, "num_sweeps": num_sweeps, "edges": edges}
    return primitive.bind(_tangent_p, dx, bits, *dlams, **params)[0]


def _forward_results(
    x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...], num_sweeps: int, keep_bits: bool
) -> list[ShapedArray]:
    if not keep_bits:
        return [x]
    first, planes = min(axes), plain_sweeps.num_planes(len(axes), num_sweeps)
    cuts = x.sharding.spec
    spec = jax.sharding.PartitionSpec(*cuts[:first], None, *cuts[first:])
    shape = (*x.shape[:first], planes, *x.shape[first:])
    placed = x.sharding.update(spec=spec)
    return [x, x.update(shape=shape, dtype=jnp.dtype("uint8"), sharding=placed)]


def _reverse_results(
    y_bar: ShapedArray,
    _: ShapedArray,
    *,
    axes: tuple[int, ...],
    num_sweeps: int,
    edges: tuple[int, ...],
) -> list[ShapedArray]:
    del num_sweeps
    sizes = (y_bar.shape[a] - 1 if each else 1 for a, each in zip(axes, edges, strict=True))
    lam_bars = (
        sharding.reduced(y_bar, (axis,), primitive.computed_type(y_bar.dtype), size)
        for axis, size in zip(axes, sizes, strict=True)
    )
    return [y_bar, *lam_bars]


def _jvp(operands, tangents, *, axes: tuple[int, ...], num_sweeps: int, keep_bits: bool):
    x, *lams = operands
    y, bits = prox(x, lams, axes, num_sweeps)
    edges = tuple(
        int(x.shape[axis] != 1 and lam.shape[axis] != 1)
        for axis, lam in zip(axes, lams, strict=True)
    )
    dx, *dlams = (
        jnp.zeros_like(operand) if t is None else t
        for operand, t in zip(operands, tangents, strict=True)
    )
    dy = tangent(dx, dlams, bits, axes=axes, num_sweeps=num_sweeps, edges=edges)
    return [y, bits][: 1 + keep_bits], dy


def _tangent_transpose(cotangents: list[Array], bits: Array, **params):
    (y_bar,) = cotangents
    return reverse(y_bar, bits, **params)


def _reverse_transpose(cotangents: list[Array | None], bits: Array, **params):
    given = next(c for c in cotangents if c is not None)
    dtype = primitive.computed_type(given.dtype)
    dx, *dlams = cotangents
    if dx is None:
        plane = lax.index_in_dim(bits, 0, min(params["axes"]), keepdims=False)
        dx = jnp.zeros_like(plane, given.dtype)
    dlams = [
        jnp.zeros_like(plain_sweeps.per_weight(dx, axis, each), dtype) if d is None else d
        for d, axis, each in zip(dlams, params["axes"], params["edges"], strict=True)
    ]
    return [tangent(dx, dlams, bits, **params)]


def _forward_of_large(x: Array, *lams: Array, axes: tuple[int, ...], **params) -> list[Array]:
    """Of images that the kernel of whole images does not take."""
    if any(lam.shape[axis] != 1 for axis, lam in zip(axes, lams, strict=True)):
        return plain_sweeps.forward(x, *lams, axes=axes, **params)
    return primitive.bind(_by_lines_p, x, *lams, axes=axes, **params)


def _reverse_of_large(
    y_bar: Array, bits: Array, *, edges: tuple[int, ...], **params
) -> list[Array]:
    if any(edges):
        return plain_sweeps.reverse(y_bar, bits, edges=edges, **params)
    return primitive.bind(_reverse_by_lines_p, y_bar, bits, edges=edges, **params)


# Of images that a platform has a kernel for: the CPU's takes all, CUDA's those that a block keeps.
# Larger ones are swept line by line on CUDA where each line has one weight, else in plain JAX.
_sweeps_p = primitive.make(
    "jaxtv_sweeps", _forward_of_large, results=_forward_results, full_operands=(0,)
)
_by_lines_p = primitive.make(
    "jaxtv_sweeps_by_lines", plain_sweeps.forward, results=_forward_results, full_operands=(0,)
)
_reverse_p = primitive.make(
    "jaxtv_sweeps_reverse", _reverse_of_large, results=_reverse_results, full_operands=(0, 1)
)
_reverse_by_lines_p = primitive.make(
    "jaxtv_sweeps_by_lines_reverse",
    plain_sweeps.reverse,
    results=_reverse_results,
    full_operands=(0, 1),
)
_tangent_p = primitive.make(
    "jaxtv_sweeps_tangent",
    plain_sweeps.tangent,
    results=lambda dx, *_, **__: [dx],
    full_operands=(0, 1),
)
primitive.differentiable(_sweeps_p, _jvp)
primitive.linear(_reverse_p, _reverse_transpose, operands=lambda **_: (0,))
primitive.linear(
    _tangent_p, _tangent_transpose, operands=lambda axes, **_: (0, *range(2, 2 + len(axes)))
)

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

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray

from jaxtv import _primitive, _reference_sweeps, _sharding
from jaxtv._tv1d import WeightSpec


def prox(
    x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int
) -> tuple[Array, Array]:
    """`num_sweeps` sweeps, at least one, and the codes; differentiable in both modes.

    Args:
      x: float32 or float64, any shape.
      lams: weights, one for each of `axes`, as for `_lines.prox`.
      axes: at least two, in the order in which a sweep solves along them, not negative.
      num_sweeps: how many.
    """
    y, bits = _bind(x, lams, axes, num_sweeps, keep_bits=True)
    return y, bits


def _bind(x, lams, axes, num_sweeps, *, keep_bits) -> list[Array]:
    return _primitive.bind(
        _sweeps_p, x, *lams, axes=axes, num_sweeps=num_sweeps, keep_bits=keep_bits
    )


def solve(x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int) -> Array:
    """The same with a derivative in reverse mode, of which the codes are the only residual."""
    x, *lams = _sharding.match_manual_axes(x, *lams)
    return _solve(x, tuple(lams), axes, num_sweeps, tuple(map(WeightSpec.of, lams)))


def solve_raw(x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int) -> Array:
    """The same with derivatives in both modes."""
    return prox(x, lams, axes, num_sweeps)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _solve(
    x: Array,
    lams: tuple[Array, ...],
    axes: tuple[int, ...],
    num_sweeps: int,
    specs: tuple[WeightSpec, ...],
) -> Array:
    del specs  # for the derivative
    return _bind(x, lams, axes, num_sweeps, keep_bits=False)[0]


def _solve_fwd(x, lams, axes, num_sweeps, specs):
    return prox(x, lams, axes, num_sweeps)


def _solve_bwd(axes, num_sweeps, specs, bits, y_bar):
    edges = tuple(
        int(y_bar.shape[axis] != 1 and axis not in spec.shared)
        for axis, spec in zip(axes, specs, strict=True)
    )
    x_bar, *lam_bars = _primitive.bind(
        _reverse_p, y_bar, bits, axes=axes, num_sweeps=num_sweeps, edges=edges
    )
    lam_bars = [
        # A line of one sample has no edges, but room for the cotangent of a weight.
        lax.slice_in_dim(lam, 0, 0, axis=axis)
        if y_bar.shape[axis] == 1 and axis not in spec.shared
        else lam
        for lam, axis, spec in zip(lam_bars, axes, specs, strict=True)
    ]
    return x_bar, tuple(spec.sum(lam) for spec, lam in zip(specs, lam_bars, strict=True))


_solve.defvjp(_solve_fwd, _solve_bwd)


def _forward_results(
    x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...], num_sweeps: int, keep_bits: bool
) -> list[ShapedArray]:
    if not keep_bits:
        return [x]
    first, planes = min(axes), _reference_sweeps.num_planes(len(axes), num_sweeps)
    cuts = x.sharding.spec
    spec = jax.sharding.PartitionSpec(*cuts[:first], None, *cuts[first:])
    shape = (*x.shape[:first], planes, *x.shape[first:])
    sharding = x.sharding.update(spec=spec)
    return [x, x.update(shape=shape, dtype=jnp.dtype("uint8"), sharding=sharding)]


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
        _sharding.reduced(y_bar, (axis,), y_bar.dtype, size)
        for axis, size in zip(axes, sizes, strict=True)
    )
    return [y_bar, *lam_bars]


_sweeps_p = _primitive.make(
    "jaxtv_sweeps", _reference_sweeps.forward, results=_forward_results, full_operands=(0,)
)
_reverse_p = _primitive.make(
    "jaxtv_sweeps_reverse",
    _reference_sweeps.reverse,
    results=_reverse_results,
    full_operands=(0, 1),
)


# Derivatives of any order: the reverse is linear in y_bar, its transpose is the tangent, and that
# is plain JAX.
def _forward_jvp(results, operands, tangents, *, axes, num_sweeps, keep_bits):
    del operands, keep_bits
    dx, *dlams = tangents
    return _reference_sweeps.tangent(results[1], dx, dlams, axes=axes, num_sweeps=num_sweeps)


def _reverse_transpose(cotangents, bits, *, axes, num_sweeps, edges):
    dx, *dlams = cotangents
    given = next(c for c in cotangents if c is not None)
    if dx is None:
        shape = (*bits.shape[: min(axes)], *bits.shape[min(axes) + 1 :])
        dx = jnp.zeros(shape, given.dtype)
    dlams = [
        jnp.zeros_like(_reference_sweeps.per_weight(dx, axis, each)) if d is None else d
        for d, axis, each in zip(dlams, axes, edges, strict=True)
    ]
    return _reference_sweeps.tangent(bits, dx, dlams, axes=axes, num_sweeps=num_sweeps)


_primitive.differentiable(_sweeps_p, _forward_jvp)
_primitive.linear(_reverse_p, _reverse_transpose, operand=0)

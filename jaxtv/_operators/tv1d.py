# SPDX-License-Identifier: MIT
"""Operators on every line of an array along one axis.

What they compute is in `core/` (compiled) and `jaxtv/_plain/tv1d.py`.
"""

import functools

import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray
from jax.extend.core import Primitive

from jaxtv._plain import tv1d as plain_tv1d
from jaxtv._plain import tv1d_newton as plain_newton
from jaxtv._plain.differences import divergence
from jaxtv._plumbing import primitive, sharding

NEWTON_STEPS = 100
"""Where Newton's method leaves a line to the direct one, unless the caller says otherwise."""


def prox(x: Array, lam: Array, *, axis: int) -> Array:
    """The TV prox of each line of `x` along `axis`.

    Args:
      x: any shape; half types are computed in float32.
      lam: weights in the type that is computed in, same rank; each dimension is that of `x` or 1;
        along `axis` 1 or one less than that of `x`.
      axis: not negative.
    """
    if lam.shape[axis] != 1:  # no kernel reads half types and a weight for each edge
        return primitive.bind(_prox_p, x.astype(lam.dtype), lam, axis=axis)[0].astype(x.dtype)
    return primitive.bind(_prox_p, x, lam, axis=axis)[0]


def newton(
    x: Array,
    lam: Array,
    *,
    axis: int,
    max_steps: int = NEWTON_STEPS,
) -> tuple[Array, Array]:
    """The same prox by projected Newton steps on the dual, and the steps that each line took.

    Args:
      x: float32 or float64, any shape.
      lam: as for `prox`.
      axis: as for `prox`.
      max_steps: a line that needs more is solved by the direct method.

    Returns:
      The prox, and int32 steps with size 1 along `axis`.
    """
    y, steps = primitive.bind(_newton_p, x, lam, axis=axis, max_steps=max_steps)
    return y, steps


def run_mean(y: Array, v: Array, *, axis: int) -> Array:
    """The mean of `v` over each maximal run of equal `y` along `axis`; linear in `v`."""
    weight = jnp.ones((1,) * y.ndim, y.dtype)  # any that ties equal neighbours
    return pull_back(y, weight, v, axis=axis)[0]


def pull_back(y: Array, lam: Array, v: Array, *, axis: int) -> tuple[Array, Array]:
    """The cotangents of `x` and of the weights of the prox `y`, from `v`, that of `y`.

    As derived in _tv1d.py, P v and -s * (D P v); linear in `v`. At a weight of 0 y = x, and equal
    neighbours do not move together: there P does not tie them. But a weight that all edges of a
    line share ties them as soon as it grows, and its cotangent is the derivative from that side.

    Of half types, `y` is not rounded to `v`, in which runs would merge, but in the computed type.

    Returns:
      Two arrays. The first is like `v`. The second has the dtype and shape of `y`, but that of
      `lam` along `axis`: a number for each edge, or their sum for each line. Lines that share a
      weight are not summed.
    """
    x_bar, lam_bar = primitive.bind(_pull_back_p, y, lam, v, axis=axis)
    return x_bar, lam_bar


def push_forward(y: Array, lam: Array, dx: Array | None, dlam: Array | None, *, axis: int) -> Array:
    """The tangent P (dx - D^T (s * dlam)) of the prox `y`: the transpose of `pull_back`.

    Args:
      y: the prox.
      lam: its weights.
      dx: tangent of `x`; None for 0.
      dlam: tangent of `lam`, also of one that is not shared by lines; None for 0.
      axis: as for `prox`.
    """
    if dlam is None:  # P is its own transpose
        return pull_back(y, lam, jnp.zeros_like(y) if dx is None else dx, axis=axis)[0]
    dx = jnp.zeros_like(y) if dx is None else dx
    return primitive.bind(_push_forward_p, y, lam, dx, dlam, axis=axis)[0]


def _push_forward(y: Array, lam: Array, dx: Array, dlam: Array, *, axis: int) -> list[Array]:
    if lam.shape[axis] != 1:
        return [pull_back(y, lam, shifted(y, dx, dlam, axis=axis), axis=axis)[0]]
    by_lam = run_mean(y, shifted(y, jnp.zeros_like(y), dlam, axis=axis), axis=axis)
    return [pull_back(y, lam, dx, axis=axis)[0] + by_lam]


def shifted(y: Array, dx: Array, dlam: Array, *, axis: int) -> Array:
    """The tangent `dx - D^T (sign(D y) * dlam)` of what the prox `y` is a mean of."""
    return dx + divergence(jump_signs(y, axis=axis) * dlam, axis)


def jump_signs(y: Array, *, axis: int) -> Array:
    """The signs of the jumps between neighbours; 0 where `y` is NaN."""
    jump = jnp.diff(y, axis=axis)
    return (jump > 0).astype(y.dtype) - (jump < 0).astype(y.dtype)


def _prox_jvp(operands, tangents, *, axis: int):
    x, lam = operands
    if x.dtype == lam.dtype:
        return _jvp(_prox_p, 0, operands, tangents, axis=axis)
    (y, _), tangent = _jvp(_unrounded_p, 1, operands, tangents, axis=axis)
    return [y], tangent


def _jvp(operator: Primitive, unrounded: int, operands, tangents, *, axis: int, **params):
    """Of an operator, of whose results that of number `unrounded` is the prox in full precision."""
    (x, lam), (dx, dlam) = operands, tangents
    results = primitive.bind(operator, x, lam, axis=axis, **params)
    y, lam = lax.stop_gradient((results[unrounded], lam))
    dx = jnp.zeros_like(x) if dx is None else dx  # the tangent is like x
    return results, push_forward(y, lam, dx, dlam, axis=axis)


def _push_forward_transpose(cotangents: list[Array], y: Array, lam: Array, *, axis: int):
    return pull_back(y, lam, *cotangents, axis=axis)


def _pull_back_transpose(cotangents: list[Array | None], y: Array, lam: Array, *, axis: int):
    return [push_forward(y, lam, *cotangents, axis=axis)]


def _cotangents(
    y: ShapedArray, lam: ShapedArray, v: ShapedArray, *, axis: int
) -> list[ShapedArray]:
    return [v, sharding.reduced(y, (axis,), y.dtype, lam.shape[axis])]


_prox_p = primitive.make(
    "jaxtv_prox_tv1d",
    lambda x, lam, *, axis: [plain_tv1d.prox(x, lam, axis=axis)],
    results=lambda x, *_, axis: [x],
    full_operands=(0,),
)
_unrounded_p = primitive.make(  # of a half type, also in the computed type
    "jaxtv_prox_tv1d_unrounded",
    lambda x, lam, *, axis: 2 * [prox(x, lam, axis=axis)],
    results=lambda x, lam, *, axis: [x, x.update(dtype=lam.dtype)],
    full_operands=(0,),
)
_newton_p = primitive.make(
    "jaxtv_prox_tv1d_newton",
    plain_newton.newton,
    results=lambda x, *_, axis, **__: [x, sharding.reduced(x, (axis,), jnp.int32)],
    full_operands=(0,),
)
_pull_back_p = primitive.make(
    "jaxtv_pull_back",
    plain_tv1d.pull_back,
    results=_cotangents,
    full_operands=(0, 2),
    stored=2,
)
_push_forward_p = primitive.make(
    "jaxtv_push_forward",
    _push_forward,
    results=lambda y, lam, dx, *_, axis: [dx],
    full_operands=(0, 2),
    stored=2,
)
primitive.linear(_pull_back_p, _pull_back_transpose, operands=lambda **_: (2,))
primitive.linear(_push_forward_p, _push_forward_transpose, operands=lambda **_: (2, 3))
primitive.differentiable(_prox_p, _prox_jvp)
primitive.differentiable(_unrounded_p, functools.partial(_jvp, _unrounded_p, 1))
primitive.differentiable(_newton_p, functools.partial(_jvp, _newton_p, 0))

# SPDX-License-Identifier: MIT
"""Operators on every line of an array along one axis.

What they compute is in `core/` (compiled) and `_reference.py` (plain JAX).
"""

import jax.numpy as jnp
from jax import Array, lax

from jaxtv import _primitive, _reference, _reference_newton

NEWTON_STEPS = 100
"""Where Newton's method leaves a line to the direct one, unless the caller says otherwise."""


def prox(x: Array, lam: Array, *, axis: int) -> Array:
    """The TV prox of each line of `x` along `axis`.

    Args:
      x: float32 or float64, any shape.
      lam: weights, same dtype and rank; each dimension is that of `x` or 1; along `axis` 1 or one
        less than that of `x`.
      axis: not negative.
    """
    return _primitive.bind(_prox_p, x, lam, axis=axis)[0]


def newton(
    x: Array,
    lam: Array,
    *,
    axis: int,
    max_steps: int = NEWTON_STEPS,
    halving: bool = False,
) -> tuple[Array, Array]:
    """The same prox by projected Newton steps on the dual, and the steps that each line took.

    Args:
      x: as for `prox`.
      lam: as for `prox`.
      axis: as for `prox`.
      max_steps: a line that needs more is solved by the direct method.
      halving: search the step size among 1, 1/2, 1/4, ... side by side, not by backtracking.

    Returns:
      The prox, and int32 steps with size 1 along `axis`.
    """
    y, steps = _primitive.bind(_newton_p, x, lam, axis=axis, max_steps=max_steps, halving=halving)
    return y, steps


def run_mean(y: Array, v: Array, *, axis: int) -> Array:
    """The mean of `v` over each maximal run of equal `y` along `axis`; self-adjoint in `v`."""
    return _primitive.bind(_run_mean_p, y, v, axis=axis)[0]


def jacobian(y: Array, lam: Array, v: Array, *, axis: int) -> tuple[Array, Array]:
    """P v for the prox `y`, as its derivative in x and as that in lam needs it.

    They differ at a weight of 0. There y = x, and equal neighbours do not move together; but as
    soon as their common weight grows, they do. A weight for each edge grows alone.
    """
    if lam.shape[axis] == 1:
        mean = run_mean(y, v, axis=axis)
        return jnp.where(lam == 0, v, mean), mean
    cut = (jnp.diff(y, axis=axis) != 0) | (lam == 0)
    starts = jnp.concatenate([jnp.ones_like(lax.slice_in_dim(y, 0, 1, axis=axis), bool), cut], axis)
    odd = (jnp.cumsum(starts, axis=axis) % 2).astype(y.dtype)  # tells a run from the next
    mean = run_mean(jnp.where(jnp.isnan(y), y, odd), v, axis=axis)
    return mean, mean


def shifted(y: Array, dx: Array, dlam: Array, *, axis: int) -> Array:
    """The tangent `dx - D^T (sign(D y) * dlam)` of what the prox `y` is a mean of."""
    ends = [(1, 1) if d == axis else (0, 0) for d in range(y.ndim)]
    return dx + jnp.diff(jnp.pad(jnp.sign(jnp.diff(y, axis=axis)) * dlam, ends), axis=axis)


# In forward mode, as derived in _tv1d.py: dy = P (dx - D^T (s * dlam)).
def _prox_jvp(results: list[Array], operands, tangents, *, axis: int, **_) -> Array:
    (_, lam), (dx, dlam) = operands, tangents
    y, lam = lax.stop_gradient((results[0], lam))
    by_x, _ = jacobian(y, lam, dx, axis=axis)
    _, by_lam = jacobian(y, lam, shifted(y, jnp.zeros_like(dx), dlam, axis=axis), axis=axis)
    return by_x + by_lam


_prox_p = _primitive.make(
    "jaxtv_prox_tv1d",
    lambda x, lam, *, axis: [_reference.prox(x, lam, axis=axis)],
    results=lambda x, axis: [x],
    full_operands=(0,),
)
_newton_p = _primitive.make(
    "jaxtv_prox_tv1d_newton",
    _reference_newton.newton,
    results=lambda x, axis, **_: [x, _primitive.reduced(x, (axis,), jnp.int32)],
    full_operands=(0,),
)
_run_mean_p = _primitive.make(
    "jaxtv_run_mean",
    lambda y, v, *, axis: [_reference.run_mean(y, v, axis=axis)],
    results=lambda y, axis: [y],
    full_operands=(0, 1),
)
_primitive.self_adjoint(_run_mean_p)
_primitive.differentiable(_prox_p, _prox_jvp)
_primitive.differentiable(_newton_p, _prox_jvp)

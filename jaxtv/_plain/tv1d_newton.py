# SPDX-License-Identifier: MIT
"""Projected Newton on the dual of the prox, in plain JAX: see `core/tv1d_newton.h` for the method.

Used where there is no compiled kernel, and as specification. All lines step together; a line that
is done keeps its dual, whatever the others do. The recurrences of a tridiagonal solve are
associative scans.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import scan
from jaxtv._plain import tv1d as plain_tv1d
from jaxtv._plain.differences import divergence

_DECREASE = 1e-4  # of Armijo's rule
_SMALLEST = 2.0**-40  # a step that has to be smaller is taken all the same


class _Step(NamedTuple):
    jump: Array  # D y at u
    bound: Array  # the edges that are not free
    d: Array  # the Newton direction
    product: Array  # d^T D y


def newton(x: Array, lam: Array, *, axis: int, max_steps: int) -> tuple[Array, Array]:
    """See `jaxtv._operators.tv1d.newton`."""
    lines = plain_tv1d.canonical(x, lam, axis)
    y, steps = _solve(lines.x, lines.w, max_steps)
    steps = jnp.where(lines.valid, steps, 0)
    return jnp.moveaxis(lines.answer(y), -1, axis), jnp.moveaxis(steps, -1, axis)


def _solve(x: Array, w: Array, max_steps: int) -> tuple[Array, Array]:
    n = x.shape[-1]
    none = jnp.zeros((*x.shape[:-1], 1), jnp.int32)
    if x.size == 0 or n == 1:
        return x, none
    scale = x.max(-1, keepdims=True) - x.min(-1, keepdims=True)
    scale = jnp.where(scale == 0, 1, scale)
    differences, bounds = jnp.diff(x) / scale, w / scale
    # In float32 the gap of a line with a large dual is good to fewer digits than in float64.
    tolerance = 1e-12 if x.dtype == jnp.float64 else 1e-6
    target = 0.5 * n * tolerance**2

    def advance(state):
        u, steps, step, _ = state
        moved = jnp.clip(u + _backtrack(u, bounds, step) * step.d, -bounds, bounds)
        u = jnp.where(_open(state), moved, u)
        steps = steps + _open(state).astype(steps.dtype)
        step = _direction(u, differences, bounds)
        return u, steps, step, _gap(u, bounds, step)

    def _open(state):
        _, steps, _, gap = state
        return ~(gap <= target) & (steps < max_steps)

    u = jnp.zeros_like(w)
    step = _direction(u, differences, bounds)
    state = u, none, step, _gap(u, bounds, step)
    state = lax.while_loop(lambda state: _open(state).any(), advance, state)
    u, steps, step, gap = state
    solved = gap <= target
    # At a weight of 0 either sign is right.
    jumps = jnp.where(step.bound, jnp.where(u < 0, -1, 1), 0)
    y = plain_tv1d.run_values(x, w, jumps.astype(x.dtype))
    # No prox leaves the range of its samples, but for rounding, which could overflow later.
    y = jnp.clip(y, x.min(-1, keepdims=True), x.max(-1, keepdims=True))
    direct = lax.cond(solved.all(), lambda: y, lambda: plain_tv1d.solve(x, w))
    return jnp.where(solved, y, direct), steps


def _direction(u: Array, differences: Array, bounds: Array) -> _Step:
    slope = divergence(u, -1)
    jump = differences + jnp.diff(slope)
    # What cannot be told from no jump is none: ties belong to the free set.
    least = 4 * jnp.finfo(u.dtype).eps * (jnp.abs(differences) + jnp.abs(u))
    bound = (bounds == 0) | ((u >= bounds) & (jump > least)) | ((u <= -bounds) & (jump < -least))
    edge = jnp.arange(u.shape[-1]) + 1
    last = scan.associative_scan(jnp.maximum, jnp.where(bound, edge, 0), axis=-1)
    place = (edge - last).astype(u.dtype)
    _, q = scan.associative_scan(_compose, ((place > 0).astype(u.dtype), place * jump), axis=-1)
    # An edge that is bound has place 0, hence q = 0 and d = 0.
    _, d = scan.associative_scan(
        _compose, (place / (place + 1), q / (place + 1)), axis=u.ndim - 1, reverse=True
    )
    return _Step(jump, bound, d, (d * jump).sum(-1, keepdims=True))


def _compose(first, then):
    """`then` after `first`, for maps v -> a v + b."""
    (a1, b1), (a2, b2) = first, then
    return a1 * a2, a2 * b1 + b2


def _gap(u: Array, bounds: Array, step: _Step) -> Array:
    """The duality gap between u and the y that a full step leads to."""
    d = jnp.pad(step.d, [(0, 0)] * (u.ndim - 1) + [(1, 1)])
    jump = step.jump + d[..., 2:] + d[..., :-2]
    wrong = step.bound & (jump * u < 0)
    excess = jnp.where(wrong, 2 * bounds * jnp.abs(jump), 0)
    return 0.5 * step.product + excess.sum(-1, keepdims=True)


def _change(u: Array, bounds: Array, step: _Step, alpha: Array) -> Array:
    """The dual objective at the step size `alpha`, less that at u."""
    move = jnp.clip(u + alpha * step.d, -bounds, bounds) - u
    slope = divergence(move, -1)
    return 0.5 * (slope**2).sum(-1, keepdims=True) - (step.jump * move).sum(-1, keepdims=True)


def _backtrack(u: Array, bounds: Array, step: _Step) -> Array:
    def enough(alpha, change):
        return (change <= -_DECREASE * alpha * step.product) | (alpha < _SMALLEST)

    def shorten(state):
        alpha, change = state
        lowest = 0.5 * step.product * alpha / (change + step.product * alpha)
        shorter = alpha * jnp.clip(jnp.nan_to_num(lowest), 0.1, 0.5)
        alpha = jnp.where(enough(alpha, change), alpha, shorter)
        return alpha, _change(u, bounds, step, alpha)

    one = jnp.ones_like(step.product)
    start = one, _change(u, bounds, step, one)
    return lax.while_loop(lambda state: ~enough(*state).all(), shorten, start)[0]

# SPDX-License-Identifier: MIT
"""The line operators in plain JAX: used where there is no compiled kernel, and as specification.

The prox is found by threshold divide and conquer (see `core/tv1d_divide.h` for the method), with
every step of a round an associative scan, so that a round has depth O(log n).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import scan


def prox(x: Array, lam: Array, *, axis: int) -> Array:
    """See `jaxtv._operators.tv1d.prox`."""
    lines = canonical(x, lam, axis)
    return jnp.moveaxis(lines.answer(solve(lines.x, lines.w)), -1, axis)


class Lines(NamedTuple):
    """Lines as the solvers take them: finite, in a unit in which no sum over- or underflows."""

    x: Array  # [..., n]
    w: Array  # [..., n - 1]
    unit: Array  # what `given` was multiplied by, [..., 1]
    given: Array
    valid: Array  # [..., 1]

    def answer(self, y: Array) -> Array:
        """The prox of the given lines from that of `x`."""
        # Without a weight, bit for bit: a multiplication may flush subnormal numbers.
        y = jnp.where((self.w == 0).all(-1, keepdims=True), self.given, y / self.unit)
        return jnp.where(self.valid, y, jnp.nan)


def canonical(x: Array, lam: Array, axis: int) -> Lines:
    """The lines of `x` along an axis with a weight for each edge."""
    n = x.shape[axis]
    given = jnp.moveaxis(x, axis, -1)
    weights = jnp.moveaxis(lam, axis, -1)
    valid = jnp.isfinite(given).all(-1, keepdims=True)
    valid &= (weights >= 0).all(-1, keepdims=True) | (n in (0, 1))
    if n == 0:
        return Lines(given, given, jnp.ones_like(valid, x.dtype), given, valid)
    lines = jnp.where(valid, given, 0)
    unit = _unit(lines)
    lines = lines * unit
    weights = jnp.broadcast_to(weights * unit, (*lines.shape[:-1], n - 1))
    # The dual never exceeds n/2 times the range: larger (also infinite) weights change nothing.
    cap = n * (lines.max(-1, keepdims=True) - lines.min(-1, keepdims=True))
    weights = jnp.minimum(jnp.where(weights >= 0, weights, 0), cap)
    return Lines(lines, weights, unit, given, valid)


def _unit(lines: Array) -> Array:
    """See `UnitOf` in core/line.h."""
    large = 2.0 ** (jnp.finfo(lines.dtype).maxexp // 2)
    most = jnp.abs(lines).max(-1, keepdims=True)
    unit = jnp.where(most > large, 1 / large, jnp.where(most < 1 / large, large, 1.0))
    return unit.astype(lines.dtype)


def pull_back(y: Array, lam: Array, v: Array, *, axis: int) -> list[Array]:
    """See `jaxtv._operators.tv1d.pull_back`."""
    lines, values, weights = (jnp.moveaxis(a, axis, -1) for a in (y, v, lam))
    per_edge = weights.shape[-1] != 1
    left, right = lines[..., :-1], lines[..., 1:]
    mean = _mean(lines, values, (left != right) | (per_edge & (weights == 0)))
    slope = jnp.where(right < left, 1, -1) * jnp.diff(mean)
    lam_bar = jnp.where(left == right, 0, slope)
    if not per_edge:
        lam_bar = lam_bar.sum(-1, keepdims=True)
        mean = jnp.where((weights == 0) & ~jnp.isnan(lines), values, mean)
    return [jnp.moveaxis(a, -1, axis) for a in (mean, lam_bar)]


def _mean(lines: Array, values: Array, cut: Array) -> Array:
    """The mean of `values` between the edges that are `cut`; see `no_derivative`."""
    starts = jnp.ones(lines.shape, bool).at[..., 1:].set(cut)
    return jnp.where(no_derivative(lines, values), jnp.nan, _segment_mean(values, starts))


def no_derivative(y: Array, cotangent: Array) -> Array:
    """Where a derivative is NaN: without a prox, but only where the cotangent is not 0.

    So a mask over bad lines protects the sums over all lines.
    """
    return jnp.isnan(y) & (cotangent != 0)


def solve(x: Array, w: Array) -> Array:
    """Prox of finite lines `x` [..., n] with weights `w` [..., n - 1] >= 0."""
    return divide(x, w, lambda jump: run_values(x, w, jump), lambda level: level - x)


def divide(x: Array, w: Array, values: Callable, step: Callable) -> Array:
    """The minimiser by threshold divide and conquer.

    Args:
      x: lines [..., n].
      w: the weights of their edges.
      values: the value of each run at its samples, from the signs of the jumps.
      step: the derivative of the loss of each sample at a level: of 1/2 (level - x)^2.
    """
    if x.shape[-1] in (0, 1):
        return x

    def split(state):
        jump, _ = state
        above = _above(step(values(jump)), w, jump)
        found = above[..., 1:].astype(jump.dtype) - above[..., :-1].astype(jump.dtype)
        return jnp.where(jump == 0, found, jump), ((jump == 0) & (found != 0)).any()

    jump, _ = lax.while_loop(lambda state: state[1], split, (jnp.zeros_like(w), jnp.array(True)))
    return values(jump)


def run_values(x: Array, w: Array, jump: Array) -> Array:
    """The value of each run (core/run.h) between edges where `jump` is not 0, at every sample."""
    pull = jump * w
    pad = jnp.zeros_like(x, shape=(*x.shape[:-1], 1))
    x_pulled = x + jnp.concatenate([pull, pad], -1) - jnp.concatenate([pad, pull], -1)
    values = _segment_mean(x_pulled, run_starts(jump))
    # Without a weight, x bit for bit.
    return jnp.where((w == 0).all(-1, keepdims=True), x, values)


def run_starts(jump: Array) -> Array:
    """Where a run begins."""
    return jnp.concatenate([jnp.ones_like(jump, bool, shape=(*jump.shape[:-1], 1)), jump != 0], -1)


def _above(step: Array, w: Array, jump: Array) -> Array:
    """Where the solution lies above the level of its segment: one clamped sum, then a fill."""
    # The sum m -> clip(m + step, -w, w) restarts from the known dual jump * w behind each jump, and
    # at the end of a segment only its sign counts: there the jump's own dual is the target.
    big = jnp.full_like(step, jnp.inf, shape=(*step.shape[:-1], 1))
    bound = jnp.where(jump == 0, w, big)
    restart = jnp.concatenate([jnp.zeros_like(big), jump * w], -1)
    first_in_run = run_starts(jump)
    lo = jnp.concatenate([-bound, -big], -1)
    hi = jnp.concatenate([bound, big], -1)
    first = jnp.clip(restart + step, lo, hi)
    sums = jnp.where(first_in_run, 0, step)
    lo, hi = jnp.where(first_in_run, first, lo), jnp.where(first_in_run, first, hi)
    _, m, _ = scan.associative_scan(clamped_sum, (sums, lo, hi), axis=-1)
    # `m` is clamped; a sample is decided where the sum reached a bound, or at the end of a segment.
    target = jnp.concatenate([jump * w, jnp.zeros_like(big)], -1)
    ends = jnp.concatenate([jump != 0, jnp.ones_like(big, bool)], -1)
    weight = jnp.concatenate([w, big], -1)
    before = jnp.where(first_in_run, restart, jnp.roll(m, 1, -1))
    raw = before + step - jnp.where(ends, target, 0)
    side = jnp.where(raw < -weight, 1, jnp.where(raw > weight, -1, 0))
    side = jnp.where(ends, jnp.where(raw < 0, 1, -1), side)
    filled = scan.associative_scan(
        lambda later, here: jnp.where(here != 0, here, later),
        side,
        axis=side.ndim - 1,
        reverse=True,
    )
    return filled > 0


def clamped_sum(first, then):
    """`then` after `first`, for maps m -> clip(m + step, lo, hi)."""
    (s1, lo1, hi1), (s2, lo2, hi2) = first, then
    return s1 + s2, jnp.clip(lo1 + s2, lo2, hi2), jnp.clip(hi1 + s2, lo2, hi2)


def _segment_mean(v: Array, starts: Array) -> Array:
    """Mean of `v` [..., n] over each segment, at every sample; a segment begins where `starts`."""
    ids = jnp.cumsum(starts.ravel()) - 1
    total = jax.ops.segment_sum(v.ravel(), ids, v.size, indices_are_sorted=True)
    count = jax.ops.segment_sum(jnp.ones_like(v).ravel(), ids, v.size, indices_are_sorted=True)
    mean = (total / jnp.maximum(count, 1))[ids]
    # Once more on what is left: the rounding of a long sum.
    rest = jax.ops.segment_sum(v.ravel() - mean, ids, v.size, indices_are_sorted=True)
    return (mean + (rest / jnp.maximum(count, 1))[ids]).reshape(v.shape)

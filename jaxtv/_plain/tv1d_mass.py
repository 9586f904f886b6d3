# SPDX-License-Identifier: MIT
"""The prox of lines with a mass on each sample in plain JAX: divide and conquer as in `tv1d.py`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxtv._plain import measures, tv1d
from jaxtv._plain.differences import divergence


def prox(x: Array, lam: Array, mass: Array, *, axis: int) -> Array:
    """See `jaxtv._operators.tv1d_mass.prox`."""
    lines = _canonical(x, lam, mass, axis)

    def values(jump: Array) -> Array:
        return _run_values(lines, jump)

    y = tv1d.divide(lines.x, lines.w, values, lambda level: lines.mass * (level - lines.x))
    return jnp.moveaxis(lines.answer(y), -1, axis)


class _Lines(NamedTuple):
    """Lines in a unit in which no product of `x` and `mass` over- or underflows, all valid."""

    x: Array  # [..., n]; within the range of the samples with mass also where there is none
    w: Array  # [..., n - 1]
    mass: Array  # [..., n]
    given: Array  # x, with 0 where there is no mass
    tied: Array  # [..., n - 1]: the edges of positive weight
    unit: Array  # [..., 1]
    valid: Array  # [..., 1]

    def answer(self, y: Array) -> Array:
        """The prox of the given lines from that of `x`."""
        pieces = _Segments(self.mass, _first_of(self.mass, ~self.tied))
        determined = pieces.total(self.mass) > 0
        y = jnp.where(determined, y * self.unit, 0)
        # Without a weight, bit for bit: a multiplication may flush subnormal numbers.
        y = jnp.where(self.tied.any(-1, keepdims=True), y, self.given)
        return jnp.where(self.valid, y, jnp.nan)


class _Segments:
    """Stretches of the lines of an array, each from a sample where `starts` is true."""

    def __init__(self, like: Array, starts: Array):
        self.ids = jnp.cumsum(starts.ravel()) - 1
        self.shape, self.size = like.shape, like.size

    def total(self, v: Array) -> Array:
        """The sum over each segment, at every sample."""
        return self._each(jax.ops.segment_sum, v)

    def least(self, v: Array) -> Array:
        """The least over each segment, at every sample."""
        return self._each(jax.ops.segment_min, v)

    def _each(self, reduce, v: Array) -> Array:
        found = reduce(v.ravel(), self.ids, self.size, indices_are_sorted=True)
        return found[self.ids].reshape(self.shape)


def _first_of(lines: Array, cut: Array) -> Array:
    """Where a segment begins: at the start of each of the `lines`, and behind an edge `cut`."""
    return jnp.ones(lines.shape, bool).at[..., 1:].set(cut)


def _canonical(x: Array, lam: Array, mass: Array, axis: int) -> _Lines:
    given, weights, mass = (jnp.moveaxis(a, axis, -1) for a in (x, lam, mass))
    n = given.shape[-1]
    weights = jnp.broadcast_to(weights, (*given.shape[:-1], 0 if n == 0 else n - 1))
    mass = jnp.broadcast_to(mass, given.shape)
    known = mass > 0
    valid = (jnp.isfinite(mass) & (mass >= 0) & (~known | jnp.isfinite(given))).all(
        -1, keepdims=True
    ) & (weights >= 0).all(-1, keepdims=True)
    known, mass = known & valid, jnp.where(valid, mass, 0)
    given = jnp.where(known, given, 0)
    low = jnp.where(known, given, jnp.inf).min(-1, keepdims=True, initial=jnp.inf)
    high = jnp.where(known, given, -jnp.inf).max(-1, keepdims=True, initial=-jnp.inf)
    low, high = (jnp.where(low <= high, end, 0) for end in (low, high))
    line = jnp.where(known, given, low)
    unit, mass_unit = (measures.unit_of(a, (a.ndim - 1,)) for a in (line, mass))
    # No dual exceeds the sum of all masses times the range.
    cap = n * (high / unit - low / unit)
    w = jnp.minimum(jnp.where(weights >= 0, weights, 0) / unit / mass_unit, cap)
    w = _as_one_edge(w, known, cap)
    return _Lines(line / unit, w, mass / mass_unit, given, weights > 0, unit, valid)


def _as_one_edge(w: Array, known: Array, cap: Array) -> Array:
    """The weights, but that only the least of those between two samples with mass can be jumped.

    So says core/tv1d_mass.h; then no segment is without mass but those that nothing determines.
    """
    last = jnp.full_like(cap, jnp.inf, shape=(*known.shape[:-1], 1))
    weights = jnp.concatenate([w, last], -1)[..., : known.shape[-1]]
    stretches = _Segments(weights, known.at[..., :1].set(True))
    place = jnp.broadcast_to(jnp.arange(known.shape[-1], dtype=jnp.int32), known.shape)
    least = jnp.where(weights == stretches.least(weights), place, known.shape[-1])
    kept = place == stretches.least(least)
    return jnp.where(kept[..., :-1], w, cap)


def _run_values(lines: _Lines, jump: Array) -> Array:
    """The value of each run (core/tv1d_mass.h) between edges where `jump` is not 0."""
    runs = _Segments(lines.x, tv1d.run_starts(jump))
    mass = runs.total(lines.mass)

    def over_mass(total: Array) -> Array:
        return jnp.where(mass > 0, total / jnp.where(mass > 0, mass, 1), 0)

    pulls = divergence(jump * lines.w, -1)
    level = over_mass(runs.total(lines.mass * lines.x))
    # Once more on what is left: the rounding of a long sum.
    return level + over_mass(runs.total(lines.mass * (lines.x - level) + pulls))

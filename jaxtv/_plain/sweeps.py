# SPDX-License-Identifier: MIT
"""The sweeps, their reverse and their tangent in plain JAX: the specification.

`core/sweeps.h` says what the codes mean.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._operators import tv1d
from jaxtv._plain.differences import divergence

# The codes: of a pixel with a next neighbour, and of the last one of a line.
_DOWN, _UP, _CUT = 1, 2, 3  # to a lower one, a higher one, an equal one that no weight ties
_FREE, _BAD = 1, 3  # a line whose one weight is 0; one without a prox


def forward(
    x: Array, *lams: Array, axes: tuple[int, ...], num_sweeps: int, keep_bits: bool
) -> list[Array]:
    """The sweeps in plain JAX."""
    first = min(axes)

    def sweep(state, k):
        _, duals, bits = state
        for a, (lam, axis) in enumerate(zip(lams, axes, strict=True)):
            y, duals = _half_sweep(x, duals, a, lam, axis)
            if keep_bits:
                bits = _with_codes(bits, _codes(y, lam, axis), k * len(axes) + a, first)
        return (y, duals, bits), None

    planes = num_planes(len(axes), num_sweeps) if keep_bits else 0
    bits = jnp.zeros_like(x, jnp.uint8, shape=(*x.shape[:first], planes, *x.shape[first:]))
    zeros = jnp.zeros_like(x)
    start = (x, tuple(zeros for _ in axes), bits)
    (y, _, bits), _ = lax.scan(sweep, start, jnp.arange(num_sweeps))
    bad = jnp.isnan(y).any(axes, keepdims=True)
    y = jnp.where(bad, jnp.nan, y)
    return [y, jnp.where(jnp.expand_dims(bad, first), jnp.uint8(255), bits)] if keep_bits else [y]


def line_solves(
    x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The results of the last line solves along each axis and all v_a, after some sweeps."""

    def sweep(state, _):
        results, duals = list(state[0]), state[1]
        for a, (lam, axis) in enumerate(zip(lams, axes, strict=True)):
            results[a], duals = _half_sweep(x, duals, a, lam, axis)
        return (tuple(results), duals), None

    zeros = tuple(jnp.zeros_like(x) for _ in axes)
    return lax.scan(sweep, (zeros, zeros), length=num_sweeps)[0]


def _half_sweep(
    x: Array, duals: tuple[Array, ...], a: int, lam: Array, axis: int
) -> tuple[Array, tuple[Array, ...]]:
    """The line solves along the axis of number `a`, and the duals with its new one."""
    others = [v for b, v in enumerate(duals) if b != a]
    taken = functools.reduce(jnp.add, others, jnp.zeros_like(x))
    z = jnp.where(taken == 0, x, x - taken)  # without a weight, x bit for bit
    y = tv1d.prox(z, lam, axis=axis)
    return y, (*duals[:a], z - y, *duals[a + 1 :])


def reverse(
    y_bar: Array, bits: Array, *, axes: tuple[int, ...], num_sweeps: int, edges: tuple[int, ...]
) -> list[Array]:
    """The cotangents of `x` and of each weight, per line or per edge, in plain JAX."""
    zeros = jnp.zeros_like(y_bar)
    lam_bars = tuple(per_weight(zeros, axis, each) for axis, each in zip(axes, edges, strict=True))

    def sweep(state, k):
        following, totals, lam_bars = state
        totals, lam_bars = list(totals), list(lam_bars)
        for a, axis in reversed(list(enumerate(axes))):
            runs = _Runs(bits, k * len(axes) + a, axis, min(axes))
            v = following - totals[a]
            by_x, by_lam = runs.mean(v)
            each = runs.sign(v.dtype) * jnp.diff(by_lam, axis=axis)
            lam_bars[a] -= each if edges[a] else each.sum(axis, keepdims=True)
            totals[a] += by_x
            following = totals[a]
        return (following, tuple(totals), tuple(lam_bars)), None

    start = (y_bar, tuple(zeros for _ in axes), lam_bars)
    (x_bar, _, lam_bars), _ = lax.scan(sweep, start, jnp.arange(num_sweeps), reverse=True)
    return [x_bar, *lam_bars]


def tangent(
    dx: Array,
    bits: Array,
    *dlams: Array,
    axes: tuple[int, ...],
    num_sweeps: int,
    edges: tuple[int, ...],
) -> list[Array]:
    """The tangent of the result."""
    del edges  # for the transpose

    def sweep(state, k):
        _, duals = state
        duals = list(duals)
        for a, (dlam, axis) in enumerate(zip(dlams, axes, strict=True)):
            runs = _Runs(bits, k * len(axes) + a, axis, min(axes))
            dz = dx - _sum_of_others(duals, a)
            push = divergence(runs.sign(dx.dtype) * dlam, axis)
            dy = runs.mean(dz)[0] + runs.mean(push)[1]
            duals[a] = dz - dy
        return (dy, tuple(duals)), None

    zeros = jnp.zeros_like(dx)
    start = (zeros, tuple(zeros for _ in axes))
    (dy, _), _ = lax.scan(sweep, start, jnp.arange(num_sweeps))
    return [dy]


def num_planes(num_axes: int, num_sweeps: int) -> int:
    """How many planes of codes there are."""
    return -(-num_axes * num_sweeps // 4)


class _Runs:
    """The runs of one half sweep, as its codes tell them."""

    def __init__(self, bits: Array, half: Array, axis: int, first: int):
        plane = lax.dynamic_index_in_dim(bits, half // 4, first, keepdims=False)
        codes = (plane >> (half % 4 * 2).astype(jnp.uint8)) & 3
        n = codes.shape[axis]
        self._codes = lax.slice_in_dim(codes, 0, n - 1, axis=axis)
        self._last = lax.slice_in_dim(codes, n - 1, n, axis=axis)
        self._axis = axis

    def sign(self, dtype: jnp.dtype) -> Array:
        """The signs of the jumps between neighbours."""
        return (self._codes == _UP).astype(dtype) - (self._codes == _DOWN).astype(dtype)

    def mean(self, v: Array) -> tuple[Array, Array]:
        """P v, as the derivative in x and as that in lam needs it: see `tv1d.pull_back`."""
        starts = jnp.concatenate([jnp.ones_like(self._last, bool), self._codes != 0], self._axis)
        odd = (jnp.cumsum(starts, axis=self._axis) % 2).astype(v.dtype)  # tells a run from the next
        level = jnp.where(self._last == _BAD, jnp.nan, odd)
        mean = tv1d.run_mean(level, v, axis=self._axis)
        return jnp.where(self._last == _FREE, v, mean), mean


def _codes(y: Array, lam: Array, axis: int) -> Array:
    step = jnp.diff(y, axis=axis)
    codes = _DOWN * (step < 0).astype(jnp.uint8) + _UP * (step > 0).astype(jnp.uint8)
    last = jnp.zeros_like(y, jnp.uint8, shape=(*y.shape[:axis], 1, *y.shape[axis + 1 :]))
    if lam.shape[axis] == 1:
        last = last + _FREE * (lam == 0).astype(jnp.uint8)
    else:
        codes = jnp.where((codes == 0) & (lam == 0), jnp.uint8(_CUT), codes)
    return jnp.concatenate([codes, last], axis)


def _with_codes(bits: Array, codes: Array, half: Array, first: int) -> Array:
    shifted = codes << (half % 4 * 2).astype(jnp.uint8)
    plane = lax.dynamic_index_in_dim(bits, half // 4, first, keepdims=False)
    return lax.dynamic_update_index_in_dim(bits, plane | shifted, half // 4, first)


def _sum_of_others(duals: Sequence[Array], axis: int) -> Array:
    others = [v for a, v in enumerate(duals) if a != axis]
    return functools.reduce(jnp.add, others)


def per_weight(x: Array, axis: int, each_edge: int) -> Array:
    """`x` with the size that its weights along `axis` have."""
    size = x.shape[axis] - 1 if each_edge else 1
    return lax.slice_in_dim(x, 0, size, axis=axis)

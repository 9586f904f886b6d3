# SPDX-License-Identifier: MIT
"""A primal point of an image and a rigorous bound on its distance to the TV prox.

Edge duals p with |p_e| <= w_e bound the problem from below: with r = x - D^T p the gap of any image
z is

    1/2 ||z - r||^2 + sum_e (w_e |(Dz)_e| - p_e (Dz)_e),

a sum of terms that are at least 0, so that nothing cancels. With c = ||z - r||, the distance of z
to the prox is at most (c + sqrt(4 gap - c^2)) / 2. The duals are read off line solves: along a line
p is the running sum of -v, clamped, and at a jump of the result it is w times its sign, exactly.

The point is z = the mean of r over connected components of fused pixels: where the line solves are
equal, or only where the equalities that cross a piece of two neighbouring lines are its majority.
`cpu/images/certificate.h`, `cpu/images/majority_vote.h` and `cuda/images/certificate.cu` compute
the same, with sums in float64.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import measures, rounded, scan


def equal_edges(y: Array, lam: Array, axis: int) -> Array:
    """The edges along an axis that have a weight and equal ends."""
    return (jnp.diff(y, axis=axis) == 0) & (lam > 0)


def component_mean(v: Array, joined: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Mean of `v` over the connected components of joined neighbours.

    Labels spread along one axis at a time, over whole runs, until none changes.
    """
    label = jnp.arange(v.size, dtype=jnp.int32).reshape(v.shape)

    def spread(state):
        old, _ = state
        new = old
        for together, axis in zip(joined, axes, strict=True):
            new = _run_reduce(jnp.minimum, new, together, axis)
        return new, (new != old).any()

    label, _ = lax.while_loop(lambda state: state[1], spread, (label, jnp.array(True)))
    ids = label.ravel()
    # Deviations from the value at the root: their sum does not grow with the offset of v.
    root = v.ravel()[ids]
    total = jax.ops.segment_sum(v.ravel() - root, ids, v.size)
    count = jax.ops.segment_sum(jnp.ones_like(root), ids, v.size)
    return (root + (total / jnp.maximum(count, 1))[ids]).reshape(v.shape)


def bound_at(
    y: Array,
    x: Array,
    results: Sequence[Array],
    duals: Sequence[Array],
    lams: Sequence[Array],
    axes: tuple[int, ...],
) -> tuple[Array, Array]:
    """The duality gap at any `y`, and a bound of its distance to the prox, per image.

    The other arguments are as for `certify`.
    """
    edges = [edge_duals(*of_axis) for of_axis in zip(results, duals, lams, axes, strict=True)]
    return _gap(y, edges, _residual(x, edges, axes), lams, measures.unit_of(x, axes), axes)


def certify(x: Array, vote: Array, *operands: Array, axes: tuple[int, ...]) -> tuple[Array, ...]:
    count = len(axes)
    results, duals, lams = (operands[i * count : (i + 1) * count] for i in range(3))
    edges = [edge_duals(*of_axis) for of_axis in zip(results, duals, lams, axes, strict=True)]
    residual = _residual(x, edges, axes)
    joined = [equal_edges(*of_axis) for of_axis in zip(results, lams, axes, strict=True)]
    if count > 1:
        joined = [j & (_wins(joined, axes, a) | ~vote) for a, j in enumerate(joined)]
    z = component_mean(residual[0], joined, axes)
    return z, *_gap(z, edges, residual, lams, measures.unit_of(x, axes), axes)


def _residual(x: Array, edges: Sequence[Array], axes: tuple[int, ...]) -> tuple[Array, ...]:
    """The point x - D^T p, as by `_rounded.exact_sum`."""
    terms = [x]
    for p, axis in zip(edges, axes, strict=True):
        for sign, ends in ((1, (0, 1)), (-1, (1, 0))):
            pad = [ends if d == axis else (0, 0) for d in range(x.ndim)]
            terms.append(jnp.pad(sign * p, pad))
    return rounded.exact_sum(terms)


def _gap(
    z: Array,
    edges: Sequence[Array],
    residual: tuple[Array, ...],
    lams: Sequence[Array],
    unit: Array,
    axes: tuple[int, ...],
) -> tuple[Array, Array]:
    """The gap at `z` and the bound, not below those that exact arithmetic would give.

    In units of the largest pixel, so that no square overflows.
    """
    high, low, slack = residual
    off = (jnp.abs((z - high) - low) + slack) / unit
    square = rounded.total(rounded.product(off, off), axes)
    jumps = jnp.zeros_like(square)
    for p, lam, axis in zip(edges, lams, axes, strict=True):
        # Neither p = w nor an infinite weight on no step costs anything, exactly.
        step = jnp.diff(z, axis=axis)
        cost = rounded.product(jnp.abs(step) / unit, (lam - jnp.sign(step) * p) / unit)
        jumps += rounded.total(jnp.where(step == 0, 0, cost), axes)
    gap = rounded.product(rounded.product(square / 2 + jumps, unit), unit)
    bound = (jnp.sqrt(square) + jnp.sqrt(square + 4 * jumps)) / 2 * unit
    return rounded.up(gap), rounded.up(bound)


def edge_duals(result: Array, dual: Array, lam: Array, axis: int) -> Array:
    """The running sum of -v along an axis, clamped to the weights and known at jumps.

    A clamped sum is a scan of maps m -> clip(m + step, low, high).
    """
    jump = jnp.diff(result, axis=axis)
    step = -lax.slice_in_dim(dual, 0, jump.shape[axis], axis=axis)
    low = jnp.where(jump > 0, lam, -lam)
    high = jnp.where(jump < 0, -lam, lam)

    def then(a, b):
        step_a, low_a, high_a = a
        step_b, low_b, high_b = b
        low = jnp.clip(low_a + step_b, low_b, high_b)
        return step_a + step_b, low, jnp.clip(high_a + step_b, low_b, high_b)

    total, low, high = scan.scan_by_doubling(then, (step, low, high), axis=axis)
    return jnp.clip(total, low, high)


def _wins(joined: Sequence[Array], axes: tuple[int, ...], a: int) -> Array:
    """Whether joined edges are the majority of their piece, for each edge along axis `a`.

    A piece is cut out of two neighbouring lines, along another axis, by the breaks of either line.
    """
    b = len(axes) - 1 if a + 1 < len(axes) else 0
    ahead = joined[b]
    n = ahead.shape[axes[a]]
    together = lax.slice_in_dim(ahead, 0, n - 1, axis=axes[a])
    together &= lax.slice_in_dim(ahead, 1, n, axis=axes[a])
    ballot = jnp.where(joined[a], 1, -1)
    return _run_sum(ballot, together, axes[b]) > 0


def _run_sum(values: Array, joined: Array, axis: int) -> Array:
    """The sum over each run along `axis`, at every sample."""
    forward = _run_scan(jnp.add, values, joined, axis, reverse=False)
    return forward + _run_scan(jnp.add, values, joined, axis, reverse=True) - values


def _run_reduce(combine, values: Array, joined: Array, axis: int) -> Array:
    """The combination over each run along `axis`, at every sample, of an idempotent operation."""
    values = _run_scan(combine, values, joined, axis, reverse=False)
    return _run_scan(combine, values, joined, axis, reverse=True)


def _run_scan(combine, values: Array, joined: Array, axis: int, *, reverse: bool) -> Array:
    pad = [(0, 0)] * values.ndim
    pad[axis] = (0, 1) if reverse else (1, 0)
    starts = jnp.pad(~joined, pad, constant_values=True)

    def then(a, b):
        (value_a, start_a), (value_b, start_b) = a, b
        return jnp.where(start_b, value_b, combine(value_a, value_b)), start_a | start_b

    return scan.associative_scan(then, (values, starts), reverse=reverse, axis=axis)[0]

# SPDX-License-Identifier: MIT
"""Accelerated alternating minimisation for the TV prox over several axes, with its certificate.

With K_a the set of images D_a^T p, |p| <= lam_a, the dual of the prox is

    min 1/2 ||x - sum_a v_a||^2   over   v_a in K_a,

and x - sum_a v_a is the primal solution. Projecting on K_a is z - prox_a(z), so minimising over one
v_a is a line solve along axis a; doing so in turn is proximal Dykstra. Extrapolating all blocks
but the first with Nesterov's weights, and restarting an image when the step turns against the
gradient, makes it much faster (Chambolle & Pock, "A remark on accelerated block coordinate
descent", 2015; for more than two axes without proof, so there it also restarts when the dual energy
rises).

The result is the mean of the dual residual over connected components of fused pixels: neighbours
whose line solves came out equal. With its own gap it is as good a certificate, and its equalities
say what the derivative needs to know.

Every quantity of an image is its own: momentum, restart, stop. Arrays of one number per image keep
the TV axes with size 1. `cpu/tvnd.h` computes the same, with a sharper gap and fewer sweeps.
"""

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv import _lines


class _Sweeps(NamedTuple):
    results: tuple[Array, ...]  # of each axis' line solves, exactly constant on runs along it
    duals: tuple[Array, ...]  # v_a of all axes
    previous: tuple[Array, ...]  # v_a of all axes but the first, one sweep before
    momentum: Array
    energy: Array
    gap: Array  # at the last result
    count: Array


class _Best(NamedTuple):
    y: Array
    gap: Array
    bound: Array


def total_variation(x: Array, lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Weighted total variation of each image, TV axes of size 1."""
    total = jnp.zeros((), x.dtype)
    for lam, axis in zip(lams, axes, strict=True):
        step = jnp.abs(jnp.diff(x, axis=axis))
        cost = jnp.where(step == 0, 0, lam * step)  # an infinite weight on no step costs nothing
        total = total + cost.sum(axes, keepdims=True)
    return total


def gap(y: Array, duals: Sequence[Array], lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """sum_a TV_a(y) - <v_a, y> of each image: at least 0, the gap where y = x - sum_a v_a."""
    inner = sum((v * y).sum(axes, keepdims=True) for v in duals)
    return jnp.maximum(total_variation(y, lams, axes) - inner, 0)


def deviation(x: Array, axes: tuple[int, ...]) -> Array:
    """||x - mean(x)|| of each image, TV axes of size 1."""
    centered = x - x.mean(axes, keepdims=True)
    return jnp.sqrt((centered**2).sum(axes, keepdims=True))


def solve(
    x: Array, tol: Array, max_sweeps: Array, *lams: Array, axes: tuple[int, ...]
) -> tuple[Array, ...]:
    """See `jaxtv._images.prox`; the result is that of its `Solution`."""
    valid = is_valid(x, lams, axes)
    target = tol * deviation(x, axes)
    per_image = jnp.zeros_like(x.sum(axes, keepdims=True))
    infinite = per_image + jnp.inf

    def improve(state):
        sweeps, best, limit, active = state
        sweeps = _sweep_until(x, lams, axes, sweeps, limit, max_sweeps, active)
        found = _fused(x, lams, axes, sweeps)
        better = active & (found.gap < best.gap)
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), found, best)
        # Where the fused point is not good enough yet, the last result has to get better.
        limit = jnp.minimum(limit, sweeps.gap) / 4
        active &= (best.bound > target) & (sweeps.count < max_sweeps) & (sweeps.gap > 0)
        return sweeps, best, limit, active

    best = _Best(x, infinite, infinite)
    active = valid & (target > 0) & (max_sweeps > 0)
    state = (_start(x, lams, axes), best, jnp.broadcast_to(target**2, active.shape), active)
    sweeps, best, _, _ = lax.while_loop(lambda state: state[3].any(), improve, state)
    # Constant images, and those without any weight, are their own prox.
    given = (deviation(x, axes) == 0) | ~any_positive(lams, axes)
    best = jax.tree.map(lambda a, b: jnp.where(given, a, b), _Best(x, per_image, per_image), best)
    y, gap, bound = (jnp.where(valid, a, jnp.nan) for a in best)
    return y, gap, bound, sweeps.count, bound <= target, is_exact(x, bound, axes)


def is_exact(x: Array, bound: Array, axes: tuple[int, ...]) -> Array:
    """Whether an error bound is at the rounding of the type."""
    return bound <= jnp.finfo(x.dtype).eps * jnp.sqrt((x**2).sum(axes, keepdims=True))


def is_valid(x: Array, lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Whether an image and its weights are such that it has a prox; TV axes of size 1."""
    valid = jnp.isfinite(x).all(axes, keepdims=True)
    for lam, axis in zip(lams, axes, strict=True):
        if x.shape[axis] > 1:
            valid &= (lam >= 0).all(axes, keepdims=True)
    return valid


def any_positive(lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Whether an image has a positive weight; TV axes of size 1."""
    return functools.reduce(operator.or_, ((w > 0).any(axes, keepdims=True) for w in lams))


def _start(x: Array, lams: Sequence[Array], axes: tuple[int, ...]) -> _Sweeps:
    """Half a projection of x on the last K_a: saves up to a fifth of the sweeps with two axes."""
    zeros = jnp.zeros_like(x)
    duals = tuple(zeros for _ in axes)
    if len(axes) == 2:
        duals = (zeros, (x - _lines.prox(x, lams[1], axis=axes[1])) / 2)
    per_image = jnp.zeros_like(x.sum(axes, keepdims=True))
    return _Sweeps(
        results=tuple(x for _ in axes),
        duals=duals,
        previous=duals[1:],
        momentum=per_image + 1,
        energy=per_image + jnp.inf,
        gap=per_image + jnp.inf,
        count=per_image.astype(jnp.int32),
    )


def _sweep_until(
    x: Array,
    lams: Sequence[Array],
    axes: tuple[int, ...],
    sweeps: _Sweeps,
    limit: Array,
    max_sweeps: Array,
    active: Array,
) -> _Sweeps:
    """Sweeps until the gap of each active image is within its limit."""

    def unfinished(sweeps: _Sweeps) -> Array:
        return active & (sweeps.gap > limit) & (sweeps.count < max_sweeps)

    def step(sweeps: _Sweeps) -> _Sweeps:
        # An image that has stopped keeps its state, whatever its batch mates do.
        keep = unfinished(sweeps)
        return jax.tree.map(
            lambda a, b: jnp.where(keep, a, b), _sweep(x, lams, axes, sweeps), sweeps
        )

    return lax.while_loop(lambda sweeps: unfinished(sweeps).any(), step, sweeps)


def _sweep(x: Array, lams: Sequence[Array], axes: tuple[int, ...], state: _Sweeps) -> _Sweeps:
    t_next = (1 + jnp.sqrt(1 + 4 * state.momentum**2)) / 2
    beta = (state.momentum - 1) / t_next
    ahead = tuple(v + beta * (v - u) for v, u in zip(state.duals[1:], state.previous, strict=True))

    rest = x - sum(ahead, jnp.zeros_like(x))
    y = _lines.prox(rest, lams[0], axis=axes[0])
    results, duals = [y], [rest - y]
    for lam, axis, v in zip(lams[1:], axes[1:], ahead, strict=True):
        z = y + v
        y = _lines.prox(z, lam, axis=axis)
        results.append(y)
        duals.append(z - y)

    against = sum(
        ((a - v) * (v - u)).sum(axes, keepdims=True)
        for a, v, u in zip(ahead, duals[1:], state.duals[1:], strict=True)
    )
    energy = (y**2).sum(axes, keepdims=True)
    restart = (against > 0) | ((energy > state.energy) & (len(axes) > 2))
    return _Sweeps(
        results=tuple(results),
        duals=tuple(duals),
        previous=state.duals[1:],
        momentum=jnp.where(restart, 1, t_next),  # 1 makes the next step forget `previous`
        energy=energy,
        gap=gap(y, duals, lams, axes),
        count=state.count + 1,
    )


def _fused(x: Array, lams: Sequence[Array], axes: tuple[int, ...], sweeps: _Sweeps) -> _Best:
    """The mean of the dual residual over components, and its certificate (cpu/certificate.h)."""
    joined = tuple(
        (jnp.diff(r, axis=axis) == 0) & (lam > 0)
        for r, lam, axis in zip(sweeps.results, lams, axes, strict=True)
    )
    residual = sweeps.results[-1]
    y = _mean(residual, joined, axes)
    square = ((y - residual) ** 2).sum(axes, keepdims=True)
    total = square / 2 + gap(y, sweeps.duals, lams, axes)
    return _Best(y, total, (jnp.sqrt(square) + jnp.sqrt(4 * total - square)) / 2)


def component_mean(y: Array, v: Array, *lams: Array, axes: tuple[int, ...]) -> tuple[Array]:
    """See `jaxtv._images.component_mean`."""
    joined = tuple(
        (jnp.diff(y, axis=axis) == 0) & (lam > 0) for lam, axis in zip(lams, axes, strict=True)
    )
    return (jnp.where(jnp.isnan(y), y, _mean(v, joined, axes)),)


def _mean(v: Array, joined: tuple[Array, ...], axes: tuple[int, ...]) -> Array:
    """Mean of `v` over the connected components of joined neighbours.

    Labels spread along one axis at a time, over whole runs, until none changes.
    """
    label = jnp.arange(v.size, dtype=jnp.int32).reshape(v.shape)

    def spread(state):
        old, _ = state
        new = old
        for together, axis in zip(joined, axes, strict=True):
            new = _run_min(new, together, axis)
        return new, (new != old).any()

    label, _ = lax.while_loop(lambda state: state[1], spread, (label, jnp.array(True)))
    ids = label.ravel()
    total = jax.ops.segment_sum(v.ravel(), ids, v.size)
    count = jax.ops.segment_sum(jnp.ones_like(v).ravel(), ids, v.size)
    return (total / jnp.maximum(count, 1))[ids].reshape(v.shape)


def _run_min(label: Array, joined: Array, axis: int) -> Array:
    """The least label of each run along `axis`, at every sample."""
    pad = [(0, 0)] * label.ndim
    for reverse in (False, True):
        pad[axis] = (0, 1) if reverse else (1, 0)
        starts = jnp.pad(~joined, pad, constant_values=True)

        def join(a, b):
            (low_a, start_a), (low_b, start_b) = a, b
            return jnp.where(start_b, low_b, jnp.minimum(low_a, low_b)), start_a | start_b

        label, _ = lax.associative_scan(join, (label, starts), reverse=reverse, axis=axis)
    return label

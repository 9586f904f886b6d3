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

The result is the best point of `certificate.py` so far: constant on components of fused pixels, so
that its equalities say what the derivative needs to know.

Every quantity of an image is its own: momentum, restart, tests, stop. Arrays of one number per
image keep the TV axes with size 1. `cpu/images/solve.h` computes the same.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv._operators import certificate as op_certificate
from jaxtv._operators import tv1d
from jaxtv._plain import certificate, measures, rounded
from jaxtv._plain import tv1d as plain_tv1d
from jaxtv._plumbing import sharding


class _Sweeps(NamedTuple):
    results: tuple[Array, ...]  # of each axis' line solves, exactly constant on runs along it
    duals: tuple[Array, ...]  # v_a of all axes
    previous: tuple[Array, ...]  # v_a of all axes but the first, one sweep before
    momentum: Array
    energy: Array
    moved: Array  # how far the last sweep moved: 0 at the solution; infinite before a sweep
    count: Array


class _Best(NamedTuple):
    y: Array
    gap: Array
    bound: Array


class _Search(NamedTuple):
    sweeps: _Sweeps
    best: _Best
    due: Array  # the number of sweeps at which to look at the certificate next
    vain: Array  # tests in a row that improved nothing although the sweeps stand still
    active: Array


class _Goal(NamedTuple):
    target: Array  # the error bound that is asked for
    rounding: Array  # the error of an image whose pixels are rounded


_FIRST_TEST, _FIRST_UNION, _VAIN_TESTS = 4, 20, 6


def solve(
    x: Array, tol: Array, max_sweeps: Array, *operands: Array, axes: tuple[int, ...]
) -> tuple[Array, ...]:
    """See `jaxtv._operators.tvnd.prox`; the result is that of its `Solution`.

    Args:
      x: the images.
      tol: the relative tolerance of each image.
      max_sweeps: the sweeps of each image, at most.
      *operands: the weights along each of `axes`, and the duals to start from, if any.
      axes: ascending, not negative.
    """
    lams, init = operands[: len(axes)], operands[len(axes) :]
    valid = measures.is_valid(x, lams, axes)
    # Constant images, and those without any weight, are their own prox.
    given = (x == x.max(axes, keepdims=True)).all(axes, keepdims=True) | ~measures.any_positive(
        lams, axes
    )
    unit = measures.unit_of(x, axes)
    z, *scaled = (a / unit for a in (x, *lams, *init))
    weights, start = scaled[: len(axes)], _feasible(z, scaled, axes)
    goal = _Goal(tol * measures.deviation(z, axes), measures.rounding(z, axes))
    search = _solve_scaled(z, weights, start, goal, jnp.where(valid & ~given, max_sweeps, 0), axes)

    y, gap, bound = search.best
    converged, exact = given | (bound <= goal.target), given | (bound <= goal.rounding)
    y = jnp.where(given, x, y * unit)  # bit for bit, whatever scaling rounds
    gap = rounded.product(rounded.product(gap, unit), unit)
    gap, bound = (jnp.where(given, 0, a) for a in (gap, bound * unit))
    y, gap, bound = (jnp.where(valid, a, jnp.nan) for a in (y, gap, bound))
    sweeps = search.sweeps
    results = y, gap, bound, sweeps.count, valid & converged, valid & exact
    if not init:
        return results
    read = map(certificate.edge_duals, sweeps.results, sweeps.duals, weights, axes)
    duals = (
        jnp.where(valid & ~given, jnp.where(sweeps.count > 0, p, p_start) * unit, 0)
        for p, p_start in zip(read, start, strict=True)
    )
    return *results, *duals


def _solve_scaled(
    x: Array,
    lams: Sequence[Array],
    init: Sequence[Array],
    goal: _Goal,
    max_sweeps: Array,
    axes: tuple[int, ...],
) -> _Search:
    """`solve` for images of size about 1, from feasible duals."""
    target = jnp.maximum(goal.target, goal.rounding)
    per_image = jnp.zeros_like(target)
    sweeps, warm = _start(x, lams, init, axes)
    early = warm | (len(axes) == 1)  # the start, or the first sweep, may be the solution
    first_test = jnp.where(early, 1, _FIRST_TEST).astype(jnp.int32)
    first_union = jnp.where(early, 1, _FIRST_UNION)

    def improve(state: _Search) -> _Search:
        sweeps = _sweep_until_due(x, lams, axes, state, goal.rounding, max_sweeps)
        count, still = sweeps.count, sweeps.moved <= goal.rounding

        def look(attempt: Array, best: _Best) -> _Best:
            """`best`, or what a vote certifies at the first attempt, the union at the second."""
            vote = attempt == 0
            ready = vote | (count >= first_union) | still
            wanted = state.active & (best.bound > target) & ready
            take = functools.partial(_better, x, lams, axes, sweeps, wanted, vote)
            return lax.cond(wanted.any(), take, lambda best: best, best)

        best = lax.fori_loop(0 if len(axes) > 1 else 1, 2, look, state.best)
        vain = jnp.where(still & (best.bound > 0.9 * state.best.bound), state.vain + 1, 0)
        more = (best.bound > target) & (count < max_sweeps) & (vain < _VAIN_TESTS)
        return _Search(
            sweeps._replace(moved=per_image + jnp.inf),
            best,
            _next_test(count, best.bound / target),
            vain,
            state.active & more,
        )

    best = _Best(x, per_image + jnp.inf, per_image + jnp.inf)
    search = _Search(sweeps, best, first_test, jnp.zeros_like(first_test), max_sweeps > 0)
    return lax.while_loop(lambda state: state.active.any(), improve, search)


def _better(
    x: Array,
    lams: Sequence[Array],
    axes: tuple[int, ...],
    sweeps: _Sweeps,
    wanted: Array,
    vote: Array,
    best: _Best,
) -> _Best:
    """The better of `best` and of what the sweeps certify, for the images where it is wanted."""
    votes = jnp.broadcast_to(vote, (1,) * x.ndim)
    found = _Best(*op_certificate.certify(x, sweeps.results, sweeps.duals, lams, votes, axes))
    better = wanted & (found.bound < best.bound)
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), found, best)


def _next_test(count: Array, missing: Array) -> Array:
    """When to look at the certificate next: it falls about like 1 / sweeps^2."""
    factor = jnp.clip(missing**0.45, 1.15, 1.4)
    return jnp.maximum(count + 1, jnp.ceil(count.astype(factor.dtype) * factor).astype(count.dtype))


def _feasible(x: Array, operands: Sequence[Array], axes: tuple[int, ...]) -> list[Array]:
    """The duals behind the weights in `operands`, cut to the weights; 0 for a NaN.

    The dual of an edge is a flow out of at most all pixels, of at most the range each: a larger
    (also infinite) weight does not bound it.
    """
    count = len(axes)
    pixels = math.prod(x.shape[a] for a in axes)
    most = pixels * (x.max(axes, keepdims=True) - x.min(axes, keepdims=True))
    duals = []
    for lam, p, axis in zip(operands[:count], operands[count:], axes, strict=False):
        bound = jnp.minimum(lam, most)
        p = jnp.broadcast_to(jnp.clip(p, -bound, bound), sharding.edges(x, axis).shape)
        duals.append(jnp.where(jnp.isnan(p), 0, p))
    return duals


def _start(
    x: Array, lams: Sequence[Array], init: Sequence[Array], axes: tuple[int, ...]
) -> tuple[_Sweeps, Array]:
    """The state before the first sweep, and which images start from their duals in `init`.

    v_a = D_a^T p_a. Where all are 0 or there are none, with two axes half a projection of x on the
    last K_a, which saves up to a fifth of the sweeps.
    """
    warm = jnp.zeros_like(x.sum(axes, keepdims=True), bool)
    duals = [jnp.zeros_like(x) for _ in axes]
    for a, (p, axis) in enumerate(zip(init, axes, strict=False)):
        duals[a] = -jnp.diff(p, axis=axis, prepend=0, append=0)
        if a > 0:  # the first sweep begins by minimising over v_0
            warm |= (duals[a] != 0).any(axes, keepdims=True)
    if len(axes) == 2:
        halfway = (x - tv1d.prox(x, lams[1], axis=axes[1])) / 2
        duals[1] = jnp.where(warm, duals[1], halfway) if init else halfway
    per_image = jnp.zeros_like(x.sum(axes, keepdims=True))
    sweeps = _Sweeps(
        results=tuple(x for _ in axes),
        duals=tuple(duals),
        previous=tuple(duals[1:]),
        momentum=per_image + 1,
        energy=per_image + jnp.inf,
        moved=per_image + jnp.inf,
        count=per_image.astype(jnp.int32),
    )
    return sweeps, warm


def _sweep_until_due(
    x: Array,
    lams: Sequence[Array],
    axes: tuple[int, ...],
    search: _Search,
    rounding: Array,
    max_sweeps: Array,
) -> _Sweeps:
    """Sweeps until the next test of each active image, or until it stands still for the first time.

    At least one sweep, since `moved` starts infinite.
    """
    last = jnp.minimum(search.due, max_sweeps)

    def unfinished(sweeps: _Sweeps) -> Array:
        still = (sweeps.moved <= rounding) & (search.vain == 0)
        return search.active & (sweeps.count < last) & ~still

    def step(sweeps: _Sweeps) -> _Sweeps:
        # An image that has stopped keeps its state, whatever its batch mates do.
        keep = unfinished(sweeps)
        return jax.tree.map(
            lambda a, b: jnp.where(keep, a, b), _sweep(x, lams, axes, sweeps), sweeps
        )

    return lax.while_loop(lambda sweeps: unfinished(sweeps).any(), step, search.sweeps)


def _sweep(x: Array, lams: Sequence[Array], axes: tuple[int, ...], state: _Sweeps) -> _Sweeps:
    t_next = (1 + jnp.sqrt(1 + 4 * state.momentum**2)) / 2
    beta = (state.momentum - 1) / t_next
    ahead = tuple(v + beta * (v - u) for v, u in zip(state.duals[1:], state.previous, strict=True))

    rest = x - sum(ahead, jnp.zeros_like(x))
    y = tv1d.prox(rest, lams[0], axis=axes[0])
    results, duals = [y], [rest - y]
    for lam, axis, v in zip(lams[1:], axes[1:], ahead, strict=True):
        z = y + v
        y = tv1d.prox(z, lam, axis=axis)
        results.append(y)
        duals.append(z - y)

    against = sum(
        ((a - v) * (v - u)).sum(axes, keepdims=True)
        for a, v, u in zip(ahead, duals[1:], state.duals[1:], strict=True)
    )
    energy = (y**2).sum(axes, keepdims=True)
    steps = sum(
        (((b - a) ** 2).sum(axes, keepdims=True) for a, b in itertools.pairwise(results)),
        jnp.zeros_like(energy),
    )
    restart = (against > 0) | ((energy > state.energy) & (len(axes) > 2))
    return _Sweeps(
        results=tuple(results),
        duals=tuple(duals),
        previous=state.duals[1:],
        momentum=jnp.where(restart, 1, t_next),  # 1 makes the next step forget `previous`
        energy=energy,
        moved=jnp.sqrt(steps),
        count=state.count + 1,
    )


def component_mean(y: Array, v: Array, *lams: Array, axes: tuple[int, ...]) -> tuple[Array]:
    """See `jaxtv._operators.tvnd.component_mean`."""
    joined = [certificate.equal_edges(y, lam, a) for lam, a in zip(lams, axes, strict=True)]
    mean = certificate.component_mean(v, joined, axes)
    return (jnp.where(plain_tv1d.no_derivative(y, v), y, mean),)

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
image keep the TV axes with size 1. `cuda/images/solve.h` computes the same, and
`cpu/images/solve.h` with other tests.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv._operators import tv1d
from jaxtv._plain import certificate

_VAIN_TESTS = 3


class Search(NamedTuple):
    """How far the sweeps over each image have come."""

    y: Array  # the best point so far
    gap: Array
    bound: Array
    count: Array  # of sweeps
    momentum: Array
    energy: Array  # of the last result, where there are more than two axes
    moved: Array  # how far the last sweep moved: 0 at the solution; infinite before a sweep
    near: Array  # when a sweep moves no more than this, it is time to look at the certificate
    due: Array  # and after so many sweeps at the latest
    vain: Array  # tests in a row that improved nothing although the sweeps stand still
    active: Array
    results: tuple[Array, ...]  # of each axis' line solves, exactly constant on runs along it
    duals: tuple[Array, ...]  # v_a of all axes
    previous: tuple[Array, ...]  # v_a of all axes but the first, one sweep before

    @staticmethod
    def of(results: Sequence[Array], axes: tuple[int, ...]) -> "Search":
        """From what `solve` returns."""
        numbers, images, count = results[:11], results[11:], len(axes)
        return Search(
            *numbers,
            results=tuple(images[:count]),
            duals=tuple(images[count : 2 * count]),
            previous=tuple(images[2 * count :]),
        )


class _Problem(NamedTuple):
    x: Array
    lams: Sequence[Array]
    axes: tuple[int, ...]
    target: Array
    rounding: Array
    max_sweeps: Array
    first_union: Array


def solve(
    x: Array,
    target: Array,
    rounding: Array,
    max_sweeps: Array,
    first_test: Array,
    first_union: Array,
    *operands: Array,
    axes: tuple[int, ...],
) -> tuple[Array, ...]:
    """See `jaxtv._operators.alternating.solve`."""
    lams, duals = operands[: len(axes)], operands[len(axes) :]
    problem = _Problem(x, lams, axes, target, rounding, max_sweeps, first_union)
    infinite = jnp.full_like(target, jnp.inf)
    search = Search(
        y=x,
        gap=infinite,
        bound=infinite,
        count=jnp.zeros_like(max_sweeps),
        momentum=jnp.ones_like(target),
        energy=infinite,
        moved=infinite,
        near=target / 2,
        due=jnp.minimum(first_test, max_sweeps),
        vain=jnp.zeros_like(max_sweeps),
        active=max_sweeps > 0,
        results=tuple(x for _ in axes),
        duals=tuple(duals),
        previous=tuple(duals[1:]),
    )
    improve = functools.partial(_improve, problem)
    return tuple(jax.tree.leaves(lax.while_loop(lambda s: s.active.any(), improve, search)))


def _improve(problem: _Problem, state: Search) -> Search:
    """Sweeps until the next test of each active image, and the test."""
    search = _sweep_until_due(problem, state)
    still = search.moved <= problem.rounding

    def look(attempt: Array, search: Search) -> Search:
        """What a vote certifies at the first attempt, the union at the second."""
        vote = attempt == 0
        ready = vote | (search.count >= problem.first_union) | still
        wanted = search.active & (search.bound > problem.target) & ready
        take = functools.partial(_with_better, problem, wanted, vote)
        return lax.cond(wanted.any(), take, lambda search: search, search)

    search = lax.fori_loop(0 if len(problem.axes) > 1 else 1, 2, look, search)
    vain = jnp.where(still & (search.bound > 0.9 * state.bound), state.vain + 1, 0)
    unsolved = search.bound > problem.target
    more = unsolved & (search.count < problem.max_sweeps) & (vain < _VAIN_TESTS)
    active = search.active & more
    search = search._replace(vain=vain, active=active)
    near, due = _next_test(problem, search, still)
    return search._replace(
        moved=jnp.full_like(search.moved, jnp.inf),
        near=jnp.where(active & ~still, near, 0),
        due=due,
    )


def _with_better(problem: _Problem, wanted: Array, vote: Array, search: Search) -> Search:
    """Takes what the sweeps certify where it is wanted and better."""
    x, lams, axes = problem.x, problem.lams, problem.axes
    votes = jnp.broadcast_to(vote, (1,) * x.ndim)
    found = certificate.certify(x, votes, *search.results, *search.duals, *lams, axes=axes)
    better = wanted & (found[2] < search.bound)
    best = (search.y, search.gap, search.bound)
    y, gap, bound = (jnp.where(better, a, b) for a, b in zip(found, best, strict=True))
    return search._replace(y=y, gap=gap, bound=bound)


def _next_test(problem: _Problem, search: Search, still: Array) -> tuple[Array, Array]:
    """When to look at the certificate next: `near`, of an image that moves, and `due`.

    What a sweep moves is free to know, and the bound falls about like its power 0.85. It also falls
    faster than the number of sweeps to the power -2: from that comes a `due` that few images reach,
    for devices that launch sweeps ahead. An image that stands still but got better is tested soon.
    """
    count = search.count
    missing = 0.95 * search.bound / problem.target
    growth = jnp.sqrt(search.bound / problem.target)
    most = jnp.maximum(count, 3)
    ahead = jnp.ceil(count.astype(growth.dtype) * (growth - 1)) + 1
    ahead = jnp.fmin(ahead, most.astype(growth.dtype)).astype(count.dtype)
    of_still = jnp.where(search.vain > 0, jnp.maximum(count // 2, 3), 3)
    ahead = jnp.where(still, of_still, ahead)
    due = search.count + jnp.minimum(ahead, problem.max_sweeps - search.count)
    return search.moved * missing ** (-1 / 0.85), due


def _sweep_until_due(problem: _Problem, search: Search) -> Search:
    """Sweeps until the next test of each active image, or until it stands still for the first time.

    At least one sweep, since `moved` starts infinite.
    """

    def unfinished(search: Search) -> Array:
        still = (search.moved <= problem.rounding) & (search.vain == 0)
        return search.active & (search.count < search.due) & (search.moved > search.near) & ~still

    def step(search: Search) -> Search:
        # An image that has stopped keeps its state, whatever its batch mates do.
        keep = unfinished(search)
        swept = _sweep(problem.x, problem.lams, problem.axes, search)
        return jax.tree.map(lambda a, b: jnp.where(keep, a, b), swept, search)

    return lax.while_loop(lambda search: unfinished(search).any(), step, search)


def _sweep(x: Array, lams: Sequence[Array], axes: tuple[int, ...], state: Search) -> Search:
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
    steps = sum(
        (((b - a) ** 2).sum(axes, keepdims=True) for a, b in itertools.pairwise(results)),
        jnp.zeros_like(state.moved),
    )
    restart, energy = against > 0, state.energy
    if len(axes) > 2:
        energy = (y**2).sum(axes, keepdims=True)
        restart |= energy > state.energy
    return state._replace(
        results=tuple(results),
        duals=tuple(duals),
        previous=state.duals[1:],
        momentum=jnp.where(restart, 1, t_next),  # 1 makes the next step forget `previous`
        energy=energy,
        moved=jnp.sqrt(steps),
        count=state.count + 1,
    )

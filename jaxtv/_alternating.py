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

The result is the best point of `_certificate` so far: constant on components of fused pixels, so
that its equalities say what the derivative needs to know.

Every quantity of an image is its own: momentum, restart, tests, stop. Arrays of one number per
image keep the TV axes with size 1. `cpu/images/solve.h` computes the same.
"""

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv import _certificate, _lines, _reference, _rounded, _sharding


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


def total_variation(x: Array, lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Weighted total variation of each image, TV axes of size 1."""
    total = jnp.zeros((), x.dtype)
    for lam, axis in zip(lams, axes, strict=True):
        step = jnp.abs(jnp.diff(x, axis=axis))
        # An infinite weight on no step costs nothing, and its derivatives are 0: no inf * 0.
        total = total + (jnp.where(step == 0, 0, lam) * step).sum(axes, keepdims=True)
    return total


def norm(x: Array, axes: tuple[int, ...]) -> Array:
    """||x|| of each image, TV axes of size 1. No square over- or underflows."""
    unit = _certificate.scale(x, axes)
    return unit * jnp.sqrt(_rounded.total((x / unit) ** 2, axes))


def deviation(x: Array, axes: tuple[int, ...]) -> Array:
    """||x - mean(x)|| of each image, rounded down; TV axes of size 1."""
    pixels = max(math.prod(x.shape[axis] for axis in axes), 1)
    for _ in range(2):  # the first mean is rounded at the size of x, the second at that of x - mean
        x = x - _rounded.total(x, axes) / pixels
    return _rounded.down(norm(x, axes))


def solve(
    x: Array, tol: Array, max_sweeps: Array, *operands: Array, axes: tuple[int, ...]
) -> tuple[Array, ...]:
    """See `jaxtv._images.prox`; the result is that of its `Solution`.

    Args:
      x: the images.
      tol: the relative tolerance of each image.
      max_sweeps: the sweeps of each image, at most.
      *operands: the weights along each of `axes`, and the duals to start from, if any.
      axes: ascending, not negative.
    """
    lams, init = operands[: len(axes)], operands[len(axes) :]
    valid = is_valid(x, lams, axes)
    # Constant images, and those without any weight, are their own prox.
    given = (x == x.max(axes, keepdims=True)).all(axes, keepdims=True) | ~any_positive(lams, axes)
    unit = unit_of(x, axes)
    z, *scaled = (a / unit for a in (x, *lams, *init))
    weights, start = scaled[: len(axes)], _feasible(z, scaled, axes)
    goal = _Goal(tol * deviation(z, axes), rounding(z, axes))
    search = _solve_scaled(z, weights, start, goal, jnp.where(valid & ~given, max_sweeps, 0), axes)

    y, gap, bound = search.best
    converged, exact = given | (bound <= goal.target), given | (bound <= goal.rounding)
    y = jnp.where(given, x, y * unit)  # bit for bit, whatever scaling rounds
    gap = _rounded.product(_rounded.product(gap, unit), unit)
    gap, bound = (jnp.where(given, 0, a) for a in (gap, bound * unit))
    y, gap, bound = (jnp.where(valid, a, jnp.nan) for a in (y, gap, bound))
    sweeps = search.sweeps
    results = y, gap, bound, sweeps.count, valid & converged, valid & exact
    if not init:
        return results
    read = map(_certificate.edge_duals, sweeps.results, sweeps.duals, weights, axes)
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
    found = _Best(*_certificate.certify(x, sweeps.results, sweeps.duals, lams, votes, axes))
    better = wanted & (found.bound < best.bound)
    return jax.tree.map(lambda a, b: jnp.where(better, a, b), found, best)


def _next_test(count: Array, missing: Array) -> Array:
    """When to look at the certificate next: it falls about like 1 / sweeps^2."""
    factor = jnp.clip(missing**0.45, 1.15, 1.4)
    return jnp.maximum(count + 1, jnp.ceil(count.astype(factor.dtype) * factor).astype(count.dtype))


def rounding(x: Array, axes: tuple[int, ...]) -> Array:
    """The error of an image whose pixels are rounded."""
    return jnp.finfo(x.dtype).eps * norm(x, axes)


def is_exact(x: Array, bound: Array, axes: tuple[int, ...]) -> Array:
    """Whether an error bound is at the rounding of the type."""
    return bound <= rounding(x, axes)


def is_valid(x: Array, lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Whether an image and its weights are such that it has a prox; TV axes of size 1."""
    return jnp.isfinite(x).all(axes, keepdims=True) & are_weights(x, lams, axes)


def are_weights(x: Array, lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Whether no weight of an image is negative or NaN; TV axes of size 1."""
    edges = [lam for lam, axis in zip(lams, axes, strict=True) if x.shape[axis] != 1]
    fit = ((lam >= 0).all(axes, keepdims=True) for lam in edges)
    return functools.reduce(operator.and_, fit, jnp.array(True))


def any_positive(lams: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Whether an image has a positive weight; TV axes of size 1."""
    return functools.reduce(operator.or_, ((w > 0).any(axes, keepdims=True) for w in lams))


def unit_of(x: Array, axes: tuple[int, ...]) -> Array:
    """The power of two by which to divide each image, so that no square over- or underflows.

    Its inverse is a normal number too: XLA may multiply by that.
    """
    largest = jnp.abs(x).max(axes, keepdims=True)
    _, exponent = jnp.frexp(jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1))
    finfo = jnp.finfo(x.dtype)
    return jnp.ldexp(jnp.ones_like(largest), jnp.clip(exponent, finfo.minexp, finfo.maxexp - 2))


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
        p = jnp.broadcast_to(jnp.clip(p, -bound, bound), _sharding.edges(x, axis).shape)
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
        halfway = (x - _lines.prox(x, lams[1], axis=axes[1])) / 2
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
    """See `jaxtv._images.component_mean`."""
    joined = [_certificate.equal_edges(y, lam, a) for lam, a in zip(lams, axes, strict=True)]
    mean = _certificate.component_mean(v, joined, axes)
    return (jnp.where(_reference.no_derivative(y, v), y, mean),)

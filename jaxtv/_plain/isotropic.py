# SPDX-License-Identifier: MIT
"""A primal-dual method for total variation that couples the differences at a pixel.

With D the forward differences of a pixel, h = w * D x weighted by axis, and groups of them whose
length |h_i| is charged, the prox of x is the saddle point of

    min_y max_p  1/2 sum m (y - x)^2 + <p, s * D y>,      |p_i| <= r_i,

where r is the largest weight of a group and s = w / r, so that one step length suits all pixels.
The over-relaxed iteration of L. Condat, "A primal-dual splitting method", J. Optim. Theory Appl.
2013, Alg. 3.1, from (y, p) is

    y' = (y + tau (m x - D^T s p)) / (1 + tau m)
    p' = projection of p + sigma s D (2 y' - y) on |p_i| <= r_i
    (y, p) += 1.9 (y' - y, p' - p)

with tau sigma |s D|^2 < 1 and |s D|^2 <= 4 for each axis. Primal steps tau that shorten as k^-1.2
serve every tolerance, weight and size about as well as the best constant one would (the best one at
which to stop after k iterations is 3/k to 5/k). They need data everywhere: where m is 0, or small
against its largest, only the square root of k shortens them, and the energy comes in a unit that
suits them (`root_of_energy` in `_operators/isotropic_size.py`).

The derivative solves the linearised problem by the linearised iteration: `solve_linear`.
`cpu/isotropic/solve.h` computes the same, but where factors of the matrix of a small image are
faster: `cpu/isotropic/interior.h` and `direct_linear.h`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._operators import isotropic_steps
from jaxtv._plain import rounded
from jaxtv._plain.isotropic_steps import project
from jaxtv._plain.stencil import Stencil

_VARIED = 0.25
"""Data weights below this fraction of the largest ask for longer steps."""


class _State(NamedTuple):
    y: Array
    duals: tuple[Array, ...]
    gap: Array
    bound: Array
    sweeps: Array
    due: Array  # the number of sweeps at which to test next
    active: Array


def solve(
    x: Array,
    data_weight: Array,
    target: Array,
    limit: Array,
    *operands: Array,
    axes: tuple[int, ...],
    isotropic: bool,
    periodic: bool,
) -> list[Array]:
    stencil, count = Stencil(axes, bool(isotropic), bool(periodic)), len(axes) - 1
    lams, init = operands[:count], operands[count:]
    radii, slopes = stencil.radii(lams, x)
    known = data_weight > 0
    low = jnp.where(known, x, jnp.inf).min(axes[1:], keepdims=True)
    high = jnp.where(known, x, -jnp.inf).max(axes[1:], keepdims=True)
    some = low <= high
    low, high = jnp.where(some, low, 0), jnp.where(some, high, 0)

    def test(y: Array, duals: Sequence[Array]) -> tuple[Array, ...]:
        y = jnp.clip(y, low, high)
        gap, bound, floor = _gap(stencil, y, x, duals, data_weight, (low, high), radii, slopes)
        return y, gap, bound, ~(bound > jnp.maximum(target, floor))

    start = [jnp.broadcast_to(p, x.shape).astype(x.dtype) for p in init]
    duals = project(stencil, start, radii)
    back = stencil.force(slopes, duals)
    y = jnp.clip(jnp.where(known, x - back / jnp.where(known, data_weight, 1), 0), low, high)
    # Of a constant result its rounding alone would cost much: weights may be large.
    mean = jnp.clip(jnp.zeros_like(x), low, high)
    y = jnp.where(test(mean, duals)[3], mean, y)
    advance = _iterations(stencil, data_weight * x, data_weight, lams)
    done = _run(advance, test, (y, tuple(duals)), limit)
    return [done.y, done.gap, done.bound, done.sweeps, *done.duals]


def solve_linear(
    source: Array,
    data_weight: Array,
    tol: Array,
    limit: Array,
    *operands: Array,
    axes: tuple[int, ...],
    isotropic: bool,
    periodic: bool,
) -> list[Array]:
    """The solution of (M + D^T C D) z = source.

    C_i is r_i s (I - q_i q_i^T) s / length_i, infinite where the length is 0. The operands are, for
    each axis, the weights, the lengths |s D y|, and the directions q.
    """
    stencil, count = Stencil(axes, bool(isotropic), bool(periodic)), len(axes) - 1
    lams, lengths, q = (operands[k * count : (k + 1) * count] for k in range(3))
    radii, slopes = stencil.radii(lams, source)

    size = jnp.sqrt(rounded.total(source * source, axes))

    def test(z: Array, duals: Sequence[Array]) -> tuple[Array, ...]:
        back = stencil.force(slopes, duals)
        rest = data_weight * z + back - source
        steps = stencil.across(stencil.steps(slopes, z), q)
        square = rounded.total(rest * rest, axes)
        for h, p, r, length in zip(steps, duals, radii, lengths, strict=True):
            off = jnp.where(r > 0, h - length / jnp.where(r > 0, r, 1) * p, 0)
            square += rounded.total(off * off, axes)
        residual = jnp.sqrt(square)
        return z, square, residual, ~(residual > tol * size)

    zero = jnp.zeros_like(source)
    advance = _iterations(stencil, source, data_weight, lams, lengths, q)
    done = _run(advance, test, (zero, (zero,) * count), limit)
    return [jnp.where(jnp.isfinite(size), done.y, jnp.nan), done.bound, done.sweeps]


def is_varied(data_weight: Array, stencil: Stencil) -> Array:
    """Whether data of an image are missing, or count little beside others."""
    largest = data_weight.max(stencil.axes, keepdims=True)
    return data_weight.min(stencil.axes, keepdims=True) < _VARIED * largest


def _iterations(
    stencil: Stencil,
    source: Array,
    data_weight: Array,
    lams: Sequence[Array],
    *linear: Sequence[Array],
) -> Callable:
    """Some iterations, from y, the duals, their number and the number at which to stop."""
    varied = is_varied(data_weight, stencil)

    def advance(y: Array, duals: Sequence[Array], done: Array, due: Array):
        return isotropic_steps.advance(
            y, duals, done, due, source, data_weight, varied, lams, linear, stencil=stencil
        )

    return advance


def next_test(k: Array) -> Array:
    """The number of sweeps at which to look at the certificate next."""
    return k + jnp.where(k < 64, 8, jnp.where(k < 128, 16, k // 8))


def _run(advance: Callable, test: Callable, start: tuple, limit: Array) -> _State:
    """Iterates until `test` is passed, or the limit is reached; each image on its own.

    An iteration whose result is tested is not relaxed: its duals are feasible.
    """
    y, duals = start
    _, gap, bound, passed = test(y, duals)
    zero = jnp.zeros_like(gap, jnp.int32)

    def going(state: _State) -> Array:
        return state.active.any()

    def body(state: _State) -> _State:
        due = jnp.where(state.active, state.due, state.sweeps)
        y, duals = advance(state.y, state.duals, state.sweeps, due)
        sweeps = jnp.minimum(state.sweeps + isotropic_steps.COUNT, due)
        moved = state._replace(y=y, duals=duals, sweeps=sweeps)
        at_test = moved.active & (sweeps == due)
        return lax.cond(at_test.any(), tested, lambda state, _: state, moved, at_test)

    def tested(state: _State, look: Array) -> _State:
        y, gap, bound, passed = test(state.y, state.duals)
        go_on = ~passed & (state.sweeps < limit)
        return state._replace(
            y=jnp.where(look, y, state.y),
            gap=jnp.where(look, gap, state.gap),
            bound=jnp.where(look, bound, state.bound),
            due=jnp.where(look, jnp.minimum(next_test(state.due), limit), state.due),
            active=jnp.where(look, go_on, state.active),
        )

    active = ~passed & (limit > 0)
    first = jnp.broadcast_to(jnp.minimum(next_test(zero), limit), zero.shape)
    return lax.while_loop(going, body, _State(y, duals, gap, bound, zero, first, active))


def _gap(
    stencil: Stencil,
    y: Array,
    x: Array,
    duals: Sequence[Array],
    m: Array,
    box: tuple[Array, Array],
    radii: Sequence[Array],
    slopes: Sequence[Array],
) -> tuple[Array, Array, Array]:
    """The duality gap at y, and a bound of the distance to the prox, weighted as the data are.

    With c = D^T s p the gap is the sum over groups of r |h| - <p, h> and over pixels of

        1/2 m (y - x)^2 + c y - min_u (1/2 m (u - x)^2 + c u)
            = 1/2 m (y - u)^2 + (m (u - x) + c) (y - u),

    all terms at least 0. The prox has no value beyond those of the data, since to clip it there
    lowers its energy, so u may be kept in that box too: then m = 0 has a minimum. Both energies
    are strongly convex in their image, so that gap >= 1/2 |y - y*|^2 + 1/2 |u - y*|^2, which with
    the triangle inequality bounds the distance as in `certificate.py`. Each term is raised by what
    rounding may have taken from it.

    The third result is the bound at which half of the gap may be what rounding is charged with, and
    what the duals of `project` are too short by: further iterations cannot halve it.
    """
    eps = jnp.finfo(y.dtype).eps
    axes, (low, high) = stencil.axes, box
    back = stencil.force(slopes, duals)
    size = jnp.zeros_like(back)
    for s, p, axis in zip(slopes, duals, axes[1:], strict=True):
        size += 2 * jnp.abs(s * p) + jnp.abs(jnp.roll(s * p, 1, axis))
    known = m > 0
    free = jnp.where(back > 0, low, high)
    u = jnp.clip(jnp.where(known, x - back / jnp.where(known, m, 1), free), low, high)
    off = jnp.abs(y - u)
    slope = jnp.maximum((m * (u - x) + back) * jnp.sign(y - u), 0)
    rounding = 4 * eps * (m * (jnp.abs(u) + jnp.abs(x)) + size)
    square = rounded.total(m * off * off, axes)
    rest = rounded.total(off * (slope + rounding), axes)
    charged = rounded.total(off * rounding, axes)
    steps = stencil.steps(slopes, y)
    inner = [(p * h).sum(axes[0], keepdims=True) for p, h in zip(duals, steps, strict=True)]
    groups = list(zip(radii, stencil.lengths(steps), inner, strict=True))
    if stencil.isotropic:
        groups = [(*groups[0][:2], sum(inner[1:], inner[0]))]
    for r, length, product in groups:
        rest += rounded.total(jnp.maximum(r * length - product, 0) + 8 * eps * r * length, axes)
        charged += rounded.total(16 * eps * r * length, axes)
    bound = (jnp.sqrt(square) + jnp.sqrt(square + 4 * rest)) / 2
    return rounded.up(square / 2 + rest), rounded.up(bound), jnp.sqrt(2 * charged)

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
against its largest, only the square root of k shortens them.

The derivative solves the linearised problem by the linearised iteration: `solve_linear`.
`cpu/isotropic/solve.h` computes the same.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import rounded
from jaxtv._plain.stencil import Stencil

_RELAXATION = 1.9
_SHORTEST_STEP = 0.003
"""In float32, where the longer dual steps that go with it would multiply rounding."""
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
    count: Array


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

    def project(w: Sequence[Array], sigma: Array) -> list[Array]:
        del sigma
        below = 1 - 8 * jnp.finfo(x.dtype).eps  # so that rounding leaves duals feasible
        return [
            v * jnp.where(length > r * below, r * below / jnp.where(length > 0, length, 1), 1)
            for v, length, r in zip(w, stencil.lengths(w), radii, strict=True)
        ]

    def test(y: Array, duals: Sequence[Array]) -> tuple[Array, Array, Array]:
        y = jnp.clip(y, low, high)
        gap, bound = _gap(stencil, y, x, duals, data_weight, (low, high), radii, slopes)
        return y, gap, bound

    duals = project([jnp.broadcast_to(p, x.shape).astype(x.dtype) for p in init], jnp.ones(()))
    back = stencil.force(slopes, duals)
    y = jnp.clip(jnp.where(known, x - back / jnp.where(known, data_weight, 1), 0), low, high)
    # Of a constant result its rounding alone would cost much: weights may be large.
    mean = jnp.clip(jnp.zeros_like(x), low, high)
    y = jnp.where(test(mean, duals)[2] <= target, mean, y)
    iterate = _iteration(stencil, data_weight * x, data_weight, slopes, project)
    done = _run(iterate, test, (y, tuple(duals)), target, limit)
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

    def shrink(w: Sequence[Array], sigma: Array) -> list[Array]:
        pairs = zip(stencil.across(w, q), radii, lengths, strict=True)
        return [
            v * jnp.where(r > 0, r / jnp.where(r > 0, r + sigma * length, 1), 0)
            for v, r, length in pairs
        ]

    size = jnp.sqrt(rounded.total(source * source, axes))

    def test(z: Array, duals: Sequence[Array]) -> tuple[Array, Array, Array]:
        back = stencil.force(slopes, duals)
        rest = data_weight * z + back - source
        steps = stencil.across(stencil.steps(slopes, z), q)
        square = rounded.total(rest * rest, axes)
        for h, p, r, length in zip(steps, duals, radii, lengths, strict=True):
            off = jnp.where(r > 0, h - length / jnp.where(r > 0, r, 1) * p, 0)
            square += rounded.total(off * off, axes)
        return z, square, jnp.sqrt(square)

    zero = jnp.zeros_like(source)
    iterate = _iteration(stencil, source, data_weight, slopes, shrink)
    done = _run(iterate, test, (zero, (zero,) * count), tol * size, limit)
    return [jnp.where(jnp.isfinite(size), done.y, jnp.nan), done.bound, done.sweeps]


def _iteration(
    stencil: Stencil,
    source: Array,
    data_weight: Array,
    slopes: Sequence[Array],
    resolve: Callable,
) -> Callable:
    """One iteration, from y, the duals, its number and its relaxation."""
    dtype = source.dtype
    norm = 4.0 * (len(stencil.axes) - 1)  # of (s D)^T s D, at most
    largest = data_weight.max(stencil.axes, keepdims=True)
    varied = data_weight.min(stencil.axes, keepdims=True) < _VARIED * largest
    shortest = 0.0 if dtype == jnp.float64 else _SHORTEST_STEP

    def iterate(y: Array, duals: Sequence[Array], k: Array, relaxation: Array):
        number = k.astype(dtype)
        tau = 1 / (3 + 0.15 * jnp.where(varied, jnp.sqrt(number), number**1.2))
        tau = jnp.maximum(tau, shortest).astype(dtype)
        sigma = 0.999 / (norm * tau)
        back = stencil.force(slopes, duals)
        new = (y + tau * (source - back)) / (1 + tau * data_weight)
        steps = stencil.steps(slopes, 2 * new - y)
        ahead = [p + sigma * h for p, h in zip(duals, steps, strict=True)]
        new_duals = resolve(ahead, sigma)
        y = y + relaxation * (new - y)
        pairs = zip(duals, new_duals, strict=True)
        return y, tuple(p + relaxation * (n - p) for p, n in pairs)

    return iterate


def next_test(k: Array) -> Array:
    """The number of sweeps at which to look at the certificate next."""
    return k + jnp.where(k < 64, 8, jnp.where(k < 128, 16, k // 8))


def _run(iterate: Callable, test: Callable, start: tuple, target: Array, limit: Array) -> _State:
    """Iterates until `test` meets the target, or the limit; each image on its own.

    An iteration whose result is tested is not relaxed: its duals are feasible.
    """
    y, duals = start
    _, gap, bound = test(y, duals)
    zero = jnp.zeros_like(gap, jnp.int32)

    def going(state: _State) -> Array:
        return state.active.any()

    def body(state: _State) -> _State:
        k = state.count + 1
        due = state.due == k
        relaxation = jnp.where(due, 1, _RELAXATION).astype(y.dtype)
        y1, duals1 = iterate(state.y, state.duals, k, relaxation)
        keep = state.active
        moved = state._replace(
            y=jnp.where(keep, y1, state.y),
            duals=tuple(jnp.where(keep, n, o) for n, o in zip(duals1, state.duals, strict=True)),
            sweeps=jnp.where(keep, k, state.sweeps),
            count=k,
        )
        return lax.cond((keep & due).any(), tested, lambda s: s, moved)

    def tested(state: _State) -> _State:
        look = state.active & (state.due == state.count)
        y1, gap, bound = test(state.y, state.duals)
        go_on = (bound > target) & (state.sweeps < limit)
        return state._replace(
            y=jnp.where(look, y1, state.y),
            gap=jnp.where(look, gap, state.gap),
            bound=jnp.where(look, bound, state.bound),
            due=jnp.where(look, jnp.minimum(next_test(state.due), limit), state.due),
            active=jnp.where(look, go_on, state.active),
        )

    active = (bound > target) & (limit > 0)
    first = jnp.minimum(next_test(zero), limit)
    state = _State(y, duals, gap, bound, zero, first, active, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(going, body, state)


def _gap(
    stencil: Stencil,
    y: Array,
    x: Array,
    duals: Sequence[Array],
    m: Array,
    box: tuple[Array, Array],
    radii: Sequence[Array],
    slopes: Sequence[Array],
) -> tuple[Array, Array]:
    """The duality gap at y, and a bound of the distance to the prox, weighted as the data are.

    With c = D^T s p the gap is the sum over groups of r |h| - <p, h> and over pixels of

        1/2 m (y - x)^2 + c y - min_u (1/2 m (u - x)^2 + c u)
            = 1/2 m (y - u)^2 + (m (u - x) + c) (y - u),

    all terms at least 0. The prox has no value beyond those of the data, since to clip it there
    lowers its energy, so u may be kept in that box too: then m = 0 has a minimum. Both energies
    are strongly convex in their image, so that gap >= 1/2 |y - y*|^2 + 1/2 |u - y*|^2, which with
    the triangle inequality bounds the distance as in `certificate.py`. Each term is raised by what
    rounding may have taken from it.
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
    slope += 4 * eps * (m * (jnp.abs(u) + jnp.abs(x)) + size)
    square = rounded.total(m * off * off, axes)
    rest = rounded.total(off * slope, axes)
    steps = stencil.steps(slopes, y)
    inner = [(p * h).sum(axes[0], keepdims=True) for p, h in zip(duals, steps, strict=True)]
    groups = list(zip(radii, stencil.lengths(steps), inner, strict=True))
    if stencil.isotropic:
        groups = [(*groups[0][:2], sum(inner[1:], inner[0]))]
    for r, length, product in groups:
        rest += rounded.total(jnp.maximum(r * length - product, 0) + 8 * eps * r * length, axes)
    bound = (jnp.sqrt(square) + jnp.sqrt(square + 4 * rest)) / 2
    return rounded.up(square / 2 + rest), rounded.up(bound)

# SPDX-License-Identifier: MIT
"""Duals from which the method of `isotropic.py` starts. Any would do; good ones save iterations."""

import functools
import operator
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import isotropic
from jaxtv._plain.stencil import Stencil

_COARSEST = 16
_TOL = 1e-2
_SWEEPS = 500
_FAR = 0.4
"""Weights below this times the deviation of a pixel move few pixels at a distance."""


def duals(
    x: Array, m: Array, weights: Sequence[Array], stencil: Stencil, prox: Callable
) -> tuple[Array, ...]:
    """Those of a constant image, where it is the prox; else those of a coarser image.

    `prox` is the operator itself, from x, m, weights, init, tolerance and limit.
    """
    far = _is_far(x, m, weights, stencil)
    limit = jnp.where(far, _SWEEPS, 0)

    def coarse() -> tuple[Array, ...]:
        found = _coarse(x, m, weights, stencil, limit, prox)
        return tuple(jnp.where(far, p, jnp.zeros_like(x)) for p in found)

    start = _where_wanted(far, coarse, tuple(jnp.zeros_like(x) for _ in weights))
    return of_constant(start, x, m, weights, stencil)


def of_constant(
    start: Sequence[Array], x: Array, m: Array, weights: Sequence[Array], stencil: Stencil
) -> tuple[Array, ...]:
    """`start`, but the duals of a constant image where it is the prox."""
    start = tuple(jnp.broadcast_to(p, x.shape) for p in start)
    maybe = _may_be_constant(x, m, weights, stencil)

    def chosen() -> tuple[Array, ...]:
        flow, even = _flow(x, m, weights, stencil)
        return tuple(jnp.where(maybe & even, f, p) for f, p in zip(flow, start, strict=True))

    return _where_wanted(maybe, chosen, start)


def _where_wanted(
    wanted: Array, found: Callable[[], tuple[Array, ...]], otherwise: tuple[Array, ...]
) -> tuple[Array, ...]:
    """`found()`, which is `otherwise` in images that do not want it, so not computed if none does.

    For a single image. Devices that share a batch would have to tell each other.
    """
    single = all(isinstance(n, int) and n == 1 for n in wanted.shape)
    return lax.cond(wanted.any(), found, lambda: otherwise) if single else found()


def _may_be_constant(x: Array, m: Array, weights: Sequence[Array], stencil: Stencil) -> Array:
    """False for images of mean 0 with a pixel that the duals of its edges cannot balance."""
    axes = stencil.axes
    largest = [w.max(axes, keepdims=True) for w in weights]
    return jnp.abs(m * x).max(axes, keepdims=True) <= 2 * functools.reduce(operator.add, largest)


def _is_far(x: Array, m: Array, weights: Sequence[Array], stencil: Stencil) -> Array:
    """Whether neighbours of neighbours matter: weights large beside the image, or missing data.

    Else some ten iterations suffice, fewer than those of coarser images cost.
    """
    axes = stencil.axes
    share = jnp.broadcast_to(m, x.shape)
    largest = share.max(axes, keepdims=True)
    size = jnp.sqrt(largest * (share * x * x).mean(axes, keepdims=True))
    lam = functools.reduce(operator.add, [w.mean(axes, keepdims=True) for w in weights])
    return (lam > _FAR * len(weights) * size) | isotropic.is_varied(m, stencil)


def _flow(
    x: Array, m: Array, weights: Sequence[Array], stencil: Stencil
) -> tuple[list[Array], Array]:
    """Duals with D^T p = m x - mean, and for which images the weights allow them.

    What the last axis brings to the mean of its lines, the others bring to the mean of the image.
    """
    axes = stencil.axes
    rest, flow = m * x, [jnp.zeros_like(x)] * (len(axes) - 1)
    for k in reversed(range(len(axes) - 1)):
        axis = axes[k + 1]
        mean = rest.mean(axis, keepdims=True)
        sums = -jnp.cumsum(rest - mean, axis=axis)
        flow[k] = jnp.broadcast_to(sums * stencil.edges(x, axis), x.shape)
        rest = mean
    fills = [
        jnp.where(p == 0, 0, p / jnp.where(w > 0, w, jnp.finfo(x.dtype).tiny))
        for p, w in zip(flow, weights, strict=True)
    ]
    full = jnp.stack([n.max(axes, keepdims=True) for n in stencil.lengths(fills)]).max(0)
    even = m.max(axes, keepdims=True) == m.min(axes, keepdims=True)
    _, slopes = stencil.radii(weights, x)
    scaled = [p / jnp.where(s > 0, s, 1) for p, s in zip(flow, slopes, strict=True)]
    return scaled, even & (full <= 1 - 1e-5)


def _coarse(
    x: Array,
    m: Array,
    weights: Sequence[Array],
    stencil: Stencil,
    limit: Array,
    prox: Callable,
) -> tuple[Array, ...]:
    """Duals of the image of half the size, prolonged.

    A pixel of it is the mean of two along each axis. Over a face between two such pixels there are
    half as many differences as there are data in one, so weights are halved. Its duals are forces
    per data: with D^T p the same on both pixels of a pair, they are linear along their own axis and
    constant along the others.
    """
    sizes = [x.shape[axis] for axis in stencil.axes[1:]]
    if not all(isinstance(n, int) for n in sizes) or max(sizes) < 2 * _COARSEST:
        return (jnp.zeros((1,) * x.ndim, x.dtype),) * len(sizes)
    small_m = _halved(m, stencil)
    known = jnp.broadcast_to(m, x.shape) * x
    small_x = _halved(known, stencil) / jnp.where(small_m > 0, small_m, 1)
    small = [_halved(w, stencil) for w in weights]
    factor = [0.5 if n > 1 else 1.0 for n in sizes]
    small_weights = tuple(f * w for f, w in zip(factor, small, strict=True))
    init = _coarse(small_x, small_m, small_weights, stencil, limit, prox)
    found = prox(small_x, small_m, small_weights, init, _TOL, limit)
    return tuple(_prolonged(p, x, k, stencil) for k, p in enumerate(found))


def _halved(a: Array, stencil: Stencil) -> Array:
    """The mean of two neighbours along each axis of the image; the last of an odd number alone."""
    for axis in stencil.axes[1:]:
        n = a.shape[axis]
        if n == 1:
            continue
        pad = [(0, n % 2 if d == axis else 0) for d in range(a.ndim)]
        a = jnp.pad(a, pad, mode="edge")
        halves = (*a.shape[:axis], -(-n // 2), 2, *a.shape[axis + 1 :])
        a = a.reshape(halves).mean(axis + 1)
    return a


def _prolonged(p: Array, like: Array, own: int, stencil: Stencil) -> Array:
    """The duals of one axis on the image of twice the size."""
    for k, axis in enumerate(stencil.axes[1:]):
        n = like.shape[axis]
        if n == 1:
            continue
        if k == own:
            before = jnp.roll(p, 1, axis)  # 0 at an open end
            pairs = jnp.stack([before + p, 2 * p], axis + 1)
        else:
            pairs = jnp.stack([p, p], axis + 1)
        p = pairs.reshape((*p.shape[:axis], 2 * p.shape[axis], *p.shape[axis + 1 :]))
        p = lax.slice_in_dim(p, 0, n, axis=axis)
    return p * stencil.edges(like, stencil.axes[own + 1])

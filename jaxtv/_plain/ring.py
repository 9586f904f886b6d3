# SPDX-License-Identifier: MIT
"""The TV prox of rings: lines whose last sample is a neighbour of the first.

    y = argmin 1/2 sum_k m_k (y_k - x_k)^2 + sum_k w_k |y_{k+1} - y_k|,     indices modulo n.

A ring that is cut at one of its jumps is a line: there the dual is known, it is s w with the sign s
of the jump. So one jump is all that has to be found, or that there is none.

The dual u_k = sum_{i <= k} m_i (y_i - x_i) + u_{-1}, with |u_k| <= w_k and u_{n-1} = u_{-1}, shows
that sum m y = sum m x. So if y is not constant, some samples lie above b = sum m x / sum m and some
do not, and the edges between them are jumps. Which those are says a binary problem (coarea formula;
see core/tv1d_divide.h), solved by one clamped sum around the ring,

    u_k = clip(M_k, -w_k, w_k),     M_k = u_{k-1} + m_k (b - x_k):

y_k > b where M_k < -w_k, y_k <= b where M_k > w_k, else as its right neighbour. A turn around the
ring maps u_{-1} to clip(u_{-1} + 0, lo, hi), so any number of [lo, hi] is a start that returns to
itself. Where the sum never leaves its bounds, y = b. Of several jumps the one is taken where M is
farthest beyond its bound: it is a jump whatever was rounded.

The line from the sample behind that jump to the one before it then has two edges more, both of
weight w, to a sample at either end that lies so far away that y surely jumps there, by s. Its prox,
and the derivatives of that, are those of the ring. A ring without a jump is a line of infinite
weights.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._operators import tv1d, tv1d_mass
from jaxtv._plain import measures, scan
from jaxtv._plain import tv1d as plain_tv1d


def prox(x: Array, lam: Array, mass: Array | None = None, *, axis: int) -> Array:
    """The TV prox of each ring of `x` along `axis`.

    Args:
      x: float32 or float64, any shape.
      lam: weights, same dtype and rank; each dimension is that of `x` or 1. Along `axis`, entry k
        is of the edge between samples k and k + 1 modulo the size of `x`.
      mass: as for `tv1d_mass.prox`, or None for ones.
      axis: not negative.
    """
    if x.shape[axis] == 0:
        return x
    rings = jnp.moveaxis(x, axis, -1)

    def of_each(a: Array) -> Array:
        # Unlike broadcast_to, a sum is cut over devices as the rings are.
        return jnp.zeros_like(rings) + jnp.moveaxis(a, axis, -1)

    y = _prox(rings, of_each(lam), None if mass is None else of_each(mass))
    return jnp.moveaxis(y, -1, axis)


def _prox(x: Array, w: Array, mass: Array | None) -> Array:
    known = lax.stop_gradient(x if mass is None else jnp.where(mass > 0, x, 0))
    unit = measures.unit_of(known, (x.ndim - 1,))  # no sum overflows
    x, w, known = x / unit, w / unit, known / unit
    jump = _find_jump(*lax.stop_gradient((known, w, jnp.ones_like(x) if mass is None else mass)))
    n = x.shape[-1]
    place = jnp.arange(n, dtype=jnp.int32)
    behind = (place + jump.edge + 1) % n  # the samples and edges behind the jump, in turn
    line, weights = _taken(x, behind), _taken(w, behind)
    # Without a jump no weight says anything, but one that is none still makes the result NaN.
    constant = jump.sign == 0
    closing = weights[..., -1:]
    closing = jnp.where(constant & (closing >= 0), 0, closing)
    weights = jnp.where(constant & (weights >= 0), jnp.inf, weights)
    reach = known.max(-1, keepdims=True) - known.min(-1, keepdims=True)
    far = lax.stop_gradient(jump.sign * (2 * closing + reach + 1))
    middle = known[..., :1]
    line = jnp.concatenate([middle - far, line, middle + far], -1)
    weights = jnp.concatenate([closing, weights[..., :-1], closing], -1)
    if mass is None:
        y = tv1d.prox(line, weights, axis=x.ndim - 1)
    else:
        one = jnp.ones_like(far)
        masses = jnp.concatenate([one, _taken(mass, behind), one], -1)
        y = tv1d_mass.prox(line, weights, masses, axis=x.ndim - 1)
    return unit * _taken(y[..., 1:-1], (place - jump.edge - 1) % n)


def _taken(a: Array, order: Array) -> Array:
    return jnp.take_along_axis(a, order, axis=-1, mode="promise_in_bounds")


class _Jump(NamedTuple):
    """A jump of the prox of each ring."""

    edge: Array  # [..., 1]
    sign: Array  # [..., 1]: of the step to the next sample; 0 where the prox is constant


def _find_jump(x: Array, w: Array, mass: Array) -> _Jump:
    step = _mean_steps(x, mass)
    sums, lo, hi = scan.scan_by_doubling(plain_tv1d.clamped_sum, (step, -w, w), axis=-1)
    start = jnp.clip(0, lo[..., -1:], hi[..., -1:])
    u = jnp.clip(start + sums, lo, hi)
    before = jnp.concatenate([start, u[..., :-1]], -1) + step
    side = jnp.where(before < -w, 1, jnp.where(before > w, -1, 0))
    # Twice around, for the samples before the first that is decided.
    twice = jnp.concatenate([side, side], -1)
    twice = scan.scan_by_doubling(
        lambda later, here: jnp.where(here != 0, here, later), twice, axis=-1, reverse=True
    )
    side = twice[..., : x.shape[-1]]
    sign = (jnp.roll(side, -1, -1) - side) // 2
    excess = jnp.where(sign == 0, -1, jnp.abs(before) - w)
    edge = jnp.argmax(excess, -1, keepdims=True).astype(jnp.int32)
    return _Jump(edge, _taken(sign, edge).astype(x.dtype))


def _mean_steps(x: Array, mass: Array) -> Array:
    """The steps m (b - x) of the sum, with the mean b of each ring."""
    total = mass.sum(-1, keepdims=True)
    total = jnp.where(total > 0, total, 1)
    for _ in range(2):  # once more on what the rounding of the mean left
        x = x - (mass * x).sum(-1, keepdims=True) / total
    return -mass * x

# SPDX-License-Identifier: MIT
"""The iterations of the primal-dual method that `isotropic.py` describes.

`cuda/isotropic/steps.cu` computes the same.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain.stencil import Stencil

_RELAXATION = 1.9
_SHORTEST_STEP = 0.003
"""In float32, where the longer dual steps that go with it would multiply rounding."""
_SHORTEST_VARIED = 0.15
"""The same where data weights vary: shorter steps lose what pulls at pixels without data in the
rounding of the image."""


def advance(
    y: Array,
    source: Array,
    done: Array,
    due: Array,
    varied: Array,
    data_weight: Array,
    *operands: Array,
    axes: tuple[int, ...],
    isotropic: bool,
    periodic: bool,
    count: int,
) -> list[Array]:
    """See `jaxtv._operators.isotropic_steps.advance`; operands as there, for each axis."""
    stencil, n = Stencil(axes, bool(isotropic), bool(periodic)), len(axes) - 1
    lams, duals, *linear = (operands[k : k + n] for k in range(0, len(operands), n))
    radii, slopes = stencil.radii(lams, y)
    dtype = y.dtype
    norm = 4.0 * n  # of (s D)^T s D, at most
    shortest = jnp.where(varied, _SHORTEST_VARIED, _SHORTEST_STEP)
    shortest = jnp.zeros((), dtype) if dtype == jnp.float64 else shortest

    def resolved(ahead: Sequence[Array], sigma: Array) -> list[Array]:
        if not linear:
            return project(stencil, ahead, radii)
        lengths, directions = linear
        return _shrunk(stencil, ahead, radii, lengths, directions, sigma)

    def iterate(k: Array, state: tuple[Array, tuple[Array, ...]]):
        y, duals = state
        number = (done + k + 1).astype(dtype)
        tau = 1 / (3 + 0.15 * jnp.where(varied, jnp.sqrt(number), number**1.2))
        tau = jnp.maximum(tau, shortest).astype(dtype)
        sigma = 0.999 / (norm * tau)
        back = stencil.force(slopes, duals)
        new = (y + tau * (source - back)) / (1 + tau * data_weight)
        steps = stencil.steps(slopes, 2 * new - y)
        new_duals = resolved([p + sigma * h for p, h in zip(duals, steps, strict=True)], sigma)
        relaxation = jnp.where(done + k + 1 == due, 1, _RELAXATION).astype(dtype)
        going = done + k < due

        def moved(old: Array, new: Array) -> Array:
            return jnp.where(going, old + relaxation * (new - old), old)

        return moved(y, new), tuple(map(moved, duals, new_duals))

    most = jnp.clip(jnp.max(due - done), 0, count)
    y, duals = lax.fori_loop(0, most, iterate, (y, tuple(duals)))
    return [y, *duals]


def project(stencil: Stencil, duals: Sequence[Array], radii: Sequence[Array]) -> list[Array]:
    """Each group on the ball of its radius, or of one by so much less that rounding leaves it."""
    below = 1 - 8 * jnp.finfo(radii[0].dtype).eps
    return [
        p * jnp.where(length > r * below, r * below / jnp.where(length > 0, length, 1), 1)
        for p, length, r in zip(duals, stencil.lengths(duals), radii, strict=True)
    ]


def _shrunk(
    stencil: Stencil,
    duals: Sequence[Array],
    radii: Sequence[Array],
    lengths: Sequence[Array],
    directions: Sequence[Array],
    sigma: Array,
) -> list[Array]:
    """The resolvent of the linear problem, where the projection is that of the prox."""
    return [
        p * jnp.where(r > 0, r / jnp.where(r > 0, r + sigma * length, 1), 0)
        for p, r, length in zip(stencil.across(duals, directions), radii, lengths, strict=True)
    ]

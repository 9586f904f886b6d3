# SPDX-License-Identifier: MIT
"""What the size of an image says of its coupled prox: when it is done, and which steps suit it."""

import functools
import operator
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import isotropic as plain
from jaxtv._plain.stencil import Stencil


def target(tol: Array, x: Array, m: Array, lams: Sequence[Array], stencil: Stencil) -> Array:
    """The error bound at which an image stops: relative to its deviation, or where rounding does.

    The differences in a flat region are rounding of y, and each costs up to its weight.
    """
    x, m, lams = lax.stop_gradient((x, m, tuple(lams)))
    radii, _ = stencil.radii(lams, x)
    charged = radii[:1] if stencil.isotropic else radii
    cost = functools.reduce(operator.add, charged) * jnp.abs(x)
    if not stencil.is_even(m):
        cost += jnp.where(m > 0, 0, _cost_without_data(x, m, lams, stencil))
    floor = jnp.sqrt(jnp.finfo(x.dtype).eps * cost.sum(stencil.axes, keepdims=True))
    # Not quite the tolerance, so that the rounding of this sum cannot make it larger.
    return jnp.maximum(0.999 * tol * deviation(x, m, stencil.axes), floor)


def deviation(x: Array, m: Array, axes: tuple[int, ...]) -> Array:
    """||x - mean(x)|| of each image in the norm of the data weights, the mean of each channel."""
    share = jnp.broadcast_to(m, x.shape)
    total = share.sum(axes[1:], keepdims=True)
    mean = (share * x).sum(axes[1:], keepdims=True) / jnp.where(total > 0, total, 1)
    return jnp.sqrt((share * (x - mean) ** 2).sum(axes, keepdims=True))


def root_of_energy(x: Array, m: Array, lams: Sequence[Array], stencil: Stencil) -> Array:
    """The square root of what to multiply the energy of each image by: a power of two, so exactly.

    The result is the same; duals are that many times as large, and primal steps as long. Where data
    are everywhere, their weight sets the best steps. Where some are missing, it is how far the
    image, of deviation s, has to go beside its duals, of about the size of lam. Steps in proportion
    to (s / lam)^0.7, and somewhat longer the fewer data there are, took a tenth more iterations
    than the best ones for each of 24 images and weights.
    """
    axes = stencil.axes
    share = jnp.broadcast_to(m, x.shape)
    largest = share.max(axes, keepdims=True)
    size = _spread(x, m, axes)
    each = [jnp.minimum(w, 4 * size).mean(axes, keepdims=True) for w in lams]
    lam = jnp.maximum(functools.reduce(operator.add, each) / len(each), jnp.finfo(x.dtype).tiny)
    density = share.mean(axes, keepdims=True) / jnp.where(largest > 0, largest, 1)
    density = jnp.where(largest > 0, density, 1)
    exponent = 0.7 * jnp.log2(size / lam) - 0.2 * jnp.log2(density) - 1.3
    half = jnp.where(plain.is_varied(m, stencil), jnp.clip(jnp.round(exponent / 2), -3, 3), 0)
    return jnp.ldexp(jnp.ones_like(half), half.astype(jnp.int32))


def _cost_without_data(x: Array, m: Array, lams: Sequence[Array], stencil: Stencil) -> Array:
    """What the rounding of a pixel without data costs, in units of that of 1.

    A step adds to it what pulls at it, times a length; one that this rounds away is charged
    times the range of the data.
    """
    axes = stencil.axes
    reach = x.max(axes, keepdims=True) - x.min(axes, keepdims=True)
    return reach * _spread(x, m, axes) / root_of_energy(x, m, lams, stencil) ** 2


def _spread(x: Array, m: Array, axes: tuple[int, ...]) -> Array:
    """The deviation of a pixel of each image, weighted as the data are."""
    total = jnp.broadcast_to(m, x.shape).sum(axes, keepdims=True)
    return deviation(x, m, axes) / jnp.sqrt(jnp.where(total > 0, total, 1))

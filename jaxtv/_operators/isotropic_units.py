# SPDX-License-Identifier: MIT
"""The operators of `isotropic.py` on images in any units and layout, with what is known of them."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv._operators import isotropic, isotropic_size
from jaxtv._operators.tvnd import ProxInfo
from jaxtv._plain import isotropic_start, measures, rounded
from jaxtv._plain.stencil import Stencil


class Layout(NamedTuple):
    """Where an array has its channels and the axes of its images, ascending."""

    axes: tuple[int, ...]
    channel: int | None

    def images(self, a: Array) -> Array:
        """Batch axes, then the channel axis, then those of the image."""
        if self.channel is None:
            a = a[..., None]
        channel = a.ndim - 1 if self.channel is None else self.channel
        return jnp.moveaxis(a, (channel, *self.axes), range(-len(self.axes) - 1, 0))

    def stencil(self, images: Array, is_isotropic: bool, periodic: bool) -> Stencil:
        """The differences and groups of what `images` returns."""
        axes = range(images.ndim - len(self.axes) - 1, images.ndim)
        return Stencil(tuple(axes), is_isotropic, periodic)

    def restored(self, images: Array) -> Array:
        """The inverse of `images`."""
        channel = images.ndim - 1 if self.channel is None else self.channel
        a = jnp.moveaxis(images, range(-len(self.axes) - 1, 0), (channel, *self.axes))
        return a[..., 0] if self.channel is None else a


class Limits(NamedTuple):
    """When an image is done: one number each for all images."""

    tol: ArrayLike
    deriv_tol: ArrayLike
    max_sweeps: Array


class _Scale(NamedTuple):
    """What an image is measured in; arrays of size 1 along its axes, `mean` not over channels."""

    mean: Array
    unit: Array
    of_data: Array


def solve(
    x: Array,
    data_weight: Array,
    lams: Sequence[Array],
    init: Sequence[Array] | None,
    limits: Limits,
    layout: Layout,
    *,
    is_isotropic: bool,
    periodic: bool,
    both_modes: bool,
) -> tuple[Array, ProxInfo, tuple[Array, ...]]:
    """The prox of x, float32 or float64, with weights for each of `layout.axes`, sizes full or 1.

    Images are solved in units in which their largest deviation from the mean is about 1, and so is
    their largest data weight, which the best steps depend on:
    prox(x, lam) = unit * prox((x - mean) / unit, lam / unit) + mean holds for any two numbers, so
    that these have no derivative.

    Returns:
      The prox, how well it is solved, and the duals of each axis, 0 at an open end.
    """
    images = layout.images(x)
    stencil = layout.stencil(images, is_isotropic, periodic)
    axes = stencil.axes
    m, *weights = (layout.images(a) for a in (data_weight, *lams))
    valid = _is_valid(images, m, weights, axes)
    known = jnp.broadcast_to(m > 0, images.shape)
    images, m = jnp.where(known & valid, images, 0), jnp.where(valid, m, 1)
    scale = _scale(*lax.stop_gradient((images, m, known)), axes)
    inner, m = jnp.where(known, (images - scale.mean) / scale.unit, 0), m / scale.of_data
    most = _largest_dual(lax.stop_gradient(m * inner), axes)
    unit = scale.unit * scale.of_data
    weights = tuple(jnp.where(valid, jnp.minimum(w / unit, most), 0) for w in weights)
    _, slopes = stencil.radii(weights, inner)
    fixed = lax.stop_gradient((inner, m, weights))
    if init is None:
        start = isotropic_start.duals(*fixed, stencil, functools.partial(_coarse, stencil=stencil))
    else:
        start = isotropic_start.of_constant(
            [
                layout.images(p) / unit / jnp.where(s > 0, s, 1)
                for p, s in zip(init, slopes, strict=True)
            ],
            *fixed,
            stencil,
        )
    per_image = (1,) * images.ndim
    tol, deriv_tol = (jnp.asarray(t, x.dtype).reshape(per_image) for t in limits[:2])
    limit = limits.max_sweeps.reshape(per_image)
    # Pixels are rounded twice, in x - mean and in y, and the bound has to allow for that.
    root = scale.unit * jnp.sqrt(scale.of_data)
    size = isotropic_size.deviation(*fixed[:2], axes) * root
    rounding = 2 * measures.rounding(lax.stop_gradient(images), axes) * jnp.sqrt(scale.of_data)
    share = 1.1 * rounding / jnp.where(size > 0, size, 1)
    tol_of_solve = jnp.maximum(tol - share, tol / 2)
    rule = isotropic.solve if both_modes else isotropic.solve_reverse_only
    operands = (inner, m, weights, lax.stop_gradient(start), tol_of_solve, deriv_tol, limit)
    found = rule(*operands, stencil=stencil)
    y = scale.unit * found.y + scale.mean
    y = jnp.where(measures.any_positive(weights, axes) | ~known, y, images)
    info = _info(lax.stop_gradient(found), scale, tol, size, rounding)
    duals = tuple(unit * s * p for s, p in zip(slopes, found.duals, strict=True))
    dual = tuple(layout.restored(p) for p in duals)
    y = layout.restored(jnp.where(valid, y, jnp.nan))
    return y, _per_image(info, valid, layout), dual


def _per_image(info: ProxInfo, valid: Array, layout: Layout) -> ProxInfo:
    """`info` of images that have a prox; the errors of others are not known."""
    unknown = info._replace(gap=jnp.nan, error_bound=jnp.nan, converged=False, exact=False)
    return jax.tree.map(
        lambda known, other: layout.restored(jnp.where(valid, known, other)), info, unknown
    )


def _scale(x: Array, m: Array, known: Array, axes: tuple[int, ...]) -> _Scale:
    count = jnp.maximum(known.sum(axes[1:], keepdims=True), 1).astype(x.dtype)
    mean = jnp.where(known, x / count, 0).sum(axes[1:], keepdims=True)  # no sum overflows
    off = jnp.where(known, x - mean, 0)
    # To within a factor of sqrt(2): a number is up to twice smaller than its `unit_of`.
    return _Scale(mean, measures.unit_of(off, axes), measures.unit_of(m * math.sqrt(0.5), axes))


def _is_valid(x: Array, m: Array, weights: Sequence[Array], axes: tuple[int, ...]) -> Array:
    """Whether an image has a prox; a pixel without data may be anything."""
    fit = (jnp.isfinite(x) | (m == 0)).all(axes, keepdims=True)
    fit &= ((m >= 0) & (m < jnp.inf)).all(axes, keepdims=True)
    for w in weights:
        fit &= (w >= 0).all(axes, keepdims=True)
    return fit


def _largest_dual(pull: Array, axes: tuple[int, ...]) -> Array:
    """A weight that has the same prox as any larger one, where data pull at 0 by m x.

    The duals are a flow from where m (x - y) is positive to where it is negative. One without
    cycles has the least magnitudes, and then no edge carries more than all that flows, which is at
    most half of the sum of |m x|.
    """
    return jnp.abs(pull).sum(axes, keepdims=True) * math.sqrt(len(axes) - 1)


def _coarse(x, m, weights, init, tol, limit, *, stencil: Stencil) -> tuple[Array, ...]:
    """The duals of an image that serves as a start for another."""
    target = tol * jnp.sqrt((m * x * x).sum(stencil.axes, keepdims=True))
    return isotropic.prox(
        x, m, weights, init, target, limit.astype(jnp.int32), stencil=stencil
    ).duals


def _info(
    found: isotropic.Solution, scale: _Scale, tol: Array, size: Array, rounding: Array
) -> ProxInfo:
    """How well an image of deviation `size` is solved, by what is known of it in its own units."""
    unit = scale.unit * jnp.sqrt(scale.of_data)
    solved = found.bound * unit
    bound = rounded.up(solved + rounding)
    return ProxInfo(
        gap=found.gap * unit**2,
        error_bound=bound,
        sweeps=found.sweeps,
        converged=(bound <= tol * size) | (2 * solved <= rounding),
        exact=2 * solved <= rounding,
    )

# SPDX-License-Identifier: MIT
"""Numbers of each image: its total variation, its norm, whether it has a prox.

They are arrays with TV axes of size 1.
"""

import functools
import math
import operator
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from jaxtv._plain import rounded


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
    unit = unit_of(x, axes)
    return unit * jnp.sqrt(rounded.total((x / unit) ** 2, axes))


def deviation(x: Array, axes: tuple[int, ...]) -> Array:
    """||x - mean(x)|| of each image, rounded down; TV axes of size 1."""
    pixels = max(math.prod(x.shape[axis] for axis in axes), 1)
    for _ in range(2):  # the first mean is rounded at the size of x, the second at that of x - mean
        x = x - rounded.total(x, axes) / pixels
    return rounded.down(norm(x, axes))


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
    largest = jnp.abs(x).max(axes, keepdims=True, initial=0)
    _, exponent = jnp.frexp(jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1))
    finfo = jnp.finfo(x.dtype)
    return jnp.ldexp(jnp.ones_like(largest), jnp.clip(exponent, finfo.minexp, finfo.maxexp - 2))

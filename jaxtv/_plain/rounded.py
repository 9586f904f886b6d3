# SPDX-License-Identifier: MIT
"""Sums whose rounding is known, so that a bound holds in the type in which it is computed.

Let u be half the spacing of the floating type at 1. Summed by eights, and the sums by eights again,
n terms are rounded at most 7 ceil(log8 n) times each. With terms that are at least 0 the sum is
therefore within a factor (1 +- u)^100 of the true one for any image, and the few products,
quotients and roots before and after add less than 28 u: `up` and `down` allow for 128 u.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._plain import scan

_WINDOW = 8


def total(terms: Array, axes: tuple[int, ...]) -> Array:
    """The sum over `axes`, by eights, or by twos where a size is symbolic; they keep size 1."""
    for axis in axes:
        n = terms.shape[axis]
        if isinstance(n, int):
            terms = _by_eights(terms, axis)
        else:
            start = [(1, 0) if d == axis else (0, 0) for d in range(terms.ndim)]  # n may be 0
            sums = scan.scan_by_doubling(jnp.add, jnp.pad(terms, start), axis=axis)
            terms = lax.slice_in_dim(sums, n, n + 1, axis=axis)
    return terms


def _by_eights(terms: Array, axis: int) -> Array:
    if terms.shape[axis] == 0:
        return terms.sum(axis, keepdims=True)
    zero = jnp.zeros((), terms.dtype)
    window = [_WINDOW if d == axis else 1 for d in range(terms.ndim)]
    while (n := terms.shape[axis]) > 1:
        pad = [(0, -n % _WINDOW if d == axis else 0) for d in range(terms.ndim)]
        terms = lax.reduce_window(terms, zero, lax.add, window, window, pad)
        terms = lax.optimization_barrier(terms)  # else two sums may become one of more terms
    return terms


def product(a: Array, b: Array) -> Array:
    """The product of numbers that are at least 0: 0 only where one is, whatever underflows."""
    return jnp.where((a == 0) | (b == 0), 0, jnp.maximum(a * b, jnp.finfo(a.dtype).tiny))


def up(value: Array) -> Array:
    """Not below the number, at least 0, of which `value` is the rounded one."""
    return value * (1 + 64 * jnp.finfo(value.dtype).eps)


def down(value: Array) -> Array:
    """Not above it."""
    return value * (1 - 64 * jnp.finfo(value.dtype).eps)


def exact_sum(terms: Sequence[Array]) -> tuple[Array, Array, Array]:
    """`high`, `low` and `slack`, with |sum of the terms - (high + low)| <= slack.

    The error of each addition is itself a number of the type and is computed exactly (D. Knuth, The
    Art of Computer Programming, vol. 2, 4.2.2); `low` is the sum of those errors, rounded. The
    slack also covers the rounding of (z - high) - low for any z, beyond 3 u of its size.
    """
    high, *others = terms
    low = errors = jnp.zeros_like(high)
    for term in others:
        new = lax.optimization_barrier(high + term)
        back = lax.optimization_barrier(new - high)
        error = (high - (new - back)) + (term - back)
        high, low, errors = new, low + error, errors + jnp.abs(error)
    return high, low, (len(terms) + 4) * jnp.finfo(high.dtype).eps * errors

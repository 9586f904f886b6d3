# SPDX-License-Identifier: MIT
"""Associative scans, also along axes whose sizes are symbolic, and such as compile fast."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def associative_scan(then: Callable, elements: Any, *, axis: int, reverse: bool = False) -> Any:
    """:func:`jax.lax.associative_scan`, which by itself must know the size of `axis`."""
    if isinstance(jax.tree.leaves(elements)[0].shape[axis], int):
        return lax.associative_scan(then, elements, axis=axis, reverse=reverse)
    return scan_by_doubling(then, elements, axis=axis, reverse=reverse)


def scan_by_doubling(then: Callable, elements: Any, *, axis: int, reverse: bool = False) -> Any:
    """The same by a loop, also along a symbolic size (`jax.export`).

    The step of distance d gives each element the product over the 2 d elements that end with it
    (Hillis and Steele, CACM 29(12), 1986). Of n elements that is n log n work, but a program of one
    step, which compiles several times as fast.
    """
    first = jax.tree.leaves(elements)[0]
    index = lax.broadcasted_iota(jnp.int32, first.shape, axis % first.ndim)
    size = first.shape[axis]
    size = jnp.array(size, jnp.int32) if isinstance(size, int) else index.max(initial=-1) + 1

    def double(state):
        distance, elements = state
        shift = -distance if reverse else distance
        before = jax.tree.map(lambda a: jnp.roll(a, shift, axis), elements)
        reached = index < size - distance if reverse else index >= distance
        product = jax.tree.map(
            lambda a, b: jnp.where(reached, a, b), then(before, elements), elements
        )
        return 2 * distance, product

    start = (jnp.ones((), jnp.int32), elements)
    return lax.while_loop(lambda state: state[0] < size, double, start)[1]

# SPDX-License-Identifier: MIT
"""Associative scans, also along axes whose sizes are symbolic."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def associative_scan(then: Callable, elements: Any, *, axis: int, reverse: bool = False) -> Any:
    """:func:`jax.lax.associative_scan`, which by itself must know the size of `axis`.

    A symbolic size (`jax.export`) is scanned by doubling: the step of distance d gives each element
    the product over the 2 d elements that end with it (Hillis and Steele, CACM 29(12), 1986).
    """
    first = jax.tree.leaves(elements)[0]
    if isinstance(first.shape[axis], int):
        return lax.associative_scan(then, elements, axis=axis, reverse=reverse)
    index = lax.broadcasted_iota(jnp.int32, first.shape, axis % first.ndim)
    size = index.max(initial=-1) + 1

    def double(state):
        distance, elements = state
        shift = -distance if reverse else distance
        before = jax.tree.map(lambda a: jnp.roll(a, shift, axis), elements)
        reached = index < size - distance if reverse else index >= distance
        product = jax.tree.map(
            lambda a, b: jnp.where(reached, a, b), then(before, elements), elements
        )
        return 2 * distance, product

    start = (jnp.ones_like(size), elements)
    return lax.while_loop(lambda state: state[0] < size, double, start)[1]

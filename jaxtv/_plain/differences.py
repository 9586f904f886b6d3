# SPDX-License-Identifier: MIT
"""The adjoint of the differences between neighbours on a line."""

import jax.numpy as jnp
from jax import Array


def divergence(p: Array, axis: int) -> Array:
    """-D^T p of a number for each pair of neighbours: p_i - p_(i-1), where those outside are 0."""
    ends = [(1, 1) if d == axis % p.ndim else (0, 0) for d in range(p.ndim)]
    return jnp.diff(jnp.pad(p, ends), axis=axis)

# SPDX-License-Identifier: MIT
"""The differences of an image, and the groups of them that coupled total variation charges."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax


class Stencil(NamedTuple):
    """Which differences are taken, and which of them make a group.

    Attributes:
      axes: the channel axis, then the axes of the image.
      isotropic: a group is all differences at a pixel; else those along one axis, of all channels.
      periodic: the last pixel of a line is a neighbour of the first.
    """

    axes: tuple[int, ...]
    isotropic: bool
    periodic: bool

    def differences(self, y: Array) -> list[Array]:
        """D y, of the shape of y for each axis; 0 at an end that is open."""
        if self.periodic:
            return [jnp.roll(y, -1, axis) - y for axis in self.axes[1:]]
        return [
            jnp.pad(jnp.diff(y, axis=axis), [(0, int(d == axis)) for d in range(y.ndim)])
            for axis in self.axes[1:]
        ]

    def adjoint(self, duals: Sequence[Array]) -> Array:
        """D^T p, for duals that are 0 at an open end."""
        total = jnp.zeros_like(duals[0])
        for p, axis in zip(duals, self.axes[1:], strict=True):
            total += jnp.roll(p, 1, axis) - p
        return total

    def lengths(self, values: Sequence[Array]) -> list[Array]:
        """The length of each group, one array for each axis."""
        channel = self.axes[0]
        squares = [(v * v).sum(channel, keepdims=True) for v in values]
        if self.isotropic:
            squares = [sum(squares[1:], squares[0])] * len(squares)
        return [jnp.sqrt(s) for s in squares]

    def across(self, values: Sequence[Array], directions: Sequence[Array]) -> list[Array]:
        """The part of each group across a direction of its own."""
        channel, pairs = self.axes[0], list(zip(values, directions, strict=True))
        along = [(v * q).sum(channel, keepdims=True) for v, q in pairs]
        if self.isotropic:
            along = [sum(along[1:], along[0])] * len(along)
        return [v - q * a for (v, q), a in zip(pairs, along, strict=True)]

    def radii(self, lams: Sequence[Array], like: Array) -> tuple[list[Array], list[Array]]:
        """The radius r of each group and the slope s of each axis, both 0 at an open end."""
        inner = [
            lam * self.edges(like, axis) for lam, axis in zip(lams, self.axes[1:], strict=True)
        ]
        if not self.isotropic:
            return inner, [jnp.ones_like(lam) for lam in inner]
        largest = inner[0]
        for lam in inner[1:]:
            largest = jnp.maximum(largest, lam)
        slopes = [lam / jnp.where(largest > 0, largest, 1) for lam in inner]
        return [largest] * len(inner), slopes

    def edges(self, like: Array, axis: int) -> Array:
        """1 where a pixel has a neighbour ahead, 0 at an open end."""
        shape = [n if d == axis else 1 for d, n in enumerate(like.shape)]
        place = lax.broadcasted_iota(jnp.int32, shape, axis)
        return jnp.where(self.periodic | (place < like.shape[axis] - 1), 1, 0).astype(like.dtype)

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

    def steps(self, weights: Sequence[Array], y: Array) -> list[Array]:
        """The weighted differences w * D y."""
        return [w * d for w, d in zip(weights, self.differences(y), strict=True)]

    def force(self, weights: Sequence[Array], duals: Sequence[Array]) -> Array:
        """D^T (w * p), for products that are 0 at an open end: the adjoint of `steps`."""
        total = jnp.zeros_like(duals[0])
        for w, p, axis in zip(weights, duals, self.axes[1:], strict=True):
            total += jnp.roll(w * p, 1, axis) - w * p
        return total

    def squares(self, values: Sequence[Array]) -> list[Array]:
        """The squared length of each group, one array for each axis."""
        found = [(v * v).sum(self.axes[0], keepdims=True) for v in values]
        return [sum(found[1:], found[0])] * len(found) if self.isotropic else found

    def lengths(self, values: Sequence[Array]) -> list[Array]:
        """The length of each group, one array for each axis."""
        return [jnp.sqrt(s) for s in self.squares(values)]

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

    def is_even(self, a: Array) -> bool:
        """Whether the shape of `a` tells that it is one number for each image."""
        return all(a.shape[axis] == 1 for axis in self.axes)

    def edges(self, like: Array, axis: int) -> Array:
        """1 where a pixel has a neighbour ahead, 0 at an open end."""
        shape = [n if d == axis else 1 for d, n in enumerate(like.shape)]
        place = lax.broadcasted_iota(jnp.int32, shape, axis)
        return jnp.where(self.periodic | (place < like.shape[axis] - 1), 1, 0).astype(like.dtype)

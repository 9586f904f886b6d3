# SPDX-License-Identifier: MIT
"""Inception-V3: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, CVPR 2016, and its variant for maps."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from examples.wsol.networks import norm

Size = int | tuple[int, int]


class Unit(nn.Module):
    """Convolution, normalisation, ReLU. Pads half the filter's size, unless `valid`."""

    features: int
    size: Size = 1
    stride: int = 1
    valid: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        pads = [(0, 0) if self.valid else (length // 2, length // 2) for length in size]
        x = nn.Conv(self.features, size, self.stride, pads, use_bias=False, name="conv")(x)
        return nn.relu(norm("bn", 1e-3)(x))


def chain(x: jax.Array, name: str, *units: tuple[int, Size]) -> jax.Array:
    """Units one after the other, named `name`_1, `name`_2 and so on."""
    for place, (features, size) in enumerate(units, start=1):
        x = Unit(features, size, name=f"{name}_{place}")(x)
    return x


def pooled(x: jax.Array, features: int) -> jax.Array:
    """The branch of an average over 3 x 3 pixels, zeros around the image counted."""
    return Unit(features, name="branch_pool")(nn.avg_pool(x, (3, 3), padding="SAME"))


def join(*branches: jax.Array) -> jax.Array:
    """Branches side by side."""
    return jnp.concatenate(branches, axis=-1)


class Mixed5(nn.Module):
    """The modules behind the stem. Attributes: features of the pooling branch."""

    pool: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return join(
            Unit(64, name="branch1x1")(x),
            chain(x, "branch5x5", (48, 1), (64, 5)),
            chain(x, "branch3x3dbl", (64, 1), (96, 3), (96, 3)),
            pooled(x, self.pool),
        )


class Mixed6a(nn.Module):
    """Halves the image, or keeps its size with `keep`."""

    keep: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        stride, pad = (1, 1) if self.keep else (2, 0)
        last = {"stride": stride, "valid": not self.keep}
        double = chain(x, "branch3x3dbl", (64, 1), (96, 3))
        return join(
            Unit(384, 3, **last, name="branch3x3")(x),
            Unit(96, 3, **last, name="branch3x3dbl_3")(double),
            nn.max_pool(x, (3, 3), (stride, stride), ((pad, pad), (pad, pad))),
        )


class Mixed6(nn.Module):
    """The modules with 7 x 7 filters, of columns and rows. Attributes: their inner features."""

    inner: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c, row, column = self.inner, (1, 7), (7, 1)
        return join(
            Unit(192, name="branch1x1")(x),
            chain(x, "branch7x7", (c, 1), (c, row), (192, column)),
            chain(x, "branch7x7dbl", (c, 1), (c, column), (c, row), (c, column), (192, row)),
            pooled(x, 192),
        )


class Mixed7a(nn.Module):
    """Halves the image."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        single = chain(x, "branch3x3", (192, 1))
        double = chain(x, "branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)))
        return join(
            Unit(320, 3, 2, True, name="branch3x3_2")(single),
            Unit(192, 3, 2, True, name="branch7x7x3_4")(double),
            nn.max_pool(x, (3, 3), (2, 2)),
        )


class Mixed7(nn.Module):
    """The last modules: a row and a column filter side by side."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def both(x, name):
            return join(
                Unit(384, (1, 3), name=f"{name}a")(x), Unit(384, (3, 1), name=f"{name}b")(x)
            )

        return join(
            Unit(320, name="branch1x1")(x),
            both(chain(x, "branch3x3", (384, 1)), "branch3x3_2"),
            both(chain(x, "branch3x3dbl", (448, 1), (384, 3)), "branch3x3dbl_3"),
            pooled(x, 192),
        )


def _stem(x: jax.Array, valid: bool, before: int, after: int) -> jax.Array:
    """The first five convolutions; how the first and the poolings pad differs between variants."""
    pads = ((before, after), (before, after))
    x = Unit(32, 3, 2, valid, name="Conv2d_1a_3x3")(x)
    x = Unit(32, 3, valid=True, name="Conv2d_2a_3x3")(x)
    x = nn.max_pool(Unit(64, 3, name="Conv2d_2b_3x3")(x), (3, 3), (2, 2), pads)
    x = Unit(80, name="Conv2d_3b_1x1")(x)
    return nn.max_pool(Unit(192, 3, valid=True, name="Conv2d_4a_3x3")(x), (3, 3), (2, 2), pads)


def _fifth(x: jax.Array) -> jax.Array:
    for letter, pool in zip("bcd", (32, 64, 64), strict=True):
        x = Mixed5(pool, name=f"Mixed_5{letter}")(x)
    return x


def _sixth(x: jax.Array, keep: bool) -> jax.Array:
    x = Mixed6a(keep, name="Mixed_6a")(x)
    for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True):
        x = Mixed6(inner, name=f"Mixed_6{letter}")(x)
    return x


class InceptionV3(nn.Module):
    """The classifier without its auxiliary branch: maps of 8 x 8 from 299 x 299."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = _sixth(_fifth(_stem(x, valid=True, before=0, after=0)), keep=False)
        x = Mixed7a(name="Mixed_7a")(x)
        x = Mixed7(name="Mixed_7b")(x)
        return Mixed7(name="Mixed_7c")(x)


class InceptionV3Maps(nn.Module):
    """Its layers up to Mixed_6e, then two convolutions: the variant of Choe et al.

    From 224 x 224 every pooling sees an even length, at whose end it goes over the edge by a pixel.

    Attributes:
      large: maps of 28 x 28 instead of 14 x 14 from 224 x 224.
    """

    large: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = _fifth(_stem(x, valid=False, before=1, after=2))
        if not self.large:
            x = nn.max_pool(x, (3, 3), (2, 2), ((0, 1), (0, 1)))
        x = _sixth(x, keep=True)
        for name in ("SPG_A3_1b.0", "SPG_A3_2b.0"):
            x = nn.relu(nn.Conv(1024, (3, 3), padding=1, name=name)(x))
        return x

# SPDX-License-Identifier: MIT
"""AllConvNet, and with a TV layer before the batch normalisation of its first three blocks.

The network is All-CNN-C of Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for Simplicity:
The All Convolutional Net", ICLR 2015 workshop, with batch normalisation. The TV layers are those of
section 4.2 of Yeh, Hu, Ren, Schwing, CVPR 2022: one weight for all channels, 0.05 at first, trained
with all other parameters.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

import jaxtv.linen

CLASSES = 10
MODELS = {"AllConv": None, "TV-Smooth": "smooth", "TV-Sharp": "sharp"}  # name: mode of TV layers
LAM_INIT = 0.05
TV_BLOCKS = 3


class Shape(NamedTuple):
    """A block: how many times the width it has in channels, its kernel, its stride."""

    channels: int
    kernel: int
    stride: int


BLOCKS = (
    Shape(1, 3, 1),
    Shape(1, 3, 1),
    Shape(1, 3, 2),
    Shape(2, 3, 1),
    Shape(2, 3, 1),
    Shape(2, 3, 2),
    Shape(2, 3, 1),
    Shape(2, 1, 1),
)


class Block(nn.Module):
    """Convolution, TV layer or none, batch normalisation, ReLU."""

    shape: Shape
    width: int
    tv: str | None
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        channels, kernel, stride = self.shape
        x = nn.Conv(
            channels * self.width,
            (kernel, kernel),
            (stride, stride),
            use_bias=False,
            dtype=self.dtype,
            name="conv",
        )(x)
        if self.tv:
            x = jaxtv.linen.TV2D(mode=self.tv, lam_init=LAM_INIT, name="tv")(x)
        x = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, name="norm")(x)
        return nn.relu(x)


class AllConvNet(nn.Module):
    """From images `[N, 32, 32, 3]`, standardised, to logits `[N, 10]`.

    Attributes:
      tv: mode of the TV layers, `"smooth"` or `"sharp"`; None for none.
      width: channels of the first block; 96 in the paper.
      dtype: of the computation; parameters and logits are float32.
    """

    tv: str | None = None
    width: int = 96
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        for number, shape in enumerate(BLOCKS, start=1):
            tv = self.tv if number <= TV_BLOCKS else None
            x = Block(shape, self.width, tv, self.dtype, name=f"block{number}")(x, train)
        x = nn.Conv(CLASSES, (1, 1), dtype=self.dtype, name="classes")(x)
        return jnp.mean(x.astype(jnp.float32), axis=(1, 2))


def weights(params: Any) -> dict[str, float]:
    """The weights of the TV layers: `{"lam1": ..., "lam2": ..., "lam3": ...}`, or `{}`."""
    return {
        f"lam{name.removeprefix('block')}": float(jax.nn.softplus(block["tv"]["lam_raw"]))
        for name, block in params.items()
        if "tv" in block
    }

# SPDX-License-Identifier: MIT
"""VDCNN, ResNet, and ResNet with TV layers, from images to smooth images.

The baselines follow Zhu, Liang, Jia, Zhang, Yu, "A Benchmark for Edge-Preserving Image Smoothing",
IEEE TIP 2019. The TV layers are those of section 4.5 of Yeh, Hu, Ren, Schwing, CVPR 2022: four
TV1D-Sharp layers inside residual blocks, along columns and rows in turn, and a TV2D-Smooth layer,
one weight for all channels, behind the last skip connection.
"""

from typing import Any, NamedTuple

import jax
from flax import linen as nn

import jaxtv.linen

MODELS = ("VDCNN", "ResNet", "ResNetTV")
LAM_INIT = 0.01  # for images in [0, 1], and for normalised features


def make(name: str, width: int = 64, blocks: int = 16) -> nn.Module:
    """A model by its name in `MODELS`; the defaults are those of the original."""
    if name == "VDCNN":
        return VDCNN(width, depth=blocks + 4)
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}, got {name!r}.")
    return ResNet(width, blocks, tv=name == "ResNetTV")


def _last(channels: int, name: str | None = None) -> nn.Conv:
    """The convolution before a skip connection: an untrained network is the identity."""
    return nn.Conv(channels, (3, 3), kernel_init=nn.initializers.zeros, name=name)


class VDCNN(nn.Module):
    """`depth` convolutions and a skip connection from the input."""

    width: int
    depth: int

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        del train
        x = image
        for _ in range(self.depth - 1):
            x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        return image + _last(image.shape[-1])(x)


class Block(nn.Module):
    """A residual block; `tv_axis` is where a TV1D-Sharp layer in it measures variation, if any."""

    width: int
    tv_axis: int | None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        def norm(y):
            return nn.BatchNorm(not train, momentum=0.95)(y)

        y = nn.Conv(self.width, (3, 3), use_bias=False)(x)
        if self.tv_axis is not None:
            self.sow("features", "before", y)
            y = jaxtv.linen.TV1D(mode="sharp", axis=self.tv_axis, lam_init=LAM_INIT, name="tv")(y)
            self.sow("features", "after", y)
        y = nn.relu(norm(y))
        return x + norm(nn.Conv(self.width, (3, 3), use_bias=False)(y))


class Stages(NamedTuple):
    """The output of a network, and what stands before its last TV layer, if it has one."""

    final_convolution: jax.Array
    output: jax.Array


class ResNet(nn.Module):
    """Residual blocks, three convolutions and a skip connection from the input.

    Attributes:
      width: channels.
      blocks: number of residual blocks.
      tv: whether there are TV layers. In every fourth block one sharpens; they keep their features,
        `before` and `after`, in the collection `features` if it is mutable.
    """

    width: int
    blocks: int
    tv: bool

    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        return self.stages(image, train).output

    @nn.compact
    def stages(self, image: jax.Array, train: bool = False) -> Stages:
        """The output and what is before it."""
        x = nn.relu(nn.Conv(self.width, (3, 3), name="first")(image))
        for number in range(self.blocks):
            axis = (-3, -2)[number // 4 % 2] if self.tv and number % 4 == 3 else None
            x = Block(self.width, axis, name=f"block{number + 1}")(x, train)
        for number in range(2):
            x = nn.relu(nn.Conv(self.width, (3, 3), name=f"conv{number + 1}")(x))
        x = image + _last(image.shape[-1], "conv3")(x)
        smooth = jaxtv.linen.TV2D(lam_init=LAM_INIT, name="tv") if self.tv else lambda x: x
        return Stages(x, smooth(x))


def weights(params: Any) -> dict[str, float]:
    """The weights of the TV layers by the place of the layer; that of the last one is `lam_out`."""
    layers = {"out": params} | {name: part for name, part in params.items() if "block" in name}
    return {
        f"lam_{name}": float(jax.nn.softplus(part["tv"]["lam_raw"]))
        for name, part in layers.items()
        if "tv" in part
    }

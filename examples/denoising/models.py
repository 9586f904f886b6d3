# SPDX-License-Identifier: MIT
"""DnCNN, and DnCNN between two TV layers.

DnCNN is that of Zhang, Zuo, Chen, Meng, Zhang, "Beyond a Gaussian Denoiser: Residual Learning of
Deep CNN for Image Denoising", IEEE TIP 2017. The TV layers are those of Eq. (14) of Yeh, Hu, Ren,
Schwing, CVPR 2022: they smooth the input and the output, each with a weight of its own.
"""

from typing import Any, NamedTuple

import jax
from flax import linen as nn

import jaxtv.linen

MODELS = {"DnCNN": False, "DnCNN-TV": True}  # name: with TV layers
LAM_INIT = 0.01  # for images in [0, 1]


class Residual(nn.Module):
    """R in Eq. (13): convolutions, all but the first and the last normalised."""

    depth: int
    width: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        channels = x.shape[-1]
        x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        for _ in range(self.depth - 2):
            x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
            x = nn.relu(nn.BatchNorm(not train, momentum=0.95)(x))
        return nn.Conv(channels, (3, 3), kernel_init=nn.initializers.zeros)(x)


class Stages(NamedTuple):
    """The output of a network, and on the way to it what Fig. 8 of the paper shows."""

    after_input_tv: jax.Array
    residual_block: jax.Array
    output: jax.Array


class DnCNN(nn.Module):
    """From noisy images `[N, H, W, C]` in [0, 1] to clean ones.

    Attributes:
      tv: whether TV layers smooth the input and the output.
      depth: number of convolutions; 20 for colour images in the original.
      width: their channels; 64 in the original.
    """

    tv: bool = False
    depth: int = 20
    width: int = 64

    def setup(self):
        self.residual = Residual(self.depth, self.width)
        if self.tv:
            self.tv_in = jaxtv.linen.TV2D(lam_init=LAM_INIT)
            self.tv_out = jaxtv.linen.TV2D(lam_init=LAM_INIT)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.stages(x, train).output

    def stages(self, x: jax.Array, train: bool = False) -> Stages:
        """The output and what is before it; without TV layers there is nothing new in some."""
        smoothed = self.tv_in(x) if self.tv else x
        restored = self.residual(smoothed, train) + smoothed
        return Stages(smoothed, restored, self.tv_out(restored) if self.tv else restored)


def weights(params: Any) -> dict[str, float]:
    """The weights of the TV layers, `{"lam_in": ..., "lam_out": ...}`, or `{}`."""
    return {
        f"lam_{place}": float(jax.nn.softplus(params[f"tv_{place}"]["lam_raw"]))
        for place in ("in", "out")
        if f"tv_{place}" in params
    }

# SPDX-License-Identifier: MIT
"""DexiNed, and DexiNed with TV layers on its edge maps.

DexiNed is that of Soria, Riba, Sappa, "Dense Extreme Inception Network: Towards a Robust CNN Model
for Edge Detection", WACV 2020. The TV layers are those of section 4.4 of Yeh, Hu, Ren, Schwing,
CVPR 2022: they sharpen the edge maps of scales 2x, 4x and 8x, with a weight for each scale, and
smooth the fused map. An edge map here is of logits, before the sigmoid, so that a sharpened one is
still one of probabilities after it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

import jaxtv.linen

MODELS = {"DexiNed": False, "DexiNed-TV": True}  # name: with TV layers
LAM_INIT = 0.1  # for logits
STRIDE = 16  # of the deepest blocks
LEVELS = (1, 1, 2, 3, 4, 4)  # for each block the logarithm, base 2, of its scale
SHARPENED = (1, 2, 3)  # levels


class Dense(nn.Module):
    """Pairs of convolutions; after each, the mean with what the skip connection brings."""

    channels: int
    pairs: int

    @nn.compact
    def __call__(self, x: jax.Array, skip: jax.Array, train: bool) -> jax.Array:
        for _ in range(self.pairs):
            y = _normalised(self.channels, nn.relu(x), train)
            x = (_normalised(self.channels, nn.relu(y), train) + skip) / 2
        return x


class Upsampling(nn.Module):
    """From the features of a block to an edge map `[N, H, W, 1]`, doubled in size `level` times."""

    level: int
    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = (2**self.level, 2**self.level)
        for left in reversed(range(self.level)):
            channels = self.width if left else 1
            x = nn.relu(nn.Conv(channels, (1, 1))(x))
            x = nn.ConvTranspose(channels, size, (2, 2))(x)
        return x


class DexiNed(nn.Module):
    """From images `[N, H, W, 3]` in [0, 1] to logits `[N, H, W, 7]`: six sides, and the fused map.

    Attributes:
      tv: whether TV layers sharpen the side outputs and smooth the fused map.
      width: channels of the first convolution; 32 in the original.
      pairs: of convolutions in the last three blocks; 3 in the original.
      lam_init: lambda of all TV layers at first.
    """

    tv: bool = False
    width: int = 32
    pairs: int = 3
    lam_init: float = LAM_INIT

    @nn.compact
    def __call__(self, image: jax.Array, train: bool = False) -> jax.Array:
        height, width = image.shape[-3:-1]
        fill = ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
        features = self._features(jnp.pad(2 * image - 1, fill, mode="edge"), train)
        maps = [
            Upsampling(level, max(1, self.width // 2), name=f"up{number}")(x)
            for number, (level, x) in enumerate(zip(LEVELS, features, strict=True), 1)
        ]
        if self.tv:
            sharp = {
                level: jaxtv.linen.TV2D("sharp", self.lam_init, name=f"tv_{2**level}x")
                for level in SHARPENED
            }
            maps = [sharp.get(k, _same)(y) for k, y in zip(LEVELS, maps, strict=True)]
        sides = jnp.concatenate(maps, -1)
        mean = nn.initializers.constant(1 / len(LEVELS))
        fused = nn.Conv(1, (1, 1), kernel_init=mean, name="fuse")(sides)
        if self.tv:
            fused = jaxtv.linen.TV2D(lam_init=self.lam_init, name="tv_fused")(fused)
        return jnp.concatenate([sides, fused], -1)[:, :height, :width]

    def _features(self, x: jax.Array, train: bool) -> list[jax.Array]:
        """The features of the six blocks, at 1/2, 1/2, 1/4, 1/8, 1/16 and 1/16 of the size."""
        w, n = self.width, self.pairs

        def side(x: jax.Array, channels: int, stride: int = 1) -> jax.Array:
            return nn.BatchNorm(not train, momentum=0.95)(
                nn.Conv(channels, (1, 1), stride, use_bias=False)(x)
            )

        x = nn.relu(_normalised(w, x, train, 2))
        one = nn.relu(_normalised(2 * w, x, train))
        two = nn.relu(_normalised(4 * w, one, train))
        two = nn.relu(_normalised(4 * w, two, train))
        x = _halved(two) + side(one, 4 * w, 2)
        three = Dense(8 * w, max(1, n - 1))(x, side(x, 8 * w), train)
        short = side(_halved(two), 8 * w)
        x = _halved(three) + side(short, 8 * w, 2)
        four = Dense(16 * w, n)(x, side(_halved(short), 16 * w), train)
        x = _halved(four) + side(x, 16 * w, 2)
        short = side(_halved(_halved(short)), 16 * w)
        five = Dense(16 * w, n)(x, short, train)
        six = Dense(8 * w, n)(five, side(five + short, 8 * w), train)
        return [one, two, three, four, five, six]

    def edges(self, image: jax.Array) -> jax.Array:
        """The fused edge map, probabilities `[N, H, W]`."""
        return jax.nn.sigmoid(self(image)[..., -1])


def _same(x: jax.Array) -> jax.Array:
    return x


def _normalised(channels: int, x: jax.Array, train: bool, stride: int = 1) -> jax.Array:
    x = nn.Conv(channels, (3, 3), stride, use_bias=False)(x)
    return nn.BatchNorm(not train, momentum=0.95)(x)


def _halved(x: jax.Array) -> jax.Array:
    return nn.max_pool(x, (3, 3), (2, 2), "SAME")


def balanced_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Cross-entropy of every output, summed over outputs, where both classes weigh the same.

    With the share b of pixels on edges in an image, a pixel on an edge weighs 1 - b, another one b.

    Args:
      logits: `[N, H, W, K]` of K outputs.
      targets: `[N, H, W]`, on an edge where positive.
    """
    edges = (targets > 0).astype(logits.dtype)[..., None]
    share = edges.mean((-3, -2), keepdims=True)
    weight = edges * (1 - share) + (1 - edges) * share
    errors = weight * optax.sigmoid_binary_cross_entropy(logits, edges)
    return errors.mean((0, 1, 2)).sum()


def weights(params: Any) -> dict[str, float]:
    """The weights of the TV layers, `{"lam_2x": ..., "lam_fused": ...}`, or `{}`."""
    return {
        f"lam_{name.removeprefix('tv_')}": float(jax.nn.softplus(part["lam_raw"]))
        for name, part in sorted(params.items())
        if name.startswith("tv_")
    }

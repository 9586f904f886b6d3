# SPDX-License-Identifier: MIT
"""Networks that end in global average pooling and a linear layer, and their class activation maps.

VGG-16 (Simonyan, Zisserman 2015), ResNet-50 (He et al. 2016, with the stride in the 3 x 3
convolution), EfficientNet-Lite0 (Tan, Le 2019; without squeeze and excitation, ReLU6) and in
`inception.py` Inception-V3. Modules and parameters are named as in the PyTorch files from which
`weights.py` fills them. Batch normalisation uses the statistics of these files: nothing is trained
here.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

import jaxtv.linen


class CAM(nn.Module):
    """Class activation maps (Zhou et al., CVPR 2016) with a TV layer before them.

    The scores of the classes are linear in the mean of the features, so they are also the means of
    maps: of the same linear layer at each pixel. The TV layer smooths the features before that, one
    weight for all channels. The TV prox keeps the mean of each channel, hence the scores too: they
    are computed without it.

    Attributes:
      backbone: from images `[N, H, W, 3]` to features `[N, h, w, C]`.
      head: the name of the linear layer, "the CAM layer".
      classes: how many.
    """

    backbone: nn.Module
    head: str = "fc"
    classes: int = 1000

    @nn.compact
    def __call__(
        self, images: jax.Array, labels: jax.Array, lams: Sequence[float] = (0.0,)
    ) -> tuple[jax.Array, jax.Array]:
        """Scores, and maps of given classes.

        Args:
          images: `[N, H, W, 3]`, normalised as the network wants them.
          labels: `[N]`, the class of which each map is made.
          lams: weights of the TV layer, 0 for plain CAM; one map is made with each.

        Returns:
          Scores `[N, classes]` and maps `[len(lams), N, h, w]`.
        """
        features = self.backbone(images)
        linear = nn.Dense(self.classes, name=self.head)
        scores = linear(features.mean((1, 2)))
        weights = linear.variables["params"]["kernel"][:, labels]
        tv = jaxtv.linen.TV2D(lam_init=1.0, learned=False, num_sweeps=None)
        smoothed = [tv(features, lam) if lam else features for lam in lams]
        return scores, jnp.stack([jnp.einsum("nhwc,cn->nhw", x, weights) for x in smoothed])


def conv(features: int, size: int, name: str, stride: int = 1, groups: int = 1) -> nn.Conv:
    """A convolution without bias that pads `size // 2` pixels on each side."""
    half = size // 2
    return nn.Conv(
        features,
        (size, size),
        stride,
        padding=((half, half), (half, half)),
        use_bias=False,
        feature_group_count=groups,
        name=name,
    )


def norm(name: str, epsilon: float = 1e-5) -> nn.BatchNorm:
    """Batch normalisation with stored statistics."""
    return nn.BatchNorm(use_running_average=True, epsilon=epsilon, name=name)


class VGG16(nn.Module):
    """Its convolutions and a sixth one, without the last pooling.

    Attributes:
      large: without the fourth pooling too: maps of 28 x 28 instead of 14 x 14 from 224 x 224.
    """

    large: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        place = 0  # in the sequence of convolutions, ReLUs and poolings
        for stage, (width, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
            if 0 < stage < (4 if self.large else 5):
                x = nn.max_pool(x, (2, 2), strides=(2, 2))
                place += 1
            for _ in range(depth):
                x = nn.relu(nn.Conv(width, (3, 3), padding=1, name=f"features.{place}")(x))
                place += 2
        return nn.relu(nn.Conv(1024, (3, 3), padding=1, name="conv6")(x))


class Bottleneck(nn.Module):
    """Three convolutions with a skip connection."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(norm("bn1")(conv(self.width, 1, "conv1")(x)))
        y = nn.relu(norm("bn2")(conv(self.width, 3, "conv2", self.stride)(y)))
        y = norm("bn3")(conv(4 * self.width, 1, "conv3")(y))
        if x.shape != y.shape:
            x = norm("downsample.1")(conv(4 * self.width, 1, "downsample.0", self.stride)(x))
        return nn.relu(x + y)


class ResNet50(nn.Module):
    """Attributes: strides of the last two stages: (2, 2) of the classifier, (2, 1) or (1, 1) for
    maps of 14 x 14 or 28 x 28 instead of 7 x 7 from 224 x 224, with the same weights."""

    strides: tuple[int, int] = (2, 2)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(norm("bn1")(conv(64, 7, "conv1", stride=2)(x)))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        stages = zip((64, 128, 256, 512), (3, 4, 6, 3), (1, 2, *self.strides), strict=True)
        for stage, (width, depth, stride) in enumerate(stages, start=1):
            for block in range(depth):
                first = stride if block == 0 else 1
                x = Bottleneck(width, first, name=f"layer{stage}.{block}")(x)
        return x


class InvertedBottleneck(nn.Module):
    """MBConv: expands, filters each channel by itself, projects."""

    width: int
    size: int
    stride: int
    expansion: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def step(x, features, name, norm_name, size=1, stride=1, groups=1):
            convolution = nn.Conv(
                features, (size, size), stride, "SAME", use_bias=False,
                feature_group_count=groups, name=name,
            )  # fmt: skip
            return norm(norm_name, 1e-3)(convolution(x))

        inner = x.shape[-1] * self.expansion
        y = x
        if self.expansion > 1:
            y = nn.relu6(step(y, inner, "_expand_conv", "_bn0"))
        y = nn.relu6(step(y, inner, "_depthwise_conv", "_bn1", self.size, self.stride, inner))
        y = step(y, self.width, "_project_conv", "_bn2")
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(nn.Module):
    """Maps of 7 x 7 from 224 x 224.

    Attributes:
      stages: kernel, repeats, stride, expansion and channels of each.
    """

    stages: tuple[tuple[int, int, int, int, int], ...] = (
        (3, 1, 1, 1, 16),
        (3, 2, 2, 6, 24),
        (5, 2, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (5, 3, 1, 6, 112),
        (5, 4, 2, 6, 192),
        (3, 1, 1, 6, 320),
    )

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Conv(32, (3, 3), 2, "SAME", use_bias=False, name="_conv_stem")(x)
        x = nn.relu6(norm("_bn0", 1e-3)(x))
        blocks = 0
        for size, repeats, stride, expansion, width in self.stages:
            for repeat in range(repeats):
                first = stride if repeat == 0 else 1
                block = InvertedBottleneck(width, size, first, expansion, name=f"_blocks.{blocks}")
                x = block(x)
                blocks += 1
        return nn.relu6(norm("_bn1", 1e-3)(conv(1280, 1, "_conv_head")(x)))

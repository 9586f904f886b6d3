# SPDX-License-Identifier: MIT
"""The networks by name, and how each wants its images."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from examples.wsol.inception import InceptionV3, InceptionV3Maps
from examples.wsol.networks import CAM, VGG16, EfficientNetLite0, ResNet50

COLOURS = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # of ImageNet: mean, deviation


class Network(NamedTuple):
    """A network, and its input `(pixels in 0..255 - mean) / deviation` of `size` x `size`.

    Attributes:
      unused: how the names of arrays begin that are in its file but not in the network.
    """

    cam: CAM
    size: int = 224
    mean: Any = COLOURS[0]
    deviation: Any = COLOURS[1]
    unused: tuple[str, ...] = ()


# Those with a number are the variants of Choe et al., whose maps have this height and width. Others
# are the classifiers as they are published; "small" is to try the program.
NETWORKS = {
    "efficientnet-lite0": Network(CAM(EfficientNetLite0(), "_fc"), mean=127.0, deviation=128.0),
    "resnet50": Network(CAM(ResNet50())),
    "resnet50-14": Network(CAM(ResNet50((2, 1)))),
    "resnet50-28": Network(CAM(ResNet50((1, 1)))),
    "inception-v3": Network(CAM(InceptionV3()), 299, 127.5, 127.5, ("AuxLogits.",)),
    "inception-v3-14": Network(CAM(InceptionV3Maps(), "SPG_A4")),
    "inception-v3-28": Network(CAM(InceptionV3Maps(large=True), "SPG_A4")),
    "vgg16-14": Network(CAM(VGG16())),
    "vgg16-28": Network(CAM(VGG16(large=True))),
    "small": Network(CAM(EfficientNetLite0(EfficientNetLite0.stages[:3]), "_fc"), size=64),
}


def network(name: str) -> Network:
    """The network of a name; ValueError where there is none."""
    if name not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {name!r}.")
    return NETWORKS[name]


def shapes(network: Network) -> Any:
    """The shapes of the variables."""
    images = jax.ShapeDtypeStruct((1, network.size, network.size, 3), jnp.float32)
    labels = jax.ShapeDtypeStruct((1,), jnp.int32)
    return jax.eval_shape(network.cam.init, jax.random.key(0), images, labels)


def normalised(network: Network, pixels: np.ndarray) -> np.ndarray:
    """Images `[N, H, W, 3]` in 0..255 as the network wants them."""
    scaled = (pixels - np.asarray(network.mean)) / np.asarray(network.deviation)
    return scaled.astype(np.float32)


@functools.partial(jax.jit, static_argnums=(0, 4))
def scores_and_maps(
    cam: CAM, variables: Any, images: jax.Array, labels: jax.Array, lams: tuple[float, ...]
) -> tuple[jax.Array, jax.Array]:
    """`CAM.__call__`, compiled."""
    return cam.apply(variables, images, labels, lams)

# SPDX-License-Identifier: MIT
"""Clean images to train and to test on, and their noise.

A data folder holds one folder of colour images for each set: `cbsd432` to train on, `cbsd68`,
`kodak24` and `mcmaster` to test on (other names do as well, see `load`). Images are float32
`[H, W, 3]` in [0, 1].
"""

import pathlib
from typing import NamedTuple

import numpy as np
from skimage import data

from examples.common import images
from examples.common.image_to_image import Batch, random_patch

TRAIN, TESTS = "cbsd432", ("cbsd68", "kodak24", "mcmaster")


class Images(NamedTuple):
    """Images to train on, and test sets by name."""

    train: list[np.ndarray]
    tests: dict[str, list[np.ndarray]]


def load(folder: pathlib.Path, limit: int | None = None) -> Images:
    """Reads the data folder; of each test set at most `limit` images."""

    def read(name: str, count: int | None) -> list[np.ndarray]:
        paths = images.find(folder / name)[:count]
        return [images.read(path).astype(np.float32) / 255 for path in paths]

    tests = {name: read(name, limit) for name in TESTS if (folder / name).is_dir()}
    if not tests:
        raise FileNotFoundError(f"{folder} has none of the test sets {', '.join(TESTS)}.")
    return Images(read(TRAIN, None), tests)


def stand_in() -> Images:
    """Crops of two photographs that ship with scikit-image: one to train on, one to test on."""
    train, test = (
        picture.astype(np.float32) / 255 for picture in (data.astronaut(), data.coffee())
    )
    return Images([train], {"stand-in": [test[100:196, 200:328], test[200:296, 100:228]]})


def noisy(clean: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """An image with white Gaussian noise of deviation `sigma` / 255, not clipped."""
    noise = np.random.default_rng(seed).normal(scale=sigma / 255, size=clean.shape)
    return (clean + noise).astype(np.float32)


def batch(
    rng: np.random.Generator, train: list[np.ndarray], sigma: float, size: int, patch: int
) -> Batch:
    """Noisy patches, and the clean ones."""
    chosen = (train[i] for i in rng.integers(len(train), size=size))
    clean = np.stack([next(random_patch(rng, [image], patch)) for image in chosen])
    noise = rng.normal(scale=sigma / 255, size=clean.shape)
    return Batch((clean + noise).astype(np.float32), clean)

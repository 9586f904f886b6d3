# SPDX-License-Identifier: MIT
"""Images with smooth versions of them: the benchmark, pairs of files, or a stand-in.

- The benchmark of Zhu et al. 2019 is a folder with `origin_images/0001.png` to `0500.png`,
  `gt_images/0001_1.png` to `0500_5.png` and `weight_matrix.mat`, `[500, 5]`; the first 400 images
  are for training. It must be downloaded by hand.
- A folder of pairs has `NAME.png` and `NAME-predict.png`. Every third is for testing.
- The stand-in takes photographs, and what published smoothers make of them (`smoothers.py`) as
  ground truths of equal weight. It is not the benchmark: no person chose these results.
"""

import hashlib
import inspect
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.io
import skimage.data
from tqdm import tqdm

from examples.common import images
from examples.common.image_to_image import Batch, random_patch
from examples.smoothing import smoothers
from examples.smoothing.metrics import Example

TRAINING_IMAGES, TRUTHS = 400, 5  # of the benchmark


class Data(NamedTuple):
    """Examples to train on and to test on."""

    train: list[Example]
    test: list[Example]


def example(image: np.ndarray, truths: Sequence[np.ndarray], weights: Sequence[float]) -> Example:
    """An example, from uint8 images and any positive weights."""
    votes = np.asarray(weights, np.float32)
    return Example(_unit(image), np.stack([_unit(t) for t in truths]), votes / votes.mean())


def _unit(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


def benchmark(folder: pathlib.Path) -> Data:
    """Reads the benchmark's folder."""
    votes = scipy.io.loadmat(folder / "weight_matrix.mat")["weight_matrix"]
    found = []
    for path in images.find(folder / "origin_images"):
        truths = [folder / "gt_images" / f"{path.stem}_{k + 1}.png" for k in range(TRUTHS)]
        found.append(
            example(images.read(path), [images.read(t) for t in truths], votes[int(path.stem) - 1])
        )
    return Data(found[:TRAINING_IMAGES], found[TRAINING_IMAGES:])


def pairs(folder: pathlib.Path) -> Data:
    """Reads a folder of pairs."""
    suffix = "-predict"
    found = [
        example(
            images.read(path.with_name(path.name.replace(suffix, ""))), [images.read(path)], [1.0]
        )
        for path in images.find(folder)
        if path.stem.endswith(suffix)
    ]
    test = found[::3]
    return Data([e for k, e in enumerate(found) if k % 3], test)


def stand_in(train: pathlib.Path, test: pathlib.Path, cache: pathlib.Path, size: int = 160) -> Data:
    """Makes ground truths for the middle of up to 120 and 24 photographs of two folders.

    Args:
      train: folder of photographs.
      test: another.
      cache: folder to keep the results in.
      size: height and width of what is taken of a photograph.
    """
    cache.mkdir(parents=True, exist_ok=True)
    version = hashlib.sha256(inspect.getsource(smoothers).encode()).hexdigest()[:8]

    def smoothed(path: pathlib.Path) -> Example:
        kept = cache / f"{path.parent.name}-{path.stem}-{size}-{version}.npz"
        if not kept.exists():
            image = _middle(images.read(path), size)
            np.savez_compressed(kept, image=image, truths=_smooth_versions(image))
        with np.load(kept) as file:
            return example(file["image"], file["truths"], np.ones(len(file["truths"])))

    def every(folder: pathlib.Path, count: int) -> list[Example]:
        chosen = images.some(images.find(folder), count)
        return [smoothed(path) for path in tqdm(chosen, f"smooth versions of {folder.name}")]

    return Data(every(train, 120), every(test, 24))


def small() -> Data:
    """The stand-in, of photographs that ship with scikit-image: to see that the code runs."""
    crops = (skimage.data.astronaut()[:96, 180:276], skimage.data.coffee()[100:196, 200:296])
    made = [example(c, _smooth_versions(c), np.ones(len(smoothers.SMOOTHERS))) for c in crops]
    return Data(made[:1], made[1:])


def _smooth_versions(image: np.ndarray) -> np.ndarray:
    found = [smooth(image / 255.0) for smooth in smoothers.SMOOTHERS.values()]
    return np.round(255 * np.clip(np.stack(found), 0, 1)).astype(np.uint8)


def _middle(image: np.ndarray, size: int) -> np.ndarray:
    top, left = ((length - min(length, size)) // 2 for length in image.shape[:2])
    return image[top : top + size, left : left + size]


def batch(rng: np.random.Generator, train: list[Example], size: int, patch: int) -> Batch:
    """Patches, and their ground truths and weights as targets."""
    chosen = [train[i] for i in rng.integers(len(train), size=size)]
    cut = [list(random_patch(rng, [e.image, *e.truths], patch)) for e in chosen]
    inputs = np.stack([parts[0] for parts in cut])
    truths = np.stack([np.stack(parts[1:]) for parts in cut])
    return Batch(inputs, (truths, np.stack([e.weights for e in chosen])))

# SPDX-License-Identifier: MIT
"""Images and the pixels on their edges: BIPED, MDBD, and drawings that stand in for them.

BIPED (Soria, Riba, Sappa, "Dense Extreme Inception Network", WACV 2020) in its layout:

    imgs/train/rgbr/real/NAME.jpg     edge_maps/train/rgbr/real/NAME.png
    imgs/test/rgbr/NAME.jpg           edge_maps/test/rgbr/NAME.png

MDBD, the multicue data set (Mely, Kim, McGill, Guo, Serre, "A systematic comparison between visual
cues for boundary detection", Vision Research 2016), has several annotators and no fixed split; all
its images are to test on. What is read is

    images/NAME.*                     edges/NAME-1.png, NAME-2.png, ... or edges/NAME/*.png

where an annotator's map is any image whose name continues NAME after one of `.`, `-` or `_`. Images
without annotator are left out.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.draw import disk, polygon
from skimage.morphology import thin
from skimage.segmentation import find_boundaries

from examples.common import images
from examples.common.image_to_image import Batch, random_patch

GAMMAS = (1.0, 0.6060, 0.3030)  # of the original augmentation
ANGLES = (0.0, 22.5, 45.0, 67.5)  # degrees; with quarter turns every 16th of a turn


class Example(NamedTuple):
    """An image, uint8 `[H, W, 3]`, and each annotator's edges, bool `[A, H, W]`."""

    image: np.ndarray
    truths: np.ndarray


class Data(NamedTuple):
    """Examples to train on, and test sets by name."""

    train: list[Example]
    tests: dict[str, list[Example]]


def biped(folder: pathlib.Path, scale: float = 1.0, limit: int | None = None) -> Data:
    """Reads BIPED, of its test images at most `limit`."""

    def read(part: str, count: int | None) -> list[Example]:
        paths = images.find(folder / "imgs" / part)[:count]
        truths = [folder / "edge_maps" / part / f"{path.stem}.png" for path in paths]
        return [_example(path, [truth], scale) for path, truth in zip(paths, truths, strict=True)]

    return Data(read("train/rgbr/real", None), {"BIPED": read("test/rgbr", limit)})


def mdbd(folder: pathlib.Path, scale: float = 1.0, limit: int | None = None) -> list[Example]:
    """Reads at most `limit` images of MDBD."""
    chosen = []
    for path in images.find(folder / "images"):
        own = folder / "edges" / path.stem
        maps = images.find(own) if own.is_dir() else _continuations(folder / "edges", path.stem)
        if maps:
            chosen.append((path, maps))
    if not chosen:
        raise FileNotFoundError(f"{folder}/edges has no map of an image in {folder}/images.")
    return [_example(path, maps, scale) for path, maps in chosen[:limit]]


def _continuations(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    return [
        path
        for path in images.find(folder)
        if path.name.startswith((f"{name}.", f"{name}-", f"{name}_"))
    ]


def _example(path: pathlib.Path, maps: list[pathlib.Path], scale: float) -> Example:
    image = images.read(path, scale)
    truths = [_edges(images.read(truth)[..., 0] > 127, image.shape[:2]) for truth in maps]
    return Example(image, np.stack(truths))


def _edges(edges: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Edges on a grid of another shape: where there is any, thinned to one pixel."""
    if edges.shape == shape:
        return edges
    where = (np.argwhere(edges) + 0.5) * shape / edges.shape
    smaller = np.zeros(shape, bool)
    smaller[tuple(where.astype(int).T)] = True
    return thin(smaller)


def drawings(seed: int, count: int, size: int = 64) -> list[Example]:
    """Flat shapes in front of each other, with grain; the edges are the borders of the shapes."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(count):
        labels = np.zeros((size, size), int)
        for label in range(1, 6):
            centre = rng.integers(size, size=2)
            if label % 2:
                where = disk(centre, rng.integers(size // 8, size // 3), shape=labels.shape)
            else:
                corners = centre[:, None] + rng.integers(-size // 2, size // 2, (2, 3))
                where = polygon(*corners, shape=labels.shape)
            labels[where] = label
        colours = rng.integers(30, 225, (6, 3))
        image = colours[labels] + rng.normal(scale=8, size=(size, size, 3))
        edges = thin(find_boundaries(labels, mode="inner"))
        examples.append(Example(image.clip(0, 255).astype(np.uint8), edges[None]))
    return examples


def small() -> Data:
    """Drawings to train and to test on."""
    return Data(drawings(0, 8), {"drawings": drawings(1, 2)})


def batch(rng: np.random.Generator, train: list[Example], size: int, patch: int) -> Batch:
    """Patches of images and of their edges: turned by 16ths of a turn, flipped, with gamma.

    The targets are the shares of the annotators, float32 `[N, H, W]`.
    """
    chosen = [augmented(rng, train[i], patch) for i in rng.integers(len(train), size=size)]
    inputs, targets = (np.stack(part) for part in zip(*chosen, strict=True))
    return Batch(inputs, targets)


def augmented(
    rng: np.random.Generator, example: Example, patch: int
) -> tuple[np.ndarray, np.ndarray]:
    """A patch of an image, float32 in [0, 1], and its edges."""
    angle, gamma = rng.choice(ANGLES), rng.choice(GAMMAS)
    turn = np.deg2rad(angle)
    side = int(np.ceil(patch * (np.cos(turn) + np.sin(turn))))  # holds a turned patch
    image, truths = random_patch(rng, [example.image, np.moveaxis(example.truths, 0, -1)], side)
    inputs, edges = image.astype(np.float32) / 255, truths.astype(np.float32).mean(-1)
    if angle:
        inputs = ndimage.rotate(inputs, angle, reshape=False, order=1, mode="nearest")
        edges = ndimage.rotate(edges, angle, reshape=False, order=0, mode="nearest")
    start = (side - patch) // 2
    inside = np.s_[start : start + patch, start : start + patch]
    return inputs[inside].clip(0, 1) ** np.float32(gamma), edges[inside]

# SPDX-License-Identifier: MIT
"""MaxBoxAccV2: are objects in the boxes around the high values of a score map?

The measure of Choe, Oh, Lee, Chun, Akata, Shim, "Evaluating Weakly Supervised Object Localization
Methods Right", CVPR 2020, with the conventions of their program. A map is resized to 224 x 224,
scaled to 0..255 and compared with every level. At each level all contours give boxes. A component
of the pixels above the level has an outer contour, whose box is that of the component, and one
around each hole, whose box is that of the hole and one pixel more on each side. An image counts at
a level if one of its boxes meets a true one with the asked intersection over union.

All levels share one max-tree (Salembier, Oliveras, Garrido, IEEE TIP 1998): its nodes are the
components at all levels.
"""

from typing import NamedTuple

import numpy as np
from skimage.morphology import max_tree

SIZE = 224  # height and width of the map that is measured
LEVELS = 255  # pixels > level, for levels 0..254
CONSTANT = 1e-5  # relative differences that are the rounding of float32 sums
OVERLAPS = (0.3, 0.5, 0.7)  # intersections over union


class Contours(NamedTuple):
    """The contours of a map at all levels.

    Attributes:
      boxes: `[M, 4]`, first and last pixel as `x0, y0, x1, y1`.
      first: `[M]`, the lowest level at which the contour is there.
      end: `[M]`, the first level from which on it is not.
    """

    boxes: np.ndarray
    first: np.ndarray
    end: np.ndarray

    def at(self, level: int) -> np.ndarray:
        """The boxes at a level."""
        return self.boxes[(self.first <= level) & (level < self.end)]


def levels(scores: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Scores `[h, w]` as uint8 `[size, size]`: resized, from 0 to 255, or all 0 if constant."""
    if not np.isfinite(scores).all():
        raise ValueError("a score map holds values that are not finite: are the weights right?")
    if np.ptp(scores) <= CONSTANT * np.abs(scores).max():
        return np.zeros((size, size), np.uint8)
    down, across = (_cubic(length, size) for length in scores.shape)
    image = down @ scores.astype(np.float64) @ across.T
    image -= image.min()
    return (255 * (image / image.max())).astype(np.uint8)


def _cubic(length: int, size: int) -> np.ndarray:
    """Matrix `[size, length]` of cubic convolution (Keys 1981) with a = -3/4, borders repeated."""
    a = -0.75
    centre = (np.arange(size) + 0.5) * length / size - 0.5
    matrix = np.zeros((size, length))
    for offset in (-1, 0, 1, 2):
        source = np.floor(centre) + offset
        t = np.abs(centre - source)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = a * (((t - 5) * t + 8) * t - 4)
        column = np.clip(source, 0, length - 1).astype(int)
        np.add.at(matrix, (np.arange(size), column), np.where(t <= 1, near, far))
    return matrix


def contours(image: np.ndarray) -> Contours:
    """Outer and inner contours of `image > level`, 8-connected, at all levels of a uint8 image."""
    outer, value, parent = _nodes(image, connectivity=2)
    # A hole of the pixels above a level is a 4-connected component of the others within the image.
    inner, depth, mother = _nodes(255 - image, connectivity=1)
    height, width = image.shape
    inside = (inner[:, :2] > 0).all(1) & (inner[:, 2:] < (width - 1, height - 1)).all(1)
    holes = inner[inside] + (-1, -1, 1, 1)
    return Contours(
        np.concatenate([outer, holes]),
        np.concatenate([parent, 255 - depth[inside]]),
        np.concatenate([value, 255 - mother[inside]]),
    )


def _nodes(image: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The max-tree: each node's box, value, and value of the parent (0 for the root)."""
    parent, order = (array.ravel() for array in max_tree(image, connectivity))
    value = image.ravel().astype(int)
    own = value[parent] != value  # pixels that stand for their node
    root = order[0]
    own[root] = True
    node = np.where(own, np.arange(value.size), parent)
    y, x = np.divmod(np.arange(value.size), image.shape[1])
    low, high = np.full((2, value.size), value.size), np.full((2, value.size), -1)
    for axis, position in enumerate((x, y)):
        np.minimum.at(low[axis], node, position)
        np.maximum.at(high[axis], node, position)
    nodes = order[own[order]]
    for child in nodes[:0:-1]:  # children come behind their parents
        low[:, parent[child]] = np.minimum(low[:, parent[child]], low[:, child])
        high[:, parent[child]] = np.maximum(high[:, parent[child]], high[:, child])
    above = value[parent[nodes]]
    above[0] = 0
    return np.concatenate([low, high])[:, nodes].T, value[nodes], above


def overlap(found: np.ndarray, truths: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Intersections over union `[M, K]` of boxes found and true ones.

    As in the published measure, a box found ends one pixel behind its last one, if that is still in
    the image, and an area counts both its first and its end pixel.
    """
    found = found.astype(float)
    found[:, 2:] = np.minimum(found[:, 2:] + 1, size - 1)
    low = np.maximum(found[:, None, :2], truths[None, :, :2])
    high = np.minimum(found[:, None, 2:], truths[None, :, 2:])
    common = np.maximum(0, high - low + 1).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2] + 1).prod(-1) for boxes in (found, truths)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def best_overlaps(image: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """At each level the best intersection over union `[255]` of a box found and a true one.

    Args:
      image: uint8 `[size, size]`, as `levels` makes it.
      truths: `[K, 4]` true boxes in its pixels.
    """
    found = contours(image)
    best = np.zeros(LEVELS)
    values = overlap(found.boxes, truths, len(image)).max(1)
    for first, end, value in zip(found.first, found.end, values, strict=True):
        np.maximum(best[first:end], value, out=best[first:end])
    return best


def accuracies(best: np.ndarray) -> np.ndarray:
    """Percentages `[3, 255]` of the images that count, for each of `OVERLAPS` and each level.

    Args:
      best: `[N, 255]`, a row of `best_overlaps` for each image.
    """
    return 100 * np.stack([(best >= overlap).mean(0) for overlap in OVERLAPS])


def max_box_acc(best: np.ndarray) -> np.ndarray:
    """MaxBoxAcc `[3]` for each of `OVERLAPS`, each at its best level; MaxBoxAccV2 is the mean."""
    return accuracies(best).max(1)

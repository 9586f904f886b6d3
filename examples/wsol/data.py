# SPDX-License-Identifier: MIT
"""Images with a class and true boxes.

A folder holds `images` and, with lines that begin with the name of an image,

    labels.txt            name,class                  classes count from 0
    localization.txt      name,x0,y0,x1,y1            a line for each box, in pixels of the original
    image_sizes.txt       name,width,height           of the original

which is the metadata of Choe et al. (their name `class_labels.txt` is read as well). The images may
be resized: boxes are scaled by the sizes.
"""

import csv
import pathlib
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from examples.common import images
from examples.wsol.boxes import SIZE


class Images(NamedTuple):
    """Images by number.

    Attributes:
      names: of the images.
      read: from number and size to an image `[size, size, 3]` in 0..255, resized to a square.
      labels: `[N]` classes.
      boxes: of each image `[K, 4]` true boxes `x0, y0, x1, y1`, in an image of 224 x 224.
    """

    names: list[str]
    read: Callable[[int, int], np.ndarray]
    labels: np.ndarray
    boxes: list[np.ndarray]


def load(folder: pathlib.Path, limit: int | None = None) -> Images:
    """Reads a folder; at most `limit` images, spread over it."""
    label_file = "labels.txt" if (folder / "labels.txt").exists() else "class_labels.txt"
    labels = {name: row for name, (row,) in _rows(folder / label_file, 1).items()}
    boxes, sizes = _rows(folder / "localization.txt", 4), _rows(folder / "image_sizes.txt", 2)
    names = list(labels)
    if limit is not None:
        names = images.some(names, limit)
    for name in names:
        if name not in boxes or name not in sizes:
            raise ValueError(f"{folder}: {name} has a class, but no box or no size.")

    def read(number: int, size: int) -> np.ndarray:
        return _square(Image.fromarray(images.read(folder / "images" / names[number])), size)

    return Images(
        names,
        read,
        np.array([int(labels[name][0]) for name in names]),
        [_scaled(boxes[name], sizes[name][0]) for name in names],
    )


def _rows(path: pathlib.Path, width: int) -> dict[str, list[list[str]]]:
    """The lines of a file by the name before them."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: data.py says what the folder holds.")
    rows: dict[str, list[list[str]]] = defaultdict(list)
    with path.open(newline="") as file:
        for name, *row in csv.reader(file):
            if len(row) != width:
                raise ValueError(f"{path}: {name} has {len(row)} values, expected {width}.")
            rows[name].append(row)
    return rows


def _scaled(boxes: list[list[str]], size: list[str]) -> np.ndarray:
    """Boxes in an image of 224 x 224, rounded down as in the published measure."""
    width, height = map(float, size)
    scale = SIZE / np.array([width, height, width, height])
    return np.floor(np.array(boxes, float) * scale)


def _square(picture: Image.Image, size: int) -> np.ndarray:
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def stand_in(count: int = 6) -> Images:
    """Grey noise with a bright rectangle, which is the object."""
    rng = np.random.default_rng(0)
    corner = rng.integers(20, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(60, 110, (count, 2))], axis=1)
    pictures = rng.integers(60, 120, (count, SIZE, SIZE, 3), dtype=np.uint8)
    for picture, (x0, y0, x1, y1) in zip(pictures, boxes, strict=True):
        picture[y0 : y1 + 1, x0 : x1 + 1] += rng.integers(60, 130, 3, dtype=np.uint8)
    return Images(
        [f"stand-in-{number}" for number in range(count)],
        lambda number, size: _square(Image.fromarray(pictures[number]), size),
        rng.integers(0, 1000, count),
        [box[None].astype(float) for box in boxes],
    )

# SPDX-License-Identifier: MIT
"""Reading images with Pillow, and choosing some of them."""

import pathlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

T = TypeVar("T")

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def find(folder: pathlib.Path) -> list[pathlib.Path]:
    """The images in a folder, by name."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder: give a folder with images.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{folder} has no image ({', '.join(sorted(SUFFIXES))}).")
    return paths


def read(path: pathlib.Path, scale: float = 1.0) -> np.ndarray:
    """An image as uint8 `[H, W, 3]`, optionally resized."""
    with Image.open(path) as picture:
        colours = picture.convert("RGB")
    if scale != 1.0:
        size = [max(1, round(scale * length)) for length in colours.size]
        colours = colours.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    return np.asarray(colours)


def some(items: Sequence[T], count: int) -> Sequence[T]:
    """At most `count` of the items, spread over all of them."""
    return items[:: max(1, len(items) // count)][:count]

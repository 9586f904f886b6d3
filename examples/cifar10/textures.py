# SPDX-License-Identifier: MIT
"""Random textures that corruptions lay over images: clouds, snow flakes, frost."""

import pathlib

import numpy as np
from scipy import ndimage

from examples.cifar10 import resampling
from examples.common import images as pictures

FROST_SCALE = 0.2  # of the published pictures


def clouds(rng: np.random.Generator, count: int, size: int, decay: float) -> np.ndarray:
    """Fractal clouds `[count, size, size]` in [0, 1], by the diamond-square algorithm.

    Points half-way between known ones get their mean plus uniform noise, whose range falls by
    `decay**2` with each halving. `size` is a power of two; opposite edges fit.
    """
    field = np.zeros((count, size, size))
    step, reach = size, 1.0
    while step > 1:
        half = step // 2

        def noise(reach=reach, cells=size // step):
            return rng.uniform(-reach, reach, (count, cells, cells))

        corners = field[:, ::step, ::step]
        across = corners + np.roll(corners, -1, 2)
        down = corners + np.roll(corners, -1, 1)
        centres = (across + np.roll(across, -1, 1)) / 4 + noise()
        field[:, half::step, half::step] = centres
        field[:, ::step, half::step] = (across + centres + np.roll(centres, 1, 1)) / 4 + noise()
        field[:, half::step, ::step] = (down + centres + np.roll(centres, 1, 2)) / 4 + noise()
        step, reach = half, reach / decay**2
    field -= field.min((1, 2), keepdims=True)
    return field / field.max((1, 2), keepdims=True)


def flakes(
    rng: np.random.Generator,
    count: int,
    size: int,
    mean: float,
    deviation: float,
    zoom: float,
    threshold: float,
) -> np.ndarray:
    """Snow `[count, size, size, 1]` in [0, 1]: noise, enlarged, of which the brightest stays."""
    noise = rng.normal(mean, deviation, (count, size, size, 1))
    noise = resampling.zoom(noise, zoom)
    return np.clip(np.where(noise < threshold, 0, noise), 0, 1)


def read_frost(folder: pathlib.Path) -> list[np.ndarray]:
    """The frost pictures in a folder, uint8, at the scale of the published corruption."""
    return [pictures.read(path, FROST_SCALE) for path in pictures.find(folder)]


def procedural_frost(seed: int = 0, size: int = 192) -> list[np.ndarray]:
    """A substitute for photographs of frost: bright, bluish ridges between cells of noise."""
    rng = np.random.default_rng(seed)

    def ridges(width: float) -> np.ndarray:
        noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), width, mode="wrap")
        return np.exp(-2 * abs(noise) / noise.std())

    frost = np.clip(0.15 + 0.5 * ridges(1) * ridges(6) + 0.6 * ridges(3), 0, 1)
    return [(255 * frost[..., None] * np.array([0.85, 0.93, 1.0])).astype(np.uint8)]

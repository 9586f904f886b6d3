# SPDX-License-Identifier: MIT
"""The 15 corruptions of CIFAR-10-C at five severities, with the published constants.

Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Written anew from their description; the published images, where they
are present, are read by `published`. Each corruption maps `(rng, images, *constants)` to images:
float32 `[N, 32, 32, 3]` in [0, 1], clipped by the caller.
"""

import io
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from examples.cifar10 import resampling, textures

SEVERITIES = (1, 2, 3, 4, 5)
CHUNK = 1000  # images at a time, so that memory stays small


def gaussian_noise(rng, images, deviation):
    return images + rng.normal(0, deviation, images.shape)


def shot_noise(rng, images, rate):
    return rng.poisson(images * rate) / rate


def impulse_noise(rng, images, amount):
    salt = rng.random(images.shape) < 0.5
    return np.where(rng.random(images.shape) < amount, salt, images)


def glass_blur(rng, images, sigma, reach, iterations):
    """Blurs, swaps every pixel with a random one up to `reach` to its upper left, blurs."""
    blurred = resampling.gaussian_blur(images, sigma)
    count, height, width, _ = images.shape
    which = np.arange(count)
    for _ in range(iterations):
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                up, left = rng.integers(0, reach + 1, (2, count))
                here, there = (which, row, column), (which, row - up, column - left)
                blurred[here], blurred[there] = blurred[there], blurred[here]
    return resampling.gaussian_blur(blurred, sigma)


def defocus_blur(rng, images, radius, softness):
    return resampling.disk_blur(images, radius, softness)


def motion_blur(rng, images, radius, sigma):
    return resampling.motion_blur(images, radius, sigma, rng.uniform(-45, 45, len(images)))


def zoom_blur(rng, images, largest):
    """The mean of the image and of itself enlarged by 1, 1.01, ... below `largest`."""
    factors = np.arange(1, largest - 1e-9, 0.01)
    return np.mean([images, *(resampling.zoom(images, factor) for factor in factors)], axis=0)


def snow(rng, images, mean, deviation, zoom, threshold, radius, sigma, mix):
    count, size = images.shape[:2]
    layer = textures.flakes(rng, count, size, mean, deviation, zoom, threshold)
    layer = resampling.motion_blur(layer, radius, sigma, rng.uniform(-135, -45, count))
    grey = (images @ np.array([0.299, 0.587, 0.114], images.dtype))[..., None]
    whitened = mix * images + (1 - mix) * np.maximum(images, 1.5 * grey + 0.5)
    return whitened + layer + np.rot90(layer, 2, (1, 2))


def frost(rng, images, weight, frost_weight, pictures):
    count, height, width, _ = images.shape
    layer = np.empty_like(images)
    for number in range(count):
        picture = pictures[rng.integers(len(pictures))]
        top = rng.integers(picture.shape[0] - height + 1)
        left = rng.integers(picture.shape[1] - width + 1)
        layer[number] = picture[top : top + height, left : left + width] / 255
    return weight * images + frost_weight * layer


def fog(rng, images, amount, decay):
    """Clouds in front; darkened so that the brightest pixel could just be as bright as before."""
    count, size = images.shape[:2]
    brightest = images.max((1, 2, 3), keepdims=True)
    fogged = images + amount * textures.clouds(rng, count, size, decay)[..., None]
    return fogged * brightest / (brightest + amount)


def brightness(rng, images, amount):
    """Adds to the value of HSV, the largest of red, green, blue; hue and saturation stay."""
    value = images.max(-1, keepdims=True)
    brighter = np.minimum(value + amount, 1)
    return np.where(value > 0, images / np.maximum(value, 1e-6), 1) * brighter


def contrast(rng, images, factor):
    mean = images.mean((1, 2), keepdims=True)
    return mean + factor * (images - mean)


def elastic_transform(rng, images, alpha, sigma, jitter):
    size = images.shape[1]
    warped = resampling.random_affine(rng, images, jitter * size)
    return resampling.random_displacement(rng, warped, alpha * size, sigma * size)


def pixelate(rng, images, factor):
    size = images.shape[1]
    small = int(size * factor)

    def resize(picture):
        down = picture.resize((small, small), Image.Resampling.BOX)
        return down.resize((size, size), Image.Resampling.BOX)

    return _with_pillow(images, resize)


def jpeg_compression(rng, images, quality):
    def encode(picture):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _with_pillow(images, encode)


def _with_pillow(images: np.ndarray, function: Callable) -> np.ndarray:
    pictures = np.round(images * 255).astype(np.uint8)
    return np.stack([np.asarray(function(Image.fromarray(p))) for p in pictures]) / 255


class Corruption(NamedTuple):
    """A function and its constants for severities 1 to 5."""

    apply: Callable
    constants: Sequence[tuple]


def _each(*constants: float) -> list[tuple]:
    return [(constant,) for constant in constants]


# In the order of Table 2 of the paper.
CORRUPTIONS = {
    "gaussian_noise": Corruption(gaussian_noise, _each(0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": Corruption(shot_noise, _each(500, 250, 100, 75, 50)),
    "impulse_noise": Corruption(impulse_noise, _each(0.01, 0.02, 0.03, 0.05, 0.07)),
    "glass_blur": Corruption(
        glass_blur, [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)]
    ),
    "defocus_blur": Corruption(
        defocus_blur, [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)]
    ),
    "motion_blur": Corruption(motion_blur, [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)]),
    "zoom_blur": Corruption(zoom_blur, _each(1.06, 1.11, 1.16, 1.21, 1.26)),
    "snow": Corruption(
        snow,
        [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
    ),
    "frost": Corruption(frost, [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)]),
    "fog": Corruption(fog, [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)]),
    "brightness": Corruption(brightness, _each(0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": Corruption(contrast, _each(0.75, 0.5, 0.4, 0.3, 0.15)),
    "elastic_transform": Corruption(
        elastic_transform,
        [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)],
    ),
    "pixelate": Corruption(pixelate, _each(0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg_compression": Corruption(jpeg_compression, _each(80, 65, 58, 50, 40)),
}


def corrupt(
    images: np.ndarray,
    name: str,
    severity: int,
    seed: int = 0,
    frost_pictures: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Corrupts images, the same way for the same seed.

    Args:
      images: uint8 `[N, 32, 32, 3]`.
      name: a key of `CORRUPTIONS`.
      severity: 1 to 5.
      seed: of the noise, the directions, the textures.
      frost_pictures: uint8 `[H, W, 3]`, from `textures.read_frost`; default: the procedural
        substitute.

    Returns:
      uint8 `[N, 32, 32, 3]`.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"name must be one of {', '.join(CORRUPTIONS)}, got {name!r}.")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1 to 5, got {severity}.")
    rng = np.random.default_rng((seed, list(CORRUPTIONS).index(name), severity))
    function, constants = CORRUPTIONS[name]
    arguments = constants[severity - 1]
    if name == "frost":
        arguments = (*arguments, frost_pictures or textures.procedural_frost())
    return np.concatenate([_corrupt(rng, chunk, function, arguments) for chunk in _chunks(images)])


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), CHUNK):
        yield images[start : start + CHUNK]


def _corrupt(rng, images: np.ndarray, function: Callable, arguments: tuple) -> np.ndarray:
    scaled = images.astype(np.float32) / 255
    return np.round(255 * np.clip(function(rng, scaled, *arguments), 0, 1)).astype(np.uint8)


def published(folder: pathlib.Path, name: str, severity: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the published CIFAR-10-C: in each file, severity 1 stands first."""
    images = np.load(folder / f"{name}.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    size = len(images) // len(SEVERITIES)
    part = slice((severity - 1) * size, severity * size)
    return images[part], labels[part].astype(np.int32)

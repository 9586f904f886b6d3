# SPDX-License-Identifier: MIT
"""Random batches of small images with weights of every form, and options to solve them with."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from ml_dtypes import bfloat16, finfo

DTYPES = (np.float32, np.float64, bfloat16, np.float16)
SIZES = ((12, 12), (7, 9), (3, 11), (1, 8), (5, 1), (2, 2), (4, 5, 3), (2, 3, 2), (1, 6, 2), (9,))
FORMS = ("scalar", "image", "pair", "line", "edge", "zeros", "infinite", "mixed")


@dataclasses.dataclass
class ImageCase:
    """A batch of images [count, *size], weights for each axis, and where the batch axis lies."""

    x: np.ndarray
    lams: list[np.ndarray]  # rank of x; size 1 or that of x, along its own axis 1 or n - 1
    one_for_all: bool  # one weight for all axes
    batch_axis: int
    form: str

    def __str__(self) -> str:
        return f"{self.size} {self.x.dtype}, weights: {self.form}, batch axis {self.batch_axis}"

    @property
    def size(self) -> tuple[int, ...]:
        return self.x.shape[1:]

    @property
    def axes(self) -> tuple[int, ...]:
        """The TV axes of what is passed to the library, in its layout."""
        return tuple(a + (a >= self.batch_axis) for a in range(len(self.size)))

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """An array that has the batch first, as it is passed to the library."""
        return np.moveaxis(array, 0, self.batch_axis)

    def batch_first(self, array: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.asarray(array), self.batch_axis, 0)

    def weights(self) -> np.ndarray | tuple[np.ndarray, ...]:
        """The weights as they are passed to the library."""
        if self.one_for_all:
            return self.laid_out(self.lams[0])
        return tuple(self.laid_out(lam) for lam in self.lams)

    def one(self, i: int) -> "ImageCase":
        """An image by itself."""
        lams = [lam[i : i + 1] if len(lam) > 1 else lam for lam in self.lams]
        return dataclasses.replace(self, x=self.x[i : i + 1], lams=lams)

    def bad(self) -> np.ndarray:
        """Which images have no prox: a pixel is not finite, or a weight is negative or NaN."""
        found = ~np.isfinite(self.x.astype(np.float64)).all(self._image)
        for axis, lam in enumerate(self.lams):
            if self.size[axis] > 1:
                found = found | ~(lam >= 0).all(self._image)
        return found

    @property
    def _image(self) -> tuple[int, ...]:
        return tuple(range(1, self.x.ndim))


def random_case(rng: np.random.Generator, count: int, spoiled: bool = True) -> ImageCase:
    """A batch of `count` images; a few without a prox if `spoiled`."""
    size = SIZES[rng.integers(len(SIZES))]
    dtype = DTYPES[rng.choice(4, p=(0.5, 0.3, 0.1, 0.1))]
    half = np.dtype(dtype).itemsize == 2
    scale = 1.0 if half else _scale(rng, dtype)
    x = np.stack([_image(rng, size) for _ in range(count)])
    if rng.random() < 0.2:
        x += rng.normal(0, 100, (count, *(1,) * len(size)))
    most = float(finfo(dtype).max)
    x = np.clip(x * scale, -most, most).astype(dtype)
    form = FORMS[rng.integers(len(FORMS))]
    wide = np.float64 if dtype is np.float64 else np.float32
    lams = [np.asarray(lam * scale, wide) for lam in _weights(rng, form, count, size)]
    case = ImageCase(x, lams, form in ("scalar", "image"), int(rng.integers(len(size) + 1)), form)
    return _spoil(rng, case) if spoiled else case


def _scale(rng: np.random.Generator, dtype: type) -> float:
    kind = rng.integers(10)
    if kind < 7:
        return 1.0
    if kind < 9:
        return 10.0 ** rng.uniform(-4, 4)
    octaves = finfo(dtype).maxexp * 0.6
    return 2.0 ** rng.uniform(-octaves, octaves)


def _image(rng: np.random.Generator, size: Sequence[int]) -> np.ndarray:
    kind, noise = rng.integers(8), rng.normal(size=size)
    if kind <= 1:
        return noise
    if kind == 2:  # ties
        return np.round(1.5 * noise)
    ramp = sum(rng.normal() * k for k in np.ogrid[tuple(slice(n) for n in size)])
    if kind == 3:
        return 0.3 * ramp + np.zeros(size)
    if kind == 4:  # two regions and some noise
        return np.where(ramp > ramp.mean(), 2.0, 0.0) + rng.choice((0.0, 0.3)) * noise
    if kind == 5:
        return np.sin(ramp) + np.zeros(size)
    if kind == 6:  # mixed magnitudes
        return noise * 10.0 ** rng.uniform(-6, 1, size)
    return np.where(rng.random(size) < 0.1, noise, rng.normal())


def _weights(
    rng: np.random.Generator, form: str, count: int, size: tuple[int, ...]
) -> list[np.ndarray]:
    axes, per_image = range(len(size)), (count, *(1,) * len(size))
    level = 10.0 ** rng.uniform(-2.5, 1)
    if form == "scalar":
        special = rng.random()
        value = 0.0 if special < 0.1 else np.inf if special < 0.2 else level
        return [np.full((1,) * (len(size) + 1), value) for _ in axes]
    if form == "image":
        lam = 10.0 ** rng.uniform(-2.5, 1, per_image)
        return [lam for _ in axes]
    if form == "pair":
        return [np.full((1,) * (len(size) + 1), level * rng.choice((0, 0.3, 1, 3))) for _ in axes]
    lams = []
    for axis in axes:
        shape = [count, *(n - (a == axis) for a, n in enumerate(size))]
        if form == "line":
            shape[axis + 1] = 1
        if rng.random() < 0.3:
            shape[0] = 1
        lam = level * rng.uniform(0, 1, shape)
        if form == "zeros":
            lam[rng.random(shape) < 0.3] = 0
        if form == "infinite":
            lam[rng.random(shape) < 0.2] = np.inf
        if form == "mixed":
            lam *= 10.0 ** rng.uniform(-4, 4, shape)
        lams.append(lam)
    return lams


def _spoil(rng: np.random.Generator, case: ImageCase) -> ImageCase:
    """Makes an image here and there one that has no prox."""
    for i in np.flatnonzero(rng.random(len(case.x)) < 0.02):
        case.x[i].flat[rng.integers(case.x[i].size)] = rng.choice((np.nan, np.inf, -np.inf))
    lam = case.lams[0 if case.one_for_all else rng.integers(len(case.lams))]
    if lam.size > 1 and rng.random() < 0.1:
        lam.flat[rng.integers(lam.size)] = rng.choice((-1.0, np.nan))
    if case.one_for_all:
        case.lams[1:] = case.lams[:1] * (len(case.lams) - 1)
    return case

# SPDX-License-Identifier: MIT
"""The exact TV prox of small images, by minimum cuts: tests/cpp/fuzz_images.cc."""

import ctypes
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fuzz import build


class Comparison(NamedTuple):
    """Of each image: the prox, the distance of a candidate to it, and what that may be off by."""

    y: np.ndarray
    distance: np.ndarray
    slack: np.ndarray


def compare(x: np.ndarray, lams: Sequence[np.ndarray], candidate: np.ndarray) -> Comparison:
    """Compares images with the prox.

    Args:
      x: finite images [count, *size].
      lams: for each axis of an image weights, at least 0, that broadcast against [count, *size] but
        have size n - 1 or 1 along it.
      candidate: of the shape of x.
    """
    count, *size = x.shape
    weights = np.zeros((count, len(size), *size))
    for axis, (lam, n) in enumerate(zip(lams, size, strict=True)):
        edges = [slice(None)] * x.ndim
        edges[axis + 1] = slice(0, n - 1)
        weights[:, axis][tuple(edges)] = lam
    y, distance, slack = np.empty(x.shape), np.empty(count), np.empty(count)
    operands = [np.ascontiguousarray(a, np.float64) for a in (x, weights, candidate)]
    doubles = ctypes.POINTER(ctypes.c_double)
    pointers = [a.ctypes.data_as(doubles) for a in (*operands, y, distance, slack)]
    sizes = (ctypes.c_int64 * len(size))(*size)
    _library().fuzz_images_compare(
        ctypes.c_int64(count), ctypes.c_int64(len(size)), sizes, *pointers
    )
    return Comparison(y, distance, slack)


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(build.exact_images_library()))

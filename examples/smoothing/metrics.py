# SPDX-License-Identifier: MIT
"""Weighted errors against several ground truths, for pixels in 0..255.

With a prediction y of each of N images, K ground truths t_k of it, and weights w_k, the votes for
them, normalised to a mean of 1 over k,

    WRMSE = sqrt( sum_n sum_k w_k ||y - t_k||^2 / (N K H W) ),
    WMAE  =       sum_n sum_k w_k ||y - t_k||_1 / (N K H W),

with the norms per colour value, that is, divided by the number of channels (Zhu et al. 2019, and
section 4.5 of the CVPR 2022 paper).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Example(NamedTuple):
    """An image, its smooth versions and their weights.

    Attributes:
      image: float32 in [0, 1], `[H, W, 3]`.
      truths: the same, `[K, H, W, 3]`.
      weights: `[K]`, of mean 1.
    """

    image: np.ndarray
    truths: np.ndarray
    weights: np.ndarray


class Errors(NamedTuple):
    wrmse: float
    wmae: float


def errors(pairs: Iterable[tuple[np.ndarray, Example]]) -> Errors:
    """Over pairs of a prediction, clipped to [0, 1], and its example. Every pixel counts alike."""
    square = absolute = count = 0.0
    for prediction, example in pairs:
        off = 255 * (np.clip(prediction, 0, 1).astype(np.float64) - example.truths)
        square += np.einsum("k,khwc->", example.weights, off**2)
        absolute += np.einsum("k,khwc->", example.weights, np.abs(off))
        count += off.size
    return Errors(float(np.sqrt(square / count)), float(absolute / count))

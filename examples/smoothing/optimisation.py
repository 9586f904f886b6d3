# SPDX-License-Identifier: MIT
"""L1 smoothing, the baseline without a network: TV whose weights know the edges of the image.

After the local flattening of Bi, Han, Yu, "An L1 Image Transform for Edge-Preserving Smoothing and
Scene-Level Intrinsic Decomposition", SIGGRAPH 2015: an L1 cost on the differences between
neighbours, weighted by the affinity of their colours in CIELAB. With the four nearest neighbours
this is a TV prox with a weight for each edge, which jaxtv solves to a certified error. The original
takes a larger window, and adds a term for the whole scene.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from skimage.color import rgb2lab

import jaxtv
from examples.smoothing.metrics import Example, errors

LIGHTNESS = 0.3  # of a difference in lightness, beside one in colour
BANDWIDTHS = (np.inf, 20.0, 10.0, 5.0)  # colour distance at which neighbours cease to be alike


@functools.partial(jax.jit, static_argnames="axes")
def _prox(x: jax.Array, lams: tuple[jax.Array, jax.Array], axes=(0, 1)) -> jax.Array:
    return jaxtv.prox_tv_2d(x, lams, axes=axes)


def affinities(image: np.ndarray, bandwidth: float) -> list[np.ndarray]:
    """exp(-d^2 / (2 bandwidth^2)) of neighbours along each axis, with a channel axis of size 1."""
    lab = rgb2lab(image) * np.array([LIGHTNESS, 1, 1])
    squares = [np.sum(np.diff(lab, axis=axis) ** 2, axis=-1, keepdims=True) for axis in (0, 1)]
    return [np.exp(-square / (2 * bandwidth**2)).astype(np.float32) for square in squares]


def smooth(image: np.ndarray, lam: float, bandwidth: float) -> np.ndarray:
    """L1 smoothing; an infinite bandwidth makes it the plain TV prox."""
    down, across = (jnp.float32(lam) * a for a in affinities(image, bandwidth))
    return np.asarray(_prox(jnp.asarray(image), (down, across)))


def best(examples: Sequence[Example], bandwidths: Sequence[float]) -> tuple[float, float]:
    """Weight and bandwidth with the least WMAE over examples."""

    def loss(log_lam: float, bandwidth: float) -> float:
        lam = float(np.exp(log_lam))
        return errors((smooth(e.image, lam, bandwidth), e) for e in examples).wmae

    found = {}
    for bandwidth in bandwidths:
        search = minimize_scalar(
            loss, bounds=np.log([1e-3, 2]), args=(bandwidth,), options={"xatol": 0.05}
        )
        found[float(search.fun)] = float(np.exp(search.x)), bandwidth
    return found[min(found)]

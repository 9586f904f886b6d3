# SPDX-License-Identifier: MIT
"""Denoising without a network: a TV prox whose weight was chosen on training images.

jaxtv's anisotropic prox, solved to its tolerance, beside scikit-image's isotropic one (Chambolle
2004), each with its own weight.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from skimage.restoration import denoise_tv_chambolle

import jaxtv
from examples.common.quality import psnr

Denoiser = Callable[[np.ndarray, float], np.ndarray]


@jax.jit
def _prox(x: jax.Array, lam: jax.Array) -> jax.Array:
    return jaxtv.prox_tv_2d(x, lam, axes=(0, 1))


def tv_prox(image: np.ndarray, lam: float) -> np.ndarray:
    """The anisotropic TV prox of each channel."""
    return np.asarray(_prox(jnp.asarray(image), jnp.float32(lam)))


def chambolle(image: np.ndarray, lam: float) -> np.ndarray:
    """scikit-image's isotropic TV denoising of all channels together."""
    return denoise_tv_chambolle(image, weight=lam, channel_axis=-1)


DENOISERS: dict[str, Denoiser] = {"TV prox": tv_prox, "TV, scikit-image": chambolle}


def best_weight(
    denoise: Denoiser, pairs: Sequence[tuple[np.ndarray, np.ndarray]], sigma: float
) -> float:
    """The weight with the highest mean PSNR over pairs of a noisy and a clean image."""
    unit = sigma / 255

    def loss(log_lam: float) -> float:
        lam = unit * np.exp(log_lam)
        return -float(np.mean([psnr(denoise(noisy, lam), clean) for noisy, clean in pairs]))

    best = minimize_scalar(loss, bounds=(np.log(0.1), np.log(4)), options={"xatol": 0.02})
    return float(unit * np.exp(best.x))

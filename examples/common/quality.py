# SPDX-License-Identifier: MIT
"""How near an image is to another: PSNR and SSIM of scikit-image, for images in [0, 1]."""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, of the image clipped to [0, 1]."""
    return float(peak_signal_noise_ratio(truth, np.clip(image, 0, 1), data_range=1.0))


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004, Gaussian window), mean over the channels."""
    return float(
        structural_similarity(
            truth,
            np.clip(image, 0, 1),
            data_range=1.0,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )

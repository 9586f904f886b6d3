# SPDX-License-Identifier: MIT
"""Published smoothers: they make the ground truths of the stand-in for the benchmark.

Each takes and gives a colour image `[H, W, 3]` in [0, 1]. OpenCV has the first two.
Its `l0Smooth` is not the published one, since its results leave the range of the image; it has
neither of the others.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from cv2 import ximgproc
from scipy.ndimage import gaussian_filter


def guided(image: np.ndarray, radius: int = 4, eps: float = 0.01) -> np.ndarray:
    """The guided filter, by itself, of each channel: He, Sun, Tang, ECCV 2010."""
    planes = np.moveaxis(image.astype(np.float32), -1, 0)
    return np.stack([ximgproc.guidedFilter(x, x, radius, eps) for x in planes], axis=-1)


def domain_transform(image: np.ndarray, sigma_s: float = 20, sigma_r: float = 0.3) -> np.ndarray:
    """The recursive filter of Gastal, Oliveira, "Domain Transform", SIGGRAPH 2011; three passes."""
    x = image.astype(np.float32)
    return ximgproc.dtFilter(x, x, sigma_s, sigma_r, mode=ximgproc.DTF_RF, numIters=3)


def l0_gradient(image: np.ndarray, lam: float = 0.01, kappa: float = 2.0) -> np.ndarray:
    """L0 gradient minimisation: Xu, Lu, Xu, Jia, SIGGRAPH Asia 2011.

    Alternates a hard threshold of the gradients, all channels together, and a quadratic problem
    with periodic ends, which the Fourier transform diagonalises.
    """
    height, width = image.shape[:2]
    laplacian = 4 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(height))[:, None, None]
    laplacian = laplacian - 2 * np.cos(2 * np.pi * np.fft.fftfreq(width))[None, :, None]
    spectrum, smooth, beta = np.fft.fft2(image, axes=(0, 1)), image, 2 * lam
    while beta < 1e5:
        steps = [np.roll(smooth, -1, axis) - smooth for axis in (0, 1)]
        kept = (steps[0] ** 2 + steps[1] ** 2).sum(-1, keepdims=True) >= lam / beta
        steps = [step * kept for step in steps]
        divergence = sum(np.roll(step, 1, axis) - step for axis, step in enumerate(steps))
        total = spectrum + beta * np.fft.fft2(divergence, axes=(0, 1))
        smooth = np.fft.ifft2(total / (1 + beta * laplacian), axes=(0, 1)).real
        beta *= kappa
    return smooth


def weighted_least_squares(image: np.ndarray, lam: float = 0.25, alpha: float = 1.2) -> np.ndarray:
    """Weighted least squares: Farbman, Fattal, Lischinski, Szeliski, SIGGRAPH 2008."""
    luminance = np.log(image.mean(-1) + 1e-4)
    weights = [lam / (np.abs(np.diff(luminance, axis=a)) ** alpha + 1e-4) for a in (0, 1)]
    return _solve(image, *weights)


def relative_total_variation(
    image: np.ndarray, lam: float = 0.004, sigma: float = 2.0, rounds: int = 4
) -> np.ndarray:
    """Relative total variation: Xu, Yan, Xia, Jia, SIGGRAPH Asia 2012.

    Reweighted least squares: a step costs |step| by what windowed gradients leave when they cancel,
    as those of a texture do.
    """
    smooth = image
    for k in range(rounds):
        width = max(sigma / 2**k, 0.5)
        weights = []
        for axis in (0, 1):
            step = np.diff(smooth, axis=axis)
            coherent = np.abs(gaussian_filter(step, (width, width, 0))).mean(-1) + 1e-3
            local = np.abs(step).mean(-1) + 2e-2
            weights.append(lam * gaussian_filter(1 / coherent, width) / local)
        smooth = _solve(image, *weights)
    return smooth


def _solve(image: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The minimum of ||y - image||^2 + sum_e w_e (D y)_e^2, weights `[H-1, W]` and `[H, W-1]`."""
    height, width = image.shape[:2]
    diagonal = np.ones((height, width))
    for weight, axis in ((down, 0), (across, 1)):
        ends = [(0, 1) if a == axis else (0, 0) for a in (0, 1)]
        begins = [(1, 0) if a == axis else (0, 0) for a in (0, 1)]
        diagonal += np.pad(weight, ends) + np.pad(weight, begins)
    beside = np.pad(across, ((0, 0), (0, 1))).ravel()[:-1]
    off = {1: -beside, width: -down.ravel()}
    bands = [diagonal.ravel(), *off.values(), *off.values()]
    matrix = scipy.sparse.diags(bands, [0, *off, *(-k for k in off)], format="csc")
    solve = scipy.sparse.linalg.factorized(matrix)
    channels = [solve(channel) for channel in image.reshape(-1, image.shape[-1]).T.astype(float)]
    return np.stack(channels, axis=-1).reshape(image.shape)


SMOOTHERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "guided filter": guided,
    "domain transform": domain_transform,
    "L0 gradient": l0_gradient,
    "weighted least squares": weighted_least_squares,
    "relative TV": relative_total_variation,
}

# SPDX-License-Identifier: MIT
"""Moving pixels about: blurs and warps of batches of images `[N, H, W, C]`, float."""

import numpy as np
from scipy import ndimage


def gaussian_blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs rows and columns; edges continue with the nearest pixel."""
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def disk_blur(images: np.ndarray, radius: float, softness: float) -> np.ndarray:
    """The blur of a lens out of focus: a disk, its rim softened by a Gaussian of 3 x 3 pixels."""
    reach = int(radius) + 1
    grid = np.arange(-reach, reach + 1)
    disk = (grid[:, None] ** 2 + grid**2 <= radius**2).astype(images.dtype)
    bell = np.exp(-(np.arange(-1, 2) ** 2) / (2 * softness**2))
    bell /= bell.sum()
    kernel = ndimage.convolve(disk / disk.sum(), np.outer(bell, bell), mode="constant")
    return ndimage.convolve(images, kernel[None, :, :, None], mode="mirror")


def motion_blur(
    images: np.ndarray, radius: int, sigma: float, degrees: np.ndarray | float
) -> np.ndarray:
    """A trail behind every pixel, one-sided: half a Gaussian along a direction of each image."""
    count, height, width, _ = images.shape
    angle = np.deg2rad(np.broadcast_to(degrees, (count,)))[:, None, None]
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2)).astype(images.dtype)
    which = np.arange(count)[:, None, None]
    blurred = np.zeros_like(images)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        down = np.round(step * np.sin(angle)).astype(int)
        right = np.round(step * np.cos(angle)).astype(int)
        rows = np.clip(np.arange(height)[:, None] + down, 0, height - 1)
        columns = np.clip(np.arange(width)[None, :] + right, 0, width - 1)
        blurred += weight * images[which, rows, columns]
    return blurred


def zoom(images: np.ndarray, factor: float) -> np.ndarray:
    """Enlarges about the centre, by linear interpolation, to the same size."""
    count, height, width, channels = images.shape
    tall, wide = (_zoom_matrix(size, factor).astype(images.dtype) for size in (height, width))
    rows = tall @ images.reshape(count, height, width * channels)
    columns = rows.reshape(count, height, width, channels).swapaxes(2, 3) @ wide.T
    return columns.swapaxes(2, 3)


def _zoom_matrix(size: int, factor: float) -> np.ndarray:
    pixels, centre = np.arange(size), (size - 1) / 2
    positions = centre + (pixels - centre) / factor
    return np.maximum(0, 1 - abs(positions[:, None] - pixels))


def sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The images at positions `[N, H, W]` between pixels; mirrored outside.

    With fractions f, g: (1-f)(1-g) I[i,j] + (1-f) g I[i,j+1] + f (1-g) I[i+1,j] + f g I[i+1,j+1].
    """
    count, height, width, _ = images.shape
    rows, columns = _mirror(rows, height), _mirror(columns, width)
    top = np.minimum(rows.astype(int), height - 2)
    left = np.minimum(columns.astype(int), width - 2)
    f = (rows - top)[..., None].astype(images.dtype)
    g = (columns - left)[..., None].astype(images.dtype)
    which = np.arange(count)[:, None, None]
    upper = (1 - g) * images[which, top, left] + g * images[which, top, left + 1]
    lower = (1 - g) * images[which, top + 1, left] + g * images[which, top + 1, left + 1]
    return (1 - f) * upper + f * lower


def _mirror(positions: np.ndarray, size: int) -> np.ndarray:
    """Folds the line at pixels 0 and `size - 1`."""
    last = size - 1
    return last - abs(positions % (2 * last) - last)


def random_affine(rng: np.random.Generator, images: np.ndarray, jitter: float) -> np.ndarray:
    """Warps each image by the affine map that moves three points by up to `jitter` pixels."""
    count, height, width, _ = images.shape
    centre, reach = np.array([height, width]) // 2, min(height, width) // 3
    before = centre + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    after = before + rng.uniform(-jitter, jitter, (count, 3, 2))
    # Of the map from positions after to positions before: [after, 1] map = before.
    maps = np.linalg.solve(np.concatenate([after, np.ones((count, 3, 1))], -1), before[None])
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    positions = np.einsum("hwi,nij->nhwj", grid, maps[:, :2]) + maps[:, None, None, 2]
    return sample(images, positions[..., 0], positions[..., 1])


def random_displacement(
    rng: np.random.Generator, images: np.ndarray, size: float, sigma: float
) -> np.ndarray:
    """Displaces pixels by smooth random fields: uniform noise, blurred, times `size` pixels."""
    count, height, width, _ = images.shape
    noise = rng.uniform(-1, 1, (2, count, height, width))
    down, right = size * ndimage.gaussian_filter(noise, (0, 0, sigma, sigma), truncate=3)
    rows, columns = np.arange(height)[:, None] + down, np.arange(width)[None, :] + right
    return sample(images, rows, columns)

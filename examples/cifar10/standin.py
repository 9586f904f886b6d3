# SPDX-License-Identifier: MIT
"""A synthetic stand-in for CIFAR-10: ten kinds of shapes and textures, 32 x 32 pixels, in colour.

It needs no file and is learned in seconds. It shows that the code runs, and nothing about
photographs.
"""

import numpy as np

SIZE = 32


def make(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `[count, 32, 32, 3]` and labels int32 `[count]`, as many of each class."""
    rng = np.random.default_rng((5, seed))
    labels = (np.arange(count) % len(SHAPES)).astype(np.int32)
    rng.shuffle(labels)

    # Every picture has a centre, a radius, an angle; a foreground and a background with a gradient.
    grid = np.arange(SIZE, dtype=np.float32)
    centre = rng.uniform(12, 20, (2, count, 1, 1))
    radius = rng.uniform(7, 11, (count, 1, 1))
    angle = rng.uniform(-0.3, 0.3, (count, 1, 1))
    down, right = grid[:, None] - centre[0], grid[None, :] - centre[1]
    y = (np.cos(angle) * down - np.sin(angle) * right) / radius
    x = (np.sin(angle) * down + np.cos(angle) * right) / radius

    inside = np.zeros((count, SIZE, SIZE, 1), bool)
    for label, shape in enumerate(SHAPES.values()):
        chosen = labels == label
        inside[chosen, ..., 0] = shape(y[chosen], x[chosen])
    front = rng.uniform(0, 255, (count, 1, 1, 3))
    back = (front + rng.choice([-1, 1], (count, 1, 1, 3)) * rng.uniform(70, 150, front.shape)) % 256
    light = 20 * (y + x)[..., None] + rng.normal(0, 8, (count, SIZE, SIZE, 3))
    return np.clip(np.where(inside, front, back) + light, 0, 255).astype(np.uint8), labels


def _box(y, x):
    return np.maximum(abs(y), abs(x))


# In the coordinates of the shape, where it reaches from -1 to 1.
SHAPES = {
    "disk": lambda y, x: y**2 + x**2 < 1,
    "ring": lambda y, x: abs(np.hypot(y, x) - 0.8) < 0.25,
    "square": lambda y, x: _box(y, x) < 0.9,
    "frame": lambda y, x: abs(_box(y, x) - 0.75) < 0.2,
    "triangle": lambda y, x: (y < 0.8) & (y > 2 * abs(x) - 1),
    "plus": lambda y, x: (np.minimum(abs(y), abs(x)) < 0.3) & (_box(y, x) < 1),
    "rows": lambda y, x: np.sin(8 * y) > 0,
    "columns": lambda y, x: np.sin(8 * x) > 0,
    "checks": lambda y, x: np.sin(6 * y) * np.sin(6 * x) > 0,
    "half": lambda y, x: y > 0,
}

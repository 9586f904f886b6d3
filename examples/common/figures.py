# SPDX-License-Identifier: MIT
"""Figures: no window, one style, saved where they are asked for."""

import pathlib
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

# One colour for each model in every figure; distinct for the colour-blind too.
COLOURS = ("#4c4c4c", "#1b7fb8", "#d95f02", "#5e9c3a", "#8e5ea2")


def save(figure: Figure, path: pathlib.Path) -> pathlib.Path:
    """Saves and closes a figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def image_grid(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> Figure:
    """Rows of small images, pixel by pixel, with a label before each row."""
    height, width = len(rows), len(rows[0])
    figure, axes = plt.subplots(
        height, width, figsize=(width + 1.3, height), squeeze=False, layout="constrained"
    )
    for row, label, panels in zip(rows, labels, axes, strict=True):
        panels[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for image, panel in zip(row, panels, strict=True):
            panel.imshow(image, interpolation="nearest", vmin=0, vmax=255)
            panel.set(xticks=[], yticks=[])
    return figure

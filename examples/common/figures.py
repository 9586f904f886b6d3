# SPDX-License-Identifier: MIT
"""Figures: no window, one style, saved where they are asked for."""

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from examples.common import tables

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


def curve(
    axes: Axes,
    history: Sequence[Mapping[str, str]],
    model: str,
    column: str,
    colour: str,
    label: str,
    first: float | None = None,
) -> None:
    """Mean over seeds, and a band of one standard deviation; `first` before the first epoch."""
    by_epoch: dict[int, list[float]] = {} if first is None else {0: [first]}
    for row in history:
        if row["model"] == model:
            by_epoch.setdefault(int(row["epoch"]), []).append(float(row[column]))
    epochs = sorted(by_epoch)
    mean = np.array([np.mean(by_epoch[epoch]) for epoch in epochs])
    band = np.array([tables.spread(by_epoch[epoch]) for epoch in epochs])
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.plot(epochs, mean, color=colour, label=label, marker=".", ms=4)
    axes.fill_between(epochs, mean - band, mean + band, color=colour, alpha=0.2, lw=0)

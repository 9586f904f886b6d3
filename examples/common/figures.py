# SPDX-License-Identifier: MIT
"""Figures: no window, one style, saved where they are asked for."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

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


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A grid of panels for images, without ticks, for which a figure of this size has room."""
    return plt.subplots(
        rows,
        columns,
        figsize=(width, height),
        squeeze=False,
        layout="constrained",
        subplot_kw={"xticks": [], "yticks": []},
    )


def image_grid(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> Figure:
    """Rows of small images, pixel by pixel, with a label before each row."""
    height, width = len(rows), len(rows[0])
    figure, axes = panels(height, width, width + 1.3, height)
    for row, label, line in zip(rows, labels, axes, strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for image, panel in zip(row, line, strict=True):
            panel.imshow(image, interpolation="nearest", vmin=0, vmax=255)
    return figure


def curve(
    axes: Axes,
    history: Sequence[Mapping[str, Any]],
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


def learned(
    axes: Axes,
    history: Sequence[Mapping[str, Any]],
    model: str,
    labels: Mapping[str, str],
    first: float,
) -> None:
    """Weights of TV layers, by their columns, against epochs; all began at `first`."""
    for (column, label), colour in zip(labels.items(), COLOURS[1:], strict=False):
        curve(axes, history, model, column, colour, label, first)
    axes.axhline(first, color="0.7", lw=0.8, ls=":")
    axes.set(ylabel=r"$\lambda$", ylim=(0, 1.1 * axes.get_ylim()[1]))
    axes.legend(frameon=False)

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

plt.style.use(pathlib.Path(__file__).with_suffix(".mplstyle"))

# One colour for each model in every figure.
COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]


def save(figure: Figure, path: pathlib.Path) -> pathlib.Path:
    """Saves and closes a figure; an SVG without a date, so that equal figures are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return path


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A grid of panels for images, without ticks, for which a figure of this size has room."""
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(width, height),
        squeeze=False,
        subplot_kw={"xticks": [], "yticks": []},
    )
    for panel in grid.flat:
        panel.spines[:].set_visible(False)
    return figure, grid


def image_grid(
    rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str], titles: Sequence[str]
) -> Figure:
    """Rows of small images, pixel by pixel, labels before rows and titles above columns."""
    height, width = len(rows), len(rows[0])
    figure, axes = panels(height, width, 0.85 * width + 1.3, 0.85 * height + 0.2)
    for title, panel in zip(titles, axes[0], strict=True):
        panel.set_title(title)
    for row, label, line in zip(rows, labels, axes, strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for image, panel in zip(row, line, strict=True):
            panel.imshow(image, vmin=0, vmax=255)
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
    axes.legend()

# SPDX-License-Identifier: MIT
"""The counterpart of Fig. 5, and the weights as they are learned."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from examples.common import figures
from examples.edges.data import Example
from examples.edges.metrics import suppressed


def detections(examples: Sequence[Example], found: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Columns: input, ground truth, then of each model the edge map and the thinned one."""
    columns: dict[str, list[np.ndarray]] = {
        "input": [example.image for example in examples],
        "ground truth": [1 - example.truths.mean(0) for example in examples],
    }
    for name, maps in found.items():
        columns[name] = [1 - edges for edges in maps]
        columns[f"{name}, thinned"] = [1 - suppressed(edges) for edges in maps]
    height = 2.2 * examples[0].image.shape[0] / examples[0].image.shape[1]
    figure, grid = figures.panels(
        len(examples), len(columns), 2.2 * len(columns), height * len(examples) + 0.3
    )
    for (name, images), column in zip(columns.items(), grid.T, strict=True):
        column[0].set_title(name, fontsize=9)
        for image, panel in zip(images, column, strict=True):
            panel.imshow(image, cmap="gray", vmin=0, vmax=1)
    return figure


def learned_weights(history: Sequence[Mapping[str, Any]], model: str, lam_init: float) -> Figure:
    """Lambda of each TV layer after each epoch: mean and deviation over seeds."""
    columns = next(row for row in history if row["model"] == model)
    labels = {name: name.removeprefix("lam_") for name in columns if name.startswith("lam_")}
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    figures.learned(axes, history, model, labels, lam_init)
    return figure

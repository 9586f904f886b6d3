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
    """The middle of each image, its ground truth, and of each model the map and the thinned one.

    Two rows an image: the maps above, beside the image; below, beside its truth, the thinned maps.
    """
    figure, grid = figures.panels(2 * len(examples), 1 + len(found), 9, 4.5 * len(examples))
    for k, (example, rows) in enumerate(zip(examples, np.split(grid, len(examples)), strict=True)):
        above, below = (
            {"input": example.image, **{name: 1 - maps[k] for name, maps in found.items()}},
            {"ground truth": 1 - example.truths.mean(0)}
            | {f"{name}, thinned": 1 - suppressed(maps[k]) for name, maps in found.items()},
        )
        for shown, row in zip((above, below), rows, strict=True):
            for (title, image), panel in zip(shown.items(), row, strict=True):
                panel.imshow(_middle(image), cmap="gray", vmin=0, vmax=1)
                panel.set_title(title)
    return figure


def _middle(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return image[height // 5 : -(height // 5) or None, width // 4 : -(width // 4) or None]


def learned_weights(history: Sequence[Mapping[str, Any]], model: str, lam_init: float) -> Figure:
    """Lambda of each TV layer after each epoch: mean and deviation over seeds."""
    columns = next(row for row in history if row["model"] == model)
    labels = {name: name.removeprefix("lam_") for name in columns if name.startswith("lam_")}
    figure, axes = plt.subplots(figsize=(5, 3.2))
    figures.learned(axes, history, model, labels, lam_init)
    return figure

# SPDX-License-Identifier: MIT
"""Figures of the experiment: corrupted images, accuracies, the weights as they are learned."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from examples.cifar10 import corruptions, evaluate
from examples.cifar10.models import LAM_INIT, TV_BLOCKS
from examples.common import figures, tables


def gallery(images: np.ndarray, severities: Sequence[int] = (1, 3, 5), **options) -> Figure:
    """Each corruption of a few images, at some severities."""
    rows, labels = [], []
    for name in corruptions.CORRUPTIONS:
        panels = [corruptions.corrupt(images, name, s, **options) for s in severities]
        rows.append([panel[i] for i in range(len(images)) for panel in (images, *panels)])
        labels.append(name.replace("_", " "))
    titles = ["clean", *(f"severity {s}" for s in severities)] * len(images)
    return figures.image_grid(rows, labels, titles)


def accuracies(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Accuracy of each model under each corruption: mean and standard deviation over seeds."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    bars = {name: [name] for name in (evaluate.CLEAN, *corruptions.CORRUPTIONS)}
    bars["all"] = evaluate.GROUPS["all corruptions"]
    figure, axes = plt.subplots(figsize=(11, 4))
    width = 0.8 / len(models)
    for number, (model, colour) in enumerate(zip(models, figures.COLOURS, strict=False)):
        values = [evaluate.per_seed(rows, model, names) for names in bars.values()]
        axes.bar(
            np.arange(len(bars)) + (number - (len(models) - 1) / 2) * width,
            [np.mean(value) for value in values],
            width,
            yerr=[tables.spread(value) for value in values],
            label=model,
            color=colour,
            error_kw={"lw": 0.8},
        )
    axes.set_xticks(range(len(bars)), [name.replace("_", "\n") for name in bars], rotation=90)
    axes.set(ylabel="accuracy, %", xlim=(-0.6, len(bars) - 0.4))
    axes.legend(ncols=len(models), loc="upper right")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    return figure


def curves(history: Sequence[Mapping[str, str]]) -> Figure:
    """Loss and accuracy on the test images after each epoch."""
    models = list(dict.fromkeys(row["model"] for row in history))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    for model, colour in zip(models, figures.COLOURS, strict=False):
        figures.curve(left, history, model, "loss", colour, model)
        figures.curve(right, history, model, "test_accuracy", colour, model)
    left.set(ylabel="training loss")
    right.set(ylabel="test accuracy, %")
    left.legend()
    return figure


def learned_weights(history: Sequence[Mapping[str, str]]) -> Figure:
    """The counterpart of Fig. 3: lambda after each epoch, of each TV layer."""
    models = [model for model in dict.fromkeys(row["model"] for row in history) if "TV" in model]
    figure, panels = plt.subplots(1, len(models), figsize=(4.5 * len(models), 3.4), squeeze=False)
    for panel, model in zip(panels[0], models, strict=True):
        labels = {f"lam{block}": f"block {block}" for block in range(1, TV_BLOCKS + 1)}
        figures.learned(panel, history, model, labels, LAM_INIT)
        panel.set(title=model)
    return figure

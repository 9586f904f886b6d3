# SPDX-License-Identifier: MIT
"""The counterparts of Fig. 6 and 7: what the TV layers of ResNetTV do."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from examples.common import image_to_image
from examples.common.figures import panels
from examples.common.images import some
from examples.common.training import State
from examples.smoothing.metrics import Example
from examples.smoothing.models import ResNet

SHOWN = 3  # rows


def stages(state: State, examples: Sequence[Example]) -> Figure:
    """Rows of images: input, final convolution, after the last TV layer, mean ground truth."""
    rows = []
    for example in some(examples, SHOWN):
        found = image_to_image.apply(state, example.image, method=ResNet.stages)
        truth = np.average(example.truths, axis=0, weights=example.weights)
        rows.append({"input": example.image, **found._asdict(), "mean_ground_truth": truth})
    columns = len(rows[0])
    figure, grid = panels(len(rows), columns, 2.8 * columns, 2.8 * len(rows))
    for row, line in zip(rows, grid, strict=True):
        for (name, image), panel in zip(row.items(), line, strict=True):
            panel.imshow(np.clip(image, 0, 1))
            panel.set_title(name.replace("_", " "))
    return figure


def features(state: State, example: Example) -> Figure:
    """What each TV-Sharp layer adds to the feature map that it changes most, beside that map."""
    _, kept = state.apply_fn(state.variables, example.image[None], mutable=["features"])
    columns = len(kept["features"])
    figure, grid = panels(2, columns, 2.8 * columns, 5.6)
    for (name, maps), column in zip(kept["features"].items(), grid.T, strict=True):
        before, after = (np.asarray(maps[key][0][0]) for key in ("before", "after"))
        channel = np.abs(after - before).mean((0, 1)).argmax()
        shown = {"before": before[..., channel], "added": (after - before)[..., channel]}
        for (title, image), panel in zip(shown.items(), column, strict=True):
            drawn = panel.imshow(image)
            figure.colorbar(drawn, ax=panel, shrink=0.8)
            panel.set_title(f"{name}, {title}")
    return figure

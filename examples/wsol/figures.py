# SPDX-License-Identifier: MIT
"""The counterpart of Fig. 4: an image, its map from CAM, and its map from CAM behind a TV layer."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from examples.common.figures import panels
from examples.wsol import boxes
from examples.wsol.data import Images
from examples.wsol.maps import Found

SHOWN = 4  # images
TRUE, FOUND = "#00e05a", "#ff2d2d"


def maps(images: Images, lam: int, found: Found, shown: int = SHOWN) -> Figure:
    """Images spread over the set, two in a row, with their maps and boxes.

    The boxes found are those at the level that is best for the method at an intersection over union
    of 0.5.

    Args:
      lam: number of the weight that is shown beside plain CAM.
    """
    count = len(images.names)
    numbers = [k * count // shown for k in range(shown)] if count > shown else range(count)
    rows = -(-len(numbers) // 2)
    figure, grid = panels(rows, 6, 9, 1.6 * rows)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    level = {k: int(boxes.accuracies(found.best[k])[1].argmax()) for k in (0, lam)}
    for number, line in zip(numbers, grid.reshape(-1, 3), strict=False):
        image = images.read(number, boxes.SIZE)
        line[0].imshow(image)
        for panel, k in zip(line[1:], (0, lam), strict=True):
            values = boxes.levels(found.maps[k, number])
            panel.imshow(image)
            panel.imshow(values, alpha=0.6)
            _draw(panel, boxes.contours(values).at(level[k]), FOUND)
        for panel in line:
            _draw(panel, images.boxes[number], TRUE)
    for panel, title in zip(grid[0], 2 * ("image", "CAM", "CAM + TV"), strict=True):
        panel.set_title(title)
    return figure


def _draw(panel: Axes, found: np.ndarray, colour: str) -> None:
    for x0, y0, x1, y1 in found:
        edge = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.5)
        panel.add_patch(edge)

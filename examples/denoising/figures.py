# SPDX-License-Identifier: MIT
"""The counterpart of Fig. 8: a noisy image on its way through DnCNN-TV."""

import numpy as np
from matplotlib.figure import Figure

from examples.common import image_to_image
from examples.common.figures import panels
from examples.common.images import some
from examples.common.quality import psnr
from examples.common.training import State
from examples.denoising import data
from examples.denoising.models import DnCNN

SHOWN, DETAIL = 2, 96  # images of the first test set; height and width of what is enlarged


def stages(state: State, images: data.Images, sigma: float) -> Figure:
    """Rows of images: noisy, after the input TV layer, residual block, output, clean."""
    tests = next(iter(images.tests.values()))
    rows = []
    for k in some(range(len(tests)), SHOWN):
        noisy = data.noisy(tests[k], sigma, k)
        found = image_to_image.apply(state, noisy, method=DnCNN.stages)
        rows.append({"noisy": noisy, **found._asdict(), "clean": tests[k]})
    figure, grid = panels(len(rows), len(rows[0]), 12, 2.75 * len(rows))
    for row, line in zip(rows, grid, strict=True):
        for (name, image), panel in zip(row.items(), line, strict=True):
            quality = "" if name == "clean" else f", {psnr(image, row['clean']):.2f} dB"
            panel.imshow(np.clip(_detail(image), 0, 1), interpolation="nearest")
            panel.set_title(name.replace("_", " ") + quality, fontsize=9)
    return figure


def _detail(image: np.ndarray) -> np.ndarray:
    top, left = ((size - min(size, DETAIL)) // 2 for size in image.shape[:2])
    return image[top : top + DETAIL, left : left + DETAIL]

# SPDX-License-Identifier: MIT
"""The counterpart of Fig. 8: a noisy image, from DnCNN, and on its way through DnCNN-TV."""

from collections.abc import Mapping

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


def stages(states: Mapping[str, State], images: data.Images, sigma: float) -> Figure:
    """Rows of images: noisy, from DnCNN, three stages of DnCNN-TV, clean; each with its PSNR."""
    tests = next(iter(images.tests.values()))
    rows = []
    for k in some(range(len(tests)), SHOWN):
        noisy = data.noisy(tests[k], sigma, k)
        plain = image_to_image.apply(states["DnCNN"], noisy)
        found = image_to_image.apply(states["DnCNN-TV"], noisy, method=DnCNN.stages)
        steps = {f"DnCNN-TV, {name}": image for name, image in found._asdict().items()}
        rows.append({"noisy": noisy, "DnCNN": plain, **steps, "clean": tests[k]})
    figure, grid = panels(len(rows), len(rows[0]), 12, 2.5 * len(rows))
    for row, line in zip(rows, grid, strict=True):
        for (name, image), panel in zip(row.items(), line, strict=True):
            quality = "" if name == "clean" else f"\n{psnr(image, row['clean']):.2f} dB"
            panel.imshow(np.clip(_detail(image), 0, 1))
            panel.set_title(name.replace("_", " ").replace(" tv", " TV") + quality)
    return figure


def _detail(image: np.ndarray) -> np.ndarray:
    top, left = ((size - min(size, DETAIL)) // 2 for size in image.shape[:2])
    return image[top : top + DETAIL, left : left + DETAIL]

# SPDX-License-Identifier: MIT
"""Trains DnCNN and DnCNN-TV, and compares them with TV denoising alone.

    python -m examples.denoising --small           # on pictures of scikit-image, under a minute
    python -m examples.denoising --data FOLDER     # the whole experiment: needs a GPU

FOLDER holds the folders cbsd432, cbsd68, kodak24 and mcmaster of images. A run that was stopped
goes on when the same command is given again.
"""

import pathlib
from typing import Annotated

import matplotlib

from examples.common import command
from examples.common.image_to_image import Settings
from examples.denoising import data as sets
from examples.denoising import experiment
from examples.denoising.experiment import Plan


def main(
    data: Annotated[pathlib.Path | None, command.ONE_OF] = None,
    small: Annotated[bool, command.ONE_OF] = False,
    out: pathlib.Path = pathlib.Path("out/denoising"),
    test_images: int | None = None,
    plan: Plan = Plan(),
    settings: Settings = Settings(),
) -> None:
    """Runs the experiment.

    Args:
      data: folder of the image sets.
      small: a small run; besides, only --out matters.
      out: folder of results.
      test_images: of each test set; None for all.
      plan: what is run.
      settings: of the training.
    """
    matplotlib.use("Agg")
    if data is None:
        plan, settings, images = experiment.SMALL, experiment.SMALL_SETTINGS, sets.stand_in()
    else:
        images = sets.load(data, test_images)
    print(experiment.run(plan, settings, images, out))
    print(f"tables and figures are in {out}")


if __name__ == "__main__":
    command.run(main, "examples.denoising", __doc__)

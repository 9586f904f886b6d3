# SPDX-License-Identifier: MIT
"""Trains DexiNed and DexiNed-TV to detect edges, and scores them by ODS, OIS and AP.

    python -m examples.edges --small                           # drawings, half a minute
    python -m examples.edges --biped FOLDER [--mdbd FOLDER]    # the whole experiment: needs a GPU

Training is on BIPED, tests are on BIPED and MDBD. `data.py` says what the folders hold. A run that
was stopped goes on when the same command is given again.
"""

import pathlib
from typing import Annotated

import matplotlib

from examples.common import command
from examples.common.image_to_image import Settings
from examples.edges import data, experiment
from examples.edges.experiment import Plan


def main(
    biped: Annotated[pathlib.Path | None, command.ONE_OF] = None,
    small: Annotated[bool, command.ONE_OF] = False,
    mdbd: pathlib.Path | None = None,
    out: pathlib.Path = pathlib.Path("out/edges"),
    plan: Plan = Plan(),
    settings: Settings = experiment.USUAL,
) -> None:
    """Runs the experiment.

    Args:
      biped: folder with imgs and edge_maps of BIPED.
      small: a small run; besides, only --out matters.
      mdbd: folder with images and edges of MDBD, a second test set.
      out: folder of results.
      plan: what is run.
      settings: of the training.
    """
    matplotlib.use("Agg")
    if biped is None:
        plan, settings, examples = experiment.SMALL, experiment.SMALL_SETTINGS, data.small()
    else:
        examples = data.biped(biped, plan.scale, plan.test_images)
        if mdbd is not None:
            examples.tests["MDBD"] = data.mdbd(mdbd, plan.scale, plan.test_images)
    print(experiment.run(plan, settings, examples, out))
    print(f"tables and figures are in {out}")


if __name__ == "__main__":
    command.run(main, "examples.edges", __doc__)

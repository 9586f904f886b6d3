# SPDX-License-Identifier: MIT
"""Trains AllConvNet, TV-Smooth and TV-Sharp, and tests them on clean and corrupted images.

    python -m examples.cifar10 --small                          # the stand-in, under a minute
    python -m examples.cifar10 --source cifar-10-python.tar.gz  # the whole experiment: needs a GPU
    python -m examples.cifar10 --source download

A run that was stopped goes on when the same command is given again.
"""

import pathlib

import matplotlib

from examples.cifar10 import experiment
from examples.cifar10.experiment import Plan
from examples.cifar10.train import Settings
from examples.common import command


def main(
    small: bool = False,
    out: pathlib.Path = pathlib.Path("out/cifar10"),
    plan: Plan = Plan(),
    settings: Settings = Settings(),
) -> None:
    """Runs the experiment.

    Args:
      small: a small run on the stand-in; besides, only --out matters.
      out: folder of results.
      plan: what is run.
      settings: of the training.
    """
    matplotlib.use("Agg")
    if small:
        plan, settings = experiment.SMALL, experiment.SMALL_SETTINGS
    print(experiment.run(plan, settings, out))
    print(f"tables and figures are in {out}")


if __name__ == "__main__":
    command.run(main, "examples.cifar10", __doc__)

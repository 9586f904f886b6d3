# SPDX-License-Identifier: MIT
"""Trains VDCNN, ResNet and ResNetTV to smooth images, and compares them with optimisation.

    python -m examples.smoothing --small                      # pictures of scikit-image, a minute
    python -m examples.smoothing --benchmark FOLDER           # the benchmark of Zhu et al. 2019
    python -m examples.smoothing --pairs FOLDER               # pairs of files
    python -m examples.smoothing --photographs TRAIN TEST     # a stand-in made of photographs

The whole experiment needs a GPU. A run that was stopped goes on when the same command is given
again. `data.py` says what the folders hold.
"""

import pathlib
from typing import Annotated

import matplotlib

from examples.common import command
from examples.common.image_to_image import Settings
from examples.smoothing import data, experiment
from examples.smoothing.experiment import Plan


def main(
    benchmark: Annotated[pathlib.Path | None, command.ONE_OF] = None,
    pairs: Annotated[pathlib.Path | None, command.ONE_OF] = None,
    photographs: Annotated[tuple[pathlib.Path, pathlib.Path] | None, command.ONE_OF] = None,
    small: Annotated[bool, command.ONE_OF] = False,
    out: pathlib.Path = pathlib.Path("out/smoothing"),
    plan: Plan = Plan(),
    settings: Settings = Settings(),
) -> None:
    """Runs the experiment.

    Args:
      benchmark: folder of the benchmark.
      pairs: folder of NAME.png, NAME-predict.png.
      photographs: folders to train and to test on.
      small: a small run; besides, only --out matters.
      out: folder of results.
      plan: what is run.
      settings: of the training.
    """
    matplotlib.use("Agg")
    if small:
        plan, settings = experiment.SMALL, experiment.SMALL_SETTINGS
    if benchmark is not None:
        source, examples = "benchmark", data.benchmark(benchmark)
    elif pairs is not None:
        source, examples = "pairs", data.pairs(pairs)
    elif photographs is not None:
        source, examples = "photographs", data.stand_in(*photographs, out / "smooth")
    else:
        source, examples = "small", data.small()
    print(experiment.run(plan, settings, examples, out, source=source))
    print(f"tables and figures are in {out}")


if __name__ == "__main__":
    command.run(main, "examples.smoothing", __doc__)

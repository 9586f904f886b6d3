# SPDX-License-Identifier: MIT
"""Trains VDCNN, ResNet and ResNetTV to smooth images, and compares them with optimisation.

python -m examples.smoothing --small                      # pictures of scikit-image, a minute
python -m examples.smoothing --benchmark FOLDER           # the benchmark of Zhu et al. 2019
python -m examples.smoothing --pairs FOLDER               # pairs of files
python -m examples.smoothing --photographs TRAIN TEST     # a stand-in made of photographs

The whole experiment needs a GPU. A run that was stopped goes on when the same command is given
again. `data.py` says what the folders hold.
"""

import argparse
import pathlib

import matplotlib

from examples.common import image_to_image
from examples.smoothing import data, experiment
from examples.smoothing.experiment import Plan


def main() -> None:
    matplotlib.use("Agg")
    args = parse_arguments()
    source, examples = load(args)
    if args.small:
        plan, settings = experiment.SMALL, experiment.SMALL_SETTINGS
    else:
        plan = Plan(source, args.seeds, args.width, args.blocks)
        settings = image_to_image.given(args)
    print(experiment.run(plan, settings, examples, args.out))
    print(f"tables and figures are in {args.out}")


def load(args: argparse.Namespace) -> tuple[str, data.Data]:
    if args.benchmark:
        return "benchmark", data.benchmark(args.benchmark)
    if args.pairs:
        return "pairs", data.pairs(args.pairs)
    if args.photographs:
        return "photographs", data.stand_in(*args.photographs, args.out / "smooth")
    return "small", data.small()


def parse_arguments() -> argparse.Namespace:
    usage = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("examples.smoothing", None, __doc__, formatter_class=usage)
    add, plan = parser.add_argument, Plan("")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--benchmark", type=pathlib.Path, help="folder of the benchmark")
    where.add_argument("--pairs", type=pathlib.Path, help="folder of NAME.png, NAME-predict.png")
    where.add_argument("--photographs", type=pathlib.Path, nargs=2, metavar=("TRAIN", "TEST"))
    where.add_argument("--small", action="store_true", help="a small run; nothing else to set")
    add("--out", type=pathlib.Path, default=pathlib.Path("out/smoothing"), help="folder of results")
    add("--seeds", type=int, default=plan.seeds, help="runs of each model")
    add("--width", type=int, default=plan.width, help="channels of a network")
    add("--blocks", type=int, default=plan.blocks, help="residual blocks of a network")
    image_to_image.add_arguments(parser, image_to_image.Settings())
    return parser.parse_args()


if __name__ == "__main__":
    main()

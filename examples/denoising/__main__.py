# SPDX-License-Identifier: MIT
"""Trains DnCNN and DnCNN-TV, and compares them with TV denoising alone.

python -m examples.denoising --small           # on pictures of scikit-image, under a minute
python -m examples.denoising --data FOLDER     # the whole experiment: needs a GPU

FOLDER holds the folders cbsd432, cbsd68, kodak24 and mcmaster of images. A run that was stopped
goes on when the same command is given again.
"""

import argparse
import pathlib

import matplotlib

from examples.common import image_to_image
from examples.denoising import data, experiment
from examples.denoising.experiment import Plan


def main() -> None:
    matplotlib.use("Agg")
    args = parse_arguments()
    if args.small:
        plan, settings, images = experiment.SMALL, experiment.SMALL_SETTINGS, data.stand_in()
    else:
        plan = Plan(tuple(args.sigmas), args.seeds, args.depth, args.width)
        settings = image_to_image.given(args)
        images = data.load(args.data, args.test_images)
    print(experiment.run(plan, settings, images, args.out))
    print(f"tables and figures are in {args.out}")


def parse_arguments() -> argparse.Namespace:
    usage = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("examples.denoising", None, __doc__, formatter_class=usage)
    add, plan = parser.add_argument, Plan()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=pathlib.Path, help="folder of the image sets")
    where.add_argument(
        "--small", action="store_true", help="a small run; other options have no use"
    )
    add("--out", type=pathlib.Path, default=pathlib.Path("out/denoising"), help="folder of results")
    add("--sigmas", type=float, nargs="+", default=plan.sigmas, help="noise, for pixels in 0..255")
    add("--seeds", type=int, default=plan.seeds, help="runs of each model")
    add("--test-images", type=int, help="of each test set; default: all")
    add("--depth", type=int, default=plan.depth, help="convolutions of a network")
    add("--width", type=int, default=plan.width, help="their channels")
    image_to_image.add_arguments(parser, image_to_image.Settings())
    return parser.parse_args()


if __name__ == "__main__":
    main()

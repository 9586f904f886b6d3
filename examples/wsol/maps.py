# SPDX-License-Identifier: MIT
"""Maps of the true classes and their boxes, for each weight of the TV layer, kept in files."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from examples.wsol import boxes, pickles, weights, zoo
from examples.wsol.data import Images

PAPER = 1.0  # the weight of the TV layer in the paper


class Plan(NamedTuple):
    """What is run on what.

    Attributes:
      network: name in `zoo.NETWORKS`.
      weights: file of its weights, `"random"`, or `"package"`: those of an installed package.
      size: height and width of its input, `None` for the usual one.
      lams: weights of the TV layer; plain CAM is always there too.
      batch_size: images at a time.
    """

    network: str = "efficientnet-lite0"
    weights: str = "package"
    size: int | None = None
    lams: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5, PAPER, 2.0)
    batch_size: int = 16


SMALL = Plan("small", "random", lams=(0.1, PAPER), batch_size=4)


class Found(NamedTuple):
    """What was computed of a batch of N images, with L weights of the TV layer.

    Attributes:
      maps: `[L, N, h, w]` of the true class.
      predicted: `[N]` class with the highest score.
      best: `[L, N, 255]` of `boxes.best_overlaps`.
    """

    maps: np.ndarray
    predicted: np.ndarray
    best: np.ndarray


def find(plan: Plan, lams: tuple[float, ...], images: Images, folder: pathlib.Path) -> Found:
    """Maps and boxes of all images; each batch is kept in a file, so that a stopped run goes on."""
    network = zoo.network(plan.network)
    outside = images.labels[(images.labels < 0) | (images.labels >= network.cam.classes)]
    if len(outside):
        raise ValueError(
            f"class {outside[0]} is not among the {network.cam.classes} of the network."
        )
    folder.mkdir(parents=True, exist_ok=True)
    parts, variables = [], None
    every, size = range(len(images.names)), plan.batch_size
    batches = [every[start : start + size] for start in every[::size]]
    for number, batch in enumerate(tqdm(batches, plan.network)):
        path = folder / f"{number:05}.npz"
        if not path.exists():
            variables = variables or _variables(plan, network)
            found = _find(network, variables, lams, images, batch, plan)
            with path.with_suffix(".part").open("wb") as file:
                np.savez(file, **found._asdict())
            path.with_suffix(".part").replace(path)
        with np.load(path) as file:
            parts.append(Found(**file))
    maps, predicted, best = zip(*parts, strict=True)
    return Found(np.concatenate(maps, 1), np.concatenate(predicted), np.concatenate(best, 1))


def _find(
    network: zoo.Network,
    variables: Any,
    lams: tuple[float, ...],
    images: Images,
    numbers: range,
    plan: Plan,
) -> Found:
    # A short last batch is filled up: one shape, compiled once.
    filled = [*numbers, *[numbers[-1]] * (plan.batch_size - len(numbers))]
    pixels = np.stack([images.read(number, plan.size or network.size) for number in filled])
    inputs = zoo.normalised(network, pixels)
    scores, maps = zoo.scores_and_maps(network.cam, variables, inputs, images.labels[filled], lams)
    maps = np.asarray(maps)[:, : len(numbers)]
    best = [
        [
            boxes.best_overlaps(boxes.levels(m), images.boxes[n])
            for n, m in zip(numbers, row, strict=True)
        ]
        for row in maps
    ]
    return Found(maps, np.asarray(scores).argmax(1)[: len(numbers)], np.array(best))


def _variables(plan: Plan, network: zoo.Network) -> Any:
    shapes = zoo.shapes(network)
    if plan.weights == "random":
        return weights.random(shapes)
    package = plan.weights == "package"
    path = weights.packaged() if package else pathlib.Path(plan.weights)
    return weights.convert(pickles.read(path), shapes, network.unused)

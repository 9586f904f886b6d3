# SPDX-License-Identifier: MIT
"""The whole experiment: every model with every seed, evaluation, tables, figures."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from examples.cifar10 import data, downloads, evaluate, figures, textures
from examples.cifar10.models import MODELS
from examples.cifar10.train import Settings, train
from examples.common import runs, tables
from examples.common.checkpoints import History
from examples.common.figures import save
from examples.common.training import State


class Plan(NamedTuple):
    """What is run on what.

    Attributes:
      source: of the images: archive, folder, .npz, 'download' or 'stand-in'.
      seeds: how many.
      train_images: how many to train on; None for all.
      clean_images: how many for the accuracy after each epoch, without corruption; None for all.
      corrupted_images: how many of each corruption and severity; None for all.
      published: folder of CIFAR-10-C's `.npy` files, or 'download'; None to corrupt test images.
      frost: folder of frost pictures; None for the procedural substitute.
    """

    source: str = "stand-in"
    seeds: int = 3
    train_images: int | None = None
    clean_images: int | None = None
    corrupted_images: int | None = None
    published: str | None = None
    frost: pathlib.Path | None = None


Trained = dict[tuple[str, int], State]  # of name and seed

SMALL = Plan("stand-in", seeds=1, train_images=640, clean_images=100, corrupted_images=20)
SMALL_SETTINGS = Settings(width=4, epochs=3, batch_size=32)


def run(plan: Plan, settings: Settings, out: pathlib.Path) -> str:
    """Runs what is not yet done in the folder `out`.

    Returns:
      The table of accuracies, in Markdown.
    """
    dataset = prepare(plan, settings, out)
    trained, history = train_all(dataset, plan, settings, out)
    rows = test_all(trained, dataset, plan, out)
    table = evaluate.table(rows)
    (out / "table.md").write_text(table)
    gallery = figures.gallery(dataset.test.images[:3], frost_pictures=read_frost(plan))
    save(gallery, out / "corruptions.png")
    save(figures.accuracies(rows), out / "accuracy.svg")
    save(figures.curves(history), out / "curves.svg")
    save(figures.learned_weights(history), out / "lambda.svg")
    return table


def prepare(plan: Plan, settings: Settings, out: pathlib.Path) -> data.Dataset:
    """Reads the images; refuses an `out` that holds a run with another plan or settings."""
    runs.same_settings(out, plan, settings)
    return data.load(plan.source, plan.train_images)


def train_all(
    dataset: data.Dataset, plan: Plan, settings: Settings, out: pathlib.Path
) -> tuple[Trained, list[dict[str, Any]]]:
    """Every model with every seed, and the history of all epochs."""
    trained: Trained = {}
    history: list[dict[str, Any]] = []
    shown = dataset._replace(test=_clean(dataset, plan))
    for seed in range(plan.seeds):
        for name in MODELS:
            folder = out / "checkpoints" / f"{name}-{seed}"
            trained[name, seed], epochs = train(name, seed, shown, settings, folder)
            history += [{"model": name, "seed": seed, **row} for row in epochs]
            tables.write_csv(out / "history.csv", history)
            print(f"{name}, seed {seed}: {_last(epochs)}")
    return trained, history


def test_all(
    trained: Trained, dataset: data.Dataset, plan: Plan, out: pathlib.Path
) -> list[dict[str, str]]:
    """Accuracy of every model on clean images and under every corruption at every severity."""
    source = evaluate.Source(_published(plan), read_frost(plan), plan.corrupted_images)
    path = out / "accuracy.csv"
    return evaluate.evaluate(trained, _clean(dataset, plan), dataset.test, source, path)


def read_frost(plan: Plan) -> list[np.ndarray] | None:
    """The frost pictures, or None for the procedural substitute."""
    return textures.read_frost(plan.frost) if plan.frost else None


def _published(plan: Plan) -> pathlib.Path | None:
    if plan.published == "download":
        return downloads.corrupted()
    return plan.published and pathlib.Path(plan.published)


def _clean(dataset: data.Dataset, plan: Plan) -> data.Split:
    return data.Split(*(array[: plan.clean_images] for array in dataset.test))


def _last(epochs: History) -> str:
    columns = {key: value for key, value in epochs[-1].items() if key != "epoch"}
    return ", ".join(f"{key} {value:.4g}" for key, value in columns.items())

# SPDX-License-Identifier: MIT
"""Accuracy of trained models on clean and on corrupted images."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from examples.cifar10 import corruptions, train
from examples.cifar10.data import Split
from examples.common import tables
from examples.common.training import State

CLEAN = "clean"


class Source(NamedTuple):
    """Where corrupted images come from.

    Attributes:
      published: folder of CIFAR-10-C's `.npy` files; None to corrupt the test images ourselves.
      frost: frost pictures for doing so; None for the procedural substitute.
      size: images of each corruption and severity; None for all.
    """

    published: pathlib.Path | None = None
    frost: Sequence[np.ndarray] | None = None
    size: int | None = None


def conditions() -> list[tuple[str, int]]:
    """Every corruption at every severity."""
    return [(name, s) for name in corruptions.CORRUPTIONS for s in corruptions.SEVERITIES]


def corrupted(test: Split, name: str, severity: int, source: Source) -> Split:
    """The images of one condition.

    Where not all are used, the next condition uses others, so that together they cover the test
    set; all models see the same.
    """
    if source.published is not None:
        everything = Split(*corruptions.published(source.published, name, severity))
    else:
        everything = test
    count = len(everything.labels)
    size = min(source.size or count, count)
    number = conditions().index((name, severity))
    rows = (number * size + np.arange(size)) % count
    images, labels = everything.images[rows], everything.labels[rows]
    if source.published is None:
        images = corruptions.corrupt(images, name, severity, frost_pictures=source.frost)
    return Split(images, labels)


def evaluate(
    trained: Mapping[tuple[str, int], State],
    clean: Split,
    test: Split,
    source: Source,
    path: pathlib.Path,
) -> list[dict[str, str]]:
    """Rows `model, seed, corruption, severity, accuracy`, also saved; done ones are not repeated.

    Args:
      trained: from name and seed to the state of a model.
      clean: images for the accuracy without corruption, which has severity 0.
      test: images to corrupt.
      source: how.
      path: of the CSV file.
    """
    rows = tables.read_csv(path)
    done = {(row["model"], row["seed"], row["corruption"], row["severity"]) for row in rows}
    for name, severity in tqdm([(CLEAN, 0), *conditions()], desc="evaluation"):
        todo = {
            key: value
            for key, value in trained.items()
            if (key[0], str(key[1]), name, str(severity)) not in done
        }
        if not todo:
            continue
        split = clean if name == CLEAN else corrupted(test, name, severity, source)
        for (name_of_model, seed), state in todo.items():
            rows.append(
                {
                    "model": name_of_model,
                    "seed": str(seed),
                    "corruption": name,
                    "severity": str(severity),
                    "accuracy": f"{train.accuracy(state, split):.3f}",
                }
            )
        tables.write_csv(path, rows)
    return rows


def per_seed(rows: Sequence[Mapping[str, str]], model: str, names: Sequence[str]) -> list[float]:
    """Of a model, for each seed, its accuracy averaged over these corruptions and all severities.

    Every severity and every corruption counts the same, as in the paper's Table 2.
    """
    values: dict[str, list[float]] = {}
    for row in rows:
        if row["model"] == model and row["corruption"] in names:
            values.setdefault(row["seed"], []).append(float(row["accuracy"]))
    return [float(np.mean(accuracies)) for accuracies in values.values()]


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The counterpart of Table 2, in Markdown: a corruption in each row, a model in each column."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    names = {name.replace("_", " "): [name] for name in (CLEAN, *corruptions.CORRUPTIONS)}
    groups = {f"**{name}**": members for name, members in GROUPS.items()}
    body = [
        (title, *(tables.mean_and_spread(per_seed(rows, model, members)) for model in models))
        for title, members in (names | groups).items()
    ]
    return tables.markdown(("accuracy, %", *models), body)


_NAMES = list(corruptions.CORRUPTIONS)
GROUPS = {
    "noise": _NAMES[:3],
    "blur": _NAMES[3:7],
    "weather": _NAMES[7:11],
    "digital": _NAMES[11:],
    "all corruptions": _NAMES,
}

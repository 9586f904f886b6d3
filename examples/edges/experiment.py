# SPDX-License-Identifier: MIT
"""The whole experiment: every model and seed; the table and the figures."""

import multiprocessing
import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from examples.common import image_to_image, runs, tables
from examples.common.checkpoints import History
from examples.common.figures import save
from examples.common.image_to_image import Settings
from examples.common.images import some
from examples.common.training import State
from examples.edges import figures, metrics
from examples.edges.data import Data, Example, batch
from examples.edges.models import LAM_INIT, MODELS, DexiNed, balanced_cross_entropy, weights

SHOWN = 2  # images in the figure
PER_WORKER = 4  # fewer images than this are not worth a process


class Plan(NamedTuple):
    """What is run on what.

    Attributes:
      scale: of the images.
      test_images: of each test set; None for all.
      seeds: how many.
      width: channels of the first convolution.
      pairs: of convolutions in the last blocks.
      lam_init: lambda of the TV layers at first.
    """

    scale: float = 1.0
    test_images: int | None = None
    seeds: int = 3
    width: int = 32
    pairs: int = 3
    lam_init: float = LAM_INIT


USUAL = Settings(epochs=30, steps=1000, batch_size=8, patch=352, rate=1e-3)
SMALL = Plan(seeds=1, width=4, pairs=1)
SMALL_SETTINGS = Settings(epochs=2, steps=40, batch_size=4, patch=32, rate=1e-2)


def run(plan: Plan, settings: Settings, data: Data, out: pathlib.Path) -> str:
    """Runs what is not yet done in the folder `out`.

    Returns:
      The table of scores, in Markdown.
    """
    runs.same_settings(out, plan, settings, {"source": " and ".join(data.tests)})
    rows = tables.read_csv(out / "scores.csv")
    history: list[dict[str, Any]] = []
    shown = some(next(iter(data.tests.values())), SHOWN)
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(plan.seeds):
        for name in MODELS:
            state, epochs = train(name, plan, settings, data, seed, out / "checkpoints")
            history += [{"model": name, "seed": seed} | row for row in epochs]
            tables.write_csv(out / "history.csv", history)
            if not any((row["model"], row["seed"]) == (name, str(seed)) for row in rows):
                rows += [
                    {"model": name, "seed": str(seed), "set": title}
                    | {key: f"{value:.5f}" for key, value in found_scores._asdict().items()}
                    for title, found_scores in evaluate(name, state, data).items()
                ]
                tables.write_csv(out / "scores.csv", rows)
            if seed == 0:
                found[name] = [_detect(state, example) for example in shown]
    save(figures.detections(shown, found), out / "detections.png")
    save(figures.learned_weights(history, "DexiNed-TV", plan.lam_init), out / "weights.svg")
    text = table(rows)
    (out / "table.md").write_text(text)
    return text


def train(
    name: str, plan: Plan, settings: Settings, data: Data, seed: int, folder: pathlib.Path
) -> tuple[State, History]:
    """Trains a model by its name in `MODELS`: state, history."""
    return image_to_image.train(
        DexiNed(MODELS[name], plan.width, plan.pairs, plan.lam_init),
        balanced_cross_entropy,
        lambda rng: batch(rng, data.train, settings.batch_size, settings.patch),
        settings,
        seed,
        folder / f"{name}-{seed}",
        report=lambda state: weights(state.params),
        name=f"{name}, seed {seed}",
    )


def evaluate(name: str, state: State, data: Data) -> dict[str, metrics.Scores]:
    """The scores on each test set."""
    result = {}
    for title, examples in data.tests.items():
        bar = tqdm(examples, f"{name}, edges of {title}", leave=False)
        edges = [_detect(state, example) for example in bar]
        result[title] = metrics.scores(_counts(edges, examples, f"{name}, scores on {title}"))
    return result


def _detect(state: State, example: Example) -> np.ndarray:
    image = example.image.astype(np.float32) / 255
    return image_to_image.apply(state, image, method=DexiNed.edges)


def _counts(edges: Sequence[np.ndarray], examples: Sequence[Example], title: str):
    truths = [example.truths for example in examples]
    workers = min(os.cpu_count() or 1, len(edges) // PER_WORKER)
    if workers < 2:
        return [metrics.count(*pair) for pair in zip(edges, truths, strict=True)]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        counts = pool.map(metrics.count, edges, truths)
        return list(tqdm(counts, title, len(edges), leave=False))


def table(rows: list[dict[str, str]]) -> str:
    """The counterpart of Table 4: mean and deviation over seeds."""
    header, body = ["method"], {row["model"]: [row["model"]] for row in rows}
    for title in dict.fromkeys(row["set"] for row in rows):
        for score in metrics.Scores._fields:
            header.append(f"{title} {score.upper()}")
            for model, cells in body.items():
                own = [float(r[score]) for r in rows if (r["model"], r["set"]) == (model, title)]
                cells.append(tables.mean_and_spread(own, 3))
    return tables.markdown(header, body.values())

# SPDX-License-Identifier: MIT
"""The whole experiment: every model and seed, the baselines, the table and the figures."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from examples.common import image_to_image, runs, tables
from examples.common.figures import save
from examples.common.image_to_image import Settings
from examples.common.images import some
from examples.smoothing import data, figures, models, optimisation
from examples.smoothing.metrics import errors

Smooth = Callable[[np.ndarray], np.ndarray]


class Plan(NamedTuple):
    """What is run.

    Attributes:
      seeds: how many.
      width: channels of a network.
      blocks: residual blocks of a network.
      tuning: how many training images choose the weights of the methods without a network.
    """

    seeds: int = 3
    width: int = 64
    blocks: int = 16
    tuning: int = 16


SMALL = Plan(seeds=1, width=8, blocks=8, tuning=1)
SMALL_SETTINGS = Settings(epochs=2, steps=8, batch_size=2, patch=24, rate=3e-3)


def weighted_absolute_error(outputs: jax.Array, targets: Any) -> jax.Array:
    """WMAE of a batch, in [0, 1]: outputs `[N, H, W, C]`, truths `[N, K, H, W, C]` with weights."""
    truths, weights = targets
    return jnp.mean(weights[..., None, None, None] * jnp.abs(outputs[:, None] - truths))


def run(
    plan: Plan, settings: Settings, examples: data.Data, out: pathlib.Path, source: str = "small"
) -> str:
    """Runs what is not yet done in the folder `out`; `source` is where the examples come from.

    Returns:
      The table of errors, in Markdown.
    """
    runs.same_settings(out, plan, settings, {"source": source})
    rows = tables.read_csv(out / "errors.csv")
    history: list[dict[str, Any]] = []

    def measure(method: str, seed: int, smooth: Smooth) -> None:
        if any((row["method"], row["seed"]) == (method, str(seed)) for row in rows):
            return
        found = errors((smooth(e.image), e) for e in tqdm(examples.test, method, leave=False))
        rows.append(
            {"method": method, "seed": str(seed)}
            | {name: f"{value:.4f}" for name, value in found._asdict().items()}
        )
        tables.write_csv(out / "errors.csv", rows)

    measure("input", 0, lambda image: image)
    few = some(examples.train, plan.tuning)
    for name, bandwidths in (("TV prox", [np.inf]), ("L1 smoothing", optimisation.BANDWIDTHS)):
        lam, bandwidth = optimisation.best(few, bandwidths)
        print(f"{name}: lam {lam:.3f}, bandwidth {bandwidth}")
        measure(name, 0, functools.partial(optimisation.smooth, lam=lam, bandwidth=bandwidth))
    for seed in range(plan.seeds):
        for name in models.MODELS:
            state, epochs = image_to_image.train(
                models.make(name, plan.width, plan.blocks),
                weighted_absolute_error,
                lambda rng: data.batch(rng, examples.train, settings.batch_size, settings.patch),
                settings,
                seed,
                out / "checkpoints" / f"{name}-{seed}",
                report=lambda state: models.weights(state.params),
                name=f"{name}, seed {seed}",
            )
            history += [{"model": name, "seed": seed, **row} for row in epochs]
            tables.write_csv(out / "history.csv", history)
            measure(name, seed, functools.partial(image_to_image.apply, state))
            if name == "ResNetTV" and seed == 0:
                save(figures.stages(state, examples.test), out / "stages.png")
                save(figures.features(state, examples.test[0]), out / "features.png")
    text = table(rows)
    (out / "table.md").write_text(text)
    return text


def table(rows: list[dict[str, str]]) -> str:
    """The counterpart of Table 5: mean and deviation over seeds."""
    body = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        cells = [tables.mean_and_spread([float(r[k]) for r in own], 2) for k in ("wrmse", "wmae")]
        body.append((method, *cells))
    return tables.markdown(("method", "WRMSE", "WMAE"), body)

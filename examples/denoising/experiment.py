# SPDX-License-Identifier: MIT
"""The whole experiment: every noise level, model and seed; the table and the figures."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from examples.common import image_to_image, runs, tables
from examples.common.figures import save
from examples.common.image_to_image import Settings
from examples.common.images import some
from examples.common.quality import psnr, ssim
from examples.common.training import State
from examples.denoising import classical, data, figures
from examples.denoising.models import MODELS, DnCNN, weights

Denoise = Callable[[np.ndarray], np.ndarray]


class Plan(NamedTuple):
    """What is run on what.

    Attributes:
      sigmas: noise levels, for pixels in 0..255.
      seeds: how many.
      depth: convolutions of a network.
      width: their channels.
      tuning: how many training images choose the weights of the methods without a network.
    """

    sigmas: tuple[float, ...] = (25, 50)
    seeds: int = 3
    depth: int = 20
    width: int = 64
    tuning: int = 16


SMALL = Plan(sigmas=(25,), seeds=1, depth=4, width=8, tuning=1)
SMALL_SETTINGS = Settings(epochs=2, steps=8, batch_size=4, patch=24, rate=3e-3)


def run(plan: Plan, settings: Settings, images: data.Images, out: pathlib.Path) -> str:
    """Runs what is not yet done in the folder `out`.

    Returns:
      The table of qualities, in Markdown.
    """
    runs.same_settings(out, plan, settings)
    rows = tables.read_csv(out / "quality.csv")
    history: list[dict[str, Any]] = []

    def measure(method: str, sigma: float, seed: int, denoise: Denoise) -> None:
        if not any(_key(row) == (method, str(sigma), str(seed)) for row in rows):
            rows.extend(_qualities(method, sigma, seed, denoise, images.tests))
            tables.write_csv(out / "quality.csv", rows)

    for sigma in plan.sigmas:
        measure("noisy", sigma, 0, lambda image: image)
        for method, denoise, lam in tuned(plan, images, sigma):
            measure(f"{method}, lam {lam:.3f}", sigma, 0, functools.partial(denoise, lam=lam))
        for seed in range(plan.seeds):
            states: dict[str, State] = {}
            for name in MODELS:
                folder = out / "checkpoints" / f"{name}-{sigma:g}-{seed}"
                states[name], epochs = train(name, plan, settings, images, sigma, seed, folder)
                about = {"model": name, "sigma": sigma, "seed": seed}
                history += [about | row for row in epochs]
                measure(name, sigma, seed, functools.partial(image_to_image.apply, states[name]))
            if seed == 0:
                save(figures.stages(states, images, sigma), out / f"stages-{sigma:g}.png")
    tables.write_csv(out / "history.csv", history)
    text = table(rows)
    (out / "table.md").write_text(text)
    return text


def tuned(plan: Plan, images: data.Images, sigma: float):
    """The methods without a network: name, denoiser and the weight that training images chose."""
    clean = some(images.train, plan.tuning)
    pairs = [(data.noisy(image, sigma, seed), image) for seed, image in enumerate(clean)]
    for name, denoise in classical.DENOISERS.items():
        yield name, denoise, classical.best_weight(denoise, pairs, sigma)


def train(
    name: str,
    plan: Plan,
    settings: Settings,
    images: data.Images,
    sigma: float,
    seed: int,
    folder: pathlib.Path,
):
    """Trains a model by its name in `MODELS`: state, history."""
    return image_to_image.train(
        DnCNN(MODELS[name], plan.depth, plan.width),
        image_to_image.absolute_error,
        lambda rng: data.batch(rng, images.train, sigma, settings.batch_size, settings.patch),
        settings,
        seed,
        folder,
        report=lambda state: weights(state.params),
        name=f"{name}, sigma {sigma:g}, seed {seed}",
    )


def _key(row: dict[str, str]) -> tuple[str, str, str]:
    return row["method"], row["sigma"], row["seed"]


def _qualities(method: str, sigma: float, seed: int, denoise: Denoise, tests) -> list[dict]:
    rows = []
    for name, clean in tests.items():
        bar = tqdm(clean, f"{method}, sigma {sigma:g}, {name}", leave=False)
        pairs = [(denoise(data.noisy(x, sigma, k)), x) for k, x in enumerate(bar)]
        rows.append(
            {
                "method": method,
                "sigma": str(sigma),
                "seed": str(seed),
                "set": name,
                "psnr": f"{np.mean([psnr(y, x) for y, x in pairs]):.4f}",
                "ssim": f"{np.mean([ssim(y, x) for y, x in pairs]):.5f}",
            }
        )
    return rows


def table(rows: list[dict[str, str]]) -> str:
    """The counterpart of Table 6: PSNR in dB and SSIM, mean and deviation over seeds."""
    columns = list(dict.fromkeys((row["set"], row["sigma"]) for row in rows))
    body = []
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = [method]
        for name, sigma in columns:
            own = [r for r in rows if (r["method"], r["set"], r["sigma"]) == (method, name, sigma)]
            values = [[float(row[column]) for row in own] for column in ("psnr", "ssim")]
            cells.append(
                f"{tables.mean_and_spread(values[0], 2)} / {np.mean(values[1]):.3f}" if own else ""
            )
        body.append(cells)
    return tables.markdown(("method", *(f"{n}, sigma {float(s):g}" for n, s in columns)), body)

# SPDX-License-Identifier: MIT
"""What the TV layers cost: the time of a training step and of inference, with them and without.

python -m examples.cifar10.cost                  # as wide as in the paper
python -m examples.cifar10.cost --width 24
python -m examples.cifar10.cost --small          # a narrow network, in seconds
"""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np

from examples.cifar10 import train
from examples.cifar10.data import Split
from examples.cifar10.models import MODELS
from examples.cifar10.train import Settings
from examples.common import command, tables

SMALL = Settings(width=2, batch_size=2)


def main(settings: Settings = Settings(), rounds: int = 7, small: bool = False) -> None:
    """Prints a table.

    Args:
      settings: of the training.
      rounds: of all models in turn.
      small: a narrow network and few images instead.
    """
    if small:
        settings = SMALL
    kind = "bfloat16" if settings.bfloat16 else "float32"
    print(
        f"{jax.devices()[0].device_kind}, width {settings.width}, batch {settings.batch_size}, "
        f"{kind}, medians of {rounds} rounds\n\n{measure(settings, rounds)}"
    )


def measure(settings: Settings, rounds: int) -> str:
    """A table in Markdown. All models run in turn in every round; a ratio is taken within it."""
    steps, inferences = {}, {}
    for name in MODELS:
        steps[name], inferences[name] = _tasks(name, settings)
    step_times, inference_times = _times(steps, rounds), _times(inferences, rounds)
    plain = next(iter(MODELS))
    rows = []
    for name in MODELS:
        cells = [name]
        for times in (step_times, inference_times):
            ratio = statistics.median(
                own / other for own, other in zip(times[name], times[plain], strict=True)
            )
            cells += [f"{1e3 * statistics.median(times[name]):.1f}", f"{ratio:.2f}"]
        rows.append(cells)
    return tables.markdown(("model", "step, ms", "ratio", "inference, ms", "ratio"), rows)


def _tasks(name: str, settings: Settings) -> tuple[Callable[[], None], Callable[[], None]]:
    """A training step and an inference on one batch of random images, compiled before."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (settings.batch_size, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, settings.batch_size).astype(np.int32)
    batch = jax.device_put(Split(images, labels))
    model = train.make_model(name, settings)
    states = [train.initial_state(model, train.make_optimizer(settings, 1000), seed=0)]

    def step() -> None:
        state, metrics = train.train_step(states.pop(), batch)
        states.append(state)
        jax.block_until_ready((state, metrics))

    def infer() -> None:
        jax.block_until_ready(train.predict(states[0], batch.images))

    step()
    infer()
    return step, infer


def _times(tasks: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    command.run(main, "examples.cifar10.cost", __doc__)

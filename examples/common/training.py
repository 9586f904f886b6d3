# SPDX-License-Identifier: MIT
"""A training loop with progress bars and checkpoints, for any model, loss and data."""

import functools
import itertools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import grain
import jax
import numpy as np
import optax
from flax import linen as nn
from flax.training import train_state
from tqdm import tqdm

from examples.common.checkpoints import Checkpoints, History

AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)  # batches, made in threads


class State(train_state.TrainState):
    """All that changes in training: Flax's state, and the statistics of batch normalisation."""

    statistics: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What `apply_fn` takes."""
        return {"params": self.params, "batch_stats": self.statistics}


Step = Callable[[State, Any], tuple[State, dict[str, jax.Array]]]


def new_state(
    model: nn.Module, variables: Mapping[str, Any], optimizer: optax.GradientTransformation
) -> State:
    """The state before the first step."""
    return State.create(
        apply_fn=_apply_of(model),
        params=variables["params"],
        statistics=variables.get("batch_stats", {}),
        tx=optimizer,
    )


@functools.cache
def _apply_of(model: nn.Module) -> Callable:
    """The same for equal models, for which a step is then compiled once."""
    return model.apply


def fit(
    state: State,
    step: Step,
    batches: grain.MapDataset,
    *,
    epochs: int,
    folder: pathlib.Path,
    report: Callable[[State], dict[str, float]] = lambda state: {},
    name: str = "training",
) -> tuple[State, History]:
    """Trains from the newest checkpoint in `folder` on, or from `state`.

    A run that was killed gives, when started again, the numbers of a run that was not: a batch is a
    function of its number, and an epoch is repeated whole if it was not finished.

    Args:
      state: as before the first epoch.
      step: `(state, batch) -> (state, metrics)`. It may donate the state.
      batches: of all epochs, each of which has as many.
      epochs: how many in all.
      folder: of the checkpoints, one after each epoch.
      report: from the state after an epoch to further columns of the history.
      name: stands before the progress bar.

    Returns:
      The state after the last epoch; for each epoch its number, the means of the metrics over its
      steps, and its report.
    """
    steps = len(batches) // epochs
    with Checkpoints(folder) as checkpoints:
        state, history = checkpoints.restore(state)
        left = iter(batches[len(history) * steps :].to_iter_dataset(AHEAD))
        for epoch in range(len(history), epochs):
            title = f"{name}, epoch {epoch + 1} of {epochs}"
            progress = tqdm(itertools.islice(left, steps), title, steps, leave=False)
            state, means = _epoch(state, step, progress)
            history.append({"epoch": epoch + 1, **means, **report(state)})
            checkpoints.save(state, history)
    return state, history


def _epoch(state: State, step: Step, progress: tqdm) -> tuple[State, dict[str, float]]:
    rows: list[dict[str, float]] = []
    pending = None  # read one step late: the device has the next step before we wait for this one
    for batch in progress:
        state, metrics = step(state, batch)
        if pending is not None:
            rows.append({key: float(value) for key, value in pending.items()})
            progress.set_postfix({k: f"{v:.4g}" for k, v in rows[-1].items()}, refresh=False)
        pending = metrics
    if pending is None:
        raise ValueError(f"{progress.desc}: no batches. Is the data set empty?")
    rows.append({key: float(value) for key, value in pending.items()})
    return state, {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}

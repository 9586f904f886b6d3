# SPDX-License-Identifier: MIT
"""A training loop with progress bars and checkpoints, for any model, loss and data."""

import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from examples.common.batches import prefetch
from examples.common.checkpoints import Checkpoints, History

Step = Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]]


def fit(
    state: Any,
    step: Step,
    batches: Callable[[int], Iterable[Any]],
    *,
    epochs: int,
    steps: int,
    folder: pathlib.Path,
    report: Callable[[Any], dict[str, float]] = lambda state: {},
    name: str = "training",
) -> tuple[Any, History]:
    """Trains from the newest checkpoint in `folder` on, or from `state`.

    A run that was killed gives, when started again, the numbers of a run that was not: an epoch is
    a function of its number and the state before it, and is repeated whole if it was not finished.

    Args:
      state: tree of arrays, as before the first epoch.
      step: `(state, batch) -> (state, metrics)`. It may donate the state.
      batches: from the number of an epoch, from 0, to its batches. The same ones at every call.
      epochs: how many in all.
      steps: how many in an epoch, for the progress bar.
      folder: of the checkpoints, one after each epoch.
      report: from the state after an epoch to further columns of the history.
      name: stands before the progress bar.

    Returns:
      The state after the last epoch; for each epoch its number, the means of the metrics over its
      steps, and its report.
    """
    with Checkpoints(folder) as checkpoints:
        state, history = checkpoints.restore(state)
        for epoch in range(len(history), epochs):
            title = f"{name}, epoch {epoch + 1} of {epochs}"
            state, means = _epoch(
                state, step, tqdm(prefetch(batches(epoch)), title, steps, leave=False)
            )
            history.append({"epoch": epoch + 1, **means, **report(state)})
            checkpoints.save(state, history)
    return state, history


def _epoch(state: Any, step: Step, progress: tqdm) -> tuple[Any, dict[str, float]]:
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

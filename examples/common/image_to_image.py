# SPDX-License-Identifier: MIT
"""Training of a network from images to images: patches, state, loss, optimiser, step."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from examples.common.checkpoints import History
from examples.common.training import fit


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run depends on besides its model, data and seed.

    Adam; the rate falls to a hundredth along a cosine.

    Attributes:
      epochs: how many.
      steps: in an epoch.
      batch_size: patches of a step.
      patch: height and width of training patches.
      rate: learning rate at the start.
    """

    epochs: int = 50
    steps: int = 1000
    batch_size: int = 64
    patch: int = 40
    rate: float = 1e-3


class State(NamedTuple):
    """All that changes in training."""

    params: Any
    statistics: Any  # of the batch normalisation, empty without
    optimizer: optax.OptState


class Batch(NamedTuple):
    """Float32 in [0, 1]: inputs `[N, H, W, C]`, and what the loss compares the outputs with."""

    inputs: np.ndarray
    targets: Any


# (outputs, targets) -> loss
Loss = Callable[[jax.Array, Any], jax.Array]


def absolute_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The mean of |outputs - targets|."""
    return jnp.abs(outputs - targets).mean()


def random_patch(rng: np.random.Generator, arrays: Sequence[np.ndarray], size: int):
    """The same square of arrays `[H, W, ...]`, turned and flipped alike."""
    height, width = arrays[0].shape[:2]
    if min(height, width) < size:
        raise ValueError(f"patch {size} exceeds an image of {height} x {width}: make it smaller.")
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    turns, flip = rng.integers(4), rng.integers(2)
    for array in arrays:
        patch = np.rot90(array[top : top + size, left : left + size], turns)
        yield patch[:, ::-1] if flip else patch


def make_optimizer(settings: Settings) -> optax.GradientTransformation:
    """The optimiser for all steps of a run."""
    steps = settings.epochs * settings.steps
    return optax.adam(optax.cosine_decay_schedule(settings.rate, steps, alpha=0.01))


@functools.partial(jax.jit, static_argnums=0)
def _variables(model: nn.Module, key: jax.Array) -> Any:
    return model.init(key, jnp.zeros((1, 16, 16, 3), jnp.float32))


def initial_state(model: nn.Module, settings: Settings, seed: int) -> State:
    """Parameters from a seed."""
    variables = _variables(model, jax.random.key(seed))
    params = variables["params"]
    statistics = variables.get("batch_stats", {})
    return State(params, statistics, make_optimizer(settings).init(params))


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def train_step(
    model: nn.Module, loss: Loss, settings: Settings, state: State, batch: Batch
) -> tuple[State, dict[str, jax.Array]]:
    """One step, and its metrics."""

    def value(params):
        outputs, updated = model.apply(
            {"params": params, "batch_stats": state.statistics},
            batch.inputs,
            train=True,
            mutable=["batch_stats"],
        )
        return loss(outputs, batch.targets), updated.get("batch_stats", {})

    (error, statistics), slope = jax.value_and_grad(value, has_aux=True)(state.params)
    updates, memory = make_optimizer(settings).update(slope, state.optimizer, state.params)
    return State(optax.apply_updates(state.params, updates), statistics, memory), {"loss": error}


def train(
    model: nn.Module,
    loss: Loss,
    batch: Callable[[np.random.Generator], Batch],
    settings: Settings,
    seed: int,
    folder: pathlib.Path,
    *,
    report: Callable[[State], dict[str, float]],
    name: str,
) -> tuple[State, History]:
    """Trains a model, or goes on from its newest checkpoint in `folder`.

    Args:
      model: called as `model(inputs, train)`.
      loss: of outputs and targets.
      batch: makes a random batch.
      settings: of the optimiser and the number of steps.
      seed: of the parameters and the batches.
      folder: of the checkpoints.
      report: further columns of the history, as in `fit`.
      name: stands before the progress bar.
    """

    def batches(epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng((seed, epoch))
        return (batch(rng) for _ in range(settings.steps))

    return fit(
        initial_state(model, settings, seed),
        functools.partial(train_step, model, loss, settings),
        batches,
        epochs=settings.epochs,
        steps=settings.steps,
        folder=folder,
        report=report,
        name=name,
    )


@functools.partial(jax.jit, static_argnums=(0, 3))
def _apply(model: nn.Module, state: State, inputs: jax.Array, method: Any) -> Any:
    variables = {"params": state.params, "batch_stats": state.statistics}
    return model.apply(variables, inputs, method=method)


def apply(model: nn.Module, state: State, image: np.ndarray, method: Any = None) -> Any:
    """The output of a trained model, or of another method of it, for one image `[H, W, C]`."""
    outputs = _apply(model, state, jnp.asarray(image, jnp.float32)[None], method)
    return jax.tree.map(lambda array: np.asarray(array[0]), outputs)

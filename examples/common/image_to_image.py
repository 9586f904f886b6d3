# SPDX-License-Identifier: MIT
"""Training of a network from images to images: patches, loss, optimiser, step."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from examples.common.checkpoints import History
from examples.common.training import State, fit, new_state


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
      lam_rate: that of lambda, in units of `rate`. Adam moves the logarithm of a small lambda by at
        most its rate in a step.
    """

    epochs: int = 50
    steps: int = 1000
    batch_size: int = 64
    patch: int = 40
    rate: float = 1e-3
    lam_rate: float = 1.0


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


@functools.cache
def make_optimizer(settings: Settings) -> optax.GradientTransformation:
    """The optimiser for all steps of a run."""
    steps = settings.epochs * settings.steps

    def adam(rate: float) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(rate, steps, alpha=0.01))

    own = {"lam": adam(settings.rate * settings.lam_rate), "others": adam(settings.rate)}
    return optax.multi_transform(own, _kinds)


def _kinds(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "lam" if path[-1].key == "lam_raw" else "others", params
    )


@functools.partial(jax.jit, static_argnums=0)
def _variables(model: nn.Module, key: jax.Array) -> Any:
    return model.init(key, jnp.zeros((1, 16, 16, 3), jnp.float32))


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def train_step(loss: Loss, state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
    """One step, and its metrics."""

    def value(params):
        outputs, updated = state.apply_fn(
            state.variables | {"params": params}, batch.inputs, train=True, mutable=["batch_stats"]
        )
        return loss(outputs, batch.targets), updated.get("batch_stats", {})

    (error, statistics), slope = jax.value_and_grad(value, has_aux=True)(state.params)
    return state.apply_gradients(grads=slope, statistics=statistics), {"loss": error}


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
    numbers = grain.MapDataset.range(settings.epochs * settings.steps)
    variables = _variables(model, jax.random.key(seed))
    return fit(
        new_state(model, variables, make_optimizer(settings)),
        functools.partial(train_step, loss),
        numbers.seed(seed).random_map(lambda _, rng: batch(rng)),
        epochs=settings.epochs,
        folder=folder,
        report=report,
        name=name,
    )


@functools.partial(jax.jit, static_argnums=2)
def _apply(state: State, inputs: jax.Array, method: Any) -> Any:
    return state.apply_fn(state.variables, inputs, method=method)


def apply(state: State, image: np.ndarray, method: Any = None) -> Any:
    """The output of a trained model, or of another method of it, for one image `[H, W, C]`."""
    outputs = _apply(state, jnp.asarray(image, jnp.float32)[None], method)
    return jax.tree.map(lambda array: np.asarray(array[0]), outputs)

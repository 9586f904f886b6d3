# SPDX-License-Identifier: MIT
"""Training of one model: the loss, the optimiser, the step, what is reported of each epoch."""

import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from examples.cifar10 import data
from examples.cifar10.models import MODELS, AllConvNet, weights
from examples.common.batches import in_order
from examples.common.checkpoints import History
from examples.common.training import fit


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run depends on besides its data and seeds.

    Stochastic gradient descent with Nesterov's momentum 0.9; the rate rises from 0 over the first
    tenth of the steps and falls to 0 along a cosine. Weight decay acts on kernels, not on lambda.

    Attributes:
      width: channels of the first block.
      epochs: how many.
      batch_size: images of a step.
      rate: highest learning rate.
      weight_decay: of the kernels.
      bfloat16: compute in bfloat16.
    """

    width: int = 96
    epochs: int = 100
    batch_size: int = 128
    rate: float = 0.1
    weight_decay: float = 5e-4
    bfloat16: bool = False


class State(NamedTuple):
    """All that changes in training."""

    params: Any
    statistics: Any  # of the batch normalisation
    optimizer: optax.OptState


def make_model(name: str, settings: Settings) -> AllConvNet:
    """A model by its name in `MODELS`."""
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}, got {name!r}.")
    dtype = jnp.bfloat16 if settings.bfloat16 else jnp.float32
    return AllConvNet(MODELS[name], settings.width, dtype)


def make_optimizer(settings: Settings, steps: int) -> optax.GradientTransformation:
    """The optimiser for `steps` steps in all."""
    rate = optax.warmup_cosine_decay_schedule(0, settings.rate, max(1, steps // 10), max(2, steps))

    def kernels(params: Any) -> Any:
        return jax.tree.map(lambda parameter: parameter.ndim > 1, params)

    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay, kernels),
        optax.sgd(rate, momentum=0.9, nesterov=True),
    )


def initial_state(model: AllConvNet, optimizer: optax.GradientTransformation, seed: int) -> State:
    """Parameters from a seed. Models with and without TV layers begin with the same kernels."""
    variables = model.init(jax.random.key(seed), jnp.zeros((1, 32, 32, 3), jnp.float32))
    params = variables["params"]
    return State(params, variables["batch_stats"], optimizer.init(params))


def standardise(images: jax.Array) -> jax.Array:
    """Float32 with mean 0 and deviation 1 over CIFAR-10, from uint8."""
    return (images.astype(jnp.float32) / 255 - data.MEAN) / data.DEVIATION


def loss(
    model: AllConvNet, params: Any, statistics: Any, batch: data.Split
) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    """Cross entropy; new statistics and accuracy beside it."""
    logits, updated = model.apply(
        {"params": params, "batch_stats": statistics},
        standardise(batch.images),
        train=True,
        mutable=["batch_stats"],
    )
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
    accuracy = jnp.mean(logits.argmax(-1) == batch.labels, dtype=jnp.float32)
    return entropy.mean(), (updated["batch_stats"], accuracy)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def train_step(
    model: AllConvNet, settings: Settings, steps: int, state: State, batch: data.Split
) -> tuple[State, dict[str, jax.Array]]:
    """One step of `steps` in all, and its metrics."""
    gradient = jax.value_and_grad(loss, argnums=1, has_aux=True)
    (value, aux), slope = gradient(model, state.params, state.statistics, batch)
    statistics, accuracy = aux
    optimizer = make_optimizer(settings, steps)
    updates, memory = optimizer.update(slope, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    return State(params, statistics, memory), {"loss": value, "accuracy": accuracy}


@functools.partial(jax.jit, static_argnums=0)
def predict(model: AllConvNet, state: State, images: jax.Array) -> jax.Array:
    """The most likely class of each image."""
    variables = {"params": state.params, "batch_stats": state.statistics}
    return model.apply(variables, standardise(images)).argmax(-1)


def accuracy(model: AllConvNet, state: State, split: data.Split, batch_size: int = 500) -> float:
    """The part of the images, in percent, that the model puts into their class."""
    right = 0
    for part in in_order(len(split.labels), batch_size):
        right += np.sum(predict(model, state, split.images[part]) == split.labels[part])
    return 100 * float(right) / len(split.labels)


def train(
    name: str, seed: int, dataset: data.Dataset, settings: Settings, folder: pathlib.Path
) -> tuple[AllConvNet, State, History]:
    """Trains a model, or goes on from its newest checkpoint in `folder`."""
    model = make_model(name, settings)
    steps_per_epoch = len(dataset.train.labels) // settings.batch_size
    steps = settings.epochs * steps_per_epoch
    state, history = fit(
        initial_state(model, make_optimizer(settings, steps), seed),
        functools.partial(train_step, model, settings, steps),
        lambda number: data.epoch(dataset.train, settings.batch_size, seed, number),
        epochs=settings.epochs,
        steps=steps_per_epoch,
        folder=folder,
        report=lambda state: {
            "test_accuracy": accuracy(model, state, dataset.test),
            **weights(state.params),
        },
        name=f"{name}, seed {seed}",
    )
    return model, state, history

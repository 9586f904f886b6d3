# SPDX-License-Identifier: MIT
"""Training of one model: the loss, the optimiser, the step, what is reported of each epoch."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from examples.cifar10 import data
from examples.cifar10.models import MODELS, AllConvNet, weights
from examples.common.checkpoints import History
from examples.common.training import State, fit, new_state


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


def make_model(name: str, settings: Settings) -> AllConvNet:
    """A model by its name in `MODELS`."""
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}, got {name!r}.")
    dtype = jnp.bfloat16 if settings.bfloat16 else jnp.float32
    return AllConvNet(MODELS[name], settings.width, dtype)


@functools.cache
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
    return new_state(model, variables, optimizer)


def standardise(images: jax.Array) -> jax.Array:
    """Float32 with mean 0 and deviation 1 over CIFAR-10, from uint8."""
    return (images.astype(jnp.float32) / 255 - data.MEAN) / data.DEVIATION


def loss(params: Any, state: State, batch: data.Split) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    """Cross entropy; new statistics and accuracy beside it."""
    logits, updated = state.apply_fn(
        state.variables | {"params": params},
        standardise(batch.images),
        train=True,
        mutable=["batch_stats"],
    )
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
    accuracy = jnp.mean(logits.argmax(-1) == batch.labels, dtype=jnp.float32)
    return entropy.mean(), (updated["batch_stats"], accuracy)


@functools.partial(jax.jit, donate_argnums=0)
def train_step(state: State, batch: data.Split) -> tuple[State, dict[str, jax.Array]]:
    """One step, and its metrics."""
    (value, aux), slope = jax.value_and_grad(loss, has_aux=True)(state.params, state, batch)
    statistics, accuracy = aux
    state = state.apply_gradients(grads=slope, statistics=statistics)
    return state, {"loss": value, "accuracy": accuracy}


@jax.jit
def predict(state: State, images: jax.Array) -> jax.Array:
    """The most likely class of each image."""
    return state.apply_fn(state.variables, standardise(images)).argmax(-1)


def accuracy(state: State, split: data.Split, batch_size: int = 500) -> float:
    """The part of the images, in percent, that the model puts into their class."""
    right = 0
    for start in range(0, len(split.labels), batch_size):
        part = slice(start, start + batch_size)
        right += np.sum(predict(state, split.images[part]) == split.labels[part])
    return 100 * float(right) / len(split.labels)


def train(
    name: str, seed: int, dataset: data.Dataset, settings: Settings, folder: pathlib.Path
) -> tuple[State, History]:
    """Trains a model, or goes on from its newest checkpoint in `folder`."""
    batches = data.batches(dataset.train, settings.batch_size, seed, settings.epochs)
    optimizer = make_optimizer(settings, len(batches))
    return fit(
        initial_state(make_model(name, settings), optimizer, seed),
        train_step,
        batches,
        epochs=settings.epochs,
        folder=folder,
        report=lambda state: {
            "test_accuracy": accuracy(state, dataset.test),
            **weights(state.params),
        },
        name=f"{name}, seed {seed}",
    )

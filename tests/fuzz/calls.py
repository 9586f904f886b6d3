# SPDX-License-Identifier: MIT
"""Does every custom call end in an error, not in a crash, where its operands do not fit?

One case is a right call with up to two mistakes. `targets.py` says which calls are right: a handler
that accepts a wrong one reads or writes where it should not.
"""

import copy

import jax
import numpy as np

import jaxtv
from fuzz import worker
from fuzz.call import Array, Call
from fuzz.tally import Finding, Tally
from fuzz.targets import is_right, right_call
from jaxtv._plumbing import ffi

FAR = (-1, 3, 4, 100, 2**31, 2**62, 2**63 - 1, -(2**63))
DTYPES = ("float32", "float64", "float16", "int32", "uint8", "bool", "complex64")


def run(seed: int, first: int, count: int) -> Tally:
    return worker.run("calls", seed, first, count)


def check(seed: int, number: int) -> Finding | None:
    """Makes one call, and compares whether it is refused with whether it should be."""
    rng = np.random.default_rng((seed, number))
    targets = sorted(t for t in jaxtv.FFI_TARGETS if "cpu" in ffi.platforms_of(t))
    call = right_call(rng, targets[number % len(targets)])
    for _ in range(int(rng.choice((0, 1, 1, 1, 2)))):
        call = _with_mistake(rng, call)
    if not any(np.prod(shape) for shape, _ in call.results):
        return None  # XLA does not make a call without a result
    right = is_right(call)
    if right and call.attributes.get("num_sweeps", 0) > 100:
        return None  # right, and takes for ever
    error = _refusal(call)
    if (error is None) == right:
        return None
    kind = "a right call is refused" if right else "a wrong call is accepted"
    return Finding(
        f"calls: {kind}", f"{call.target}: {error} (seed {seed}, case {number})", str(call)
    )


def _refusal(call: Call) -> str | None:
    """The message of the error that a call ends in; None if it succeeds."""
    with jax.enable_x64(True):
        operands = [np.ones(shape, dtype) for shape, dtype in call.operands]
        results = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in call.results]
        attributes = {name: _attribute(value) for name, value in call.attributes.items()}
        try:
            jax.block_until_ready(jax.ffi.ffi_call(call.target, results)(*operands, **attributes))
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:300]
    return None


def _attribute(value):
    if isinstance(value, list):
        return np.array(value, np.int64)
    return np.int64(value) if type(value) is int else value


def _with_mistake(rng: np.random.Generator, call: Call) -> Call:
    call = copy.deepcopy(call)
    kind = rng.integers(5)
    if kind <= 1:
        _change_list(rng, call.operands)
    elif kind == 2:
        _change_list(rng, call.results)
    else:
        _change_attribute(rng, call)
    return call


def _change_list(rng: np.random.Generator, arrays: list[Array]) -> None:
    if not arrays:
        return
    i, j = rng.integers(len(arrays), size=2)
    kind = rng.integers(6)
    if kind == 0:
        arrays.pop(i)
    elif kind == 1:
        arrays.insert(i, arrays[j])
    elif kind == 2:
        arrays[i], arrays[j] = arrays[j], arrays[i]
    elif kind == 3:
        arrays[i] = (arrays[i][0], np.dtype(rng.choice(DTYPES)))
    else:
        arrays[i] = (_other_shape(rng, arrays[i][0]), arrays[i][1])


def _other_shape(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    kind, d = rng.integers(5), int(rng.integers(max(len(shape), 1)))
    if kind == 0:
        return shape[:d] + shape[d + 1 :]
    if kind == 1:
        return (*shape[:d], int(rng.choice((1, 2))), *shape[d:])
    if not shape:
        return shape
    size = int(rng.choice((0, 1, shape[d] + 1, max(shape[d] - 1, 0), shape[d] * 2)))
    return (*shape[:d], size, *shape[d + 1 :])


def _change_attribute(rng: np.random.Generator, call: Call) -> None:
    if not call.attributes:
        return
    name = rng.choice(sorted(call.attributes))
    value, kind = call.attributes[name], rng.integers(8)
    if kind == 0:
        del call.attributes[name]
    elif kind == 1:
        call.attributes["another"] = 1
    elif kind == 2:
        call.attributes[name] = "text" if rng.random() < 0.5 else 1.5
    elif isinstance(value, str | float):
        return
    elif isinstance(value, list):
        call.attributes[name] = _other_list(rng, value)
    elif isinstance(value, bool):
        call.attributes[name] = not value
    elif name == "num_sweeps":
        # Products with the number of axes that overflow, some to a small number.
        far = (0, -1, -(2**63), 2**61 + value, 2**62 + value, 2**63 - 1, value + 4)
        call.attributes[name] = int(rng.choice(far))
    else:
        call.attributes[name] = int(rng.choice(FAR))


def _other_list(rng: np.random.Generator, value: list[int]) -> list[int]:
    kind = rng.integers(5)
    if kind == 0:
        return value[:-1]
    if kind == 1:
        return [*value, int(rng.integers(4))]
    if kind == 2:
        return value[::-1]
    if kind == 3:
        return []
    return [int(rng.choice(FAR)), *value[1:]]

# SPDX-License-Identifier: MIT
"""Right calls of every custom call, and which calls are right: what the handlers must accept."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fuzz import coupled
from fuzz.call import Array, Call


def right_call(rng: np.random.Generator, target: str) -> Call:
    ndim = int(rng.integers(2, 5))
    shape = tuple(int(n) for n in rng.integers(1, 6, ndim))
    dtype = np.dtype(rng.choice(["float32", "float64"]))
    x = (shape, dtype)
    axis = int(rng.integers(ndim))
    some = rng.permutation(ndim)[: rng.integers(1, ndim + 1)]
    if target.startswith("jaxtv_sweeps"):
        some = rng.permutation(ndim)[: rng.integers(2, ndim + 1)]
    else:
        some = np.sort(some)
    axes = [int(a) for a in some]

    def weight(a: int) -> Array:
        full = [max(n - 1, 0) if d == a else n for d, n in enumerate(shape)]
        return tuple(int(rng.choice((1, n))) for n in full), dtype

    lams = [weight(a) for a in axes]
    if target in ("jaxtv_prox_tvnd", "jaxtv_prox_tvnd_warm", "jaxtv_component_mean"):
        return _call_of_images(target, x, axes, lams, [weight(a) for a in axes])
    if target.startswith("jaxtv_sweeps"):
        return _call_of_sweeps(rng, target, x, axes, lams)
    if "isotropic" in target:
        return coupled.right_call(rng, target, x)
    lam = weight(axis)
    call = Call(target, [x, lam], [x], {"axis": axis})
    if target == "jaxtv_prox_tv1d_newton":
        call.attributes |= {"max_steps": 10}
        call.results.append((_reduced(shape, [axis]), np.dtype("int32")))
    if target == "jaxtv_prox_tv1d_mass":
        call.operands.append((tuple(int(rng.choice((1, n))) for n in shape), dtype))
    if target == "jaxtv_pull_back":
        call.operands.append(x)
        call.results.append((_with(shape, axis, lam[0][axis]), dtype))
    return call


def _call_of_images(target: str, x: Array, axes: list[int], lams: list, init: list) -> Call:
    if target == "jaxtv_component_mean":
        return Call(target, [x, x, *lams], [x], {"axes": axes})
    per_image = _reduced(x[0], axes)
    kinds = (x[1], x[1], np.dtype("int32"), np.dtype(bool), np.dtype(bool))
    operands = [x, (per_image, x[1]), (per_image, np.dtype("int32")), *lams]
    results = [x, *((per_image, kind) for kind in kinds)]
    if target == "jaxtv_prox_tvnd_warm":
        operands += init
        results += [(_with(x[0], a, max(x[0][a] - 1, 0)), x[1]) for a in axes]
    return Call(target, operands, results, {"axes": axes})


def _call_of_sweeps(rng, target: str, x: Array, axes: list[int], lams: list) -> Call:
    num_sweeps = int(rng.integers(1, 4))
    attributes = {"axes": axes, "num_sweeps": num_sweeps}
    codes = (_codes(x[0], axes, num_sweeps), np.dtype("uint8"))
    if target == "jaxtv_sweeps":
        keep = bool(rng.random() < 0.7)
        return Call(target, [x, *lams], [x, codes][: 1 + keep], attributes | {"keep_bits": keep})
    edges = [int(x[0][a] > 1 and rng.random() < 0.5) for a in axes]
    sizes = [x[0][a] - 1 if e else 1 for a, e in zip(axes, edges, strict=True)]
    bars = [(_with(x[0], a, n), x[1]) for a, n in zip(axes, sizes, strict=True)]
    return Call(target, [x, codes], [x, *bars], attributes | {"edges": edges})


def _codes(shape: tuple[int, ...], axes: list[int], num_sweeps: int) -> tuple[int, ...]:
    """Two bits per pixel and half sweep, in planes of bytes before the first of the axes."""
    first = min(axes)
    return (*shape[:first], -(-len(axes) * num_sweeps // 4), *shape[first:])


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return tuple(size if d == axis else n for d, n in enumerate(shape))


def _reduced(shape: tuple[int, ...], axes: list[int]) -> tuple[int, ...]:
    return tuple(1 if d in axes else n for d, n in enumerate(shape))


NAMES = {
    "jaxtv_prox_tv1d": {"axis": int},
    "jaxtv_prox_tv1d_newton": {"axis": int, "max_steps": int},
    "jaxtv_prox_tv1d_mass": {"axis": int},
    "jaxtv_pull_back": {"axis": int},
    "jaxtv_prox_tvnd": {"axes": list},
    "jaxtv_prox_tvnd_warm": {"axes": list},
    "jaxtv_component_mean": {"axes": list},
    "jaxtv_prox_isotropic": coupled.NAMES,
    "jaxtv_isotropic_linear": coupled.NAMES,
    "jaxtv_sweeps": {"axes": list, "num_sweeps": int, "keep_bits": bool},
    "jaxtv_sweeps_reverse": {"axes": list, "num_sweeps": int, "edges": list},
}


def is_right(call: Call) -> bool:
    """Whether operands, results and attributes fit each other."""
    names = NAMES[call.target]
    attributes = call.attributes
    if attributes.keys() != names.keys():
        return False
    if any(type(attributes[name]) is not kind for name, kind in names.items()):
        return False
    if (
        not call.operands
        or not call.results
        or call.operands[0][1].name not in ("float32", "float64")
    ):
        return False
    x, ndim = call.operands[0], len(call.operands[0][0])
    axes = attributes.get("axes", [attributes.get("axis")])
    if not axes or not all(0 <= a < ndim for a in axes) or len(set(axes)) != len(axes):
        return False
    if names == coupled.NAMES:
        return coupled.is_right(call, x, axes)
    return _RULES[call.target](call, x, axes)


def _weighs(lam: Array, x: Array, axis: int) -> bool:
    full = _with(x[0], axis, max(x[0][axis] - 1, 0))
    return (
        lam[1] == x[1]
        and len(lam[0]) == len(full)
        and all(n in (1, m) for n, m in zip(lam[0], full, strict=True))
    )


def _one_per_image(array: Array, x: Array, axes: list[int], dtype: Any) -> bool:
    """Whether there is a number for each image along `axes`, or for what images share."""
    full = _reduced(x[0], axes)
    return (
        array[1] == dtype
        and len(array[0]) == len(full)
        and all(n in (1, m) for n, m in zip(array[0], full, strict=True))
    )


def _lines(call: Call, x: Array, axes: list[int]) -> bool:
    axis, with_mass = axes[0], call.target == "jaxtv_prox_tv1d_mass"
    if len(call.operands) != (3 if with_mass or call.target == "jaxtv_pull_back" else 2):
        return False
    lam = call.operands[1]
    if with_mass and not _one_per_image(call.operands[2], x, [], x[1]):
        return False
    if not _weighs(lam, x, axis) or call.results[0] != x:
        return False
    if call.target == "jaxtv_pull_back":
        return call.operands[2] == x and call.results[1:] == [
            (_with(x[0], axis, lam[0][axis]), x[1])
        ]
    if call.target == "jaxtv_prox_tv1d" or with_mass:
        return len(call.results) == 1
    lines = np.prod(_reduced(x[0], axes), dtype=np.int64)
    return (
        len(call.results) == 2
        and call.results[1][1] == np.int32
        and np.prod(call.results[1][0], dtype=np.int64) == lines
        and 0 <= call.attributes["max_steps"] < 2**31
    )


def _images(call: Call, x: Array, axes: list[int]) -> bool:
    if axes != sorted(axes):
        return False
    count, warm = len(axes), call.target == "jaxtv_prox_tvnd_warm"
    if call.target == "jaxtv_component_mean":
        return (
            len(call.operands) == 2 + count
            and call.operands[1] == x
            and call.results == [x]
            and all(map(lambda lam, a: _weighs(lam, x, a), call.operands[2:], axes))
        )
    if len(call.operands) != 3 + count * (1 + warm) or len(call.results) != 6 + warm * count:
        return False
    kinds = (x[1], x[1], np.int32, np.bool_, np.bool_)
    images = np.prod(_reduced(x[0], axes), dtype=np.int64)
    numbers = all(
        r[1] == kind and np.prod(r[0], dtype=np.int64) == images
        for r, kind in zip(call.results[1:6], kinds, strict=True)
    )
    return (
        numbers
        and call.results[0] == x
        and _one_per_image(call.operands[1], x, axes, x[1])
        and _one_per_image(call.operands[2], x, axes, np.int32)
        and all(map(lambda lam, a: _weighs(lam, x, a), call.operands[3:], axes * (1 + warm)))
        and call.results[6:] == [(_with(x[0], a, max(x[0][a] - 1, 0)), x[1]) for a in axes if warm]
    )


def _sweeps(call: Call, x: Array, axes: list[int]) -> bool:
    num_sweeps = call.attributes["num_sweeps"]
    if len(axes) < 2 or num_sweeps < 1:
        return False
    codes = (_codes(x[0], axes, num_sweeps), np.dtype("uint8"))
    if call.target == "jaxtv_sweeps":
        kept = [codes] * call.attributes["keep_bits"]
        return (
            len(call.operands) == 1 + len(axes)
            and call.results == [x, *kept]
            and all(map(lambda lam, a: _weighs(lam, x, a), call.operands[1:], axes))
        )
    edges = call.attributes["edges"]
    if call.operands != [x, codes] or len(edges) != len(axes):
        return False
    sizes = [x[0][a] - 1 if e else 1 for a, e in zip(axes, edges, strict=True)]
    bars = [(_with(x[0], a, n), x[1]) for a, n in zip(axes, sizes, strict=True)]
    return min(sizes) >= 1 and call.results == [x, *bars]


_RULES: dict[str, Callable[[Call, Array, list[int]], bool]] = {
    name: _sweeps if "sweeps" in name else _images if "axes" in names else _lines
    for name, names in NAMES.items()
    if names != coupled.NAMES
}

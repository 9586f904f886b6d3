# SPDX-License-Identifier: MIT
"""The part of `targets.py` for images whose differences are coupled."""

from typing import Any

import numpy as np

from fuzz.call import Array, Call

NAMES = {"axes": list, "isotropic": bool, "periodic": bool}


def right_call(rng: np.random.Generator, target: str, x: Array) -> Call:
    shape, dtype = x
    count = int(rng.integers(2, len(shape) + 1))
    axes = list(range(len(shape) - count, len(shape)))
    channel = axes[0]

    def operand(kind: Any, *, ones: tuple[int, ...] = (), full: tuple[int, ...] = ()) -> Array:
        """Of sizes 1 along `ones`, those of x along `full`, either along the other axes."""
        sizes = (
            1 if d in ones else n if d in full else int(rng.choice((1, n)))
            for d, n in enumerate(shape)
        )
        return tuple(sizes), np.dtype(kind)

    image = tuple(axes[1:])
    each = [operand(dtype, ones=(channel,)) for _ in image]
    numbers = [operand(dtype, ones=tuple(axes)), operand("int32", ones=tuple(axes))]
    per_image = tuple(1 if d in axes else n for d, n in enumerate(shape))
    found = [(per_image, dtype), (per_image, np.dtype("int32"))]
    if target == "jaxtv_prox_isotropic":
        others = [operand(dtype) for _ in image]
        results = [x, found[0], *found, *(x for _ in image)]
    else:
        others = [operand(dtype, ones=(channel,), full=image) for _ in image]
        others += [operand(dtype, full=image) for _ in image]
        results = [x, *found]
    attributes = {"axes": axes}
    attributes |= {name: bool(rng.random() < 0.5) for name in ("isotropic", "periodic")}
    return Call(target, [x, operand(dtype), *numbers, *each, *others], results, attributes)


def is_right(call: Call, x: Array, axes: list[int]) -> bool:
    shape, dtype = x
    count = len(axes) - 1
    if count < 1 or axes != list(range(len(shape) - count - 1, len(shape))):
        return False
    channel, image = axes[0], axes[1:]

    def fits(array: Array, kind: Any, ones: Any = (), full: Any = ()) -> bool:
        return (
            array[1] == kind
            and len(array[0]) == len(shape)
            and all(
                size == (1 if d in ones else n) or (size == 1 and d not in full)
                for d, (size, n) in enumerate(zip(array[0], shape, strict=True))
            )
        )

    is_prox = call.target == "jaxtv_prox_isotropic"
    if len(call.operands) != 4 + count * (2 if is_prox else 3):
        return False
    m, goal, limit, *others = call.operands[1:]
    groups = [others[k * count : (k + 1) * count] for k in range(len(others) // count)]
    right = fits(m, dtype) and fits(goal, dtype, axes) and fits(limit, np.int32, axes)
    right &= all(fits(lam, dtype, [channel]) for lam in groups[0])
    if is_prox:
        right &= all(fits(p, dtype) for p in groups[1])
    else:
        right &= all(fits(n, dtype, [channel], image) for n in groups[1])
        right &= all(fits(q, dtype, (), image) for q in groups[2])
    images = np.prod([n for d, n in enumerate(shape) if d not in axes], dtype=np.int64)
    kinds = (dtype, dtype, np.int32) if is_prox else (dtype, np.int32)
    duals = [x] * (count if is_prox else 0)
    numbers = call.results[1 : 1 + len(kinds)]
    return bool(
        right
        and len(call.results) == 1 + len(kinds) + len(duals)
        and call.results[0] == x
        and all(
            r[1] == kind and np.prod(r[0], dtype=np.int64) == images
            for r, kind in zip(numbers, kinds, strict=True)
        )
        and call.results[1 + len(kinds) :] == duals
    )

# SPDX-License-Identifier: MIT
"""Makes a line on which something is wrong small and its numbers simple."""

from collections.abc import Callable, Iterator

import numpy as np

from fuzz.tally import literal


class FuzzLine:
    """Samples of one type, and a weight or one for each edge."""

    def __init__(self, x: np.ndarray, lam: np.ndarray, per_edge: bool) -> None:
        self.x, self.lam, self.per_edge = x, lam, per_edge

    def without(self, first: int, count: int) -> "FuzzLine":
        """The line without some samples and the edges before them."""
        x = np.delete(self.x, slice(first, first + count))
        if not self.per_edge:
            return FuzzLine(x, self.lam, False)
        at = min(max(first - 1, 0), max(len(self.lam) - count, 0))
        return FuzzLine(x, np.delete(self.lam, slice(at, at + count)), True)

    def with_value(self, part: str, place: int, value: float) -> "FuzzLine":
        changed = FuzzLine(self.x.copy(), self.lam.copy(), self.per_edge)
        getattr(changed, part)[place] = value
        return changed

    def snippet(self) -> str:
        """A program that prints the answers of the library and of the oracle."""
        lam = literal(self.lam) if self.per_edge else literal(self.lam[0])
        return (
            "import jax, jax.numpy as jnp, numpy as np, jaxtv, oracle  # in tests/\n"
            "from numpy import inf, nan\n"
            'jax.config.update("jax_enable_x64", True)\n'
            f'x = np.array({literal(self.x)}, "{self.x.dtype}")\n'
            f'lam = np.array({lam}, "{self.x.dtype}")\n'
            "print(jaxtv.prox_tv_1d(jnp.tile(x, (32, 1)), jnp.array(lam))[0])\n"
            "print(oracle.prox_1d(x, lam))"
        )


def shrink(line: FuzzLine, fails: Callable[[FuzzLine], bool], attempts: int = 2000) -> FuzzLine:
    """The simplest line found that still fails, after so many attempts."""
    left = attempts

    def still(candidate: FuzzLine) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fails(candidate)

    before = None
    while before is not line and left > 0:
        before = line
        line = _shorter(line, still)
        if len(line.x) <= LONGEST:
            line = _rounder(line, still)
    return line


LONGEST = 100
"""Samples of a line whose numbers are made simple."""


def _shorter(line: FuzzLine, still: Callable[[FuzzLine], bool]) -> FuzzLine:
    """Leaves out halves, quarters, ... of the line where it still fails without."""
    count = len(line.x) // 2
    while count >= 1:
        first = 0
        while first < len(line.x) and len(line.x) > count:
            candidate = line.without(first, min(count, len(line.x) - first))
            if still(candidate):
                line = candidate
            else:
                first += count
        count //= 2
    return line


def _rounder(line: FuzzLine, still: Callable[[FuzzLine], bool]) -> FuzzLine:
    for part in ("x", "lam"):
        for place in range(len(getattr(line, part))):
            value = getattr(line, part)[place]
            for simple in _simpler_numbers(value):
                shorter = len(repr(float(simple))) < len(repr(float(value)))
                if shorter and still(candidate := line.with_value(part, place, simple)):
                    line = candidate
                    break
    return line


def _simpler_numbers(value: np.floating) -> Iterator[np.floating]:
    if not np.isfinite(value) or value == 0:
        return
    yield value.dtype.type(0)
    for digits in (0, 1, 3, 6):
        with np.errstate(over="ignore"):
            yield value.dtype.type(f"{value:.{digits}e}")

# SPDX-License-Identifier: MIT
"""The parts of the suite: what they run, and how many cases a test and a round of fuzzing make."""

from collections.abc import Callable
from typing import NamedTuple

from fuzz import calls, gradients, hostile, images, lines
from fuzz.tally import Tally


class Part(NamedTuple):
    run: Callable[[int, int, int], Tally]
    test: int  # cases: all parts together take about two minutes
    round: int
    compiles: bool  # needs what fuzz.build makes


PARTS = {
    "lines": Part(lines.run, test=6000, round=50_000, compiles=True),
    "images": Part(images.run, test=60, round=150, compiles=True),
    "gradients": Part(gradients.run, test=20, round=50, compiles=True),
    "hostile": Part(hostile.run, test=360, round=1000, compiles=False),
    "calls": Part(calls.run, test=180, round=1000, compiles=False),
}

# SPDX-License-Identifier: MIT
"""What a run of a part has done, and what it found."""

import collections
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

SHOWN = 5
"""Findings of one kind that are shown; the others are counted."""


@dataclasses.dataclass
class Finding:
    """Something wrong: of what kind, what exactly, and a program that shows it."""

    kind: str
    detail: str
    snippet: str


@dataclasses.dataclass
class Tally:
    """Counts of what was run, the worst of what was measured, and findings."""

    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    worst: dict[str, float] = dataclasses.field(default_factory=dict)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def measure(self, name: str, value: float) -> None:
        self.worst[name] = max(self.worst.get(name, 0.0), value)

    def add(self, kind: str, detail: Callable[[], tuple[str, str]]) -> None:
        """Counts a finding; `detail` gives its detail and snippet if it is to be shown."""
        self.kinds[kind] += 1
        if self.kinds[kind] <= SHOWN:
            self.findings.append(Finding(kind, *detail()))

    def merge(self, other: "Tally") -> list[Finding]:
        """Adds another tally; returns its findings that are to be shown."""
        self.counts += other.counts
        for name, value in other.worst.items():
            self.measure(name, value)
        room = {kind: SHOWN - self.kinds[kind] for kind in other.kinds}
        self.kinds += other.kinds
        new = []
        for finding in other.findings:
            room[finding.kind] -= 1
            if room[finding.kind] >= 0:
                new.append(finding)
        self.findings += new
        return new

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        worst = ", ".join(f"{name} {value:.3g}" for name, value in self.worst.items())
        found = ", ".join(f"{count:,} x {kind}" for kind, count in self.kinds.items())
        return f"{counts}; worst: {worst or 'none'}; findings: {found or 'none'}"


def literal(values: Sequence[float] | np.ndarray) -> str:
    """Python source of numbers, exact, with the names inf and nan."""
    values = np.asarray(values)
    if values.ndim == 0:
        return repr(float(values))
    return "[" + ", ".join(literal(v) for v in values) + "]"

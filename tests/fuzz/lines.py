# SPDX-License-Identifier: MIT
"""Are the compiled line kernels right, on every instruction set, by the optimality conditions?

The work is in tests/cpp/fuzz_lines.cc, which says what is checked. One case is a batch of lines.
"""

import os
import subprocess

import numpy as np

from fuzz import build
from fuzz.shrink import FuzzLine, shrink
from fuzz.tally import Tally

BLOCK = 500
"""Cases for which instruction sets are compared at once."""


def run(seed: int, first: int, count: int) -> Tally:
    """Checks cases on the best instruction set, and that all have the same bits."""
    isas = build.isas()
    started = {
        isa: _start(isa, "run", seed, first, count, BLOCK, int(isa == isas[-1])) for isa in isas
    }
    outputs = {isa: _lines_of(process) for isa, process in started.items()}
    tally = Tally()
    with Servers(isas) as servers:
        for words in outputs[isas[-1]]:
            match words:
                case ["fault", batch, line, *fault]:
                    _report(tally, servers, seed, int(batch), int(line), " ".join(fault))
                case ["worst", dtype, *pairs]:
                    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
                        tally.measure(f"{name} {dtype}", float(value))
                case ["done", lines, _, samples, *_]:
                    tally.counts += {"lines": int(lines), "samples": int(samples)}
        for isa in isas[:-1]:
            _compare(tally, servers, seed, (isa, isas[-1]), outputs)
    return tally


class Servers:
    """A process for each instruction set, which answers one line after the other."""

    def __init__(self, isas: list[str]) -> None:
        self._isas = isas

    def __enter__(self) -> "Servers":
        self._running = {isa: _start(isa, "serve") for isa in self._isas}
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.communicate()

    def fault(self, line: FuzzLine, newton: bool) -> str:
        """What is wrong with the answers to a line; empty for nothing."""
        numbers = " ".join(float(v).hex() for v in (*line.x, *line.lam))
        words = f"{newton:d} {line.x.dtype} {line.per_edge:d} {len(line.x)} {numbers}\n"
        said = set()
        for process in self._running.values():
            process.stdin.write(words)
            process.stdin.flush()
            digest, _, fault = process.stdout.readline().strip().partition(" ")
            if fault:
                return fault
            said.add(digest)
        return "" if len(said) == 1 else "other bits on another instruction set"


def _report(tally: Tally, servers: Servers, seed: int, batch: int, line: int, fault: str) -> None:
    kind, newton = _kind(fault), fault.startswith("Newton")

    def detail():
        found = _line(seed, batch, line)
        said = f"lines: {fault} (seed {seed}, batch {batch}, line {line}, {found.x.dtype})"
        if _kind(servers.fault(found, newton)) != kind:
            return said, f"not alone: {build.lines_program()} run {seed} {batch} 1 1 1"
        small = shrink(found, lambda candidate: _kind(servers.fault(candidate, newton)) == kind)
        return f"{said}; of the line below: {servers.fault(small, newton)}", small.snippet()

    tally.add(kind, detail)


def _compare(tally: Tally, servers: Servers, seed: int, pair: tuple[str, str], outputs) -> None:
    digests = [[words for words in outputs[isa] if words[0] == "digest"] for isa in pair]
    for first, second in zip(*digests, strict=True):
        if first == second:
            continue
        last = int(first[1])
        options = ("run", seed, max(last - BLOCK + 1, 0), BLOCK, 1, 0)
        singles = [_lines_of(_start(isa, *options)) for isa in pair]
        for a, b in zip(*singles, strict=True):
            if a[0] == "digest" and a != b:
                fault = f"other bits on another instruction set: {pair[0]} and {pair[1]}"
                line = _line_that_differs(servers, seed, int(a[1]))
                _report(tally, servers, seed, int(a[1]), line, fault)


def _line_that_differs(servers: Servers, seed: int, batch: int) -> int:
    """The first line of a batch on which instruction sets differ by themselves; or the first."""
    line = 0
    while (found := _line(seed, batch, line)) is not None:
        if servers.fault(found, True).startswith("other bits on another"):
            return line
        line += 1
    return 0


def _kind(fault: str) -> str:
    return fault.partition(":")[0] if not fault.startswith("Newton") else fault.rpartition(":")[0]


def _line(seed: int, batch: int, line: int) -> FuzzLine | None:
    """A line of a random batch; None beyond the last."""
    shown = _lines_of(_start("scalar", "show", seed, batch, line))
    if not shown:
        return None
    (dtype, per_edge, n), numbers = shown
    values = np.array([float.fromhex(word) for word in numbers]).astype(dtype)
    return FuzzLine(values[: int(n)], values[int(n) :], per_edge == "1")


def _start(isa: str, *words: object) -> subprocess.Popen:
    command = [str(build.lines_program()), *map(str, words)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAXTV_CPU_ISA": isa},
    )


def _lines_of(process: subprocess.Popen) -> list[list[str]]:
    output = process.communicate()[0]
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{process.args} ended with {process.returncode}: a crash")
    return [line.split() for line in output.splitlines()]

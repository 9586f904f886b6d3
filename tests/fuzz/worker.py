# SPDX-License-Identifier: MIT
"""Runs cases that may crash or hang in a process of their own.

A module that is run so has `check(seed, number)`, which returns a `Finding` or None.
"""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from fuzz.tally import Finding, Tally

HERE = pathlib.Path(__file__).resolve().parents[1]
PATIENCE = 120
"""Seconds after which a case counts as one that hangs."""


def run(part: str, seed: int, first: int, count: int) -> Tally:
    """The findings of cases, those that end the process among them."""
    tally, end = Tally(), first + count
    while first < end:
        command = [sys.executable, "-m", "fuzz.worker", *map(str, (part, seed, first, end - first))]
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
        done = subprocess.run(
            command, cwd=HERE, env=environment, capture_output=True, text=True, check=False
        )
        reached = first
        for line in done.stdout.splitlines():
            key, _, value = line.partition(" ")
            if key == "case":
                reached = int(value)
                tally.counts[part] += 1
            elif key == "finding":
                finding = Finding(**json.loads(value))
                tally.add(finding.kind, lambda finding=finding: (finding.detail, finding.snippet))
        if done.returncode == 0:
            break
        said = f"the process ended with {done.returncode}: {done.stderr[-500:]}"
        again = f"python -m fuzz.worker {part} {seed} {reached} 1"
        tally.add(f"{part}: a crash or a hang", lambda said=said, again=again: (said, again))
        first = reached + 1
    return tally


def _main(part: str, seed: int, first: int, count: int) -> None:
    module = importlib.import_module(f"fuzz.{part}")
    for number in range(first, first + count):
        print("case", number, flush=True)
        signal.alarm(PATIENCE)
        finding = module.check(seed, number)
        signal.alarm(0)
        if finding is not None:
            print("finding", json.dumps(finding.__dict__), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1], *map(int, sys.argv[2:]))

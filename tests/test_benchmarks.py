# SPDX-License-Identifier: MIT
"""Does the benchmark that measures everything on a GPU run, on small arrays, without one?"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_every_case_runs():
    script = str(ROOT / "benchmarks" / "gpu_kernels.py")
    done = subprocess.run(
        [sys.executable, "-P", script, "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 26
    assert all(line.count("|") == 4 for line in rows)

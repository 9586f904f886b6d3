# SPDX-License-Identifier: MIT
"""Do benchmarks find each other, and does that of a GPU run, on small arrays, without one?"""

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


def test_every_script_finds_what_it_imports():
    folder = ROOT / "benchmarks"
    names = ", ".join(sorted(path.stem for path in folder.glob("*.py")))
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import {names}"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

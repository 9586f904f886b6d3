# SPDX-License-Identifier: MIT
"""The CUDA kernels as nvcc compiles them for one generation of GPUs, once for all tests."""

import fcntl
import hashlib
import pathlib
import subprocess
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT_DIR = ROOT / "build" / "cubins"
ARCH = 90

# Those of cuda/module.cmake; of warnings, all are errors.
FLAGS = [
    "-std=c++17",
    "--expt-relaxed-constexpr",
    "-fmad=false",
    "-Werror=all-warnings",
    "-Xcompiler=-Wall,-Wextra",
]
_COMMAND = ["nvcc", *FLAGS, f"-I{ROOT}", f"-arch=sm_{ARCH}", "-lineinfo", "-Xptxas=-v", "-cubin"]


class Compiled(NamedTuple):
    cubin: pathlib.Path
    log: str  # what ptxas says of each kernel


def compiled(source: pathlib.Path) -> Compiled:
    """Compiles the kernels of a file, unless that is done already for the same files and nvcc."""
    OUT_DIR.mkdir(parents=True, exist_ok=True)
    stem = OUT_DIR / f"{source.stem}-{_digest(source)}"
    cubin, log = stem.with_suffix(".cubin"), stem.with_suffix(".log")
    with open(stem.with_suffix(".lock"), "w") as lock:  # test processes share the folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not log.exists():
            command = [*_COMMAND, str(source), "-o", str(cubin)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            log.write_text(done.stderr)
    return Compiled(cubin, log.read_text())


def _digest(source: pathlib.Path) -> str:
    version = subprocess.run(["nvcc", "--version"], capture_output=True, check=True).stdout
    total = hashlib.sha256(repr(_COMMAND).encode() + version)
    headers = (path for folder in ("core", "cuda") for path in (ROOT / folder).rglob("*.h"))
    for path in (source, *sorted(headers)):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]

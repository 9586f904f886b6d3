# SPDX-License-Identifier: MIT
"""Compiles the C++ programs of this suite, once for each state of the sources."""

import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = shutil.which("g++") or shutil.which("clang++")
X86 = platform.machine() in ("x86_64", "AMD64")
FLAGS = ["-std=c++17", "-O2", "-fPIC", "-Wall", "-Wextra"]
FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]

# As CMakeLists.txt has them.
_AVX512 = [f"-mavx512{part}" for part in ("f", "bw", "dq", "vl")]
_QUIET = ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]
ISA_FLAGS = {
    "portable": [],
    **(
        {"avx2": ["-mavx2"], "avx512": [*_AVX512, "-mprefer-vector-width=512", *_QUIET]}
        if X86
        else {}
    ),
}


def available() -> bool:
    """Whether there is a compiler, and a long double wider than double."""
    return COMPILER is not None and X86 and platform.system() == "Linux"


def isas() -> list[str]:
    """The instruction sets that this processor has, the best last."""
    flags = pathlib.Path("/proc/cpuinfo").read_text() if X86 else ""
    needs = {"portable": (), "avx2": ("avx2",), "avx512": ("avx512f", "avx512bw", "avx512vl")}
    words = set(flags.split())
    return ["scalar", *(isa for isa in ISA_FLAGS if words.issuperset(needs[isa]))]


def lines_program() -> pathlib.Path:
    """tests/cpp/fuzz_lines.cc with the kernels of all instruction sets."""
    jobs = [("tests/cpp/fuzz_lines.cc", []), ("cpu/lines/prox_lines.cc", [])]
    jobs += [
        ("cpu/lockstep/kernels.cc", [*flags, f"-DJAXTV_ISA={isa}"])
        for isa, flags in ISA_FLAGS.items()
    ]
    return _link("fuzz_lines", [(source, ["-DJAXTV_LANES", *flags]) for source, flags in jobs], [])


def exact_images_library() -> pathlib.Path:
    """tests/cpp/fuzz_images.cc, which shares no code with the library."""
    return _link("fuzz_images.so", [("tests/cpp/fuzz_images.cc", [])], ["-shared"])


def _link(name: str, jobs: Sequence[tuple[str, list[str]]], flags: list[str]) -> pathlib.Path:
    folder = ROOT / "build" / "fuzz" / _digest(jobs)
    program = folder / name
    if program.exists():
        return program
    work = folder / f"{name}-{os.getpid()}"
    work.mkdir(parents=True)
    objects = [str(work / f"{i}.o") for i in range(len(jobs))]
    compiles = [
        [COMPILER, *FLAGS, *more, "-I.", "-c", source, "-o", target]
        for (source, more), target in zip(jobs, objects, strict=True)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_run, compiles))
    _run([COMPILER, *flags, *objects, "-pthread", "-o", str(work / name)])
    (work / name).replace(program)  # other processes may have made it too
    shutil.rmtree(work)
    return program


def _digest(jobs: Sequence[tuple[str, list[str]]]) -> str:
    """Of all sources that a program may be made of, and of the commands."""
    total = hashlib.sha256(repr((COMPILER, FLAGS, jobs)).encode())
    for folder in ("core", "cpu", "tests/cpp"):
        for path in sorted((ROOT / folder).rglob("*.*")):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")

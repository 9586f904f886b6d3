# SPDX-License-Identifier: MIT
"""What CUDA kernels of lines cost, in warp instructions, counted without a GPU.

    python tests/cuda_costs.py > tests/cuda_costs.txt

writes the table that test_cuda_costs.py holds the sources against. It needs nvcc, and nvdisasm of
the CUDA toolkit or of the package nvidia-cuda-nvdisasm. There are two parts:

- The instructions in the innermost loops of each kernel of lines and of coupled images, summed over
  the loops that come from the same source file, as nvcc compiles them for sm_90.
- The instructions that a warp issues for one sample of each of its 32 lines, on fixed data: for
  each loop, its instructions times its passes. How often a warp walks is the largest number of
  steps among its lanes, counted by running the walk on the CPU; all else goes once over the line.
  What a warp does once is left out: weights, addresses and a division for every 32 samples. The
  count of sweeps over images is of half a sweep, of four sweeps: images are loaded and stored once
  in eight half sweeps, and codes once in four.
"""

import ctypes
import functools
import pathlib
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections import Counter
from typing import NamedTuple

import numpy as np
from cuda_cubins import ROOT, compiled
from cuda_resources import readable

SOURCES = [
    *(f"cuda/lines/{stem}.cu" for stem in ("tv1d", "tv1d_in_step", "tv1d_warp")),
    *(f"cuda/lines/{stem}.cu" for stem in ("pull_back", "pull_back_in_step", "pull_back_warp")),
    *(f"cuda/images/{stem}.cu" for stem in ("sweeps", "sweeps_in_step", "reverse_in_step")),
    *(f"cuda/images/{stem}.cu" for stem in ("sweep_lines", "sweeps_by_lines", "reverse_by_lines")),
    "cuda/isotropic/steps.cu",
]


class Loop(NamedTuple):
    """An innermost loop: the source file of most of its instructions, and their names."""

    source: str
    instructions: tuple[str, ...]

    def count(self, pattern: str) -> int:
        """How many of them are such instructions."""
        return sum(re.fullmatch(pattern, name) is not None for name in self.instructions)


class Pass(NamedTuple):
    """A loop of a kernel that goes once over the lines of a warp, and how it is recognised."""

    source: str  # a pattern, as the others
    instruction: str
    samples: float  # of each line, for every such instruction
    without: str = "NONE"
    larger: int = 0  # how many such loops are larger, for lines of another kind


STEP = Pass("walk_in_step.h", "FMUL", 0.5)
SHORT_STEP = STEP._replace(larger=2)  # those of rows and columns that keep a budget
VECTORS = {
    "load": Pass("staged_lines.h", r"LDG\.E\.128.*", 4),
    "store": Pass("staged_lines.h", r"STG\.E\.128", 4),
}
HALVES = {
    "load": Pass("staged_lines.h", r"LDG\.E\.64.*", 4),
    "store": Pass("staged_lines.h", r"STG\.E\.64", 4),
}
SCALARS = {"load": Pass("staged_lines.h", r"LDG\.E(\.CONSTANT)?", 1)}
OF_PROX = {
    "clear": Pass("staged_lines.h", r"STS\.128", 4),
    "fill": Pass("prox_in_step.h", "LDS", 0.5),
}
OF_PULL_BACK = {
    "sums": Pass("pull_back_in_step.cu", "FMUL", 1),
    "means": Pass("pull_back_in_step.cu", "LDS", 0.5, without="FMUL"),
}
OF_SWEEPS = {
    "load": Pass("sweeps_in_step.cu", r"LDG\.E\..*", 8),
    "store": Pass("stored.h", r"STG\.E", 8),
    "fill": Pass("sweeps_in_step.cu", r"FSETP\..*", 1, without=r"LOP3\..*|STG\.E", larger=1),
    "codes": Pass("sweep_cells.h", r"STG\.E\.U8", 4),
}
OF_REVERSE = {
    "load": Pass("reverse_in_step.cu", r"LDG\.E\..*", 8),
    "store": Pass("stored.h", r"STG\.E", 8),
    "load codes": Pass("sweep_cells.h", r"LDG\.E\.U8.*", 4),
    "pack codes": Pass("reverse_in_step.cu", "LDS", 2, without=r"FADD|STG\.E|LEA"),
    "sums": Pass("reverse_in_step.cu", "FFMA", 0.25),
    "means": Pass("reverse_in_step.cu", "FADD", 1 / 3, without="FFMA"),
}
PASSES = {
    "ProxWalk<StagedRows, float>": VECTORS | OF_PROX,
    "ProxWalk<StagedRows, __nv_bfloat16>": HALVES | OF_PROX,
    "ProxWalk<StagedColumns, float>": SCALARS | OF_PROX,
    "SweepInStep<float>": OF_SWEEPS,
    "ReverseInStep<float>": OF_REVERSE,
    "PullBackWalk<StagedRows, float>": VECTORS | OF_PULL_BACK | {"load y": VECTORS["load"]},
    "PullBackWalk<StagedColumns, float>": SCALARS | OF_PULL_BACK | {"load y": SCALARS["load"]},
}
OF_COPIES = r"swept_axis\.h|warp_lines\.h|batches\.h"  # to whichever most of a loop belongs
# What half a sweep by warps does besides the solves of lines, sample by sample.
BESIDES = {
    f"SweepWarps<WarpShape<{samples}> >": {
        "load": Pass(OF_COPIES, "STS", 1),
        "finish": Pass(OF_COPIES, "LDS", 1, without="STS"),
    }
    for samples in (8, 16, 64)
} | {
    f"SolveHalfSweep<WarpShape<{samples}> >": {
        "finish": Pass("sweeps_by_lines.cu", r"STG\.E", 1),
    }
    for samples in (8, 16)
}


def find_nvdisasm() -> str | None:
    """The disassembler, of the toolkit or of a Python package."""
    packages = pathlib.Path(sysconfig.get_paths()["purelib"])
    found = [shutil.which("nvdisasm"), *map(str, packages.glob("nvidia/cu*/bin/nvdisasm"))]
    return next(filter(None, found), None)


# Without loops over samples but those in COPIES: a warp goes at most once through all other code,
# for a line of 32 times as many samples as these.
STRAIGHT = {f"PullBackWarps<WarpShape<{samples}>, float>": samples for samples in (8, 16, 32, 64)}
STRAIGHT |= {f"ReverseHalfSweep<WarpShape<{samples}> >": samples for samples in (8, 16)}
COPIES = {
    "ReverseHalfSweep": {
        "load": Pass("reverse_by_lines.cu", "STS", 0.5),
        "store": Pass("reverse_by_lines.cu", r"STG\.E", 1),
    }
}


@functools.cache
def loops() -> dict[str, list[Loop]]:
    """The innermost loops of each kernel, in the order of the code."""
    codes = _listings().items()
    return {
        kernel: _innermost_loops(code)
        for kernel, code in codes
        if kernel not in STRAIGHT or _copies(kernel)
    }


@functools.cache
def _listings() -> dict[str, str]:
    """The code of each kernel."""
    found = {}
    for source in SOURCES:
        command = [find_nvdisasm(), "-c", "-g", str(compiled(ROOT / source).cubin)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        listing = done.stdout
        for section in re.split(r"^\.text\.", listing, flags=re.MULTILINE)[1:]:
            symbol, _, code = section.partition(":")
            found[readable(symbol)] = code
    return found


_LINE = re.compile(
    r'//## File "(?P<file>[^"]*)", line \d+(?P<outer> inlined)?'
    r"|^(?P<label>\.L\w+):"
    r"|^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?(?P<name>[A-Z0-9_.]+)(?P<rest>[^\n]*)",
    re.MULTILINE,
)


def _innermost_loops(code: str) -> list[Loop]:
    """Stretches from a label to a branch back to it, without a smaller one inside."""
    labels, names, files, ranges = {}, [], [], []
    file = ""
    for line in _LINE.finditer(code):
        if line["file"]:
            file = line["file"].rsplit("/", 1)[-1]
        elif line["label"]:
            labels[line["label"]] = len(names)
        else:
            names.append(line["name"])
            files.append(file)
            target = re.search(r"`\((\.L\w+)\)", line["rest"])
            if line["name"].startswith("BRA") and target and target[1] in labels:
                ranges.append((labels[target[1]], len(names)))
    ranges = [(a, b) for a, b in ranges if b - a > 1]  # the end of a kernel jumps to itself
    inner = [r for r in ranges if not any(r != s and r[0] <= s[0] and s[1] <= r[1] for s in ranges)]
    return [Loop(Counter(files[a:b]).most_common(1)[0][0], tuple(names[a:b])) for a, b in inner]


def _copies(kernel: str) -> dict[str, Pass]:
    """Those of a kernel that is otherwise straight."""
    return COPIES.get(kernel.partition("<")[0], {})


def _cost(kernel: str, wanted: Pass) -> float:
    """Instructions for each sample in the largest such loop; smaller ones are for what is left."""
    loop = _loop(kernel, wanted)
    return len(loop.instructions) / loop.count(wanted.instruction) / wanted.samples


def _loop(kernel: str, wanted: Pass) -> Loop:
    found = [
        loop
        for loop in loops()[kernel]
        if re.fullmatch(wanted.source, loop.source) and loop.count(wanted.instruction)
        if not loop.count(wanted.without)
    ]
    return sorted(found, key=lambda loop: -len(loop.instructions))[wanted.larger]


@functools.cache
def _walk_steps() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/walk_steps.so"
        source = str(ROOT / "tests/cpp/walk_steps.cc")
        flags = ["-O2", "-ffp-contract=off", "-shared", "-fPIC", f"-I{ROOT}"]
        subprocess.run(["g++", "-std=c++17", *flags, source, "-o", library], check=True)
        return ctypes.CDLL(library)


def steps_per_sample(x: np.ndarray, lam: float) -> float:
    """Steps of a warp over 32 rows, by samples of a row: the mean over warps of the largest."""
    x = np.ascontiguousarray(x, np.float32)
    steps = np.empty(len(x), np.int32)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (x, steps)]
    sizes = ctypes.c_int64(len(x)), ctypes.c_int(x.shape[1])
    _walk_steps().WalkSteps(pointers[0], *sizes, ctypes.c_float(lam), pointers[1])
    return steps.reshape(-1, 32).max(1).mean() / x.shape[1]


def _cases() -> dict[str, tuple[np.ndarray, float]]:
    rng = np.random.default_rng(0)
    noise, long = rng.normal(size=(8192, 32)), rng.normal(size=(2048, 128))
    rectified = np.maximum(rng.normal(size=(8192, 32)).cumsum(1) / 3, 0)
    return {
        "8192 x 32, noise, lam 1": (noise, 1.0),
        "8192 x 32, noise, lam 0.05": (noise, 0.05),
        "8192 x 32, rectified walks, lam 0.05": (rectified, 0.05),
        "2048 x 128, noise, lam 1": (long, 1.0),
    }


def per_sample() -> dict[str, dict[str, float]]:
    """For each kernel and case, the warp instructions of each part."""
    found = {}
    for kernel, passes in PASSES.items():
        parts = {part: _cost(kernel, wanted) for part, wanted in passes.items()}
        if kernel.startswith(("PullBack", "Reverse")):
            found[f"{kernel}, any line"] = parts
            continue
        for case, data in _cases().items():
            short = kernel == "SweepInStep<float>" and data[0].shape[1] <= 32
            step = _cost(kernel, SHORT_STEP if short else STEP)
            found[f"{kernel}, {case}"] = {"walk": steps_per_sample(*data) * step, **parts}
    for kernel, samples in STRAIGHT.items():
        copies = _copies(kernel)
        names = [line["name"] for line in _LINE.finditer(_listings()[kernel]) if line["name"]]
        of_copies = sum(len(_loop(kernel, copy).instructions) for copy in copies.values())
        parts = {"all other code" if copies else "all code": (len(names) - of_copies) / samples}
        parts |= {part: _cost(kernel, copy) for part, copy in copies.items()}
        found[f"{kernel}, any line"] = parts
    for kernel, passes in BESIDES.items():
        parts = {part: _cost(kernel, wanted) for part, wanted in passes.items()}
        found[f"{kernel}, besides the prox"] = parts
    return found


def table() -> str:
    """Both parts as text."""
    rows = [f"{'kernel':<44}{'loops from':<20}{'instructions':>12}"]
    for kernel, found in sorted(loops().items()):
        sums: Counter[str] = Counter()
        for loop in found:
            sums[loop.source] += len(loop.instructions)
        rows += [f"{kernel:<44}{source:<20}{count:>12}" for source, count in sorted(sums.items())]
    rows += ["", f"{'per sample':<76}{'all':>8}  parts"]
    for name, parts in per_sample().items():
        listed = ", ".join(f"{part} {count:.1f}" for part, count in parts.items())
        rows.append(f"{name:<76}{sum(parts.values()):>8.1f}  {listed}")
    return "\n".join(rows) + "\n"


def read(text: str) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
    """From a table: instructions by kernel and source, and those per sample."""
    first, second = text.split("\n\n")
    columns = [re.split(r"\s{2,}", row) for row in first.splitlines()[1:]]
    in_loops = {(kernel, source): int(count) for kernel, source, count in columns}
    columns = [re.split(r"\s{2,}", row) for row in second.splitlines()[1:]]
    return in_loops, {name: float(count) for name, count, _ in columns}


if __name__ == "__main__":
    print(table(), end="")

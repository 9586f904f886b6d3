# SPDX-License-Identifier: MIT
"""What a model says of the kernels of gpu_kernels.py, beside what an H200 took.

    python benchmarks/gpu_model.py        # a table in Markdown; needs neither a GPU nor JAX

A warp issues an instruction every `CYCLES` cycles, by what profiles of these kernels showed, and a
scheduler one from any of its warps in 4 of 3 cycles. So a wave of warps, as many as fit at once,
takes the longer of the two; a kernel takes its waves, at least the time of its bytes, and what the
shortest launch takes. Instructions are counted in tests/cuda_costs.txt, for lines of noise of 32
and 128 samples; other cases take those that come nearest. Measured times are those of
results/h200.md.
"""

import math
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
MULTIPROCESSORS, SCHEDULERS, HERTZ, BYTES_PER_SECOND = 132, 4, 1.98e9, 4.3e12
SHARED, OF_BLOCK = 228 << 10, 1 << 10  # bytes of a multiprocessor, and set aside for each block
CYCLES, BUSY, LAUNCH = 5.0, 0.75, 2e-6


class Kernel(NamedTuple):
    """A launch: lines of `length` samples, 32 to a warp, each passed `passes` times."""

    counted: str  # the row of cuda_costs.txt
    lines: int
    length: float
    passes: int
    block_warps: int
    block_bytes: int
    pixel_bytes: int  # of memory, read and written


def walk(counted: str, lines: int, length: int, pixel_bytes: int) -> Kernel:
    """The lanes of a warp on staged lines."""
    return Kernel(counted, lines, length, 1, 1, 4 * (64 * (length | 1) + length), pixel_bytes)


def by_warps(counted: str, lines: int, length: int) -> Kernel:
    """A warp for each line, which takes 32 samples at a time."""
    return Kernel(counted, lines * 32, length / 32, 1, 4, 0, 12)


def in_step(counted: str, images: int, side: int, pixel_bytes: int) -> Kernel:
    """Four sweeps over images, as many in a block as it has threads for their sides."""
    tile = 256 // side
    cells, codes = 3 * side * (side | 1), 4 * side * math.ceil(side / 16)
    block_bytes = 4 * tile * (cells + codes)
    return Kernel(counted, images * side, side, 8, tile * side // 32, block_bytes, pixel_bytes)


SWEEP, REVERSE = "SweepInStep<float>, 8192 x 32, noise, lam", "ReverseInStep<float>, any line"
ROWS, COLUMNS = "ProxWalk<StagedRows, float>", "ProxWalk<StagedColumns, float>"
PULL_ROWS, PULL_COLUMNS = (f"PullBackWalk<Staged{x}, float>, any line" for x in ("Rows", "Columns"))
OF_WARPS = "PullBackWarps<WarpShape<{}>, float>, any line"

# By the beginning of the row in results/h200.md: the kernels forward, and those added backward.
CASES = {
    "Table 1:": (
        walk(f"{ROWS}, 8192 x 32, noise, lam 1", 8192, 32, 8),
        walk(PULL_ROWS, 8192, 32, 12),
    ),
    "the same by columns": (
        walk(f"{COLUMNS}, 8192 x 32, noise, lam 1", 8192, 32, 8),
        walk(PULL_COLUMNS, 8192, 32, 12),
    ),
    "16384 rows of 128": (
        walk(f"{ROWS}, 2048 x 128, noise, lam 1", 16384, 128, 8),
        walk(PULL_ROWS, 16384, 128, 12),
    ),
    "4096 rows of 512": (None, by_warps(OF_WARPS.format(16), 4096, 512)),
    "2048 rows of 2048": (None, by_warps(OF_WARPS.format(64), 2048, 2048)),
    "`num_sweeps=4`, 256 x 32 x 32": (
        in_step(f"{SWEEP} 1", 256, 32, 10),
        in_step(REVERSE, 256, 32, 10),
    ),
    "`num_sweeps=4`, 128 x 32 x 32 x 96": (
        in_step(f"{SWEEP} 0.05", 12288, 32, 10),
        in_step(REVERSE, 12288, 32, 10),
    ),
    "`num_sweeps=4`, 32 x 56 x 56 x 64": (
        in_step(f"{SWEEP} 0.05", 2048, 56, 10),
        in_step(REVERSE, 2048, 56, 10),
    ),
}


def counts() -> dict[str, float]:
    """Warp instructions for a sample of each of 32 lines."""
    _, table = (ROOT / "tests" / "cuda_costs.txt").read_text().split("\n\n")
    rows = (re.split(r"\s{2,}", row) for row in table.splitlines()[1:])
    return {name: float(count) for name, count, _ in rows}


def milliseconds(kernel: Kernel, instructions: float) -> float:
    """Of a launch, by the model; `instructions` for each sample of a warp."""
    warps = math.ceil(kernel.lines / 32)
    blocks = math.ceil(warps / kernel.block_warps)
    at_once = SHARED // (kernel.block_bytes + OF_BLOCK) if kernel.block_bytes else 64
    at_once = min(at_once, 64 // kernel.block_warps, math.ceil(blocks / MULTIPROCESSORS))
    waves = blocks / (MULTIPROCESSORS * at_once)
    waves = max(1.0, waves) if at_once > 1 else math.ceil(waves)
    of_scheduler = at_once * kernel.block_warps / SCHEDULERS
    of_warp = instructions * kernel.length * kernel.passes
    issue = waves * of_warp * max(CYCLES, of_scheduler / BUSY) / HERTZ
    memory = kernel.lines * kernel.length * kernel.pixel_bytes / BYTES_PER_SECOND
    return 1e3 * (max(issue, memory) + LAUNCH)


def measured() -> list[tuple[str, float, float]]:
    """The rows of results/h200.md: the case, milliseconds forward, and forward and backward."""
    text = (ROOT / "benchmarks" / "results" / "h200.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \([\d.]+\) \|[^|]*\| ([\d.]+) \(", text, re.M)
    return [(name, float(forward), float(both)) for name, forward, both in rows]


def predicted(name: str) -> list[float]:
    """Milliseconds of a case forward, and forward and backward, as far as the model goes."""
    counted, total, found = counts(), 0.0, []
    (kernels,) = [k for case, k in CASES.items() if name.startswith(case)] or [()]
    for kernel in kernels:
        if kernel is None:
            break
        total += milliseconds(kernel, counted[kernel.counted])
        found.append(total)
    return found


def main() -> None:
    counted = counts()
    print("| case | forward, measured | predicted | backward, measured | predicted |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for case, kernels in CASES.items():
        (row,) = [row for row in measured() if row[0].startswith(case)]
        cells = [row[0]]
        for kernel, took in zip(kernels, (row[1], row[2] - row[1]), strict=True):
            if kernel is None:
                cells += [f"{took:.3f}", "-"]
                continue
            model = milliseconds(kernel, counted[kernel.counted])
            timed = not kernel.counted.startswith("PullBackWarps")  # younger than results/h200.md
            cells.append(f"{took:.3f}" if timed else "-")
            cells.append(f"{model:.3f} ({model / took:.2f} times)" if timed else f"{model:.3f}")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

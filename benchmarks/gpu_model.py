# SPDX-License-Identifier: MIT
"""What a model says of the kernels of gpu_kernels.py, beside what an H200 took.

    python benchmarks/gpu_model.py        # a table in Markdown; needs neither a GPU nor JAX

A warp issues an instruction every `CYCLES` cycles, by what profiles of these kernels showed, and a
scheduler one from any of its warps in 4 of 3 cycles. So a wave of warps, as many as fit at once,
takes the longer of the two; a kernel takes its waves, at least the time of its bytes, and what the
shortest launch takes. Instructions are counted in tests/cuda_costs.txt, for lines of noise of 32
and 128 samples; other cases take those that come nearest. A search takes the launches that the
emulator of the tests made for it. Measured times are those of results/h200.md.
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

    counted: str | float  # the row of cuda_costs.txt, or warp instructions for 32 samples
    lines: int
    length: float
    passes: int
    block_warps: int
    block_bytes: int
    pixel_bytes: int  # of memory, read and written
    times: int = 1  # launches of it
    most_blocks: int = 32  # on a multiprocessor, as registers allow


def walk(counted: str, lines: int, length: int, pixel_bytes: int) -> Kernel:
    """The lanes of a warp on staged lines."""
    return Kernel(counted, lines, length, 1, 1, 4 * (64 * (length | 1) + length), pixel_bytes)


def by_warps(counted: str | float, lines: int, length: int, pixel_bytes: int, cell: int) -> Kernel:
    """A warp for each line, which takes 32 samples at a time, in shared cells of so many bytes."""
    shape = next(s for s in (8, 16, 32, 64) if length <= 32 * s)  # of cuda/lines/warp_lines.h
    warps, cells = 64 // shape, shape * (33 if shape >= 32 else 32 + 32 // shape) + 8
    return Kernel(counted, lines * 32, length / 32, 1, warps, cell * cells * warps, pixel_bytes)


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

# Of the prox of a line by a warp, as profiled on an H200 for 4096 rows of 512, and what half a
# sweep does besides, by the lengths of the codes.
PROX_OF_WARP, SWEEP_BESIDES = 424.0, 40.0
# Passes of a test over all samples: instructions for 32 samples, in the loops as nvcc compiles
# them for sm_90 or in all code, and bytes of memory, each array once. Duals and residual along
# columns and rows, two votes, five passes over components, the gap along both, the better point.
PASSES_OF_TEST = [
    *((144, 25), (173, 29), (102, 3), (99, 3)),
    *((73, 29), (128, 4), (72, 16), (200, 12), (232, 16)),
    *((55, 16), (55, 8), (40, 12)),
]
SMALL_OF_TEST = 3  # launches besides, of a block for each image
ONCE = 4  # the passes that a second point of the same test does without: duals and votes


def prox_by_warps(lines: int, length: int) -> Kernel:
    return by_warps(PROX_OF_WARP, lines, length, 8, 16)


def over_images(instructions: float, images: int, side: int, pixel_bytes: int) -> Kernel:
    """A pass over all samples by blocks of eight warps."""
    return Kernel(instructions, images * side * 32, side / 32, 1, 8, 0, pixel_bytes)


def small(times: int) -> Kernel:
    return Kernel(0.0, 32, 1, 1, 1, 0, 0, times)


def search(
    images: int, side: int, sweeps: int, idle: int, tests: int, second: int = 0
) -> list[Kernel]:
    """The launches of a search.

    Args:
      images: how many.
      side: of each.
      sweeps: that are made.
      idle: others that are launched, and return at once.
      tests: with the points by vote.
      second: of those, how many also try another point.
    """
    half = by_warps(PROX_OF_WARP + SWEEP_BESIDES, images * side, side, 32, 16)
    passes = [over_images(count, images, side, moved) for count, moved in PASSES_OF_TEST]
    return [
        half._replace(times=2 * sweeps),
        small(sweeps + 3 * idle + 5 + SMALL_OF_TEST * (tests + second)),
        *(one._replace(times=tests) for one in passes[:ONCE]),
        *(one._replace(times=tests + second) for one in passes[ONCE:]),
    ]


def instead(found: list[Kernel], shorter: list[Kernel]) -> list[Kernel]:
    """What a search launches besides those of a shorter one."""
    return [*found, *(kernel._replace(times=-kernel.times) for kernel in shorter)]


def on_chip(images: int, side: int, sweeps: int, tests: int) -> list[Kernel]:
    """A block for each image, which a warp of eight walks; all of them make the other passes."""
    of_walks = (
        2 * sweeps * 75 * side
    )  # instructions of the warp that walks, 75 a sample at lam 0.05
    tiles = side * side / 32 / 8  # 32 samples of each warp
    of_passes = tiles * (sweeps * 2 * SWEEP_BESIDES + tests * sum(c for c, _ in PASSES_OF_TEST))
    block_bytes = side * side * 56  # ChipSpace of cuda/images/chip_image.h
    return [Kernel(of_walks + of_passes, images * 8 * 32, 1, 1, 8, block_bytes, 0, 1, 2)]


# Of a scene of 512 x 512, to 1e-2, to 1e-3, and to 1e-6, as a call that is differentiated is.
COARSE, FINE, TO_1E6 = (
    search(1, 512, 8, 2, 2),
    search(1, 512, 23, 6, 3, 1),
    search(1, 512, 171, 17, 6, 4),
)

# By the beginning of the row in results/h200.md: the kernels forward, and those added backward.
CASES: dict[str, tuple[list[Kernel] | None, list[Kernel] | None]] = {
    "Table 1:": (
        [walk(f"{ROWS}, 8192 x 32, noise, lam 1", 8192, 32, 8)],
        [walk(PULL_ROWS, 8192, 32, 12)],
    ),
    "the same by columns": (
        [walk(f"{COLUMNS}, 8192 x 32, noise, lam 1", 8192, 32, 8)],
        [walk(PULL_COLUMNS, 8192, 32, 12)],
    ),
    "16384 rows of 128, lam 1": (
        [walk(f"{ROWS}, 2048 x 128, noise, lam 1", 16384, 128, 8)],
        [walk(PULL_ROWS, 16384, 128, 12)],
    ),
    "512 rows of 512": (
        [prox_by_warps(512, 512)],
        [by_warps(OF_WARPS.format(16), 512, 512, 12, 8)],
    ),
    "4096 rows of 512": (
        [prox_by_warps(4096, 512)],
        [by_warps(OF_WARPS.format(16), 4096, 512, 12, 8)],
    ),
    "2048 rows of 2048": (
        [prox_by_warps(2048, 2048)],
        [by_warps(OF_WARPS.format(64), 2048, 2048, 12, 8)],
    ),
    "`num_sweeps=4`, 256 x 32 x 32": (
        [in_step(f"{SWEEP} 1", 256, 32, 10)],
        [in_step(REVERSE, 256, 32, 10)],
    ),
    "`num_sweeps=4`, 128 x 32 x 32 x 96": (
        [in_step(f"{SWEEP} 0.05", 12288, 32, 10)],
        [in_step(REVERSE, 12288, 32, 10)],
    ),
    "`num_sweeps=4`, 32 x 56 x 56 x 64": (
        [in_step(f"{SWEEP} 0.05", 2048, 56, 10)],
        [in_step(REVERSE, 2048, 56, 10)],
    ),
    # Lines by kernels, all else by XLA: of a half sweep, x and the duals, y and codes.
    "`num_sweeps=4`, 32 x 224 x 224 x 3": (
        [
            prox_by_warps(21504, 224)._replace(times=8),
            Kernel(0.0, 21504, 224, 1, 8, 0, 29, 8),
        ],
        None,
    ),
    "`tol=1e-2`, 256 x 32 x 32": (on_chip(256, 32, 3, 1), None),
    "`tol=1e-2`, a scene of 512 x 512": (COARSE, instead(TO_1E6, COARSE)),
    "`tol=1e-3`, the same": (FINE, instead(TO_1E6, FINE)),
    "`tol=1e-3`, 16 of them": (search(16, 512, 23, 7, 3, 1), None),
    "`tol=1e-3`, a scene of 2048 x 2048": (search(1, 2048, 27, 4, 2), None),
}


def counts() -> dict[str, float]:
    """Warp instructions for a sample of each of 32 lines."""
    _, table = (ROOT / "tests" / "cuda_costs.txt").read_text().split("\n\n")
    rows = (re.split(r"\s{2,}", row) for row in table.splitlines()[1:])
    return {name: float(count) for name, count, _ in rows}


def milliseconds(kernel: Kernel, counted: dict[str, float]) -> float:
    """Of all launches of a kernel, by the model."""
    named = isinstance(kernel.counted, str)
    instructions = counted[kernel.counted] if named else kernel.counted
    warps = math.ceil(kernel.lines / 32)
    blocks = math.ceil(warps / kernel.block_warps)
    at_once = SHARED // (kernel.block_bytes + OF_BLOCK) if kernel.block_bytes else 64
    at_once = min(at_once, kernel.most_blocks, 64 // kernel.block_warps)
    at_once = min(at_once, math.ceil(blocks / MULTIPROCESSORS))
    waves = blocks / (MULTIPROCESSORS * at_once)
    waves = max(1.0, waves) if at_once > 1 else math.ceil(waves)
    of_scheduler = at_once * kernel.block_warps / SCHEDULERS
    of_warp = instructions * kernel.length * kernel.passes
    issue = waves * of_warp * max(CYCLES, of_scheduler / BUSY) / HERTZ
    memory = kernel.lines * kernel.length * kernel.pixel_bytes / BYTES_PER_SECOND
    return 1e3 * (max(issue, memory) + LAUNCH) * kernel.times


def measured() -> list[tuple[str, float, float]]:
    """The rows of results/h200.md: the case, milliseconds forward, and forward and backward."""
    text = (ROOT / "benchmarks" / "results" / "h200.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \([\d.]+\) \|[^|]*\| ([\d.]+) \(", text, re.M)
    return [(name, float(forward), float(both)) for name, forward, both in rows]


def predicted(name: str) -> list[float]:
    """Milliseconds of a case forward, and forward and backward, as far as the model goes."""
    counted, total, found = counts(), 0.0, []
    (both,) = [k for case, k in CASES.items() if name.startswith(case)] or [()]
    for kernels in both:
        if kernels is None:
            break
        total += sum(milliseconds(kernel, counted) for kernel in kernels)
        found.append(total)
    return found


# Rows of results/h200.md from before kernels that serve them now.
YOUNGER = ("`tol=", "4096 rows of 512", "512 rows of 512", "2048 rows of 2048")


def main() -> None:
    counted = counts()
    print("| case | forward, measured | predicted | backward, measured | predicted |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for case, both in CASES.items():
        (row,) = [row for row in measured() if row[0].startswith(case)]
        cells = [row[0]]
        for backward, (kernels, took) in enumerate(
            zip(both, (row[1], row[2] - row[1]), strict=True)
        ):
            if kernels is None:
                cells += [f"{took:.3f}", "-"]
                continue
            model = sum(milliseconds(kernel, counted) for kernel in kernels)
            old = case.startswith("`tol=") or (backward and case.startswith(YOUNGER))
            cells.append(f"{took:.3f}{', before' if old else ''}")
            cells.append(f"{model:.3f}" if old else f"{model:.3f} ({model / took:.2f} times)")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

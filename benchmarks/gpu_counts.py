# SPDX-License-Identifier: MIT
"""Launches of CUDA kernels, as counts, and how long they take by a model of an H200.

A warp issues an instruction every `CYCLES` cycles, by what profiles of these kernels showed, and a
scheduler one from any of its warps in 4 of 3 cycles. So a wave of warps, as many as fit at once,
takes the longer of the two; a kernel takes its waves, at least the time of its bytes, and what the
shortest launch takes. Instructions are counted in tests/cuda_costs.txt, for lines of noise of 32
and 128 samples; other cases take those that come nearest.
"""

import math
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
MULTIPROCESSORS, SCHEDULERS, HERTZ, BYTES_PER_SECOND = 132, 4, 1.98e9, 4.3e12
SHARED, OF_BLOCK = 228 << 10, 1 << 10  # bytes of a multiprocessor, and set aside for each block
CYCLES, BUSY, LAUNCH = 5.0, 0.75, 2e-6


def counts() -> dict[str, float]:
    """Warp instructions for a sample of each of 32 lines."""
    _, table = (ROOT / "tests" / "cuda_costs.txt").read_text().split("\n\n")
    rows = (re.split(r"\s{2,}", row) for row in table.splitlines()[1:])
    return {name: float(count) for name, count, _ in rows}


COUNTED = counts()


class Kernel(NamedTuple):
    """A launch: lines of `length` samples, 32 to a warp, each passed `passes` times."""

    instructions: float  # of a warp, for 32 samples
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
    return Kernel(
        COUNTED[counted], lines, length, 1, 1, 4 * (64 * (length | 1) + length), pixel_bytes
    )


def shape_of(length: int) -> int:
    """How many samples a lane has, as cuda/lines/warp_lines.h chooses."""
    return next(s for s in (8, 16, 32, 64) if length <= 32 * s)


def by_warps(
    instructions: float, lines: int, length: int, pixel_bytes: int, cell: int, times: int = 1
) -> Kernel:
    """A warp for each line, which takes 32 samples at a time, in shared cells of so many bytes."""
    shape = shape_of(length)
    warps, cells = 64 // shape, shape * (33 if shape >= 32 else 32 + 32 // shape) + 8
    block_bytes = cell * cells * warps
    return Kernel(instructions, lines * 32, length / 32, 1, warps, block_bytes, pixel_bytes, times)


def in_step(counted: str, images: int, side: int, tile: int | None = None) -> Kernel:
    """Four sweeps over images, so many in a block, or as many as it has threads for their sides.

    A pixel has 8 bytes of float32, or with its cotangent, and 2 of codes.
    """
    tile = tile or 256 // side
    cells, codes = 3 * side * (side | 1), 4 * side * math.ceil(side / 16)
    block_bytes = 4 * tile * (cells + codes)
    return Kernel(
        COUNTED[counted], images * side, side, 8, tile * side // 32, block_bytes, pixel_bytes=10
    )


SWEEP, REVERSE = "SweepInStep<float>, 8192 x 32, noise, lam", "ReverseInStep<float>, any line"
ROWS, COLUMNS = "ProxWalk<StagedRows, float>", "ProxWalk<StagedColumns, float>"
PULL_ROWS, PULL_COLUMNS = (f"PullBackWalk<Staged{x}, float>, any line" for x in ("Rows", "Columns"))

# Of the prox of a line by a warp, as profiled on an H200 for 4096 rows of 512, and what half a
# sweep on chip does besides, by the length of its code.
PROX_OF_WARP, CHIP_BESIDES = 424.0, 40.0
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


def pull_back_by_warps(lines: int, length: int) -> Kernel:
    counted = COUNTED[f"PullBackWarps<WarpShape<{shape_of(length)}>, float>, any line"]
    return by_warps(counted, lines, length, 12, 8)


def sweeps_by_lines(images: int, side: int) -> list[Kernel]:
    """Four sweeps, a launch for each half of one, and one for images with a NaN."""
    besides = COUNTED[f"SolveHalfSweep<WarpShape<{shape_of(side)}> >, besides the prox"]
    half = by_warps(PROX_OF_WARP + besides, images * side, side, 14, 16)
    ends = half._replace(pixel_bytes=9, times=2)  # the first has no z, the last needs no x
    return [ends, half._replace(times=6), small(1)]


def reverse_by_lines(images: int, side: int) -> list[Kernel]:
    counted = COUNTED[f"ReverseHalfSweep<WarpShape<{shape_of(side)}> >, any line"]
    return [by_warps(counted, images * side, side, 13, 8, times=8)]


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
    besides = COUNTED[f"SweepWarps<WarpShape<{shape_of(side)}> >, besides the prox"]
    half = by_warps(PROX_OF_WARP + besides, images * side, side, 32, 16)
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
    of_passes = tiles * (sweeps * 2 * CHIP_BESIDES + tests * sum(c for c, _ in PASSES_OF_TEST))
    block_bytes = side * side * 56  # ChipSpace of cuda/images/chip_image.h
    return [Kernel(of_walks + of_passes, images * 8 * 32, 1, 1, 8, block_bytes, 0, 1, 2)]


def milliseconds(kernel: Kernel) -> float:
    """Of all launches of a kernel, by the model."""
    warps = math.ceil(kernel.lines / 32)
    blocks = math.ceil(warps / kernel.block_warps)
    at_once = SHARED // (kernel.block_bytes + OF_BLOCK) if kernel.block_bytes else 64
    at_once = min(at_once, kernel.most_blocks, 64 // kernel.block_warps)
    at_once = min(at_once, math.ceil(blocks / MULTIPROCESSORS))
    waves = blocks / (MULTIPROCESSORS * at_once)
    waves = max(1.0, waves) if at_once > 1 else math.ceil(waves)
    of_scheduler = at_once * kernel.block_warps / SCHEDULERS
    of_warp = kernel.instructions * kernel.length * kernel.passes
    issue = waves * of_warp * max(CYCLES, of_scheduler / BUSY) / HERTZ
    memory = kernel.lines * kernel.length * kernel.pixel_bytes / BYTES_PER_SECOND
    return 1e3 * (max(issue, memory) + LAUNCH) * kernel.times

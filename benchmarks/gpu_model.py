# SPDX-License-Identifier: MIT
"""What a model says of the kernels of gpu_kernels.py, beside what an H200 took.

    python benchmarks/gpu_model.py        # a table in Markdown; needs neither a GPU nor JAX

gpu_counts.py has the kernels and how they are timed. A search takes the launches that the emulator
of the tests made for it, or that the sweeps and tests of plain JAX come to, which are the same. A
training step takes what it took without TV layers, and theirs. Measured times are those of
results/h200.md.
"""

import pathlib
import re

from gpu_counts import (
    COLUMNS,
    PULL_COLUMNS,
    PULL_ROWS,
    REVERSE,
    ROWS,
    SWEEP,
    Kernel,
    in_step,
    instead,
    milliseconds,
    on_chip,
    prox_by_warps,
    pull_back_by_warps,
    reverse_by_lines,
    search,
    sweeps_by_lines,
    walk,
)

ROOT = pathlib.Path(__file__).resolve().parents[1]


# Of a scene of 512 x 512, to 1e-2, to 1e-3, and to 1e-6, as a call that is differentiated is.
COARSE, FINE, TO_1E6 = (
    search(1, 512, 8, 2, 2),
    search(1, 512, 23, 6, 3, 1),
    search(1, 512, 171, 17, 6, 4),
)

# By the beginning of the row in results/h200.md: the kernels forward, and those added backward.
CASES: dict[str, tuple[list[Kernel], list[Kernel]]] = {
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
        [pull_back_by_warps(512, 512)],
    ),
    "4096 rows of 512": (
        [prox_by_warps(4096, 512)],
        [pull_back_by_warps(4096, 512)],
    ),
    "columns of 8 x 512 x 512": (
        [prox_by_warps(4096, 512)],
        [pull_back_by_warps(4096, 512)],
    ),
    "2048 rows of 2048": (
        [prox_by_warps(2048, 2048)],
        [pull_back_by_warps(2048, 2048)],
    ),
    "`num_sweeps=4`, 256 x 32 x 32": (
        [in_step(f"{SWEEP} 1", 256, 32)],
        [in_step(REVERSE, 256, 32)],
    ),
    "`num_sweeps=4`, 128 x 32 x 32 x 96": (
        [in_step(f"{SWEEP} 0.05", 12288, 32)],
        [in_step(REVERSE, 12288, 32)],
    ),
    "`num_sweeps=4`, 128 x 96 x 32 x 32": (
        [in_step(f"{SWEEP} 0.05", 12288, 32, tile=1)],
        [in_step(REVERSE, 12288, 32, tile=1)],
    ),
    "`num_sweeps=4`, 32 x 56 x 56 x 64": (
        [in_step(f"{SWEEP} 0.05", 2048, 56)],
        [in_step(REVERSE, 2048, 56)],
    ),
    "`num_sweeps=4`, 32 x 224 x 224 x 3": (
        sweeps_by_lines(96, 224),
        reverse_by_lines(96, 224),
    ),
    "`num_sweeps=4`, 8 scenes of 512 x 512": (
        sweeps_by_lines(8, 512),
        reverse_by_lines(8, 512),
    ),
    "`tol=1e-2`, 256 x 32 x 32": (
        on_chip(256, 32, 3, 1),
        instead(on_chip(256, 32, 16, 4), on_chip(256, 32, 3, 1)),
    ),
    "`tol=1e-2`, a scene of 512 x 512": (COARSE, instead(TO_1E6, COARSE)),
    "`tol=1e-3`, the same": (FINE, instead(TO_1E6, FINE)),
    "`tol=1e-3`, 16 of them": (
        search(16, 512, 23, 7, 3, 1),
        # 368 sweeps are launched, of which an image makes 144 in the mean
        instead(search(16, 512, 144, 224, 7, 5), search(16, 512, 23, 7, 3, 1)),
    ),
    "`tol=1e-3`, a scene of 2048 x 2048": (
        search(1, 2048, 27, 4, 2),
        instead(search(1, 2048, 207, 66, 7, 6), search(1, 2048, 27, 4, 2)),
    ),
}


# AllConv of width 96 on CIFAR-10, by its row in results/h200.md: what a step takes without TV, and
# how many images it has. Layers are behind three convolutions, the last of which halves sides.
STEPS = {
    "batch 128, float32": (3.2, 128),
    "batch 512, bfloat16": (5.1, 512),
}


def layers(images: int) -> list[Kernel]:
    """Four sweeps and their reverse over 96 channels."""
    channels = 96 * images
    each = (f"{SWEEP} 0.05", REVERSE)
    return [
        *(in_step(counted, channels, 32) for counted in 2 * each),
        *(in_step(counted, channels, 16, tile=8) for counted in each),
    ]


def measured() -> list[tuple[str, float, float]]:
    """The rows of results/h200.md: the case, milliseconds forward, and forward and backward."""
    text = (ROOT / "benchmarks" / "results" / "h200.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \([\d.]+\) \|[^|]*\| ([\d.]+) \(", text, re.M)
    return [(name, float(forward), float(both)) for name, forward, both in rows]


def predicted(name: str) -> list[float]:
    """Milliseconds of a case forward, and forward and backward, as far as the model goes."""
    total, found = 0.0, []
    (both,) = [k for case, k in CASES.items() if name.startswith(case)] or [()]
    for kernels in both:
        total += sum(map(milliseconds, kernels))
        found.append(total)
    return found


# Rows of results/h200.md from before kernels that serve them now.
YOUNGER = ("4096 rows", "512 rows", "2048 rows", "columns of 8")  # backward
ALL_YOUNGER = ("`tol=", "`num_sweeps=4`, 32 x 224", "`num_sweeps=4`, 8 scenes")


def main() -> None:
    print("| case | forward, measured | predicted | backward, measured | predicted |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for case, both in CASES.items():
        (row,) = [row for row in measured() if row[0].startswith(case)]
        cells = [row[0]]
        for backward, (kernels, took) in enumerate(
            zip(both, (row[1], row[2] - row[1]), strict=True)
        ):
            model = sum(map(milliseconds, kernels))
            old = case.startswith(ALL_YOUNGER) or (backward and case.startswith(YOUNGER))
            cells.append(f"{took:.3f}{', before' if old else ''}")
            cells.append(f"{model:.3f}" if old else f"{model:.3f} ({model / took:.2f} times)")
        print(f"| {' | '.join(cells)} |")
    print("\n| training step | without TV, measured | its TV layers, predicted | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for name, (plain, images) in STEPS.items():
        more = sum(map(milliseconds, layers(images)))
        print(f"| {name} | {plain} | {more:.2f} | {1 + more / plain:.2f} |")


if __name__ == "__main__":
    main()

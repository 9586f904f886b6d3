# SPDX-License-Identifier: MIT
"""How long does an image take to a certified error? jaxtv and its peers, in the same run.

    python benchmarks/images.py [--quick] [--only CASE]

The image is scikit-image's photograph, resized, in [0, 1], plus noise of standard deviation 0.1.
Errors are ||y - y*|| / ||x - mean(x)||. `certified` is what the solver proves about its answer:
for jaxtv `info.error_bound`, for fastprox the square root of its duality gap. `true` is the
distance to a float64 solution that is certified to 1e-7, for arrays of up to 512 x 512. Of a batch,
fastprox proves only the error of the whole, so there the norms are over all images; jaxtv meets the
tolerance on each. Peers that are not installed are left out, and so is what would follow a time of
more than 3 s. proxTV proves nothing about its answer; scikit-image solves another, isotropic
problem, so that it has no error here. Times are the best of several calls, wall clock.

Each measurement is a line of out/images.csv; those that are there already are not repeated, so a
run may be stopped and continued, or done case by case. At the end come the table out/images.md and
the plot out/images.svg of all that is there.
"""

import argparse
import csv
import functools
import importlib.util
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from allocator import keep_freed_memory
from skimage import data, restoration, transform

import jaxtv

NOISE = 0.1
OUT = pathlib.Path("out")
ROOT = pathlib.Path(__file__).parents[1]
STYLES = {"jaxtv": "o-", "fastprox": "s:"}  # of lines in the plot
TOLS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SLOW = 3.0  # seconds: after that a solver is not asked for more digits


class Case(NamedTuple):
    """An array [..., n, n] of images or [..., n, n, channels] of feature maps, and a weight."""

    name: str
    x: np.ndarray
    axes: tuple[int, int]
    lam: float

    def relative(self, error: float | np.ndarray) -> float:
        """The norm of an error, or of one per image, relative to that of the deviations."""
        centered = self.x - self.x.mean(self.axes, keepdims=True)
        return float(np.linalg.norm(error) / np.linalg.norm(centered))


class Timing(NamedTuple):
    """One line of the file. `tol` is 0 where a solver has none."""

    case: str
    lam: float
    solver: str
    tol: float
    seconds: float
    certified: float | None
    true: float | None


def photograph(n: int) -> np.ndarray:
    image = data.camera() / 255.0
    if n != image.shape[0]:
        image = transform.resize(image, (n, n), anti_aliasing=n < image.shape[0])
    noise = np.random.default_rng(0).normal(scale=NOISE, size=image.shape)
    return np.asarray(image + noise, np.float32)


def patches(count: int, n: int) -> np.ndarray:
    """`count` crops of the photograph."""
    image, rng = photograph(512), np.random.default_rng(1)
    corners = rng.integers(0, 513 - n, (count, 2))
    return np.stack([image[i : i + n, j : j + n] for i, j in corners])


def cases(quick: bool) -> Iterator[Case]:
    sizes, lams = ((128, 256), (0.1,)) if quick else ((32, 128, 512, 2048), (0.02, 0.05, 0.2, 1.0))
    for n in sizes:
        for lam in lams:
            yield Case(f"{n}x{n}", photograph(n), (0, 1), lam)
    for lam in lams:
        yield Case("256 of 32x32", patches(256, 32), (1, 2), lam)
    if not quick:
        maps = patches(64 * 64, 64).reshape(64, 64, 64, 64)
        last = np.ascontiguousarray(maps.transpose(0, 2, 3, 1))
        for lam in lams:
            yield Case("64x64x64x64, channels last", last, (1, 2), lam)


def best_time(call: Callable, seconds: float = 0.3) -> float:
    """The best of as many calls as fit, at least two, or the first if that alone is slow."""
    start = time.perf_counter()
    call()  # compiles, too
    first = time.perf_counter() - start
    if first > SLOW:
        return first
    times = []
    while len(times) < 2 or (sum(times) < seconds and len(times) < 30):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def solution(case: Case) -> np.ndarray | None:
    """To what `true` measures the distance."""
    if case.x.size > 512 * 512:
        return None
    with jax.enable_x64(True):
        solve = functools.partial(jaxtv.prox_tv_2d, tol=1e-7, max_sweeps=10_000)
        return np.asarray(solve(jnp.asarray(case.x, jnp.float64), case.lam, axes=case.axes))


def run_jaxtv(case: Case, tol: float) -> tuple[float, float, np.ndarray]:
    options = {"axes": case.axes, "tol": tol, "max_sweeps": 10_000, "return_info": True}
    solve = jax.jit(functools.partial(jaxtv.prox_tv_2d, **options))
    x, lam = jnp.asarray(case.x), jnp.float32(case.lam)
    seconds = best_time(lambda: jax.block_until_ready(solve(x, lam)))
    y, info = solve(x, lam)
    return seconds, case.relative(np.asarray(info.error_bound)), np.asarray(y)


def run_fastprox(case: Case, tol: float) -> tuple[float, float, np.ndarray]:
    import fastprox

    x = np.ascontiguousarray(np.moveaxis(case.x, case.axes, (-2, -1)))
    # Its test is gap <= tol ||x||^2 / 2; this makes it sqrt(gap) <= tol ||x - mean(x)||.
    own_tol = 2 * (tol / case.relative(np.linalg.norm(x))) ** 2
    last = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = best_time(lambda: last.append(fastprox.tv_aniso(x, case.lam, tol=own_tol)))
    y, info = last[-1]
    certified = case.relative(np.sqrt(info.gap))
    return seconds, certified, np.moveaxis(y, (-2, -1), case.axes)


def run_prox_tv(case: Case, tol: float) -> tuple[float, None, np.ndarray]:
    import prox_tv

    del tol
    seconds = best_time(lambda: prox_tv.tv1_2d(case.x, case.lam, n_threads=2))
    return seconds, None, prox_tv.tv1_2d(case.x, case.lam, n_threads=2)


def run_skimage(case: Case, tol: float) -> tuple[float, None, None]:
    del tol
    seconds = best_time(lambda: restoration.denoise_tv_chambolle(case.x, weight=case.lam))
    return seconds, None, None


def solvers(case: Case) -> Iterator[tuple[str, Callable, tuple[float, ...]]]:
    """Name, measurement and tolerances of each solver for a case."""
    yield "jaxtv", run_jaxtv, TOLS
    if importlib.util.find_spec("fastprox"):
        yield "fastprox", run_fastprox, TOLS[:4]  # float32 sums of its gap resolve no more
    if case.x.ndim == 2 and case.x.size <= 512 * 512:
        if importlib.util.find_spec("prox_tv"):
            yield "proxTV", run_prox_tv, (0.0,)
        yield "scikit-image", run_skimage, (0.0,)


def measure(quick: bool, only: str, known: list[Timing]) -> Iterator[Timing]:
    seconds = {t[:4]: t.seconds for t in known}
    for case in cases(quick):
        if only not in case.name:
            continue
        truth = functools.cache(lambda: solution(case))  # noqa: B023
        for solver, run, tols in solvers(case):
            for tol in tols:
                key = (case.name, case.lam, solver, tol)
                if key not in seconds:
                    seconds[key], certified, y = run(case, tol)
                    want = None if y is None else truth()
                    true = None if want is None else case.relative(np.linalg.norm(y - want))
                    yield Timing(*key, seconds[key], certified, true)
                if seconds[key] > SLOW:
                    break


def read(path: pathlib.Path) -> list[Timing]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [row[:3] + [float(v) if v else None for v in row[3:]] for row in csv.reader(file)]
    return [Timing(row[0], float(row[1]), *row[2:]) for row in rows]


def table(timings: list[Timing]) -> str:
    """Milliseconds to each tolerance, and how many times faster than fastprox jaxtv is."""
    tols = sorted({t.tol for t in timings if t.tol}, reverse=True)
    seconds = {t[:4]: t.seconds for t in timings}
    lines = ["| case | lam | " + " | ".join(f"{tol:.0e}" for tol in tols) + " |"]
    lines.append("|---|---|" + "---|" * len(tols))
    for name, lam in dict.fromkeys(t[:2] for t in timings):
        cells = []
        for tol in tols:
            own, peer = (seconds.get((name, lam, s, tol)) for s in ("jaxtv", "fastprox"))
            ratio = f" ({peer / own:.1f}x)" if own and peer else ""
            cells.append(f"{own * 1e3:.3g}{ratio}" if own else "")
        lines.append(f"| {name} | {lam:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(timings: list[Timing], path: pathlib.Path) -> None:
    """Time to each tolerance: a panel for each case, a colour for each weight."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    plt.style.use(ROOT / "examples" / "common" / "figures.mplstyle")
    names = list(dict.fromkeys(t.case for t in timings))
    lams = sorted({t.lam for t in timings})
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1 + 2.6 * columns, 0.6 + 2.3 * rows), squeeze=False, sharex=True
    )
    shades = plt.get_cmap("cividis")(np.linspace(0, 0.85, len(lams)))
    colours = dict(zip(lams, shades, strict=True))
    for name, axis in zip(names, grid.flat, strict=False):
        for solver, style in STYLES.items():
            for lam, colour in colours.items():
                key = (name, lam, solver)
                own = [(t.tol, 1e3 * t.seconds) for t in timings if t[:3] == key and t.tol]
                axis.plot([tol for tol, _ in own], [ms for _, ms in own], style, color=colour, ms=4)
        axis.set(title=name, xscale="log", yscale="log")
        axis.xaxis.set_minor_locator(LogLocator(subs=()))
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
    grid[0, 0].invert_xaxis()  # for all: they share it
    for lam, colour in colours.items():
        grid[0, 0].plot([], [], color=colour, lw=3, label=f"lam {lam:g}")
    for solver, style in STYLES.items():
        grid[0, 0].plot([], [], style, color="0.3", label=solver)
    figure.legend(loc="outside upper center", ncols=len(lams) + len(STYLES))
    figure.supxlabel("relative error asked for")
    figure.supylabel("milliseconds")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two sizes and a batch, in a minute")
    parser.add_argument("--only", default="", metavar="CASE", help="cases with this in their name")
    options = parser.parse_args()
    keep_freed_memory()
    OUT.mkdir(exist_ok=True)
    path = OUT / ("images_quick.csv" if options.quick else "images.csv")
    timings = read(path)
    print(f"{'case':28}{'lam':>6}  {'solver':14}{'tol':>8}{'ms':>10}{'certified':>12}{'true':>12}")
    for t in measure(options.quick, options.only, timings):
        errors = "".join(f"{'-' if e is None else f'{e:.2e}':>12}" for e in t[5:])
        row = f"{t.case:28}{t.lam:6}  {t.solver:14}{t.tol:8.0e}{t.seconds * 1e3:10.2f}{errors}"
        print(row, flush=True)
        with path.open("a", newline="") as file:
            csv.writer(file).writerow(t)
        timings.append(t)
    path.with_suffix(".md").write_text(table(timings))
    plot(timings, path.with_suffix(".svg"))
    print(table(timings))


if __name__ == "__main__":
    main()

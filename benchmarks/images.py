# SPDX-License-Identifier: MIT
"""How long does an image take to a certified error? jaxtv and its peers, in the same run.

    python benchmarks/images.py [--quick] [--plot FILE]

The image is scikit-image's photograph, resized, in [0, 1], plus noise of standard deviation 0.1.
Errors are ||y - y*|| / ||x - mean(x)||. `certified` is what the solver proves about its answer:
for jaxtv `info.error_bound`, for fastprox the square root of its duality gap. `true` is the
distance to a float64 solution that is certified to 1e-7. Of a batch, fastprox proves only the error
of the whole, so there the norms are over all images; jaxtv meets the tolerance on each. Peers that
are not installed are left out. proxTV proves nothing about its answer; scikit-image solves another,
isotropic problem, so that it has no error here. Times are the best of several calls, wall clock.
"""

import argparse
import functools
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from skimage import data, restoration, transform

import jaxtv

NOISE = 0.1


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
    case: Case
    solver: str
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
    yield Case("256 of 32x32", patches(256, 32), (1, 2), 0.1)
    if not quick:
        maps = patches(64 * 64, 64).reshape(64, 64, 64, 64)
        last = np.ascontiguousarray(maps.transpose(0, 2, 3, 1))
        yield Case("64x64x64x64, channels last", last, (1, 2), 0.1)


def best_time(call: Callable, seconds: float = 1.0) -> float:
    """The best of as many calls as fit, at least three after the first."""
    call()
    times = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 30):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def run_jaxtv(case: Case, tol: float, truth: np.ndarray) -> Timing:
    solve = functools.partial(
        jaxtv.prox_tv_2d, jnp.asarray(case.x), case.lam, axes=case.axes, tol=tol, return_info=True
    )
    seconds = best_time(lambda: jax.block_until_ready(solve()))
    y, info = solve()
    certified = case.relative(np.asarray(info.error_bound))
    return Timing(case, "jaxtv", seconds, certified, case.relative(np.asarray(y) - truth))


def run_fastprox(case: Case, tol: float, truth: np.ndarray) -> Timing:
    import fastprox

    x = np.ascontiguousarray(np.moveaxis(case.x, case.axes, (-2, -1)))
    # Its test is gap <= tol ||x||^2 / 2; this makes it sqrt(gap) <= tol ||x - mean(x)||.
    own_tol = 2 * (tol / case.relative(x)) ** 2
    solve = functools.partial(fastprox.tv_aniso, x, case.lam, tol=own_tol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = best_time(solve)
        y, info = solve()
    certified = case.relative(np.sqrt(info.gap))
    true = case.relative(np.moveaxis(y, (-2, -1), case.axes) - truth)
    return Timing(case, "fastprox", seconds, certified, true)


def run_prox_tv(case: Case, truth: np.ndarray) -> Timing:
    import prox_tv

    seconds = best_time(lambda: prox_tv.tv1_2d(case.x, case.lam, n_threads=2))
    y = prox_tv.tv1_2d(case.x, case.lam, n_threads=2)
    return Timing(case, "proxTV", seconds, None, case.relative(y - truth))


def run_skimage(case: Case) -> Timing:
    seconds = best_time(lambda: restoration.denoise_tv_chambolle(case.x, weight=case.lam))
    return Timing(case, "scikit-image", seconds, None, None)


def measure(quick: bool) -> Iterator[Timing]:
    tols = (1e-2, 1.4e-3) if quick else (1e-2, 1.4e-3, 1e-4, 1e-5, 1e-6)
    fastprox = importlib.util.find_spec("fastprox") is not None
    prox_tv = importlib.util.find_spec("prox_tv") is not None
    for case in cases(quick):
        with jax.enable_x64(True):
            wide = jnp.asarray(case.x, jnp.float64)
            truth = np.asarray(
                jaxtv.prox_tv_2d(wide, case.lam, axes=case.axes, tol=1e-7, max_sweeps=10_000)
            )
        for tol in tols:
            yield run_jaxtv(case, tol, truth)
            if fastprox and tol >= 1e-5:
                yield run_fastprox(case, tol, truth)
        if case.x.ndim == 2:
            if prox_tv:
                yield run_prox_tv(case, truth)
            yield run_skimage(case)


def plot(timings: list[Timing], path: str) -> None:
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys((t.case.name, t.case.lam) for t in timings))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.8 * rows), squeeze=False)
    for name, axis in zip(names, grid.flat, strict=False):
        for solver, style in (("jaxtv", "o-"), ("fastprox", "s-"), ("proxTV", "x")):
            own = [t for t in timings if (t.case.name, t.case.lam) == name and t.solver == solver]
            errors = [t.true if t.certified is None else t.certified for t in own]
            if own:
                axis.loglog(errors, [t.seconds for t in own], style, label=solver)
        axis.set_title(f"{name[0]}, lam {name[1]}", fontsize=9)
    grid[0, 0].set_xlabel("certified relative error (proxTV: true)")
    grid[0, 0].set_ylabel("seconds")
    grid[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two sizes and a batch, in a minute")
    parser.add_argument("--plot", metavar="FILE", help="also draw time against error")
    options = parser.parse_args()
    print(f"{'case':28}{'lam':>6}  {'solver':14}{'ms':>10}{'certified':>12}{'true':>12}")
    timings = []
    for t in measure(options.quick):
        errors = "".join(f"{'-' if e is None else f'{e:.2e}':>12}" for e in t[3:])
        row = f"{t.case.name:28}{t.case.lam:6}  {t.solver:14}{t.seconds * 1e3:10.1f}{errors}"
        print(row, flush=True)
        timings.append(t)
    if options.plot:
        plot(timings, options.plot)


if __name__ == "__main__":
    main()

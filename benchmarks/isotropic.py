# SPDX-License-Identifier: MIT
"""How long does isotropic TV take to a certified error? jaxtv and its peers, in the same run.

    python benchmarks/isotropic.py [--quick]

Images, errors and times are those of `images.py`. In float32 the certificates end at a floor of
some 1e-4; `tol=0` goes there. `ns` is the time for a pixel and an iteration of jaxtv. Gradients are
solved to `tol` too. scikit-image and deepinv prove nothing; they run at their own defaults, and
their true error is given. deepinv and fastprox are left out where they are not installed. What
would follow a time of more than 3 s is left out too, but for values of jaxtv. The table, in
Markdown, comes line by line.
"""

import argparse
import functools
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import images
import jax
import jax.numpy as jnp
import numpy as np
from skimage import restoration

import jaxtv


class Measured(NamedTuple):
    seconds: float
    certified: float | None
    iterations: int | None
    y: np.ndarray | None


def cases(quick: bool) -> Iterator[images.Case]:
    lams = (0.2,) if quick else (0.05, 0.2, 1.0)
    for n in (128,) if quick else (128, 512):
        for lam in lams:
            yield images.Case(f"{n}x{n}", images.photograph(n), (0, 1), lam)
    for lam in lams:
        yield images.Case("256 of 32x32", images.patches(256, 32), (1, 2), lam)


def prox(case: images.Case, tol: float) -> Callable:
    return functools.partial(
        jaxtv.prox_tv_2d, axes=case.axes, kind="isotropic", tol=tol, max_sweeps=20_000
    )


def run_jaxtv(case: images.Case, tol: float) -> Measured:
    solve = jax.jit(functools.partial(prox(case, tol), return_info=True))
    x = jnp.asarray(case.x)
    y, info = jax.block_until_ready(solve(x, case.lam))  # compiled
    seconds = images.best_time(lambda: jax.block_until_ready(solve(x, case.lam)))
    certified = case.relative(np.asarray(info.error_bound, float))
    return Measured(seconds, certified, int(np.sum(info.sweeps)), np.asarray(y))


def gradient_seconds(case: images.Case, tol: float) -> float:
    """Of value and gradient, to `tol` both."""
    solve = functools.partial(prox(case, tol), deriv_tol=tol)
    slope = jax.jit(jax.value_and_grad(lambda x, lam: (solve(x, lam) ** 2).sum(), (0, 1)))
    x, lam = jnp.asarray(case.x), jnp.asarray(case.lam, case.x.dtype)
    jax.block_until_ready(slope(x, lam))  # compiled
    return images.best_time(lambda: jax.block_until_ready(slope(x, lam)))


def run_fastprox(case: images.Case, tol: float) -> Measured:
    import fastprox

    # Its test is gap <= tol ||x||^2 / 2; this makes it sqrt(gap) <= tol ||x - mean(x)||.
    own_tol = 2 * (tol / case.relative(float(np.linalg.norm(case.x)))) ** 2
    solve = functools.partial(fastprox.tv_iso, case.x, case.lam, tol=own_tol, max_iter=20_000)
    last = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = images.best_time(lambda: last.append(solve()))
    y, info = last[-1]
    return Measured(seconds, case.relative(float(np.sqrt(np.sum(info.gap)))), None, np.asarray(y))


def run_skimage(case: images.Case) -> Measured:
    solve = functools.partial(restoration.denoise_tv_chambolle, weight=case.lam)

    last = []

    def each() -> None:
        last[:] = [solve(x) for x in batch(case)]

    seconds = images.best_time(each)
    return Measured(seconds, None, None, np.stack(last).reshape(case.x.shape))


def run_deepinv(case: images.Case) -> Measured:
    import torch
    from deepinv.models import TVDenoiser

    x, last = torch.from_numpy(batch(case)[:, None]), []

    def solve() -> None:
        last[:] = [TVDenoiser()(x, case.lam)]  # a new one: it would start from its last result

    seconds = images.best_time(solve)
    return Measured(seconds, None, None, last[0].numpy().reshape(case.x.shape))


def batch(case: images.Case) -> np.ndarray:
    """The images of a case along the first axis."""
    return case.x.reshape(-1, *case.x.shape[-2:])


def solution(case: images.Case) -> np.ndarray:
    with jax.enable_x64(True):
        solve = functools.partial(jaxtv.prox_tv_2d, kind="isotropic", tol=1e-6, max_sweeps=30_000)
        return np.asarray(solve(jnp.asarray(case.x, jnp.float64), case.lam, axes=case.axes))


def row(case: images.Case, solver: str, tol: float, found: Measured, truth: np.ndarray) -> str:
    true = "" if found.y is None else f"{case.relative(float(np.linalg.norm(found.y - truth))):.1e}"
    certified = "" if found.certified is None else f"{found.certified:.1e}"
    pixels = case.x.size if case.x.ndim == 2 else case.x[0].size
    each = "" if not found.iterations else f"{found.seconds / found.iterations / pixels * 1e9:.2f}"
    asked = "default" if solver in ("scikit-image", "deepinv") else f"{tol:.0e}" if tol else "0"
    cells = (
        case.name,
        f"{case.lam:g}",
        case.x.dtype.name,
        asked,
        solver,
        f"{found.seconds * 1e3:.3g}",
        certified,
        true,
        each,
    )
    return "| " + " | ".join(cells) + " |"


def rows(case: images.Case, tols: Sequence[float], truth: np.ndarray) -> Iterator[str]:
    """The lines of the solvers that prove their errors."""
    peer = bool(importlib.util.find_spec("fastprox"))
    for tol in tols:
        found = run_jaxtv(case, tol)
        yield row(case, "jaxtv", tol, found, truth)
        if not tol:
            continue
        if found.seconds < images.SLOW:
            with_gradient = Measured(gradient_seconds(case, tol), None, None, None)
            yield row(case, "jaxtv, value and gradient", tol, with_gradient, truth)
        if peer:
            found = run_fastprox(case, tol)
            yield row(case, "fastprox", tol, found, truth)
            peer = found.seconds < images.SLOW


def main() -> None:
    parser = argparse.ArgumentParser(description="Isotropic TV to a certified error.")
    parser.add_argument("--quick", action="store_true", help="one size and a batch")
    options = parser.parse_args()
    print("| case | lam | type | tol | solver | ms | certified | true | ns |")
    print("|---|---:|---|---:|---|---:|---:|---:|---:|")
    for single in cases(options.quick):
        truth = solution(single)
        double = single._replace(x=single.x.astype(np.float64))
        for case, tols in ((single, (1e-2, 1e-3, 0.0)), (double, (1e-3, 1e-5))):
            with jax.enable_x64(case.x.dtype == np.float64):
                for line in rows(case, tols, truth):
                    print(line, flush=True)
        print(row(single, "scikit-image", 0.0, run_skimage(single), truth), flush=True)
        if importlib.util.find_spec("deepinv"):
            print(row(single, "deepinv", 0.0, run_deepinv(single), truth), flush=True)


if __name__ == "__main__":
    main()

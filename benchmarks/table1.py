# SPDX-License-Identifier: MIT
"""Table 1 of the paper: forward and backward time of the 1-D TV prox of 256 x 32 x 32 lines.

    python benchmarks/table1.py [--quick] [--runs 25] [--noise 0.3]

A unit step in Gaussian noise, lam = 1, mean and standard deviation over the runs; 8192 lines of 32
samples. Beside each time stands the largest error of the result and of the gradient in x, against
the float64 oracle of the tests. The paper's own numbers are printed below: other hardware, so
compare ratios. Peers that are not installed are left out with a line that says how to get them.
"""

import argparse
import os
import pathlib
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxtv

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
import oracle

SHAPE, LAM = (256, 32, 32), 1.0
PAPER = """\
| package (paper) | hardware | forward ms | backward ms |
|---|---|---:|---:|
| CVXPYLayers | Intel Core i7-6700K | 20704 ± 32 | 9932 ± 41 |
| ProxTV-TS | Intel Core i7-6700K | 207.8 ± 7.5 | 430.7 ± 7.9 |
| ProxTV-PN | Intel Core i7-6700K | 257.3 ± 5.8 | 447.0 ± 9.6 |
| Ours-PN | Titan X | 9.0 ± 0.7 | 17.7 ± 2.4 |
| Ours-PN | A6000 | 10.0 ± 1.5 | 7.3 ± 6.0 |"""


class Peer(NamedTuple):
    """One row of the table. `forward(x)` gives y and what `backward(kept, g)` needs."""

    name: str
    forward: Callable
    backward: Callable  # gives the cotangents of x and lam
    lines: int | None = None  # timed on so many lines only, and extrapolated


class Skipped(Exception):
    """A peer that cannot run here, and why."""


def numpy_backward(y: np.ndarray, g: np.ndarray, tolerance: float = 0.0):
    """x_bar and lam_bar by run means; a difference up to `tolerance` is none."""
    difference = np.diff(y)
    jump = np.where(np.abs(difference) > tolerance, np.sign(difference), 0)
    starts = np.concatenate([np.ones((len(y), 1), bool), jump != 0], axis=-1).ravel()
    first = np.flatnonzero(starts)
    mean = np.add.reduceat(g.ravel(), first) / np.diff(first, append=g.size)
    x_bar = mean[np.cumsum(starts) - 1].reshape(g.shape)
    return x_bar, -np.vdot(jump, np.diff(x_bar))


def proxtv(label: str, method: str, tolerance: float) -> Peer:
    try:
        import prox_tv
    except ModuleNotFoundError:
        raise Skipped("pip install prox-tv-sdist (needs LAPACKE headers)") from None

    def forward(x):
        y = np.stack([prox_tv.tv1_1d(line, LAM, method=method) for line in x])
        return y, y

    def backward(y, g):
        return numpy_backward(y, g, tolerance)

    return Peer(f"proxTV {label} {version('prox-tv-sdist')}", forward, backward)


def fastprox() -> Peer:
    try:
        import fastprox
    except ModuleNotFoundError:
        raise Skipped("pip install fastprox (Python >= 3.12)") from None

    op = fastprox.TV1D()

    def backward(context, g):
        x_bar, grads = op.vjp(context, g)
        return x_bar, grads.gamma

    return Peer(f"fastprox {fastprox.__version__}", lambda x: op.prox(x, LAM, keep=True), backward)


def cvxpylayers(lines: int) -> Peer:
    try:
        import cvxpy as cp
        from cvxpylayers.jax import CvxpyLayer
    except ModuleNotFoundError:
        raise Skipped("pip install cvxpylayers") from None

    n = SHAPE[-1]
    x, lam, y = cp.Parameter(n), cp.Parameter(nonneg=True), cp.Variable(n)
    objective = 0.5 * cp.sum_squares(y - x) + lam * cp.tv(y)
    layer = CvxpyLayer(cp.Problem(cp.Minimize(objective)), parameters=[x, lam], variables=[y])

    def forward(batch):
        y, pullback = jax.vjp(lambda x, lam: layer(x, lam)[0], jnp.array(batch), jnp.float64(LAM))
        return np.asarray(y), pullback

    def backward(pullback, g):
        return tuple(np.asarray(bar) for bar in pullback(jnp.array(g)))

    return Peer(f"CVXPYLayers {version('cvxpylayers')}", forward, backward, lines)


def ours(name: str, prox: Callable, device: jax.Device) -> Peer:
    lam = jax.device_put(np.float32(LAM), device)
    vjp = jax.jit(lambda x: jax.vjp(prox, x, lam))
    pull = jax.jit(lambda pullback, g: pullback(g))

    def forward(x):
        y, pullback = vjp(jax.device_put(x, device))
        return y.block_until_ready(), pullback

    def backward(pullback, g):
        return jax.block_until_ready(pull(pullback, g))

    return Peer(f"jaxtv {name}", forward, backward)


def peers(quick: bool):
    """Name, kind of input and constructor of each row."""
    yield "CVXPYLayers", np.float64, lambda: cvxpylayers(4 if quick else 64)
    yield "proxTV", np.float64, lambda: proxtv("taut string", "classictautstring", 0.0)
    # It does not equate the samples of a run, so a small difference must count as none.
    yield "proxTV", np.float64, lambda: proxtv("projected Newton", "pn", 1e-9)
    yield "fastprox", np.float32, fastprox
    for device in {d.platform: d for d in (*jax.devices("cpu"), *jax.devices())}.values():
        where = {"cpu": "CPU", "gpu": "CUDA"}.get(device.platform, device.platform)
        for method in ("newton", "direct"):

            def prox(x, lam, method=method):
                return jaxtv.prox_tv_1d(x, lam, method=method)

            name = f"{method}, {where}"
            yield name, np.float32, lambda p=prox, n=name, d=device: ours(n, p, d)


def clock(function: Callable, *args):
    start = time.perf_counter()
    result = function(*args)
    return result, 1e3 * (time.perf_counter() - start)


def measure(peer: Peer, x: np.ndarray, g: np.ndarray, runs: int):
    """Milliseconds of each run forward and backward, and the last y and x_bar."""
    part = slice(peer.lines)
    factor = len(x) / len(x[part])
    peer.backward(peer.forward(x[part])[1], g[part])  # compiles
    times = []
    for _ in range(runs):
        (y, kept), forward = clock(peer.forward, x[part])
        (x_bar, *_), backward = clock(peer.backward, kept, g[part])
        times.append((factor * forward, factor * backward))
    return np.array(times), np.asarray(y, np.float64), np.asarray(x_bar, np.float64)


def row(peer: Peer, times, y, x_bar, want, want_bar) -> str:
    cells = [f"{m:.3g} ± {s:.2g}" for m, s in zip(times.mean(0), times.std(0), strict=True)]
    errors = [
        np.abs(got - exact[: len(got)]).max() for got, exact in ((y, want), (x_bar, want_bar))
    ]
    note = f" ({peer.lines} lines, extrapolated)" if peer.lines else ""
    return f"| {peer.name}{note} | {cells[0]} | {cells[1]} | {errors[0]:.1e} | {errors[1]:.1e} |"


def processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="3 runs of few lines, under a minute")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--noise", type=float, default=0.3, help="its standard deviation")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)  # for CVXPYLayers; jaxtv is given float32
    shape = (16, *SHAPE[1:]) if options.quick else SHAPE
    runs = min(options.runs, 3) if options.quick else options.runs

    rng = np.random.default_rng(0)
    x = (np.arange(shape[-1]) >= shape[-1] // 2) + options.noise * rng.normal(size=shape)
    x = np.float32(x.reshape(-1, shape[-1]))  # the same numbers for all, exact in float64
    g = np.float32(rng.normal(size=x.shape))
    want = oracle.prox_1d(x, LAM)
    want_bar = oracle.run_mean(want, g)

    gpus = ", ".join(d.device_kind for d in jax.devices() if d.platform == "gpu")
    print(f"{processor()}, {os.cpu_count()} cores; {gpus or 'no GPU'}; jax {jax.__version__}")
    print(f"{len(x)} lines of {x.shape[1]}, lam {LAM:g}, noise {options.noise:g}, {runs} runs\n")
    print("| package | forward ms | backward ms | error | gradient error |")
    print("|---|---:|---:|---:|---:|")
    skipped = []
    for name, dtype, make in peers(options.quick):
        try:
            peer = make()
        except Skipped as reason:
            skipped.append(f"{name} skipped: {reason}")
            continue
        result = measure(peer, x.astype(dtype), g.astype(dtype), runs)
        print(row(peer, *result, want, want_bar), flush=True)
    print(f"\n{PAPER}\n", *skipped, sep="\n")


if __name__ == "__main__":
    main()

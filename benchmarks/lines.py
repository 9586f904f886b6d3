# SPDX-License-Identifier: MIT
"""Times the TV prox of lines, and its derivative, beside other libraries in the same run.

    python benchmarks/lines.py [--quick] [--threads 1 2] [--out DIR]

Prints a Markdown table, and saves all figures as DIR/lines.csv and a plot as DIR/lines.png. Peers
that are not installed are left out: fastprox (Python >= 3.12), prox-tv-sdist. A peer whose answer
differs is not timed. Every competitor of a case runs once in each round, so that a busy machine
slows all of them; figures are medians over rounds, and ratios are medians of the ratio in a round.
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
from allocator import keep_freed_memory
from lines_report import markdown, plot
from skimage import data


class Case(NamedTuple):
    """Lines along `axis` of an array of `shape`."""

    table: str
    shape: tuple[int, ...]
    axis: int = -1
    kind: str = "noise"
    lam: float = 1.0
    dtype: str = "float32"

    def label(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"{shape}, axis {self.axis}, {self.kind}, lam {self.lam:g}, {self.dtype}"


def cases(quick: bool) -> list[Case]:
    batch = (8192, 32)
    found = [Case("Batch", batch), Case("Batch", batch, dtype="float64")]
    found += [Case("Length", (2**18 // n, n)) for n in (16, 64, 256, 1024, 4096)]
    found += [Case("One line", (10**k,), lam=lam) for k in (4, 5, 6) for lam in (1.0, 20.0)]
    kinds = ("noise", "steps", "walk", "ramp", "photo")
    found += [
        Case("Data", (1024, 256), kind=kind, lam=lam) for kind in kinds for lam in (0.1, 1.0, 10.0)
    ]
    found += [
        Case("Axis", (64, 64, 64), axis=2),
        Case("Axis", (64, 64, 64), axis=1),
        Case("Axis", (512, 512, 3), axis=1),
        Case("Axis", (512, 512, 3), axis=0),
    ]
    if not quick:
        found += [Case("One line", (10**7,), lam=lam) for lam in (1.0, 20.0)]
        found += [Case("One line", (5000,)), Case("One line", (10**6,), lam=500.0)]
        found += [Case("Length", (2**21 // n, n)) for n in (32, 512)]
        found += [Case("Data", (1024, 256), kind=kind, dtype="float64") for kind in kinds]
    return found


def signal(case: Case) -> np.ndarray:
    """Lines of the kind of the case, of unit scale or so."""
    rng = np.random.default_rng(0)
    shape = list(case.shape)
    shape.append(shape.pop(case.axis))  # the line last
    n = shape[-1]
    x = rng.normal(size=shape)
    if case.kind == "steps":
        levels = rng.normal(size=(*shape[:-1], n // 16 + 1)) * 4
        x = np.repeat(levels, 16, axis=-1)[..., :n] + 0.3 * x
    elif case.kind == "walk":
        x = x.cumsum(axis=-1)
    elif case.kind == "ramp":
        x = np.linspace(0, 4, n) * (1 + rng.random((*shape[:-1], 1)))
    elif case.kind == "photo":  # rows of a clean photograph of 8 bits
        x = np.resize(data.camera().reshape(-1, n), shape) / 16
    return np.ascontiguousarray(np.moveaxis(x, -1, case.axis), dtype=case.dtype)


def competitors(case: Case, x: np.ndarray, g: np.ndarray, threads: int) -> dict:
    """What to call, by library and pass. Each returns an array, computed."""
    found = _jaxtv(case, x, g) | _fastprox(case, x, g, threads) | _proxtv(case, x) | _copy(x)
    return found | _plain(case, x) if case.table == "Batch" else found


def _jaxtv(case, x, g):
    import jax
    import jax.numpy as jnp

    import jaxtv

    lam = jnp.array(case.lam, case.dtype)
    prox = jax.jit(lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=case.axis))

    @jax.jit
    def both(x, lam, g):
        y, pull = jax.vjp(lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=case.axis), x, lam)
        return y, *pull(g)

    on_device, cotangent = jnp.asarray(x), jnp.asarray(g)
    return {
        ("jaxtv", "forward"): lambda: prox(on_device, lam).block_until_ready(),
        ("jaxtv", "with backward"): lambda: jax.block_until_ready(both(on_device, lam, cotangent)),
    }


def _copy(x):
    """The floor: reads the array and writes one of its size."""
    import jax
    import jax.numpy as jnp

    negate, on_device = jax.jit(lambda x: -x), jnp.asarray(x)
    return {("copy", "forward"): lambda: negate(on_device).block_until_ready()}


def _plain(case, x):
    """What jaxtv computes where it has no compiled kernel."""
    import jax
    import jax.numpy as jnp

    from jaxtv._plain import tv1d as plain_tv1d

    lam = jnp.full((1,) * x.ndim, case.lam, case.dtype)
    prox = jax.jit(lambda x: plain_tv1d.prox(x, lam, axis=x.ndim - 1))
    on_device = jnp.asarray(x)
    return {("plain JAX", "forward"): lambda: prox(on_device).block_until_ready()}


def _fastprox(case, x, g, threads):
    try:
        import fastprox
    except ImportError:
        return {}
    op = fastprox.TV1D()
    options = {"axis": case.axis, "threads": threads}

    def both():
        y, context = op.prox(x, case.lam, keep=True, **options)
        return y, *op.vjp(context, g)

    return {
        ("fastprox", "forward"): lambda: op.prox(x, case.lam, **options),
        ("fastprox", "with backward"): both,
    }


def _proxtv(case, x):
    """One call for each line, as proxTV has no batches: only where calls do not dominate."""
    try:
        import prox_tv
    except ImportError:
        return {}
    if len(case.shape) > 1 or (case.dtype != "float64" and x.size > 10**6):
        return {}
    wide = x.astype(np.float64)
    return {("proxTV", "forward"): lambda: prox_tv.tv1_1d(wide, case.lam)}


def measure(case: Case, threads: int, budget: float) -> list[dict]:
    """Rows of figures: library, pass, milliseconds, ratio to jaxtv."""
    x = signal(case)
    g = np.random.default_rng(1).normal(size=x.shape).astype(x.dtype)
    calls = competitors(case, x, g, threads)
    want = np.asarray(calls["jaxtv", "forward"]())
    near = 1e-4 * (np.abs(x).max() + case.lam)
    for library in {library for library, _ in calls} - {"copy"}:
        if np.abs(np.asarray(calls[library, "forward"]()) - want).max() > near:
            print(f"{library} disagrees on {case.label()}", file=sys.stderr)
            calls = {key: call for key, call in calls.items() if key[0] != library}
    for call in calls.values():
        call()
    times: dict = {key: [] for key in calls}
    start = time.perf_counter()
    while len(times["jaxtv", "forward"]) < 5 or time.perf_counter() - start < budget:
        for key, call in calls.items():
            begin = time.perf_counter()
            call()
            times[key].append(time.perf_counter() - begin)
    rows = []
    for (library, kind), seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times["jaxtv", kind], strict=True)]
        rows.append(
            case._asdict()
            | {"threads": threads, "library": library, "pass": kind}
            | {"ms": 1e3 * statistics.median(seconds), "best_ms": 1e3 * min(seconds)}
            | {"ratio": statistics.median(ratios)}
        )
    return rows


def small_call() -> tuple[float, float]:
    """Microseconds of a jitted call on 64 samples, and of one that does next to nothing."""
    import jax
    import jax.numpy as jnp

    import jaxtv

    x = jnp.arange(64.0)
    found = []
    for f in (jax.jit(lambda x: jaxtv.prox_tv_1d(x, 1.0)), jax.jit(lambda x: -x)):
        f(x).block_until_ready()
        seconds = []
        for _ in range(3000):
            begin = time.perf_counter()
            f(x).block_until_ready()
            seconds.append(time.perf_counter() - begin)
        found.append(1e6 * statistics.median(seconds))
    return found[0], found[1]


def run(threads: int, quick: bool) -> list[dict]:
    """All cases on this many threads, in a process of its own: XLA counts its threads once."""
    command = [sys.executable, __file__, "--worker", str(threads)] + ["--quick"] * quick
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    *notes, rows = done.stdout.splitlines()
    print(*notes, sep="\n", file=sys.stderr)
    return json.loads(rows)


def worker(threads: int, quick: bool) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    keep_freed_memory()
    call, empty = small_call()
    print(f"{threads} threads: a call on 64 samples takes {call:.1f} us, a negation {empty:.1f} us")
    budget = 0.15 if quick else 1.0
    print(json.dumps([row for case in cases(quick) for row in measure(case, threads, budget)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases, shorter: under a minute")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.quick)
        return
    rows = [row for threads in args.threads for row in run(threads, args.quick)]
    print(markdown(rows, Case))
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "lines.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    plot(rows, Case, args.out / "lines.png")


if __name__ == "__main__":
    main()

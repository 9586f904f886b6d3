# SPDX-License-Identifier: MIT
"""The parts of gpu.sh that need JAX.

gpu.py agree        every regime of cuda/regime.h, against the CPU
gpu.py regimes      every regime once, on small arrays, for compute-sanitizer
gpu.py graph        a scan whose steps XLA records in a CUDA graph
gpu.py time FILE    benchmarks; writes a Markdown table
"""

import functools
import pathlib
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxtv

SMALL = [
    ((35, 9), 1),
    ((2, 33, 5), 1),
    ((3, 9, 40), 1),
    ((3, 130), 1),
    ((2, 700), 1),
    ((1, 2100), 1),
]
LARGE = [
    ((8192, 32), 1),
    ((256, 32, 32), 1),
    ((3000, 500), 1),
    ((9, 2000, 3), 1),
    ((1, 300_000), 1),
]
TIMED = [
    ((256, 32, 32), 2, "Table 1: 8192 rows of 32"),
    ((256, 32, 32), 1, "the same by columns"),
    ((64, 224, 224, 3), 2, "rows of 64 images, channels last"),
    ((64, 3, 224, 224), 2, "columns of 64 images, channels first"),
    ((2048, 2048), 1, "rows of an image"),
    ((2048, 2048), 0, "columns of an image"),
    ((64, 1024), 1, "64 lines of 1024"),
    ((16, 100_000), 1, "16 lines of 100,000"),
    ((1, 1_000_000), 1, "one line of 1,000,000"),
]
CALLS = 8


def noise(shape, dtype, seed=0):
    return jnp.array(np.random.default_rng(seed).normal(size=shape), dtype)


@functools.partial(jax.jit, static_argnames="axis")
def value_and_pullback(x, lam, g, axis):
    """Results and derivatives of independent calls: `x` and `g` hold one input for each."""
    out = []
    for x_one, g_one in zip(x, g, strict=True):
        y, pull = jax.vjp(lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=axis), x_one, lam)
        out.append((y, *pull(g_one)))
    return out


def agree():
    """Answers and derivatives of CPU and CUDA, in units of the last place of the largest value."""
    cpu, worst = jax.devices("cpu")[0], 0.0
    for dtype in ("float32", "float64"):
        for shape, axis in [*SMALL, *LARGE]:
            weights = [1 if d != axis else n - 1 for d, n in enumerate(shape)]
            for lam in (jnp.array(1.0, dtype), jnp.abs(noise(weights, dtype, 2))):
                x, g = noise(shape, dtype), noise(shape, dtype, 1)
                got = value_and_pullback([x], lam, [g], axis)[0]
                there = jax.device_put((x, lam, g), cpu)
                want = value_and_pullback([there[0]], there[1], [there[2]], axis)[0]
                for a, b, scale in zip(got, want, (x, g, x.size**0.5 * g), strict=True):
                    unit = float(jnp.finfo(dtype).eps * jnp.abs(scale).max())
                    off = np.abs(np.asarray(a) - np.asarray(b)).max() / unit
                    worst = max(worst, off)
                    if not off <= 16:
                        sys.exit(f"{dtype} {shape} axis {axis}: {off:.3g} units apart")
    print(f"at most {worst:.2g} units in the last place apart")


def regimes():
    for shape, axis in SMALL:
        x = noise(shape, "float32")
        jax.block_until_ready(value_and_pullback([x], jnp.float32(0.5), [x], axis))


def graph():
    """Replays must see new inputs: each step has its own weight and depends on the one before."""
    x, lams = noise((256, 32, 32), "float32"), jnp.linspace(0.01, 0.2, 10, dtype="float32")
    scanned = jax.jit(
        lambda x, lams: jax.lax.scan(lambda c, lam: (jaxtv.prox_tv_1d(c, lam), None), x, lams)[0]
    )
    want = x
    for lam in lams:
        want = jaxtv.prox_tv_1d(want, lam)
    for _ in range(3):
        np.testing.assert_array_equal(scanned(x, lams), want)
    text = scanned.lower(x, lams).compile().as_text()
    if "command_buffer" not in text:
        sys.exit("right, but XLA recorded no command buffer")
    print("recorded in a command buffer, replayed, right")


def milliseconds(f, *args):
    """Median time of one of the `CALLS` calls inside `f`, device time with its launch."""
    jax.block_until_ready(f(*args))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        jax.block_until_ready(f(*args))
        times.append(time.perf_counter() - start)
    return statistics.median(times) / CALLS * 1e3


def bandwidth():
    """Bytes per second of a large copy, read and written."""
    x = jnp.zeros(2**28, "float32")
    copies = jax.jit(lambda x: [x + k for k in range(CALLS)])
    return 2 * x.nbytes / milliseconds(copies, x) * 1e3


def measure(path):
    peak = bandwidth()
    rows = [
        "",
        f"float32, lam = 1; {CALLS} independent calls in one program, median of 20 runs. "
        f"Floor: bytes that must move, at the {peak / 1e12:.2f} TB/s that a large copy reaches.",
        "",
        "| case | shape, axis | forward ms | floor | forward and backward ms | floor |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for shape, axis, name in TIMED:
        xs = [noise(shape, "float32", k) for k in range(CALLS)]
        lam = jnp.float32(1)
        prox = functools.partial(jaxtv.prox_tv_1d, lam=lam, axis=axis)
        ahead = milliseconds(jax.jit(functools.partial(jax.tree.map, prox)), xs)
        both = milliseconds(functools.partial(value_and_pullback, axis=axis), xs, lam, xs)
        floor = 2 * xs[0].nbytes / peak * 1e3
        rows.append(
            f"| {name} | {shape}, {axis} | {ahead:.4f} | {floor:.4f} "
            f"| {both:.4f} | {2.5 * floor:.4f} |"  # x, y, y_bar, x_bar, and y once more
        )
    pathlib.Path(path).write_text("\n".join(rows) + "\n")
    print(f"{len(TIMED)} cases")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    if jax.default_backend() != "gpu":
        sys.exit(f"JAX computes on {jax.default_backend()} here, not on a GPU.")
    if sys.argv[1] == "time":
        measure(sys.argv[2])
    else:
        {"agree": agree, "regimes": regimes, "graph": graph}[sys.argv[1]]()

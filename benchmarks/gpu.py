# SPDX-License-Identifier: MIT
"""The parts of gpu.sh that need JAX.

gpu.py agree        every kernel of cuda/lines/kernel_choice.h, against the CPU
gpu.py kernels      every kernel once, on small arrays, for compute-sanitizer
gpu.py graph DUMP   a scan whose steps XLA records in a CUDA graph; DUMP is where XLA_FLAGS has
                    --xla_dump_to write its programs
gpu.py time FILE    benchmarks; writes a Markdown table
"""

import functools
import itertools
import math
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
    ((1, 17_000), 1),
]
IMAGES = [
    ((2, 24, 17), (1, 2)),
    ((2, 20, 33, 5), (1, 2)),
    ((70, 500), (0, 1)),  # K sweeps line by line: it fills more than a multiprocessor
    ((4, 5, 6), (0, 1, 2)),
]
LARGE = [
    ((8192, 32), 1),
    ((256, 32, 32), 1),
    ((3000, 500), 1),
    ((9, 2000, 3), 1),
    ((80, 20_000), 1),
    ((100_000, 3), 0),
    ((1, 3_000_000), 1),
]
NEWTON = [((256, 32, 32), 2), ((256, 32, 32), 1), ((300, 500), 1), ((1, 3000), 1)]
GRAPHS = [((256, 32, 32), "direct"), ((256, 32, 32), "newton"), ((2, 40_000), "direct")]
TIMED = [
    ((256, 32, 32), 2, "Table 1: 8192 rows of 32"),
    ((256, 32, 32), 2, "Table 1, method newton"),
    ((256, 32, 32), 1, "Table 1, by columns"),
    ((64, 224, 224, 3), 2, "rows of 64 images, channels last"),
    ((64, 3, 224, 224), 2, "columns of 64 images, channels first"),
    ((2048, 2048), 1, "rows of an image"),
    ((2048, 2048), 0, "columns of an image"),
    ((64, 1024), 1, "64 lines of 1024"),
    ((1, 16_000), 1, "one line of 16,000, by a block"),
    ((1, 17_000), 1, "one line of 17,000, by the grid"),
    ((16, 100_000), 1, "16 lines of 100,000"),
    ((1, 1_000_000), 1, "one line of 1,000,000"),
    ((1, 1_000_000), 1, "the same, a walk"),
    ((1, 10_000_000), 1, "one line of 10,000,000"),
    ((1, 100_000_000), 1, "one line of 100,000,000"),
]
CALLS = 8
"""Calls in one program, of all but huge arrays: so a launch by the host is not what is measured."""


def noise(shape, dtype, seed=0):
    return jnp.array(np.random.default_rng(seed).normal(size=shape), dtype)


@functools.partial(jax.jit, static_argnames=("axis", "method"))
def value_and_pullback(x, lam, g, axis, method="direct"):
    """Results and derivatives of independent calls: `x` and `g` hold one input for each."""
    out = []
    for x_one, g_one in zip(x, g, strict=True):
        prox = functools.partial(jaxtv.prox_tv_1d, axis=axis, method=method)
        y, pull = jax.vjp(prox, x_one, lam)
        out.append((y, *pull(g_one)))
    return out


def units_apart(got, want, scale, dtype):
    """The largest difference in units of the last place of the largest of `scale`."""
    unit = float(jnp.finfo(dtype).eps * jnp.abs(scale).max())
    return np.abs(np.asarray(got) - np.asarray(want)).max() / unit


def agree():
    """Answers and derivatives of CPU and CUDA, and the steps of Newton's method."""
    cpu, worst = jax.devices("cpu")[0], 0.0
    cases = [("direct", *case) for case in (*SMALL, *LARGE)]
    cases += [("newton", *case) for case in NEWTON]
    for dtype, (method, shape, axis) in itertools.product(("float32", "float64"), cases):
        weights = [1 if d != axis else n - 1 for d, n in enumerate(shape)]
        for lam in (jnp.array(1.0, dtype), jnp.abs(noise(weights, dtype, 2))):
            x, g = noise(shape, dtype), noise(shape, dtype, 1)
            got = value_and_pullback([x], lam, [g], axis, method)[0]
            there = jax.device_put((x, lam, g), cpu)
            want = value_and_pullback([there[0]], there[1], [there[2]], axis, method)[0]
            for a, b, scale in zip(got, want, (x, g, x.size**0.5 * g), strict=True):
                off = units_apart(a, b, scale, dtype)
                worst = max(worst, off)
                if not off <= 16:
                    sys.exit(f"{method} {dtype} {shape} axis {axis}: {off:.3g} units apart")
            if method == "newton":
                both = [
                    jaxtv.prox_tv_1d(*args, axis=axis, method=method, return_info=True)[1]
                    for args in ((x, lam), there[:2])
                ]
                np.testing.assert_array_equal(both[0].iterations, both[1].iterations)
    print(f"at most {worst:.2g} units in the last place apart")


def kernels():
    for method, (shape, axis) in itertools.product(("direct", "newton"), SMALL):
        if method == "direct" or max(shape) < 1000:
            x = noise(shape, "float32")
            jax.block_until_ready(value_and_pullback([x], jnp.float32(0.5), [x], axis, method))
    for shape, axes in IMAGES:
        for num_sweeps in (2, None):
            prox = functools.partial(jaxtv.prox_tv, axes=axes, num_sweeps=num_sweeps)
            y, pull = jax.vjp(prox, noise(shape, "float32"), jnp.float32(0.5))
            jax.block_until_ready(pull(y))


def graph(dump):
    """Replays must see new inputs: each step has its own weight and depends on the one before.

    XLA records after its last HLO pass, so a command buffer shows in the dumped thunks alone.
    """
    lams = jnp.linspace(0.01, 0.2, 10, dtype="float32")
    for shape, method in GRAPHS:
        prox = functools.partial(jaxtv.prox_tv_1d, method=method)
        scanned = jax.jit(
            lambda x, lams, prox=prox: jax.lax.scan(lambda c, w: (prox(c, w), None), x, lams)[0]
        )
        x = want = noise(shape, "float32")
        for lam in lams:
            want = prox(want, lam)
        for _ in range(3):
            np.testing.assert_array_equal(scanned(x, lams), want)
    thunks = [p.read_text() for p in pathlib.Path(dump).glob("*thunk_sequence_after*.txt")]
    recorded = sum("kCommandBuffer" in text for text in thunks)
    print(f"{len(GRAPHS)} kinds right, {recorded} programs with a command buffer")
    if recorded == 0:
        sys.exit("the values are right, but XLA recorded no command buffer")


def milliseconds(f, *args, calls=CALLS):
    """Median time of one of the `calls` calls inside `f`, device time with its launch."""
    jax.block_until_ready(f(*args))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        jax.block_until_ready(f(*args))
        times.append(time.perf_counter() - start)
    return statistics.median(times) / calls * 1e3


def bandwidth():
    """Bytes per second of a large copy, read and written."""
    x = jnp.zeros(2**28, "float32")
    copies = jax.jit(lambda x: [x + k for k in range(CALLS)])
    return 2 * x.nbytes / milliseconds(copies, x) * 1e3


def measure(path):
    peak = bandwidth()
    head = [
        "",
        f"float32, lam = 1; {CALLS} independent calls in one program, of huge arrays one; "
        "median of 20 runs. "
        f"Floor: bytes that must move, at the {peak / 1e12:.2f} TB/s that a large copy reaches.",
        "",
        "| case | shape, axis | forward ms | floor | forward and backward ms | floor |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    table = pathlib.Path(path)
    table.write_text("\n".join(head) + "\n")
    for shape, axis, name in TIMED:
        calls = CALLS if math.prod(shape) < 2**24 else 1
        xs = [noise(shape, "float32", k) for k in range(calls)]
        if "walk" in name:
            xs = [x.cumsum(axis) for x in xs]
        method = "newton" if "newton" in name else "direct"
        lam = jnp.float32(1)
        prox = functools.partial(jaxtv.prox_tv_1d, lam=lam, axis=axis, method=method)
        ahead = milliseconds(jax.jit(functools.partial(jax.tree.map, prox)), xs, calls=calls)
        pullback = functools.partial(value_and_pullback, axis=axis, method=method)
        both = milliseconds(pullback, xs, lam, xs, calls=calls)
        floor = 2 * xs[0].nbytes / peak * 1e3
        row = (
            f"| {name} | {shape}, {axis} | {ahead:.4f} | {floor:.4f} "
            f"| {both:.4f} | {2.5 * floor:.4f} |"  # x, y, y_bar, x_bar, and y once more
        )
        with table.open("a") as file:
            file.write(row + "\n")
    print(f"{len(TIMED)} cases")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    if jax.default_backend() != "gpu":
        sys.exit(f"JAX computes on {jax.default_backend()} here, not on a GPU.")
    tasks = {"agree": agree, "kernels": kernels, "graph": graph, "time": measure}
    tasks[sys.argv[1]](*sys.argv[2:])

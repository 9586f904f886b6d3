# SPDX-License-Identifier: MIT
"""How long the kernels of a call take on a GPU, by JAX's profiler, and the call as a whole.

python benchmarks/gpu_kernels.py                 # a table in Markdown
python benchmarks/gpu_kernels.py --kernels       # and the kernels of each case, longest first
"""

import argparse
import collections
import functools
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxtv


class Event(NamedTuple):
    start: int  # ns, as the duration
    duration: int
    kernel: str


def noise(*shape: int, seed: int = 0) -> Array:
    return jnp.array(np.random.default_rng(seed).normal(size=shape), "float32")


def scene(*shape: int) -> Array:
    """Waves, a disc and a bar, of range 1, with noise of deviation 0.1."""
    rng = np.random.default_rng(0)
    height, width = shape[-2:]
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = sum(
        np.sin(2 * np.pi * (k * x + 0.7 * k * y + rng.random())) / k for k in (1, 2, 3, 5, 8)
    )
    image = waves + 1.0 * ((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.05) + (x > 0.7)
    return jnp.array(image / np.ptp(image) + rng.normal(0, 0.1, shape), "float32")


def lines(axis: int = -1) -> Callable:
    return functools.partial(jaxtv.prox_tv_1d, axis=axis)


def sweeps(*axes: int) -> Callable:
    return functools.partial(jaxtv.prox_tv, axes=axes, num_sweeps=4)


def converged(tol: float, *axes: int, **kind: str) -> Callable:
    return functools.partial(jaxtv.prox_tv, axes=axes, tol=tol, **kind)


# At which an H200 copies. The floor of a case, a model, is its arrays at that speed, once each.
BYTES_PER_SECOND = 4.3e12

# The case, the function of x and lam, the array x, lam.
CASES = [
    ("x + lam, 8192 x 32", lambda x, lam: x + lam, noise(8192, 32), 1.0),
    ("Table 1: rows of 8192 x 32, noise, lam 1", lines(), noise(8192, 32), 1.0),
    ("the same by columns, 256 x 32 x 32", lines(1), noise(256, 32, 32), 1.0),
    ("rows of 16384 x 128, noise, lam 1", lines(), noise(16384, 128), 1.0),
    ("rows of 512 x 512, noise, lam 1", lines(), noise(512, 512), 1.0),
    ("rows of 4096 x 512, noise, lam 1", lines(), noise(4096, 512), 1.0),
    ("columns of 8 x 512 x 512, noise, lam 0.1", lines(1), noise(8, 512, 512), 0.1),
    ("rows of 2048 x 2048, noise, lam 1", lines(), noise(2048, 2048), 1.0),
    ("4 sweeps, 256 x 32 x 32, noise, lam 1", sweeps(1, 2), noise(256, 32, 32), 1.0),
    ("4 sweeps, 128 x 32 x 32 x 96, lam 0.05", sweeps(1, 2), noise(128, 32, 32, 96), 0.05),
    ("4 sweeps, 128 x 96 x 32 x 32, lam 0.05", sweeps(2, 3), noise(128, 96, 32, 32), 0.05),
    ("4 sweeps, 32 x 56 x 56 x 64, lam 0.05", sweeps(1, 2), noise(32, 56, 56, 64), 0.05),
    ("4 sweeps, 32 x 224 x 224 x 3, lam 0.05", sweeps(1, 2), noise(32, 224, 224, 3), 0.05),
    ("4 sweeps, 8 scenes of 512 x 512, lam 0.1", sweeps(1, 2), scene(8, 512, 512), 0.1),
    ("tol 1e-2, 256 x 32 x 32, noise, lam 0.1", converged(1e-2, 1, 2), noise(256, 32, 32), 0.1),
    ("tol 1e-2, scene of 512 x 512, lam 0.1", converged(1e-2, 0, 1), scene(512, 512), 0.1),
    ("tol 1e-3, scene of 512 x 512, lam 0.1", converged(1e-3, 0, 1), scene(512, 512), 0.1),
    ("tol 1e-3, 16 scenes of 512 x 512", converged(1e-3, 1, 2), scene(16, 512, 512), 0.1),
    ("tol 1e-3, scene of 2048 x 2048", converged(1e-3, 0, 1), scene(2048, 2048), 0.1),
    (
        "isotropic, tol 1e-3, scene of 512 x 512",
        converged(1e-3, 0, 1, kind="isotropic"),
        scene(512, 512),
        0.1,
    ),
]


def events_of(call: Callable[[], object]) -> list[Event]:
    """What the GPU does during a call."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(call())
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        return [
            Event(int(event.start_ns), int(event.duration_ns), event.name)
            for plane in jax.profiler.ProfileData.from_file(str(path)).planes
            if "GPU" in plane.name
            for line in plane.lines
            if "Stream" in line.name
            for event in line.events
        ]


def call_ms(call: Callable[[], object]) -> float:
    """Median time of a call by itself, with its launches."""
    jax.block_until_ready(call())
    times = []
    for _ in range(10):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser("gpu_kernels", description="Times of kernels on a GPU.")
    parser.add_argument("--kernels", action="store_true", help="print the kernels of each case")
    args = parser.parse_args()
    device = jax.devices()[0]
    if device.platform != "gpu":
        parser.error(f"times kernels of a GPU, got a device of platform {device.platform!r}")
    print(f"{device.device_kind}, JAX {jax.__version__}; ms of kernels (of a call) [floor]\n")
    print("| case | forward | forward and backward |\n| --- | ---: | ---: |")
    for name, function, x, lam in CASES:
        report(name, function, x, jnp.float32(lam), kernels=args.kernels)


def report(name: str, function: Callable, x: Array, lam: Array, *, kernels: bool) -> None:
    """A row of the table."""

    def value_and_pullback(x, lam, cotangent):
        y, pull = jax.vjp(function, x, lam)
        return y, *pull(cotangent)

    cotangent = noise(*x.shape, seed=1)
    calls = [
        functools.partial(jax.jit(function), x, lam),
        functools.partial(jax.jit(value_and_pullback), x, lam, cotangent),
    ]
    cells, longest = [], []
    for call, arrays in zip(calls, (2, 4), strict=True):  # x and y; and their cotangents
        wall, events = call_ms(call), events_of(call)
        floor = 1e3 * arrays * x.nbytes / BYTES_PER_SECOND
        cells.append(f"{sum(e.duration for e in events) / 1e6:.3f} ({wall:.3f}) [{floor:.3f}]")
        sums: collections.Counter[str] = collections.Counter()
        for event in events:
            sums[event.kernel] += event.duration
        longest.append(sums.most_common(12))
    print(f"| {name} | {cells[0]} | {cells[1]} |", flush=True)
    for found in longest if kernels else []:
        print("\n".join(f"    {duration / 1e3:9.1f} us  {kernel}" for kernel, duration in found))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""How long the kernels of a call take on a GPU, by JAX's profiler, and the call as a whole.

python benchmarks/gpu_kernels.py                 # tables in Markdown
python benchmarks/gpu_kernels.py --kernels       # and the kernels of each case, longest first
python benchmarks/gpu_kernels.py --quick         # small arrays, no network, any device

Beside each time stand the floor, a copy of the arrays, and what gpu_model.py predicts. Tables of
training steps of a network follow, with TV layers and without.
"""

import argparse
import collections
import functools
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxtv
from jaxtv._plain import sweeps as plain_sweeps
from jaxtv._plain import tv1d as plain_lines

# The model and the examples, also where Python keeps to safe paths.
sys.path.append(str(pathlib.Path(__file__).resolve().parent))
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import gpu_model

from examples.cifar10 import cost
from examples.cifar10.train import Settings


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


def plain_rows(x: Array, lam: Array) -> Array:
    """`lines()` in plain JAX, as on devices without compiled kernels."""
    return plain_lines.prox(x, lam.reshape(1, 1), axis=1)


def plain_images(x: Array, lam: Array) -> Array:
    """`sweeps(1, 2)` of images in plain JAX."""
    lams = 2 * [lam.reshape((1,) * x.ndim)]
    return plain_sweeps.forward(x, *lams, axes=(2, 1), num_sweeps=4, keep_bits=False)[0]


def converged(tol: float, *axes: int, **kind: str) -> Callable:
    return functools.partial(jaxtv.prox_tv, axes=axes, tol=tol, **kind)


# At which an H200 copies. The floor of a case, a model, is its arrays at that speed, once each.
BYTES_PER_SECOND = 4.3e12


class Case(NamedTuple):
    name: str  # its rows in results/h200.md and in gpu_model.CASES begin so
    function: Callable  # of x and lam
    make: Callable[..., Array]
    shape: tuple[int, ...]
    lam: float
    dtype: str = "float32"
    backward: bool = True


CASES = [
    Case("x + lam, 8192 x 32", lambda x, lam: x + lam.astype(x.dtype), noise, (8192, 32), 1.0),
    Case("Table 1: 8192 rows of 32, N(0, 1), lam 1", lines(), noise, (8192, 32), 1.0),
    Case("the same in bfloat16", lines(), noise, (8192, 32), 1.0, "bfloat16"),
    Case("the same in plain JAX", plain_rows, noise, (8192, 32), 1.0, backward=False),
    Case("the same by columns (axis 1 of 256 x 32 x 32)", lines(1), noise, (256, 32, 32), 1.0),
    Case("16384 rows of 128, lam 1", lines(), noise, (16384, 128), 1.0),
    Case("16384 rows of 128, lam 1, bfloat16", lines(), noise, (16384, 128), 1.0, "bfloat16"),
    Case("512 rows of 512, lam 1", lines(), noise, (512, 512), 1.0),
    Case("4096 rows of 512, lam 1", lines(), noise, (4096, 512), 1.0),
    Case("columns of 8 x 512 x 512, lam 0.1", lines(1), noise, (8, 512, 512), 0.1),
    Case("2048 rows of 2048, lam 1", lines(), noise, (2048, 2048), 1.0),
    Case("`num_sweeps=4`, 256 x 32 x 32, lam 1", sweeps(1, 2), noise, (256, 32, 32), 1.0),
    Case("the same in plain JAX", plain_images, noise, (256, 32, 32), 1.0, backward=False),
    Case(
        "`num_sweeps=4`, 128 x 32 x 32 x 96, channels last, lam 0.05",
        *(sweeps(1, 2), noise, (128, 32, 32, 96), 0.05),
    ),
    Case("the same in bfloat16", sweeps(1, 2), noise, (128, 32, 32, 96), 0.05, "bfloat16"),
    Case("the same in plain JAX", plain_images, noise, (128, 32, 32, 96), 0.05, backward=False),
    Case(
        "`num_sweeps=4`, 128 x 96 x 32 x 32, channels first, lam 0.05",
        *(sweeps(2, 3), noise, (128, 96, 32, 32), 0.05),
    ),
    Case(
        "`num_sweeps=4`, 32 x 56 x 56 x 64, channels last, lam 0.05",
        *(sweeps(1, 2), noise, (32, 56, 56, 64), 0.05),
    ),
    Case(
        "`num_sweeps=4`, 32 x 224 x 224 x 3, channels last, lam 0.05",
        *(sweeps(1, 2), noise, (32, 224, 224, 3), 0.05),
    ),
    Case(
        "`num_sweeps=4`, 8 scenes of 512 x 512, lam 0.1",
        *(sweeps(1, 2), scene, (8, 512, 512), 0.1),
    ),
    Case("`tol=1e-2`, 256 x 32 x 32, lam 0.1", converged(1e-2, 1, 2), noise, (256, 32, 32), 0.1),
    Case(
        "`tol=1e-2`, a scene of 512 x 512, lam 0.1", converged(1e-2, 0, 1), scene, (512, 512), 0.1
    ),
    Case("`tol=1e-3`, the same", converged(1e-3, 0, 1), scene, (512, 512), 0.1),
    Case("`tol=1e-3`, 16 of them", converged(1e-3, 1, 2), scene, (16, 512, 512), 0.1),
    Case("`tol=1e-3`, a scene of 2048 x 2048", converged(1e-3, 0, 1), scene, (2048, 2048), 0.1),
    Case(
        "isotropic, `tol=1e-3`, a scene of 512 x 512",
        *(converged(1e-3, 0, 1, kind="isotropic"), scene, (512, 512), 0.1),
    ),
]
NETWORKS = [Settings(batch_size=128), Settings(batch_size=512, bfloat16=True)]
LARGEST_IF_QUICK = 8  # of the sizes of an array


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


def call_ms(call: Callable[[], object], rounds: int) -> float:
    """Median time of a call by itself, with its launches."""
    jax.block_until_ready(call())
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser("gpu_kernels", description="Times of kernels on a GPU.")
    parser.add_argument("--kernels", action="store_true", help="print the kernels of each case")
    parser.add_argument("--quick", action="store_true", help="small arrays, on any device")
    args = parser.parse_args()
    if args.quick:  # what is compiled runs once
        jax.config.update("jax_disable_most_optimizations", True)
    device = jax.devices()[0]
    if device.platform != "gpu" and not args.quick:
        parser.error(f"times kernels of a GPU, got a device of platform {device.platform!r}")
    print(
        f"{device.device_kind}, JAX {jax.__version__}; "
        "ms of kernels (of a call) [floor; predicted]\n\n"
        "| case | forward | forward and backward |\n| --- | ---: | ---: |"
    )
    for case in CASES:
        report(case, quick=args.quick, kernels=args.kernels)
    for settings in NETWORKS if not args.quick else []:
        print(flush=True)
        cost.main(settings)


def report(case: Case, *, quick: bool, kernels: bool) -> None:
    """A row of the table."""
    shape = tuple(min(size, LARGEST_IF_QUICK) for size in case.shape) if quick else case.shape
    x, lam = case.make(*shape).astype(case.dtype), jnp.float32(case.lam)

    def value_and_pullback(x, lam, cotangent):
        y, pull = jax.vjp(case.function, x, lam)
        return y, *pull(cotangent)

    calls = [functools.partial(jax.jit(case.function), x, lam)]
    if case.backward:
        cotangent = noise(*shape, seed=1).astype(x.dtype)
        calls.append(functools.partial(jax.jit(value_and_pullback), x, lam, cotangent))
    predicted = [] if quick or case.dtype != "float32" else gpu_model.predicted(case.name)
    cells, longest = [], []
    for number, call in enumerate(calls):
        wall, events = call_ms(call, 1 if quick else 10), [] if quick else events_of(call)
        of_kernels = sum(e.duration for e in events) / 1e6
        floor = 1e3 * (2 + 2 * number) * x.nbytes / BYTES_PER_SECOND  # x and y; and cotangents
        beside = [f"{floor:.3f}", *(f"{ms:.3f}" for ms in predicted[number : number + 1])]
        cells.append(f"{of_kernels:.3f} ({wall:.3f}) [{'; '.join(beside)}]")
        sums: collections.Counter[str] = collections.Counter()
        for event in events:
            sums[event.kernel] += event.duration
        longest.append(sums.most_common(12))
    print(f"| {case.name} | {cells[0]} | {cells[1] if case.backward else '-'} |", flush=True)
    for found in longest if kernels else []:
        print("\n".join(f"    {duration / 1e3:9.1f} us  {kernel}" for kernel, duration in found))


if __name__ == "__main__":
    main()

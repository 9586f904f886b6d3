# SPDX-License-Identifier: MIT
"""Both methods of the 1-D prox on the same data: time, Newton steps, and error.

    python benchmarks/methods.py [--dtype float32]

The figures of docs/methods.md. Lines of 512 samples; times are the least of 29 rounds, in
nanoseconds of processor time per sample, so that a busy machine matters little; errors are the
largest, against the float64 oracle of the tests, relative to the largest sample of the line.
"alone" counts the lines that Newton finished by itself.
"""

import argparse
import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

import jaxtv

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
import helpers
import oracle
from slow_lines import least_times

LINES, LENGTH, ORACLE_LINES = 512, 512, 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    dtype = parser.parse_args().dtype
    jax.config.update("jax_enable_x64", True)
    print("| data | lam | steps mean, max | alone | newton ns | direct ns | errors |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in ("noise", "walk", "steps", "ramp", "integers"):
        data = helpers.signal(kind, (LINES, LENGTH))
        x = jnp.array(data, dtype)
        scale = np.abs(data).max(-1, keepdims=True)[:ORACLE_LINES]
        for lam in (0.1, 1.0, 10.0, 100.0):
            want = oracle.prox_1d(data[:ORACLE_LINES], lam)
            steps = jaxtv.prox_tv_1d(x, lam, method="newton", return_info=True)[1].iterations
            methods = [
                functools.partial(jaxtv.prox_tv_1d, lam=lam, method=method)
                for method in ("newton", "direct")
            ]
            errors = [(np.abs(prox(x)[:ORACLE_LINES] - want) / scale).max() for prox in methods]
            times = [1e9 * t / x.size for t in least_times(*((prox, x) for prox in methods))]
            alone = 100 * float((steps < 100).mean())
            print(
                f"| {kind} | {lam:g} | {float(steps.mean()):.1f}, {int(steps.max())} "
                f"| {alone:.0f} % | {times[0]:.1f} | {times[1]:.1f} "
                f"| {errors[0]:.0e}, {errors[1]:.0e} |"
            )


if __name__ == "__main__":
    main()

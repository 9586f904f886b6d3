# SPDX-License-Identifier: MIT
"""The slowest lines that we know of, for the 1-D prox: time per sample beside that of noise.

    python benchmarks/slow_lines.py

Walks look again and again at a ramp, and divide and conquer takes a round for each power of ten of
an exponential; a budget hands lines from one method to the other. Times are the least of 29 rounds,
in nanoseconds of processor time per sample, so that a busy machine matters little; in brackets, the
ratio to noise of the same shape and type with lam 1, timed in the same rounds.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxtv

SHAPES = ((8192, 32), (1024, 256), (1, 1_000_000))
DTYPES = ("float32", "float64")


def lines(n: int) -> dict[str, np.ndarray]:
    """By name, lines of n samples."""
    k, half = np.arange(n), np.linspace(0, 1, n // 2)
    return {
        "ramp": k / 8,
        "ramps beside each other": k % max(16, n // 12) / 8,
        "steep, then flat": np.concatenate([np.exp(43 * half), half * n / 2])[:n],
        "parabola": (k - n / 2) ** 2 / n,
        "staircase": k // 4 / 2,
    }


def time_of(function, *args) -> float:
    start = time.process_time()
    jax.block_until_ready(function(*args))
    return time.process_time() - start


def least_times(*calls) -> list[float]:
    """Of each call, a function and its arguments."""
    rounds = [[time_of(*call) for call in calls] for _ in range(30)]
    return list(np.min(rounds[1:], axis=0))  # the first round compiles


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    prox = jax.jit(jaxtv.prox_tv_1d)
    columns = [(shape, dtype) for shape in SHAPES for dtype in DTYPES]
    names = [f"{' x '.join(map(str, shape))}, {dtype}" for shape, dtype in columns]
    print("| line | lam | " + " | ".join(names) + " |")
    print("|---|---:|" + "---:|" * len(columns))
    rng = np.random.default_rng(0)
    noise = [(prox, jnp.array(rng.normal(size=shape), dtype), 1.0) for shape, dtype in columns]
    times = [1e9 * least_times(call)[0] / call[1].size for call in noise]
    print("| noise | 1 | " + " | ".join(f"{t:.1f}" for t in times) + " |")
    for name in lines(SHAPES[0][1]):
        for lam in (1.0, 1e3, 1e6):
            cells = []
            for (shape, dtype), usual in zip(columns, noise, strict=True):
                line = lines(shape[1])[name] + 1e-3 * rng.normal(size=(shape[0], 1))
                own, of_noise = least_times((prox, jnp.array(line, dtype), lam), usual)
                cells.append(f"{1e9 * own / line.size:.1f} ({own / of_noise:.1f})")
            print(f"| {name} | {lam:g} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

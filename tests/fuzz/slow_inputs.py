# SPDX-License-Identifier: MIT
"""Which lines are slow to solve? A search, to be run with `python tests/fuzz/slow_inputs.py`.

The work of a line is how often the solver looks at a sample or a weight, per sample: a count, so
that it is the same on every machine. Lines are drawn from families that have been slow for one
method or another, at random or as changes of the worst so far.
"""

import argparse
import ctypes
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
COMPILER = shutil.which("g++") or shutil.which("clang++")


class Line(NamedTuple):
    name: str
    x: np.ndarray
    lam: np.ndarray  # one weight, or one for each edge


def build(folder: pathlib.Path) -> Callable[[Line, str], float]:
    """Compiles the counter; `work(line, dtype)` is the number of looks per sample."""
    library = folder / "work.so"
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", "-I."]
    subprocess.run(
        [COMPILER, *flags, "tests/cpp/work.cc", "-o", str(library)], check=True, cwd=ROOT
    )
    count = ctypes.CDLL(str(library)).CountReads
    array = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
    count.argtypes = [array, ctypes.c_int64, array, ctypes.c_int64, ctypes.c_int32]
    count.restype = ctypes.c_int64

    def work(line: Line, dtype: str) -> float:
        x, lam = np.ascontiguousarray(line.x, float), np.ascontiguousarray(line.lam, float)
        return count(x, x.size, lam, lam.size, dtype == "float32") / x.size

    return work


def noise(n: int) -> Line:
    """What the work of other lines is measured against."""
    return Line("noise", np.random.default_rng(0).normal(size=n), np.ones(1))


def _families(n: int, rng: np.random.Generator) -> dict[str, Callable[[], np.ndarray]]:
    t = np.linspace(0, 1, n)
    scale = 10.0 ** rng.uniform(-2, 6)
    return {
        "noise": lambda: rng.normal(size=n),
        "walk": lambda: rng.normal(size=n).cumsum(),
        "ramp": lambda: scale * t,
        "power": lambda: scale * t ** rng.uniform(0.2, 8),
        "exponential": lambda: np.exp(t * rng.uniform(1, 43)),  # as far as no unit is needed
        "logarithm": lambda: np.log(t + 10.0 ** rng.uniform(-8, 0)),
        "sine": lambda: scale * np.sin(t * 10.0 ** rng.uniform(0, 3)),
        "chirp": lambda: np.sin(10.0 ** (3 * t) * rng.uniform(1, 5)),
        "sawtooth": lambda: scale * (t * 10.0 ** rng.uniform(0, 3) % 1),
        "plateaus": lambda: np.repeat(rng.normal(size=n), rng.integers(2, n // 4))[:n],
        "spikes": lambda: scale * (rng.random(n) < 10.0 ** rng.uniform(-3, -1)),
    }


def _signal(n: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    families = _families(n, rng)
    name = str(rng.choice(sorted(families)))
    x = families[name]()
    return (f"-{name}", -x) if rng.random() < 0.3 else (name, x)


def _weights(n: int, rng: np.random.Generator) -> np.ndarray:
    lam = 10.0 ** rng.uniform(-2, 7)
    if rng.random() < 0.6:
        return np.array([lam])
    each = lam * rng.exponential(size=n - 1)
    return np.where(rng.random(n - 1) < rng.choice([0.0, 0.01, 0.9]), np.inf, each)


def draw(n: int, rng: np.random.Generator) -> Line:
    """A line of one family, two one after the other, or the sum of two."""
    name, x = _signal(n, rng)
    if rng.random() < 0.6:
        other, v = _signal(n, rng)
        if rng.random() < 0.5:
            cut = int(rng.integers(1, n))
            name, x = f"{name} | {other}", np.concatenate([x[:cut], v[cut:]])
        else:
            name, x = f"{name} + {other}", x + v * 10.0 ** rng.uniform(-6, 0)
    return Line(name, x, _weights(n, rng))


def mutate(line: Line, rng: np.random.Generator) -> Line:
    """A line like a given one."""
    x, n = line.x.copy(), line.x.size
    begin, end = np.sort(rng.integers(0, n + 1, 2))
    match rng.integers(5):
        case 0:
            x[begin:end] = x[begin:end][::-1]
        case 1:
            x[begin:end] *= 10.0 ** rng.uniform(-2, 2)
        case 2:
            x[begin:end] = _signal(n, rng)[1][begin:end]
        case 3:
            x = np.roll(x, begin)
        case _:
            return Line(line.name, x, line.lam * 10.0 ** rng.uniform(-1, 1))
    return Line(line.name, x, line.lam)


def search(
    work: Callable[[Line, str], float], n: int, dtype: str, tries: int, seed: int = 0
) -> tuple[float, Line]:
    """The most work that was found, as a multiple of that of noise, and the line."""
    rng = np.random.default_rng(seed)
    unit = work(noise(n), dtype)
    worst = (1.0, noise(n))
    for _ in range(tries):
        line = mutate(worst[1], rng) if rng.random() < 0.5 else draw(n, rng)
        found = work(line, dtype) / unit
        if found > worst[0]:
            worst = (found, line)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=2000, help="lines of each length and type")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = build(pathlib.Path(folder))
        for n in (64, 1000, 8192):
            for dtype in ("float32", "float64"):
                ratio, line = search(work, n, dtype, options.tries, options.seed)
                print(f"n = {n}, {dtype}: {ratio:.1f} times noise, {line.name}", flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Do all instruction sets and numbers of threads give the same bits?"""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import assert_prox, bits, signal

ISAS = ("scalar", "portable", "avx2", "avx512")  # a processor without one runs the next it has
LONG = (3, 20_000)  # lines that are cut into chunks

# Writes the answers to all cases to a file, from a process with its own settings.
PROGRAM = """
import os, sys
import jax, numpy as np
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[2])])
jax.config.update("jax_enable_x64", True)
from test_isa import answers
np.savez(sys.argv[1], **answers())
"""


def inputs():
    """Name: signal, weight, axis. Shapes that fill vectors, that do not, and long lines."""
    found = {}
    for kind in ("noise", "walk", "steps", "ramp", "integers"):
        x = signal(kind, (67, 33))
        edges = np.random.default_rng(1).exponential(size=(67, 32))
        medium = np.random.default_rng(3).exponential(3, size=(70, 999))
        lines = edges[:, :1] * np.where(np.arange(67) % 9 == 4, 0.0, 1.0)[:, None]
        found |= {
            f"{kind}, rows": (x, 0.7, 1),
            f"{kind}, columns": (x, 0.7, 0),
            f"{kind}, a weight per line": (x, lines, 1),
            f"{kind}, a weight per edge": (x, edges, 1),
            f"{kind}, shared edge weights": (x, edges[:1], 1),
            f"{kind}, channels": (x[:63].reshape(9, 77, 3), np.array([0.1, 1.0, 9.0]), 1),
            f"{kind}, pairs": (x.reshape(-1)[:2210].reshape(1105, 2), 0.3, 1),
            f"{kind}, infinite weight": (x, np.inf, 1),
            f"{kind}, medium": (signal(kind, (70, 1000)), 3.0, 1),
            f"{kind}, medium, a weight per edge": (signal(kind, (70, 1000)), medium, 1),
            f"{kind}, several blocks of chunks": (signal(kind, (1, 70_000)), 2.0, 1),
        }
        x = signal(kind, LONG)
        edges = np.random.default_rng(2).exponential(size=(1, LONG[1] - 1))
        found |= {
            f"{kind}, long": (x, 1.0, 1),
            f"{kind}, long, large weight": (x, 30.0, 1),
            f"{kind}, long, a weight per edge": (x, edges, 1),
            f"{kind}, long columns": (x.T, 1.0, 0),
        }
    bad = signal("walk", (40, 40))
    bad[3, 7], bad[11, 39] = np.nan, np.inf
    found["bad lines"] = (bad, np.where(np.arange(40) == 20, -1.0, 0.5)[:, None], 1)
    return found


def answers():
    """The prox and the pulled back cotangents of all inputs, in both types."""
    import jax
    import jax.numpy as jnp

    import jaxtv

    found = {}
    for name, (x, lam, axis) in inputs().items():
        for dtype in ("float32", "float64"):
            y, pull = jax.vjp(
                lambda x, lam, axis=axis: jaxtv.prox_tv_1d(x, lam, axis=axis),
                jnp.array(x, dtype),
                jnp.array(lam, dtype),
            )
            grads = pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))
            for part, value in zip(("y", "x_bar", "lam_bar"), (y, *grads), strict=True):
                found[f"{name}, {dtype}, {part}"] = np.asarray(value)
    return found | coupled_answers()


def coupled_answers():
    """The same of images whose differences are coupled; one is large enough to be shared."""
    import jax.numpy as jnp

    from jaxtv._operators import isotropic
    from jaxtv._plain.stencil import Stencil

    found = {}
    cases = (
        ((1, 200, 217), "float32", True, False),
        ((1, 19, 33), "float64", True, False),
        ((3, 9, 37), "float32", False, True),
    )
    for shape, dtype, is_isotropic, varied in cases:
        x = jnp.array(signal("noise", shape), dtype)
        one, zero = jnp.ones((1, 1, 1), dtype), jnp.zeros((1, 1, 1), dtype)
        weights = jnp.array(1.0 + np.arange(shape[2]) % 3, dtype).reshape(1, 1, -1)
        lams = (weights if varied else one, one)
        stencil = Stencil((0, 1, 2), is_isotropic, False)
        limit = jnp.full((1, 1, 1), 40, jnp.int32)
        solution = isotropic.prox(x, one, lams, (zero, zero), zero, limit, stencil=stencil)
        steps = stencil.differences(x)
        lengths = [n + 0.1 for n in stencil.lengths(steps)]
        directions = [h / n for h, n in zip(steps, lengths, strict=True)]
        z = isotropic.solve_linear(x, one, lams, lengths, directions, zero, limit, stencil=stencil)
        name = f"coupled, {shape}, {dtype}"
        found |= {f"{name}, y": solution.y, f"{name}, z": z, f"{name}, gap": solution.gap}
    return {name: np.asarray(value) for name, value in found.items()}


def answers_of(isa, threads, path, programs):
    """The instruction set is that of the kernels: all processes run the same `programs` of XLA."""
    environment = os.environ | {
        "JAXTV_CPU_ISA": isa,
        "PYTHONPATH": os.path.dirname(__file__),
        "XLA_FLAGS": "",
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-c", PROGRAM, str(path), str(threads)]
    subprocess.run(command, env=environment, check=True)
    return dict(np.load(path))


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def expected(tmp_path_factory, programs):
    return answers_of("scalar", 1, tmp_path_factory.mktemp("isa") / "expected.npz", programs)


@pytest.mark.parametrize(
    ("isa", "threads"), [(isa, n) for isa in ISAS for n in (1, 2) if (isa, n) != ("scalar", 1)]
)
def test_every_instruction_set_gives_the_same_bits(isa, threads, expected, programs, tmp_path):
    found = answers_of(isa, threads, tmp_path / "found.npz", programs)
    assert found.keys() == expected.keys()
    assert [name for name in expected if bits(found[name]) != bits(expected[name])] == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["noise", "walk", "ramp"])
def test_long_lines_are_right(kind, dtype):
    """Ramps go over budget: another method takes over."""
    import jax.numpy as jnp

    import jaxtv

    for lam in (0.5, 30.0):
        x = signal(kind, (1, 20_000))
        assert_prox(jaxtv.prox_tv_1d(jnp.array(x, dtype), lam), x, lam)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_long_lines_that_repeat_a_pattern_between_flat_stretches(seed, dtype):
    """Chunks without a jump stand between others with jumps at the same places."""
    import jax.numpy as jnp

    import jaxtv

    rng = np.random.default_rng(seed)
    pattern = np.repeat(rng.normal(size=33), 4)[:129]
    height = rng.uniform(0.5, 3, 65) * (rng.random(65) > 0.2)
    x = np.float32(np.outer(height, pattern).reshape(1, -1)[:, :8300]).astype(np.float64)
    for lam in (2.0, 4.0):
        assert_prox(jaxtv.prox_tv_1d(jnp.array(x, dtype), lam), x, lam)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_line_by_itself_has_the_bits_of_one_among_others(dtype):
    """Of integers and ramps jumps tie but for rounding, so that it matters where a walk over budget
    hands the line to another method."""
    import jax
    import jax.numpy as jnp

    import jaxtv

    rng = np.random.default_rng(0)
    k, x = np.arange(5000), np.empty((48, 5000))
    for line in x:
        period, slope = rng.integers(150, 460), rng.integers(1, 9) / 2.0 ** rng.integers(4, 8)
        line[:] = np.where(k // period % 2, k % period * slope, rng.integers(0, 5, 5000))
    prox, x = jax.jit(lambda x: jaxtv.prox_tv_1d(x, 2.0)), jnp.array(x, dtype)
    alone = np.stack([prox(line) for line in x])
    assert bits(alone) == bits(np.asarray(prox(x)))

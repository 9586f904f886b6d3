# SPDX-License-Identifier: MIT
"""Do CUDA kernels give the same bits, without races, when threads of several blocks run by turns?

In the schedules of test_cuda_races.py a block ends before the next one starts. Here threads of up
to eight blocks meet at every atomic and, in the check build, at every access to memory.
"""

import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated import operands
from helpers import bits

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("the check build is made here", allow_module_level=True)

from test_cuda_images import component_mean, every_other, state

ORDERS = ["interleaved", "delayed"]


def assert_same_bits(emulated, seeds, run):
    """Of all that `run` computes, for each seed of both orders, and for blocks in their order."""
    library = emulated.library
    try:
        library.set_order("forward")
        want = [*map(bits, jax.tree.leaves(run()))]
        for order, seed in itertools.product(ORDERS, range(seeds)):
            library.set_order(order, seed)
            library.set_poison(0xFF if seed % 2 else 0x00)
            same = [*map(bits, jax.tree.leaves(run()))] == want
            assert same and not library.report, f"set_order({order!r}, {seed})"
    finally:
        library.set_order("forward")


@pytest.fixture(params=["fast", "check"])
def emulated(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 4, 6), (40, 33)])
def test_means_over_components(emulated, shape, dtype):
    """Of two levels, so that trees are deep and threads of all blocks change them."""
    rng = np.random.default_rng(2)
    y, v = jnp.array(rng.integers(0, 2, shape), dtype), jnp.array(rng.normal(size=shape), dtype)
    axes = tuple(range(len(shape)))
    sizes = [[n - (d == axis) for d, n in enumerate(shape)] for axis in axes]
    lams = [jnp.array(rng.integers(0, 3, size), dtype) for size in sizes]
    assert_same_bits(emulated, 16, lambda: component_mean(emulated, y, v, lams, axes))


@pytest.mark.parametrize(
    ("shape", "axes"), [((2, 40, 9), (1, 2)), ((4, 5, 3, 2), (0, 1, 2)), ((2, 150), (1,))]
)
def test_sweeps_with_certificates(emulated, shape, axes):
    x, lams, duals = state(shape, axes, "float32", "steps")
    unions = every_other(shape, axes)

    def run():
        return emulated.alternating(x, lams, duals, axes, max_sweeps=2, unions=unions)

    assert_same_bits(emulated, 4, run)


def test_very_long_lines(emulated):
    """All blocks on a line: what a block finds, others learn by an atomic and later launches.

    The prox has the same kernels for all weights. The pull-back has one more where a line has one
    weight, without atomics; test_cuda_races.py checks it.
    """
    weights = "scalar" if emulated.library.checking else "per edge"
    x, lam, v = operands((1, 2600), 1, "noise", "float64", weights)

    def run():
        y = emulated.prox(x, lam, 1)
        return y, emulated.run_mean(y, v, 1), emulated.pull_back(y, lam, v, 1)

    assert_same_bits(emulated, 1 if emulated.library.checking else 2, run)


@pytest.mark.parametrize(
    ("shape", "axis"), [((70, 21), 1), ((2, 30, 33), 1), ((3, 65), 1), ((2, 128, 2), 1)]
)
def test_lines(emulated, shape, axis):
    """Tiles and single lines, of which several blocks are at work."""
    x, lam, v = operands(shape, axis, "walk", "float32", "per edge")

    def run():
        y = emulated.prox(x, lam, axis)
        return y, emulated.pull_back(y, lam, v, axis), emulated.newton(x, lam, axis)

    assert_same_bits(emulated, 3, run)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((5, 12, 40), "float32"), ((5, 12, 20), "float32"), ((5, 12, 40), "float64")],
)
def test_sweeps(emulated, shape, dtype):
    """In step, with the threads of an image in one warp or not, and not in step."""
    x, _, _ = operands(shape, 1, "noise", dtype, "scalar")
    assert_same_bits(emulated, 4, lambda: emulated.sweeps(x))

# SPDX-License-Identifier: MIT
"""Do CUDA kernels that read and write lines of half types give float32's results, rounded?"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated import SCHEDULES, operands
from helpers import bits

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("drives the emulated kernels itself", allow_module_level=True)

# Rows by vectors of four, one by one, in groups of lines; columns.
IN_STEP = [((70, 64), 1), ((70, 21), 1), ((2, 33, 5), 1), ((2050, 77), 1), ((2, 30, 33), 1)]
BY_WARPS = [((3, 70), 1), ((9, 256), 1), ((2, 129, 3), 1)]
SHAPES = [*IN_STEP, *BY_WARPS, ((33, 1), 1)]


class Half:
    """The operators on lines of half types."""

    def __init__(self, emulated):
        self.emulated = emulated

    def prox_and_unrounded(self, x, lam, axis):
        like = [jax.ShapeDtypeStruct(x.shape, t) for t in (x.dtype, lam.dtype)]
        call = jax.ffi.ffi_call(self.emulated.names["jaxtv_prox_tv1d_unrounded"], like)
        return call(x, lam, axis=np.int64(axis))

    def pull_back(self, y, lam, v, axis):
        edges = (*y.shape[:axis], lam.shape[axis], *y.shape[axis + 1 :])
        like = [
            jax.ShapeDtypeStruct(shape, t)
            for shape, t in ((v.shape, v.dtype), (edges, y.dtype), ((1,), "uint8"))
        ]
        call = jax.ffi.ffi_call(self.emulated.names["jaxtv_pull_back"], like)
        return call(y, lam, v, axis=np.int64(axis))[:2]


def half_operands(shape, axis, half):
    """Lines of which some no walk solves, and some have no weight; and a cotangent."""
    x, lam, v = operands(shape, axis, "walk", "float32", "per line")
    lines, weights = jnp.moveaxis(x, axis, -1), jnp.ravel(lam)
    first = (0,) * (lines.ndim - 2)
    lines = lines.at[(*first, 0, 0)].set(jnp.nan).at[(*first, 1)].multiply(1e-20)
    lines = lines.at[(*first, 2)].set(-0.0)
    weights = weights.at[-1].set(0.0)
    return jnp.moveaxis(lines, -1, axis).astype(half), weights.reshape(lam.shape), v.astype(half)


def assert_equal(a, b):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(np.asarray(a, "float32"), np.asarray(b, "float32"))
    np.testing.assert_array_equal(*(np.signbit(np.asarray(y, "float32")) for y in (a, b)))


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_results_are_those_of_float32_rounded(fast, half):
    for shape, axis in SHAPES:
        x, lam, v = half_operands(shape, axis, half)
        want = fast.prox(x.astype("float32"), lam, axis)
        y, unrounded = Half(fast).prox_and_unrounded(x, lam, axis)
        assert bits(unrounded) == bits(want)
        assert_equal(y, want.astype(half))
        assert_equal(fast.prox(x, lam, axis), y)
        x_bar, lam_bar = Half(fast).pull_back(unrounded, lam, v, axis)
        want = fast.pull_back(unrounded, lam, v.astype("float32"), axis)
        assert_equal(x_bar, want[0].astype(half))
        assert bits(lam_bar) == bits(want[1])


def test_no_schedule_of_threads_changes_a_bit_or_races(check):
    for half, (shape, axis) in [
        ("bfloat16", ((35, 9), 1)),
        ("float16", ((1, 6, 33), 1)),
        ("bfloat16", ((2, 129, 3), 1)),
    ]:
        x, lam, v = half_operands(shape, axis, half)
        answers = set()
        for order, seed in SCHEDULES:
            check.library.set_order(order, seed)
            y, unrounded = Half(check).prox_and_unrounded(x, lam, axis)
            found = [y, unrounded, *Half(check).pull_back(unrounded, lam, v, axis)]
            answers.add(tuple(map(bits, found)))
            assert not check.library.report
        assert len(answers) == 1
    check.library.set_order("forward")


@pytest.mark.parametrize(("length", "edges"), [(257, 1), (9, 8)])
def test_lines_that_are_too_long_or_have_several_weights_are_refused(fast, length, edges):
    x, lam = jnp.zeros((3, length), "bfloat16"), jnp.ones((1, edges), "float32")
    calls = [
        lambda: fast.prox(x, lam, 1),
        lambda: Half(fast).prox_and_unrounded(x, lam, 1),
        lambda: Half(fast).pull_back(x.astype("float32"), lam, x, 1),
    ]
    for call in calls:
        with pytest.raises(jax.errors.JaxRuntimeError, match="256 samples with one weight"):
            jax.block_until_ready(call())

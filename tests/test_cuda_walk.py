# SPDX-License-Identifier: MIT
"""Does the lock-step walk of CUDA's short lines find what the CPU finds, whatever the line?"""

import os

import jax.numpy as jnp
import numpy as np
import pytest
from emulated import operands
from helpers import bits

from jaxtv import _lines

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

# By vectors of four samples, one by one, and in groups of lines; full and partly filled warps.
ROWS = [((70, 64), 1), ((70, 21), 1), ((2, 33, 5), 1), ((2050, 128), 1), ((2050, 77), 1)]
COLUMNS = [((64, 40), 0), ((2, 30, 33), 1), ((128, 2050), 0)]
SHAPES = [*ROWS, *COLUMNS, ((33, 1), 1), ((33, 2), 1), ((33, 4), 1)]


@pytest.mark.parametrize("weights", ["scalar", "per line"])
@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "ramp"])
def test_runs_are_those_of_the_cpu(fast, kind, weights):
    """Of data without ties, as these are; levels to a few units in the last place."""
    for shape, axis in SHAPES:
        x, lam, _ = operands(shape, axis, kind, "float32", weights)
        got, want = fast.prox(x, lam, axis), _lines.prox(x, lam, axis=axis)
        jumps = [np.sign(np.diff(y, axis=axis)) for y in (got, want)]
        np.testing.assert_array_equal(*jumps)
        unit = np.spacing(np.abs(x).max(axis, keepdims=True))
        assert (np.abs(np.asarray(got) - np.asarray(want)) <= 4 * unit).all()


@pytest.mark.parametrize(("shape", "axis"), [((70, 64), 1), ((70, 21), 1), ((64, 70), 0)])
def test_lines_unfit_for_a_walk_are_those_of_the_cpu(fast, shape, axis):
    """Beside others in the warp, which they leave as they were."""
    x, lam, _ = operands(shape, axis, "walk", "float32", "per line")
    lines = jnp.moveaxis(x, axis, -1)
    want = jnp.moveaxis(fast.prox(x, lam, axis), axis, -1)
    weights = jnp.ravel(lam)
    unfit = {3: jnp.nan, 5: jnp.inf, 8: -jnp.inf, 13: 3e38, 21: 2e30}
    for line, value in unfit.items():
        lines = lines.at[line, 7].set(value)
    lines = lines.at[34].set(0).at[34, 3:6].set(-0.0)
    unfit_weights = {40: 0.0, 41: -0.0, 50: -1.0, 55: jnp.nan, 60: 1e-40, 61: 1e-31}
    for line, value in unfit_weights.items():
        weights = weights.at[line].set(value)
    lines = lines.at[60:62].multiply(1e-30)
    changed = [*unfit, 34, *unfit_weights]

    x, lam = jnp.moveaxis(lines, -1, axis), weights.reshape(lam.shape)
    got = jnp.moveaxis(fast.prox(x, lam, axis), axis, -1)
    cpu = jnp.moveaxis(_lines.prox(x, lam, axis=axis), axis, -1)
    for line in changed:
        assert bits(got[line]) == bits(cpu[line]), line
    others = [line for line in range(len(lines)) if line not in changed]
    assert bits(got[np.array(others)]) == bits(want[np.array(others)])


@pytest.mark.parametrize("lam", [1e3, 1e30, 3e38, np.inf])
def test_weights_that_leave_nothing_but_the_mean(fast, lam):
    for shape, axis in SHAPES:
        x, _, _ = operands(shape, axis, "walk", "float32", "scalar")
        y = fast.prox(x, jnp.full([1] * len(shape), lam, x.dtype), axis)
        mean = np.mean(np.float64(x), axis, keepdims=True)
        unit = np.spacing(np.abs(x).max(axis, keepdims=True))
        assert (np.abs(np.asarray(y) - mean) <= 4 * unit).all()
        assert (np.ptp(y, axis=axis) == 0).all()


def test_long_ramps_are_divided(fast):
    """On these a walk goes over its budget (test_cuda_costs.py)."""
    ramps = jnp.array(np.arange(128.0) + np.arange(2050.0)[:, None], "float32")
    for x, axis in [(ramps, 1), (ramps.T, 0)]:
        lam = jnp.full((1, 1), 400, "float32")
        assert bits(fast.prox(x, lam, axis)) == bits(_lines.prox(x, lam, axis=axis))

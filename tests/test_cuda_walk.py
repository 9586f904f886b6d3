# SPDX-License-Identifier: MIT
"""Do CUDA lanes that solve short lines in step, and pull back, give what the CPU gives?"""

import os

import jax.numpy as jnp
import numpy as np
import pytest
from emulated import assert_unfit_lines_are_those_of_the_cpu, operands
from helpers import bits

from jaxtv._operators import tv1d as _lines

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
    assert_unfit_lines_are_those_of_the_cpu(fast, shape, axis)


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


def cotangents(v, y, axis):
    """The mean of v over each run of y, and lam_bar, in float64, by one line after the other."""
    v, y = (np.moveaxis(np.float64(a), axis, -1) for a in (v, y))
    means, slopes = np.empty_like(v), np.empty((*v.shape[:-1], 1))
    for line in np.ndindex(v.shape[:-1]):
        sign = np.sign(np.diff(y[line]))
        runs = np.concatenate([[0], np.cumsum(sign != 0)])
        means[line] = (np.bincount(runs, v[line]) / np.bincount(runs))[runs]
        slopes[line] = -(sign * np.diff(means[line])).sum()
    return np.moveaxis(means, -1, axis), np.moveaxis(slopes, -1, axis)


@pytest.mark.parametrize("weights", ["scalar", "per line"])
@pytest.mark.parametrize("kind", ["noise", "walk", "integers", "constant"])
def test_cotangents_are_those_of_float64(fast, kind, weights):
    """To 2 units in the last place of the largest number in each mean, and in each jump."""
    for shape, axis in SHAPES:
        x, lam, v = operands(shape, axis, kind, "float32", weights)
        v = v + v.dtype.type(100)
        y = _lines.prox(x, lam, axis=axis)
        unit = np.spacing(np.abs(v).max(axis, keepdims=True))
        means, slopes = cotangents(v, y, axis)
        x_bar, lam_bar = map(np.asarray, fast.pull_back(y, lam, v, axis))
        assert bits(fast.run_mean(y, v, axis)) == bits(x_bar)
        assert (np.abs(x_bar - means) <= 2 * unit).all()
        jumps = (np.diff(y, axis=axis) != 0).sum(axis, keepdims=True)
        assert (np.abs(lam_bar - slopes) <= 2 * unit * jumps).all()


@pytest.mark.parametrize(("shape", "axis"), [((70, 64), 1), ((70, 21), 1), ((64, 70), 0)])
def test_cotangents_unfit_for_float_are_those_of_the_cpu(fast, shape, axis):
    """NaN in y, nothing finite or something huge in v, and a weight of 0, which ties nothing."""
    x, lam, v = operands(shape, axis, "integers", "float32", "per line")
    y = _lines.prox(x, lam, axis=axis)
    want = [jnp.moveaxis(a, axis, -1) for a in fast.pull_back(y, lam, v, axis)]
    y, v, weights = (jnp.moveaxis(a, axis, -1) for a in (y, v, lam))
    y = y.at[2].set(jnp.nan).at[4, 7].set(jnp.nan).at[5, 8:11].set(jnp.inf)
    v = v.at[2, 3].set(0).at[11, 3].set(jnp.nan).at[12, 3].set(jnp.inf).at[13, 3:7].set(3e38)
    v = v.at[14].multiply(1e31)
    weights = weights.at[33].set(0)
    changed = [2, 4, 5, 11, 12, 13, 14, 33]

    moved = [jnp.moveaxis(a, -1, axis) for a in (y, weights, v)]
    got = [jnp.moveaxis(a, axis, -1) for a in fast.pull_back(*moved, axis)]
    y, lam, v = moved
    cpu = [jnp.moveaxis(a, axis, -1) for a in _lines.pull_back(y, lam, v, axis=axis)]
    others = np.array([line for line in range(len(weights)) if line not in changed])
    for got_one, want_one, cpu_one in zip(got, want, cpu, strict=True):
        for line in changed:
            same = bits(jnp.nan_to_num(got_one[line])) == bits(jnp.nan_to_num(cpu_one[line]))
            assert same and (jnp.isnan(got_one[line]) == jnp.isnan(cpu_one[line])).all(), line
        assert bits(got_one[others]) == bits(want_one[others])
    mean = jnp.moveaxis(fast.run_mean(y, v, axis), axis, -1)
    cpu = jnp.moveaxis(_lines.run_mean(y, v, axis=axis), axis, -1)
    for line in changed[:-1]:
        np.testing.assert_array_equal(mean[line], cpu[line])

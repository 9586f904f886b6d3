# SPDX-License-Identifier: MIT
"""Do CUDA warps that have a line each, of 65 to 2048 samples, give what the CPU gives?"""

import os

import jax.numpy as jnp
import numpy as np
import pytest
from emulated import assert_unfit_lines_are_those_of_the_cpu, operands
from helpers import bits

from jaxtv._operators import tv1d as _lines

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

LENGTHS = [65, 100, 129, 130, 255, 256, 257, 511, 512, 513, 1000, 1024, 1025, 2047, 2048]
# Blocks that are full, not full, and several; columns in groups that are not whole blocks.
ROWS = [((3, n), 1) for n in LENGTHS] + [((9, 130), 1), ((1, 512), 1)]
COLUMNS = [((n, 3), 0) for n in LENGTHS] + [((2, 200, 13), 1), ((2, 300, 9), 1)]


def assert_like_the_cpu(fast, x, lam, axis):
    """The same runs, and levels to a few units in the last place."""
    got, want = fast.prox(x, lam, axis), _lines.prox(x, lam, axis=axis)
    jumps = [np.sign(np.diff(y, axis=axis)) for y in (got, want)]
    np.testing.assert_array_equal(*jumps)
    unit = np.spacing(np.abs(x).max(axis, keepdims=True))
    assert (np.abs(np.asarray(got) - np.asarray(want)) <= 4 * unit).all()


@pytest.mark.parametrize("weights", ["scalar", "per line"])
@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "ramp"])
def test_runs_are_those_of_the_cpu(fast, kind, weights):
    for shape, axis in [*ROWS, *COLUMNS]:
        x, lam, _ = operands(shape, axis, kind, "float32", weights)
        assert_like_the_cpu(fast, x, lam, axis)


def hard_lines(n):
    """Lines on which sums, levels or rounds are at their worst; without ties."""
    rng, k = np.random.default_rng(n), np.arange(n)
    noise = rng.normal(size=n)
    few = rng.random(n) < 0.02
    return {
        "outliers": np.where(few, 1e6, noise),
        "rectified": np.maximum(noise, 0),
        "far from 0": 1000 + 0.01 * noise,
        "far, with dead samples": np.where(few, 0, 1000 + 0.01 * noise),
        "growing": np.exp2(k * (40 / n) - 20),
        "parabola": (k / n - 0.3) ** 2,
        "image": (few * noise).cumsum() + 0.05 * rng.normal(size=n),
    }


@pytest.mark.parametrize("lam", [1e-3, 0.3, 2.0, 30.0])
@pytest.mark.parametrize("n", LENGTHS)
def test_hard_lines(fast, n, lam):
    x = jnp.array(np.stack(list(hard_lines(n).values())), "float32")
    assert_like_the_cpu(fast, x, jnp.full((1, 1), lam, "float32"), 1)
    assert_like_the_cpu(fast, x.T, jnp.full((1, 1), lam, "float32"), 0)


@pytest.mark.parametrize("n", [100, 129, 512, 2048])
def test_weights_that_change_nothing_and_that_join_all(fast, n):
    x = jnp.array(np.stack([*hard_lines(n).values(), np.full(n, 0.7)]), "float32")
    assert bits(fast.prox(x, jnp.zeros((1, 1), "float32"), 1)) == bits(x)
    got = np.asarray(fast.prox(x, jnp.full((1, 1), np.inf, "float32"), 1))
    assert (np.ptp(got, axis=1) == 0).all()
    mean, size = np.float64(x).mean(1), np.abs(np.float64(x)).max(1)
    assert (np.abs(got[:, 0] - mean) <= 2 * np.spacing(np.float32(size))).all()
    assert bits(got[-1]) == bits(x[-1])


@pytest.mark.parametrize(("shape", "axis"), [((70, 200), 1), ((300, 70), 0)])
def test_unfit_lines_are_those_of_the_cpu(fast, shape, axis):
    """Beside others in the block, which they leave as they were."""
    assert_unfit_lines_are_those_of_the_cpu(fast, shape, axis)


@pytest.mark.parametrize("kind", ["noise", "steps", "walk", "integers"])
def test_cotangents_are_those_of_the_cpu(fast, kind):
    """Also of runs over several lanes, where a weight is 0, and where y or v is not finite."""
    for shape, axis in [*ROWS, *COLUMNS]:
        x, lam, v = operands(shape, axis, kind, "float32", "per line")
        y = x if kind == "integers" else _lines.prox(x, 8 * lam, axis=axis)
        lam = lam.at[(0,) * lam.ndim].set(0)
        assert_same_cotangents(fast, y, lam, v, axis)
        if shape not in [(9, 130), (300, 3), (3, 2048)]:
            continue
        y, v = (jnp.moveaxis(a, axis, -1) for a in (y, v))
        y = y.at[0, 5].set(jnp.nan).at[1, -3:].set(jnp.nan).at[2, 64:70].set(jnp.inf)
        v = v.at[0, 5].set(0).at[0, 9].set(jnp.inf).at[2, 66].set(jnp.nan).at[1, 8:20].set(3e38)
        y, v = (jnp.moveaxis(a, -1, axis) for a in (y, v))
        assert_same_cotangents(fast, y, lam, v, axis)


def assert_same_cotangents(fast, y, lam, v, axis):
    """Means in float64, rounded once; each jump between them is of rounded ones."""
    x_bar, lam_bar = map(np.asarray, fast.pull_back(y, lam, v, axis))
    wide = (a.astype("float64") for a in (y, lam, v))
    means, slopes = map(np.asarray, _lines.pull_back(*wide, axis=axis))
    np.testing.assert_array_equal(x_bar, means.astype("float32"))
    off = np.abs(np.where(np.isinf(lam_bar), 0, lam_bar - slopes))
    unit = np.spacing(
        np.where(np.isfinite(v), np.abs(v), 0).max(axis, keepdims=True).astype("float32")
    )
    assert (np.isnan(slopes) | (off <= 2 * unit * v.shape[axis])).all()
    assert not np.isfinite(lam_bar[np.isnan(slopes)]).any()

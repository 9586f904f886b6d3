# SPDX-License-Identifier: MIT
"""Do the CUDA handlers and kernels, run on an emulator, give what the CPU gives?"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated import CASES, SMALL, STAGED, STRIDED, operands
from helpers import KINDS, bits

from jaxtv._operators import tv1d as _lines
from jaxtv._operators import tv1d_mass

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

DTYPES = ["float32", "float64"]
GRID = [((1, 2600), 1), ((2600, 2), 0)]  # longer than any line that the emulator gives one block


def assert_close(got, want, x, lam):
    """Equal to a few units in the last place of the largest number that enters."""
    scale = float(np.abs(x).max()) + min(float(lam.max()), float(np.abs(x).sum()))
    slack = 16 * float(jnp.finfo(x.dtype).eps) * scale
    np.testing.assert_allclose(np.float64(got), np.float64(want), rtol=0, atol=slack)


def assert_close_cotangents(got, want, v):
    """To a few units in the last place of the largest number in each mean, and in each sum."""
    assert_close(got[0], want[0], v, jnp.zeros(1, v.dtype))
    terms = v.size // want[1].size + 1
    assert_close(got[1] / terms, want[1] / terms, v, jnp.zeros(1, v.dtype))


WEIGHTS = ["scalar", "per line", "per edge"]
# Each kind of data with each kind of weights, by turns in either type: types and weights choose the
# kernel, all of which see half of the kinds.
ALTERNATING = [
    (kind, weights, DTYPES[(k + w) % 2])
    for k, kind in enumerate(KINDS)
    for w, weights in enumerate(WEIGHTS)
]


@pytest.mark.parametrize(("kind", "weights", "dtype"), ALTERNATING)
def test_cuda_and_cpu_agree(fast, kind, weights, dtype):
    before = fast.library.num_launches
    for shape, axis in CASES:
        x, lam, v = operands(shape, axis, kind, dtype, weights)
        y = _lines.prox(x, lam, axis=axis)
        assert_close(fast.prox(x, lam, axis), y, x, lam)
        got = fast.pull_back(y, lam, v, axis)
        assert_close_cotangents(got, _lines.pull_back(y, lam, v, axis=axis), v)
    assert fast.library.num_launches == before + 2 * len(CASES)


@pytest.mark.parametrize(("kind", "dtype"), [(kind, DTYPES[k % 2]) for k, kind in enumerate(KINDS)])
def test_cuda_and_cpu_agree_on_very_long_lines(fast, kind, dtype):
    for (shape, axis), weights in zip(GRID, ["per edge", "scalar"], strict=True):
        x, lam, v = operands(shape, axis, kind, dtype, weights)
        y = _lines.prox(x, lam, axis=axis)
        assert_close(fast.prox(x, lam, axis), y, x, lam)
        before = fast.library.num_launches
        mean = fast.run_mean(y, v, axis)
        assert fast.library.num_launches == before + 4
        assert_close(mean, _lines.run_mean(y, v, axis=axis), v, lam * 0)
        got = fast.pull_back(y, lam, v, axis)
        assert_close_cotangents(got, _lines.pull_back(y, lam, v, axis=axis), v)


def test_a_line_that_splits_for_more_rounds_than_are_launched(fast):
    """Each round splits off the few largest of numbers that grow exponentially."""
    x = jnp.exp2(jnp.linspace(0.0, 900.0, 2600))[None]
    lam = jnp.full((1, 1), 0.1)
    np.testing.assert_allclose(fast.prox(x, lam, 1), _lines.prox(x, lam, axis=1), rtol=1e-15)


@pytest.mark.parametrize("n", [1500, 2600])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_long_runs_lose_nothing(fast, dtype, n):
    """The mean of a constant is that constant, and tiny samples do not drown beside huge ones."""
    level = jnp.zeros((1, n), dtype)
    v = jnp.full((1, n), 0.1, dtype)
    assert bits(fast.run_mean(level, v, 1)) == bits(v)
    huge = 1e9 if dtype == "float32" else 1e25
    v = v.at[0, 0].set(huge).at[0, n - 1].set(-huge)
    want = np.float64(v[0, 1]) * (n - 2) / n
    np.testing.assert_allclose(fast.run_mean(level, v, 1), want, rtol=float(jnp.finfo(dtype).eps))


@pytest.mark.parametrize("weights", ["scalar", "per edge"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masses_give_the_bits_of_the_cpu(fast, dtype, weights):
    for shape, axis in [((70, 21), 1), ((2, 33, 5), 1), ((80, 3), 0), ((1, 300), 1), ((3, 1), 1)]:
        for kind in KINDS:
            x, lam, v = operands(shape, axis, kind, dtype, weights)
            mass = jnp.maximum(v, 0)
            for m in (mass, mass.max(axis, keepdims=True)):
                before = fast.library.num_launches
                got = fast.mass(x, lam, m, axis).block_until_ready()
                want = tv1d_mass.prox(x, lam, m, axis=axis)
                assert fast.library.num_launches == before + 1
                assert bits(got) == bits(want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_newton_gives_the_bits_and_the_steps_of_the_cpu(fast, dtype):
    for shape, axis in [((70, 21), 1), ((2, 33, 5), 1), ((3, 20, 33), 1), ((80, 3), 0)]:
        for kind in KINDS:
            x, lam, _ = operands(shape, axis, kind, dtype, "per edge")
            for limit in (3, 100):
                before = fast.library.num_launches
                got = jax.block_until_ready(fast.newton(x, lam, axis, limit))
                want = _lines.newton(x, lam, axis=axis, max_steps=limit)
                assert fast.library.num_launches == before + 1
                assert [bits(a) for a in got] == [bits(a) for a in want]


# Not of short lines of float32 with one weight, which are summed in float32 (test_cuda_walk.py).
SUMMED_IN_FLOAT64 = [
    *(("float64", "scalar", *case) for case in [*STAGED, *STRIDED]),
    *(("float64", "per line", *case) for case in [*STAGED, *STRIDED]),
    *((dtype, "per edge", *case) for dtype in DTYPES for case in [*STAGED, *STRIDED]),
]


@pytest.mark.parametrize(("dtype", "weights", "shape", "axis"), SUMMED_IN_FLOAT64)
def test_a_thread_for_each_line_gives_the_bits_of_the_cpu(fast, shape, axis, dtype, weights):
    x, lam, v = operands(shape, axis, "walk", dtype, weights)
    y = _lines.prox(x, lam, axis=axis)
    if dtype == "float64":
        assert bits(fast.run_mean(y, v, axis)) == bits(_lines.run_mean(y, v, axis=axis))
    got, want = fast.pull_back(y, lam, v, axis), _lines.pull_back(y, lam, v, axis=axis)
    assert [bits(a) for a in got] == [bits(a) for a in want]


@pytest.mark.parametrize("weights", ["scalar", "per line", "per edge"])
def test_cotangents_where_weights_are_zero_and_lines_are_bad(fast, weights):
    """Equal neighbours without weight, also where a run of equal samples crosses tiles."""
    for shape, axis in [*SMALL, *GRID]:
        y, lam, v = operands(shape, axis, "integers", "float32", weights)
        y, lam = jnp.round(y / 3), jnp.where(lam < 1, 0, lam)
        y = y.at[(0,) * (axis + 1)].set(jnp.nan)
        lam = lam if weights == "per edge" else lam.at[(-1,) * lam.ndim].set(0)
        got, want = fast.pull_back(y, lam, v, axis), _lines.pull_back(y, lam, v, axis=axis)
        assert_close_cotangents(
            [jnp.nan_to_num(a, nan=9) for a in got], [jnp.nan_to_num(a, nan=9) for a in want], v
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lines_over_budget_are_divided(fast, dtype):
    """Ramps on which the walk would be quadratic, staged and in memory."""
    for shape, axis in [((40, 64), 1), ((64, 40), 0)]:
        x, _, _ = operands(shape, axis, "ramp", dtype, "scalar")
        lam = jnp.full([s - 1 if d == axis else 1 for d, s in enumerate(shape)], 1.7, dtype)
        assert_close(fast.prox(x, lam, axis), _lines.prox(x, lam, axis=axis), x, lam)


@pytest.mark.parametrize(
    ("bad", "place"),
    [(np.nan, 0), (np.nan, 150), (np.inf, 99), (np.inf, 299), (-np.inf, 0), (-np.inf, 150)],
)
def test_a_bad_sample_spoils_its_line_only(fast, bad, place):
    shapes = [((5, 300), 1), ((300, 5), 0), ((1, 2300), 1), ((300, 30), 1), ((2, 2600), 1)]
    for shape, axis in shapes:
        x, lam, _ = operands(shape, axis, "walk", "float32", "scalar")
        line = place % shape[1 - axis]
        at = (line, place % shape[1]) if axis == 1 else (place, line)
        spoilt = x.at[at].set(bad)
        got = fast.prox(spoilt, lam, axis)
        want = _lines.prox(spoilt, lam, axis=axis)
        np.testing.assert_array_equal(jnp.isnan(got), jnp.isnan(want))


@pytest.mark.parametrize("lam", [0.0, np.inf, -1.0, np.nan])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_weights(fast, lam, dtype):
    for shape, axis in [*SMALL, GRID[0]]:
        x, _, _ = operands(shape, axis, "walk", dtype, "scalar")
        lam_array = jnp.full([1] * len(shape), lam, dtype)
        got, want = fast.prox(x, lam_array, axis), _lines.prox(x, lam_array, axis=axis)
        if lam == np.inf:
            assert_close(got, want, x, jnp.abs(x))
            assert (np.ptp(got, axis=axis) == 0).all()
        else:
            assert bits(got) == bits(want)


REFUSALS = {
    "out of range": lambda e, x, lam: e.prox(x, lam, -1),
    "lam must have the dtype": lambda e, x, lam: e.prox(x, lam.astype("float64"), 1),
    "does not fit": lambda e, x, lam: e.prox(x, jnp.ones((4, 3), "float32"), 1),
    "only float32 and float64": lambda e, x, lam: e.prox(x.astype("int32"), lam.astype("int32"), 1),
    "v of shape": lambda e, x, lam: e.run_mean(x, x[:2], 1),
    "lam_bar of shape": lambda e, x, lam: e.call("jaxtv_pull_back", (x, lam, x), 1, x),
    "mass of shape": lambda e, x, lam: e.mass(x, lam, x[:, 1:], 1),
    "mass must have the dtype": lambda e, x, lam: e.mass(x, lam, x.astype("float64"), 1),
    "max_steps must be": lambda e, x, lam: e.newton(x, lam, 1, max_steps=-1),
    "one element per line": lambda e, x, lam: e.call(
        "jaxtv_prox_tv1d_newton",
        (x, lam),
        1,
        jax.ShapeDtypeStruct((3, 1), "int32"),
        max_steps=np.int64(9),
    ),
}
LONG = jnp.ones((1, 4000), "float32")
WITHOUT_SPACE = {
    "prox": lambda e, lam: e.prox(LONG, lam, 1),
    "run_mean": lambda e, lam: e.run_mean(LONG, LONG, 1),
    "pull_back": lambda e, lam: e.pull_back(LONG, lam, LONG, 1),
    "newton": lambda e, lam: e.newton(LONG, lam, 1),
    "mass": lambda e, lam: e.mass(LONG, lam, LONG, 1),
}


@pytest.mark.parametrize("operator", WITHOUT_SPACE)
def test_too_little_work_space_is_refused(fast, monkeypatch, operator):
    monkeypatch.setattr(fast, "scratch", dict.fromkeys(fast.scratch, (1, 10**9)))
    with pytest.raises(jax.errors.JaxRuntimeError, match="work space is too small"):
        jax.block_until_ready(WITHOUT_SPACE[operator](fast, jnp.ones((1, 1), "float32")))


@pytest.mark.parametrize("message", REFUSALS)
def test_wrong_operands_are_refused(fast, message):
    x, lam = jnp.ones((4, 9), "float32"), jnp.ones((1, 1), "float32")
    launches = fast.library.num_launches
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(REFUSALS[message](fast, x, lam))
    assert fast.library.num_launches == launches


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (3, 1)])
def test_nothing_to_do(fast, shape):
    x, lam = jnp.ones(shape), jnp.full((1, 1), 0.5)
    assert bits(fast.prox(x, lam, 1)) == bits(x)
    assert bits(fast.run_mean(x, x, 1)) == bits(x)
    x_bar, lam_bar = fast.pull_back(x, lam, x, 1)
    assert bits(x_bar) == bits(x)
    assert bits(lam_bar) == bits(jnp.zeros((shape[0], 1)))
    y, steps = fast.newton(x, lam, 1)
    assert bits(y) == bits(x)
    assert not steps.any()

# SPDX-License-Identifier: MIT
"""Is `prox_tv_1d` the exact prox, for every kind of line, length, layout, dtype and weight?"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import KINDS, allowed_error, assert_prox, bits, kkt_slack, lambda_max, large, signal
from hypothesis import given
from hypothesis import strategies as st

import jaxtv

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("seed", range(20))
def test_the_oracle_is_certified_and_agrees_with_a_second_one(seed):
    rng = np.random.default_rng(seed)
    x = signal(("noise", "walk", "integers")[seed % 3], (30,), seed)
    w = rng.exponential(size=29) * (rng.random(29) > 0.1)
    y = oracle.prox_1d(x, w)
    assert oracle.kkt_violation(x, y, w) < 1e-13
    np.testing.assert_allclose(oracle.prox_nd(x, [w], [0]), y, rtol=0, atol=1e-9 * np.abs(x).max())


def test_the_certificate_rejects_a_wrong_answer():
    x = signal("walk", (50,))
    y = oracle.prox_1d(x, 1.0)
    start, stop = oracle._runs(y)[1]
    for wrong in (
        np.where(np.arange(50) == start, y + 1e-6, y),
        y + 1e-6,
        oracle.prox_1d(x, 1.0001),
    ):
        assert oracle.kkt_violation(x, wrong, 1.0) > 1e-8
    assert stop > start


HAND_CASES = [
    ([0.0, 0.0, 4.0], 1.0, [0.5, 0.5, 3.0]),
    ([1.0, 3.0], 0.5, [1.5, 2.5]),
    ([1.0, 3.0], 1.0, [2.0, 2.0]),
    ([3.0, 1.0, 3.0], 0.5, [2.5, 2.0, 2.5]),
    ([3.0, 0.0, 3.0], 1.0, [2.0, 2.0, 2.0]),
    ([0.0, 1.0, 2.0, 3.0], 0.25, [0.25, 1.0, 2.0, 2.75]),
    ([0.0, 4.0, 0.0], [1.0, 0.0], [1.0, 3.0, 0.0]),
    ([0.0, 9.0, 3.0], [np.inf, 1.0], [4.0, 4.0, 4.0]),
    ([5.0], 2.0, [5.0]),
    ([], 2.0, []),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("x", "lam", "y"), HAND_CASES)
def test_hand_cases(x, lam, y, dtype):
    got = jaxtv.prox_tv_1d(jnp.array(x, dtype), jnp.array(lam, dtype))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, y, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lam", [0.03, 0.5, 4.0, 60.0])
@pytest.mark.parametrize("kind", KINDS)
def test_lines_of_every_kind(kind, lam, dtype):
    x = signal(kind, (23, 97))
    y = jaxtv.prox_tv_1d(jnp.array(x, dtype), lam)
    lam = float(np.asarray(lam, dtype))
    assert_prox(y, x, lam)
    assert oracle.kkt_violation(x, y, lam).max() <= kkt_slack(97, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_one_weight_per_edge(kind, dtype):
    x, rng = signal(kind, (19, 64)), np.random.default_rng(1)
    w = rng.exponential(size=(19, 63)) * rng.choice([0.1, 1, 10], size=(19, 1))
    w = np.where(rng.random(w.shape) < 0.05, 0, np.where(rng.random(w.shape) < 0.05, np.inf, w))
    w = w.astype(np.float32).astype(np.float64)
    y = jaxtv.prox_tv_1d(jnp.array(x, dtype), jnp.array(w, dtype))
    assert_prox(y, x, w)
    assert oracle.kkt_violation(x, y, w).max() <= kkt_slack(64, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("largest", [1e6, np.inf])
@pytest.mark.parametrize("kind", ["noise", "walk", "ramp"])
@pytest.mark.parametrize(
    ("count", "n"),
    [
        (2, 1000),
        *(pytest.param(*case, marks=large) for case in [(40, 1000), (2, 8000), (1, 100_000)]),
    ],
)
def test_large_weights_beside_small_ones(count, n, kind, largest, dtype):
    """A weight that the dual does not reach costs no digit."""
    x, small = signal(kind, (count, n)), float(np.float32(0.01))
    w = np.where(np.random.default_rng(4).random((count, n - 1)) < 0.9, largest, small)
    y = np.float64(jaxtv.prox_tv_1d(jnp.array(x, dtype), jnp.array(w, dtype)))
    assert (np.abs(y - oracle.prox_1d(x, w)) <= allowed_error(x, small, dtype)).all()


@pytest.mark.parametrize("shape", [(1, 5000), (16, 1500), (1, 30_000)])
def test_the_mean_of_a_long_line_loses_nothing(shape):
    """Where the first sample is far from all others: alone, in lanes and in chunks."""
    x = np.random.default_rng(0).normal(size=shape)
    x[:, 0] += 1e3
    y = jaxtv.prox_tv_1d(jnp.array(x), np.inf)
    want = np.array([math.fsum(line) / shape[1] for line in x])
    np.testing.assert_allclose(y[:, 0], want, rtol=0, atol=3e-13)  # two ulp of 1e3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [*range(20), 31, 32, 33, 63, 64, 65, 255, 256, 257, 1025])
def test_every_length(n, dtype):
    x = signal("noise", (3, n), n)
    assert_prox(jaxtv.prox_tv_1d(jnp.array(x, dtype), 0.5), x, 0.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 129])
@pytest.mark.parametrize("axis", [0, 1])
def test_every_number_of_lines(count, axis, dtype):
    """Lines may be solved in groups: one that is not full must not matter."""
    x = signal("walk", (count, 21), count)
    lam = np.float32(np.geomspace(0.05, 20, count))[:, None].astype(np.float64)
    turn = (lambda a: a) if axis == 1 else np.transpose
    y = jaxtv.prox_tv_1d(jnp.array(turn(x), dtype), jnp.array(turn(lam), dtype), axis=axis)
    assert_prox(y, turn(x), turn(lam), axis)


SHAPES = [(12,), (5, 12), (12, 3), (2, 9, 4), (2, 8, 8, 3), (3, 17, 6, 1), (1, 1, 30, 2)]


@st.composite
def arrays(draw):
    """Shape, axis, weight shape, kind and dtype: every layout, channels first, last or between."""
    shape = draw(st.sampled_from(SHAPES))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    full = [draw(st.booleans()) for _ in shape]
    weights = [n if f else 1 for n, f in zip(shape, full, strict=True)]
    weights[axis] = shape[axis] - 1 if full[axis] and shape[axis] > 1 else 1
    dropped = draw(st.integers(0, len(shape)))
    while dropped and any(n != 1 for n in weights[:dropped]):
        dropped -= 1
    kind, seed = draw(st.sampled_from(KINDS)), draw(st.integers(0, 99))
    return shape, axis, tuple(weights[dropped:]), kind, draw(st.sampled_from(DTYPES)), seed


@given(arrays())
def test_every_layout_and_weight_shape(case):
    shape, axis, weight_shape, kind, dtype, seed = case
    x = signal(kind, shape, seed)
    lam = (
        np.random.default_rng(seed)
        .exponential(size=weight_shape)
        .astype(np.float32)
        .astype(np.float64)
    )
    y = jaxtv.prox_tv_1d(jnp.array(x, dtype), jnp.array(lam, dtype), axis=axis)
    assert y.dtype == dtype
    assert_prox(y, x, lam, axis)


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
@pytest.mark.parametrize("axis", [0, 1])
def test_halves_are_float32_answers_rounded_once(half, axis):
    x = jnp.array(signal("walk", (11, 40)), half)
    y = jaxtv.prox_tv_1d(x, jnp.array(0.37, half), axis=axis)
    single = jaxtv.prox_tv_1d(
        x.astype("float32"), jnp.array(0.37, half).astype("float32"), axis=axis
    )
    assert y.dtype == half
    assert bits(y) == bits(single.astype(half))


@pytest.mark.parametrize("x_dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("lam_dtype", ["int32", "float16", "float32", "float64"])
def test_the_weight_takes_the_type_of_the_signal(x_dtype, lam_dtype):
    x = jnp.array(signal("walk", (4, 16)), x_dtype)
    y = jaxtv.prox_tv_1d(x, jnp.array(2, lam_dtype))
    assert y.dtype == x_dtype
    assert bits(y) == bits(jaxtv.prox_tv_1d(x, 2.0))


def test_numpy_arrays_and_lists_are_accepted():
    x = signal("noise", (4, 9))
    want = jaxtv.prox_tv_1d(jnp.array(x), 0.5)
    assert bits(jaxtv.prox_tv_1d(x, 0.5)) == bits(want)
    assert bits(jaxtv.prox_tv_1d(x, np.float32(0.5))) == bits(want)
    assert bits(jaxtv.prox_tv_1d(x, np.full((4, 8), 0.5))) == bits(want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-30, -10, 10, 30])
@pytest.mark.parametrize("kind", ["noise", "walk", "steps"])
def test_very_large_and_very_small_values(kind, exponent, dtype):
    x = jnp.array(signal(kind, (5, 80)) * 10.0**exponent, dtype)
    lam = jnp.array(10.0**exponent, dtype)
    assert_prox(jaxtv.prox_tv_1d(x, lam), np.asarray(x, np.float64), float(lam))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_small_signal_on_a_large_offset(dtype):
    x = np.asarray(signal("walk", (6, 200)) + 4096, np.float32).astype(np.float64)
    assert_prox(jaxtv.prox_tv_1d(jnp.array(x, dtype), 3.0), x, 3.0)


def test_an_exponential_behind_a_long_flat_stretch_on_an_offset():
    """Levels are moved at each of many touches, by less than the offset would round off."""
    x = np.float32(-283.185 + 0.5 * 1.2 ** -(7999.0 - np.arange(8000)))[None]
    lam = np.float32(2.7)
    assert_prox(jaxtv.prox_tv_1d(jnp.array(x), lam), np.float64(x), float(lam))


@pytest.mark.parametrize("dtype", DTYPES)
def test_lines_met_inside_a_two_dimensional_iteration(dtype):
    """Nearly flat lines full of near ties, on which some published solvers leave their arrays."""
    x = signal("noise", (24, 128))
    p = np.zeros_like(x)
    for _ in range(6):
        z = oracle.prox_1d(x + p, 0.6, 0)
        line = np.asarray(z + (x + p - z) * 0.5, dtype)
        y = jaxtv.prox_tv_1d(jnp.array(line), 0.6)
        assert_prox(y, line, 0.6 if dtype == "float64" else float(np.float32(0.6)))
        p = x + p - z


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kind", "lam"), [("ramp", 50.0), ("walk", 200.0), ("steps", 3.0), ("alternating", 0.9)]
)
@pytest.mark.parametrize("n", [4000, pytest.param(50_000, marks=large)])
def test_long_lines(n, kind, lam, dtype):
    x = signal(kind, (1, n))
    assert_prox(jaxtv.prox_tv_1d(jnp.array(x, dtype), lam), x, float(np.asarray(lam, dtype)))


@large
@pytest.mark.parametrize(
    ("kind", "lam"), [("noise", 0.5), ("walk", 10.0), ("ramp", 100.0), ("integers", 1.0)]
)
def test_a_million_values(kind, lam):
    """The float64 answer is certified; the float32 answer is held against it."""
    x = signal(kind, (1, 1_000_000))
    y = jaxtv.prox_tv_1d(jnp.array(x), lam)
    assert oracle.kkt_violation(x, y, lam) < 1e-9  # one cumulative sum of a million terms
    single = jaxtv.prox_tv_1d(jnp.array(x, "float32"), lam)
    assert (np.abs(np.asarray(single, np.float64) - y) <= allowed_error(x, lam, "float32")).all()


@large
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_many_lines(axis, dtype):
    """Thousands of lines that end at different times; the certificate needs no slow oracle."""
    x = np.moveaxis(signal("walk", (37, 101, 64)), -1, axis)
    lam = np.random.default_rng(2).exponential(
        4.0, [1 if a == axis else n for a, n in enumerate(x.shape)]
    )
    lam = lam.astype(np.float32).astype(np.float64)
    y = jaxtv.prox_tv_1d(jnp.array(x, dtype), jnp.array(lam, dtype), axis=axis)
    assert oracle.kkt_violation(x, y, lam, axis).max() <= kkt_slack(x.shape[axis], dtype)


def test_a_line_does_not_depend_on_its_neighbours():
    x = jnp.array(signal("walk", (33, 50)))
    together = jaxtv.prox_tv_1d(x, 1.5)
    alone = jax.jit(lambda line: jaxtv.prox_tv_1d(line, 1.5))
    assert all(bits(alone(x[i])) == bits(together[i]) for i in range(33))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lambda_max(axis, dtype):
    x = signal("walk", (7, 6, 30))
    got = jaxtv.lambda_max(jnp.array(x, dtype), axis=axis)
    want = lambda_max(x, axis)
    # Rounded up by half of that.
    slack = x.shape[axis] * float(jnp.finfo(dtype).eps) * (want + np.abs(x).max())
    got = np.asarray(got)
    off = np.abs(np.float64(got) - want.squeeze(axis))
    assert (off <= slack.squeeze(axis)).all()
    assert jaxtv.lambda_max(jnp.array(x, dtype), axis=axis, keepdims=True).shape == want.shape
    assert (got >= want.squeeze(axis)).all()
    assert got.dtype == dtype


@pytest.mark.parametrize("n", [2, 3, 40])
def test_lambda_max_is_where_the_answer_becomes_constant(n):
    x = jnp.array(signal("walk", (8, n)))
    top = jaxtv.lambda_max(x, keepdims=True)
    above, below = jaxtv.prox_tv_1d(x, top * 1.0001), jaxtv.prox_tv_1d(x, top * 0.9999)
    assert (np.ptp(above, axis=-1) == 0).all()
    assert (np.ptp(below, axis=-1) > 0).all()
    np.testing.assert_allclose(above[:, 0], x.mean(-1), rtol=1e-14)


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 1), (-2, -1), (0, 1, 2)])
def test_total_variation(axes):
    x = signal("noise", (4, 5, 6))
    want = oracle.total_variation(x, axes, [1.0] * len(axes))
    np.testing.assert_allclose(jaxtv.total_variation(jnp.array(x), axes=axes), want, rtol=1e-14)
    np.testing.assert_allclose(
        jaxtv.total_variation(jnp.array(x), axes=axes, lam=0.3), 0.3 * want, rtol=1e-14
    )


def test_total_variation_with_one_weight_per_edge():
    x, rng = signal("noise", (2, 5, 6)), np.random.default_rng(0)
    w = [rng.random((2, 4, 6)), rng.random((5, 5))]
    got = jaxtv.total_variation(jnp.array(x), axes=(1, 2), lam=tuple(map(jnp.array, w)))
    np.testing.assert_allclose(got, oracle.total_variation(x, (1, 2), w), rtol=1e-14)


def test_the_answer_has_the_smallest_objective():
    x, rng = jnp.array(signal("noise", (40,))), np.random.default_rng(3)
    y = jaxtv.prox_tv_1d(x, 0.7)
    objective = lambda v: 0.5 * jnp.sum((v - x) ** 2) + jaxtv.total_variation(v, axes=(0,), lam=0.7)  # noqa: E731
    for step in 10.0 ** rng.uniform(-6, 0, 20):
        assert objective(y + step * rng.normal(size=40)) > objective(y)

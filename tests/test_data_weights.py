# SPDX-License-Identifier: MIT
"""Is `prox_tv_1d` with a weight on each sample the exact prox, where samples are missing too?"""

import functools
import itertools
import os

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import oracle_lines
import pytest
from data_weights import LAMS, LINES, MASSES, RNG, N, prox
from helpers import KINDS, bits, compiled_here, signal
from hypothesis import strategies as st

import jaxtv
from jaxtv._operators import tv1d_mass
from jaxtv._plain import tv1d_mass as plain


@pytest.fixture(autouse=True, scope="module")
def _quick_compilation():
    """As `quick_compilation`, for a module: Hypothesis wants no fixture of a function."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def full(x, lam, m):
    """For each line x, weights of n edges, of which the last is 0, and masses."""
    w = np.broadcast_to(lam, (*x.shape[:-1], x.shape[-1] - 1))
    return zip(x, np.pad(w, ((0, 0), (0, 1))), np.broadcast_to(m, x.shape), strict=True)


def check(y, x, lam, m, tolerance):
    """By the optimality conditions and by the oracle, relative to the size of what enters each."""
    for row, (line, w, mass) in zip(np.float64(y), full(x, lam, m), strict=True):
        if not mass.any():
            assert (row == 0).all()
            continue
        known = mass > 0
        scale = np.abs(line[known]).max()
        want = oracle_lines.prox(line, w, mass)
        np.testing.assert_allclose(row[known], want[known], rtol=0, atol=tolerance * scale)
        # Samples that nothing determines are 0; any other value would do as well.
        for piece in np.split(np.arange(line.size), np.flatnonzero(w[:-1] == 0) + 1):
            if mass[piece].any():
                found = oracle_lines.violation(
                    line[piece], row[piece], np.append(w[piece][:-1], 0), mass[piece], False
                )
                assert found <= tolerance * scale * mass.sum()
            else:
                assert (row[piece] == 0).all()


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("mass", MASSES)
def test_values(mass, lam):
    for kind in KINDS:
        x = signal(kind, (LINES, N))
        m = MASSES[mass]
        given = np.where(np.broadcast_to(m, x.shape) > 0, x, np.nan)  # there it counts for nothing
        check(prox(given, LAMS[lam], m), x, LAMS[lam], m, 1e-10)


@pytest.mark.parametrize("mass", MASSES)
def test_values_in_float32(mass):
    """The oracle solves what float32 holds; masses of any size cost no digit."""
    x = np.float32(signal("walk", (LINES, N)))
    m, lam = np.float32(MASSES[mass]), np.float32(LAMS["edge"])
    y = prox(x, lam, m)
    assert y.dtype == np.float32
    check(y, np.float64(x), np.float64(lam), np.float64(m), 2e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_are_computed_in_float32(dtype):
    x, m, lam = (jnp.array(a, dtype) for a in (signal("walk", (LINES, N)), MASSES["any"], 0.3))
    y = prox(x, lam, m)
    assert y.dtype == dtype
    want = prox(*(a.astype("float32") for a in (x, lam, m))).astype(dtype)
    assert bits(y) == bits(want)


def test_a_whole_mass_is_as_many_samples():
    """A sample of mass 3 is three equal samples with infinite weights between them."""
    counts = RNG.integers(1, 4, N)
    x, lam = signal("walk", (N,)), RNG.exponential(size=N - 1)
    weights = np.full(counts.sum() - 1, np.inf)
    weights[np.cumsum(counts)[:-1] - 1] = lam
    want = oracle.prox_1d(np.repeat(x, counts), weights)
    np.testing.assert_allclose(np.repeat(prox(x, lam, counts), counts), want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_masses_do_not_drown_beside_large_ones(dtype):
    """Two lines, joined by a weight that is nothing for either, have the values that each has."""
    x = jnp.array(signal("walk", (LINES, 2 * N)), dtype)
    left, right = jnp.split(x, 2, axis=-1)
    m = jnp.array(MASSES["any"] + 0.1, dtype)
    scale = jnp.array(1e-12, dtype)
    lam = jnp.array(LAMS["edge"], dtype)
    between = jnp.full((LINES, 1), 1e-32, dtype)
    y = prox(
        x, jnp.concatenate([lam, between, scale * lam], -1), jnp.concatenate([m, scale * m], -1)
    )
    want = jnp.concatenate([prox(left, lam, m), prox(right, scale * lam, scale * m)], -1)
    np.testing.assert_allclose(y, want, rtol=0, atol=4 * jnp.finfo(dtype).eps)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_axis_and_broadcast(axis):
    x = signal("noise", (3, 4, 5))
    for shape in [(3, 4, 5), (3, 1, 5), (1, 4, 1), (4, 1), (5,), ()]:
        m = RNG.exponential(size=shape)
        got = jaxtv.prox_tv_1d(jnp.array(x), 0.4, axis=axis, data_weight=jnp.array(m))
        lines = [
            np.moveaxis(a, axis, -1).reshape(-1, x.shape[axis])
            for a in (got, x, np.broadcast_to(m, x.shape))
        ]
        check(lines[0], lines[1], np.full((1, 1), 0.4), lines[2], 1e-10)


def test_where_the_jump_is():
    """At the least weight, the first if several are; at an end the value of the only side."""
    nan = np.nan
    x = np.array([nan, 0.0, nan, nan, nan, 10.0, nan])
    m = np.array([0.0, 1, 0, 0, 0, 1, 0])
    for weights, place in [
        ([9, 2, 1, 2, 1, 9], 3),
        ([9, 1, 1, 1, 1, 9], 2),
        ([9, 2, 2, 2, 1, 9], 5),
    ]:
        y = prox(x, np.float64(weights), m)
        np.testing.assert_array_equal(y, np.where(np.arange(7) < place, 1.0, 9.0))


def test_what_nothing_determines_is_zero():
    x, m = jnp.full((6,), 3.0), jnp.array([0.0, 0, 1, 0, 0, 0])
    lam = jnp.array([1.0, 0, 1, 0, 1])
    np.testing.assert_array_equal(prox(x, lam, m), [0, 0, 3, 3, 0, 0])
    np.testing.assert_array_equal(prox(x, 0.0, m), [0, 0, 3, 0, 0, 0])
    np.testing.assert_array_equal(prox(x, 1.0, m), [3] * 6)
    np.testing.assert_array_equal(prox(x, 1.0, 0.0), [0] * 6)
    for argument in range(3):
        operands = x, lam, m.at[2].set(0)
        assert not np.any(jax.jacrev(lambda *a: prox(*a), argument)(*operands)), argument


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_lines(n):
    x, m = jnp.array(signal("noise", (4, n))), jnp.array(MASSES["any"][:4, :n])
    y = prox(x, 0.1, m)
    assert y.shape == (4, n)
    if n == 2:
        check(y, np.asarray(x), np.full((1, 1), 0.1), np.asarray(m), 1e-12)
    else:
        assert bits(y) == bits(x)
    assert prox(x, jnp.ones((4, max(n - 1, 0))), m).shape == (4, n)


def test_without_a_weight_nothing_changes():
    """Bit for bit, signed zeros and subnormal numbers included."""
    x = np.array([-0.0, 0.0, 5e-324, -5e-324, 1e308, -1e308])
    assert bits(prox(x, 0.0, 3.0)) == bits(x)


SIZES = [
    ("float32", *exponents)
    for exponents in itertools.product([-110, -60, 0, 60, 110], repeat=2)
    if abs(sum(exponents)) <= 110
]
SIZES += [("float64", 8 * by_x, 8 * by_m) for _, by_x, by_m in SIZES]


@pytest.mark.parametrize(("dtype", "by_x", "by_m"), SIZES)
def test_numbers_of_any_size(by_x, by_m, dtype):
    """prox(a x, a b lam, b m) = a prox(x, lam, m), also where a or b is near the end of a type."""
    operands = signal("walk", (LINES, N)), LAMS["edge"], MASSES["missing"]
    x, lam, m = (jnp.array(v, dtype) for v in operands)
    a, b, both = (jnp.array(2.0**e, dtype) for e in (by_x, by_m, by_x + by_m))
    got = prox(a * x, both * lam, b * m)
    np.testing.assert_allclose(got / a, prox(x, lam, m), rtol=0, atol=4 * jnp.finfo(dtype).eps)


BAD = {
    "x": lambda x, lam, m: (x.at[1, 3].set(jnp.nan), lam, m),
    "infinite x": lambda x, lam, m: (x.at[1, 3].set(jnp.inf), lam, m),
    "lam": lambda x, lam, m: (x, lam.at[1, 3].set(-1), m),
    "NaN lam": lambda x, lam, m: (x, lam.at[1, 3].set(jnp.nan), m),
    "m": lambda x, lam, m: (x, lam, m.at[1, 3].set(-1e-30)),
    "NaN m": lambda x, lam, m: (x, lam, m.at[1, 3].set(jnp.nan)),
    "infinite m": lambda x, lam, m: (x, lam, m.at[1, 3].set(jnp.inf)),
}


def loss_of_good(x, lam, m):
    return jnp.sum(jnp.sin(jnp.where(jnp.arange(LINES)[:, None] != 1, prox(x, lam, m), 0)))


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_nan_and_alone(bad):
    """In values, in gradients behind a mask, and in gradients without one."""
    operands = [jnp.array(a) for a in (signal("walk", (LINES, N)), LAMS["edge"], MASSES["any"])]
    spoilt = BAD[bad](*operands)
    y, good = prox(*spoilt), np.arange(LINES) != 1
    assert np.isnan(y[1]).all()
    assert bits(y[good]) == bits(prox(*operands)[good])
    gradient = jax.jit(jax.grad(loss_of_good, (0, 1, 2)))
    for got, want in zip(gradient(*spoilt), gradient(*operands), strict=True):
        np.testing.assert_array_equal(got, want)
    free = jax.grad(lambda *a: jnp.sum(prox(*a)), (0, 1, 2))(*spoilt)
    for got in free:
        assert np.isnan(got[1]).any() and np.isfinite(got[good]).all()


def test_plain_jax_gives_the_same():
    """It is the specification, and what platforms without a compiled kernel run."""
    if not compiled_here("jaxtv_prox_tv1d_mass"):
        pytest.skip("there is nothing to compare with")
    x = jnp.array(signal("integers", (LINES, N)))
    cases = [
        [
            np.broadcast_to(a, shape)
            for a, shape in ((x, x.shape), (lam, (LINES, N - 1)), (m, x.shape))
        ]
        for lam, m in itertools.product(LAMS.values(), MASSES.values())
    ]
    operands = [jnp.array(np.stack(arrays)) for arrays in zip(*cases, strict=True)]
    got = jax.jit(functools.partial(plain.prox, axis=2))(*operands)
    np.testing.assert_allclose(got, tv1d_mass.prox(*operands, axis=2), rtol=0, atol=1e-14)


@hypothesis.given(st.data())
def test_optimality(data):
    """Of lines of small integers, on which ties and zeros are everywhere."""
    small = lambda low, high, n: np.float64(  # noqa: E731
        data.draw(st.lists(st.integers(low, high), min_size=n, max_size=n))
    )
    x, m, w = small(-2, 2, 7), small(0, 2, 7), small(0, 3, 6)
    check(prox(x, w, m)[None], x[None], w[None], m[None], 1e-12)


@pytest.mark.large
@pytest.mark.parametrize("line", ["ramp", "ramp of missing samples", "exponential"])
def test_no_line_is_slow(line):
    """A method that looks back would take hours on these."""
    n = 400_000
    x = np.exp(np.linspace(0, 43, n)) if line == "exponential" else np.arange(n, dtype=float)
    m = 1.0 + np.arange(n) % 3 if line == "ramp" else 1.0 * (np.arange(n) % 3 == 0)
    y = prox(x[None], np.full((1, 1), 1e9), m[None])
    u = np.cumsum(m * (np.asarray(y)[0] - x))
    assert np.abs(u).max() <= 1e9 * (1 + 1e-9) and abs(u[-1]) < 1e-9 * np.abs(m * x).sum()


WRONG = [(4,), (LINES + 1, 1), (LINES, N - 1), (1, 1, 1), (0,)]


@pytest.mark.parametrize("shape", WRONG)
def test_a_shape_that_does_not_broadcast(shape):
    with pytest.raises(ValueError, match="data_weight must broadcast") as error:
        jaxtv.prox_tv_1d(jnp.zeros((LINES, N)), 1.0, data_weight=jnp.ones(shape))
    assert str(shape) in str(error.value) and str((LINES, N)) in str(error.value)


@pytest.mark.parametrize("data_weight", [-1.0, np.array([1.0, -1.0]), float("nan")])
def test_a_negative_number(data_weight):
    with pytest.raises(ValueError, match="data_weight must be at least 0, got"):
        jaxtv.prox_tv_1d(jnp.zeros((3, 2)), 1.0, data_weight=data_weight)


def test_newton_takes_no_data_weight():
    with pytest.raises(ValueError, match=r"method must be 'direct' with data_weight"):
        jaxtv.prox_tv_1d(jnp.zeros(3), 1.0, method="newton", data_weight=1.0)


@pytest.mark.skipif("JAXTV_TEST_BACKEND" in os.environ, reason="of the CPU handler")
@pytest.mark.parametrize(
    ("shape", "dtype", "says"),
    [
        ((2, 4, 3), "float32", "the length"),
        ((2, 5), "float32", "ranks differ"),
        ((3, 5, 3), "float32", "size 1 or that of x"),
        ((2, 5, 3), "float64", "mass must have the dtype"),
    ],
)
def test_the_handler_refuses(shape, dtype, says):
    x, lam = np.ones((2, 5, 3), "float32"), np.ones((1, 1, 1), "float32")
    call = jax.ffi.ffi_call("jaxtv_prox_tv1d_mass", jax.ShapeDtypeStruct(x.shape, x.dtype))
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT: jaxtv: .*{says}"):
        jax.block_until_ready(call(x, lam, np.ones(shape, dtype), axis=np.int64(1)))

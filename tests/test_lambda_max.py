# SPDX-License-Identifier: MIT
"""Is the prox constant at lambda_max itself, and not much below?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import KINDS, allowed_error, large, signal

import jaxtv
from jaxtv._plain import tv1d as plain_tv1d

SOLVERS = {
    "direct": lambda x, lam: jaxtv.prox_tv_1d(x, lam),
    "newton": lambda x, lam: jaxtv.prox_tv_1d(x, lam, method="newton"),
    "plain": jax.jit(functools.partial(plain_tv1d.prox, axis=1)),
}
DTYPES = ["float32", "float64", "float16", "bfloat16"]


def lines(kind, shape, seed=0):
    """Those of the helpers, and some that come close to their lambda_max at many edges."""
    rng, k = np.random.default_rng(seed), np.arange(shape[1]) / shape[1]
    per_line = (shape[0], 1)
    more = {
        "waves": lambda: np.sin(2 * np.pi * k * rng.integers(1, 40, per_line) + 0.1),
        "slopes": lambda: 1e-3 * rng.normal(size=shape) - rng.uniform(0.5, 2, per_line) * k,
        "quantised slopes": lambda: np.round(256 * lines("slopes", shape, seed)) / 256,
        "bursts": lambda: np.exp(3 * rng.normal(size=shape)),
    }
    return more[kind]() if kind in more else signal(kind, shape, seed)


def assert_constant_at_lambda_max(x, solver):
    lam = jaxtv.lambda_max(x, keepdims=True)
    y = np.asarray(SOLVERS[solver](x, lam), np.float64)
    changing = np.flatnonzero(np.ptp(y, axis=1))
    assert changing.size == 0, f"lines {changing} of {len(y)}"
    wide = np.asarray(x, np.float64)
    error = np.abs(y[:, :1] - wide.mean(1, keepdims=True))
    assert (error <= allowed_error(wide, lam, x.dtype)).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [*KINDS, "waves", "slopes", "bursts"])
def test_at_the_bound(kind, dtype, solver):
    if solver == "plain" and dtype in {"float16", "bfloat16"}:
        pytest.skip("half types are computed in float32")
    # Each length is a program of plain JAX.
    for n in (3, 40) if solver == "plain" else (2, 3, 8, 40, 333, 1000):
        for offset in (0.0, 0.37, 30.0):
            x = lines(kind, (max(4, 1000 // n), n), n) + offset
            if dtype == "float16" and np.abs(x).max() > 6e4:
                continue
            assert_constant_at_lambda_max(jnp.array(x, dtype), solver)


@large
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["noise", "walk", "slopes", "quantised slopes"])
@pytest.mark.parametrize("n", [9_000, 200_000])
def test_at_the_bound_of_a_long_line(n, kind, dtype):
    for offset in (0.0, 0.37):
        x = lines(kind, (max(1, 60_000 // n), n), n) + offset
        assert_constant_at_lambda_max(jnp.array(x, dtype), "direct")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_how_much_it_is_rounded_up(kind, dtype):
    """As the docstring says; the rounding of the formula itself takes less than half of it."""
    for n in (2, 30, 1000, 20_000):
        x = jnp.array(lines(kind, (3, n)), dtype)
        got = np.asarray(jaxtv.lambda_max(x, keepdims=True), np.float64)
        wide = np.asarray(x, np.longdouble)
        deviations = wide - wide.mean(1, keepdims=True)
        want = np.abs(deviations.cumsum(1)).max(1, keepdims=True)
        room = n * float(jnp.finfo(dtype).eps) / 2 * (want + np.abs(wide).max(1, keepdims=True))
        assert (got >= want + 0.5 * room * (want > 0)).all()
        assert (got <= want + 1.5 * room).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30, 2e36])
def test_at_the_bound_of_lines_of_any_scale(scale):
    x = jnp.array(lines("noise", (200, 50)) * scale, "float32")
    assert_constant_at_lambda_max(x, "direct")
    assert np.isfinite(jaxtv.lambda_max(x)).all()


def test_no_sum_overflows():
    """Samples near the largest float32, whose plain sums are infinite."""
    x = jnp.array([[2e38, -2e38, 3e38], [3e38, 3e38, 3e38]], "float32")
    np.testing.assert_allclose(jaxtv.lambda_max(x), [2e38, 0], rtol=1e-5)


def test_trivial_lines():
    x = jnp.array([[0.1] * 7, [jnp.nan] * 7, [0.0] * 6 + [jnp.inf]], "float32")
    np.testing.assert_array_equal(jaxtv.lambda_max(x), [0, np.nan, np.nan])
    np.testing.assert_array_equal(jaxtv.lambda_max(x[:, :1]), [0, np.nan, 0])
    np.testing.assert_array_equal(jaxtv.lambda_max(x[:, :0]), [0, 0, 0])


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_types_give_float32(half):
    """A line whose lambda_max is beyond float16."""
    x = jnp.array([100.0] * 2000 + [-100.0] * 2000, half)
    top = jaxtv.lambda_max(x)
    assert top.dtype == "float32"
    np.testing.assert_allclose(top, 200_000, rtol=1e-3)


def test_its_derivative_is_that_of_the_formula():
    x = jnp.array(signal("walk", (5, 12)))
    f = lambda x: jnp.abs(jnp.cumsum(x - x.mean(-1, keepdims=True), -1)).max(-1).sum()  # noqa: E731
    got = jax.grad(lambda x: jaxtv.lambda_max(x).sum())(x)
    np.testing.assert_allclose(got, jax.grad(f)(x), atol=1e-13)

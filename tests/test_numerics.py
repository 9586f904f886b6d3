# SPDX-License-Identifier: MIT
"""What happens at the edges: empty lines, zero and infinite weights, NaN, tiny numbers?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_prox, bits, large, rounding_in_step, signal

import jaxtv
from jaxtv._plain import tv1d as plain_tv1d
from jaxtv._plain import tv1d_newton as plain_newton

DTYPES = ("float32", "float64", "bfloat16", "float16")
BAD = (np.nan, np.inf, -np.inf)
SOLVERS = {
    "1d": lambda x, lam: jaxtv.prox_tv_1d(x, lam),
    "sweeps": lambda x, lam: jaxtv.prox_tv_2d(x, lam, num_sweeps=3),
    "converged": lambda x, lam: jaxtv.prox_tv_2d(x, lam),
}
each_solver = pytest.mark.parametrize("name", SOLVERS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)

EMPTY_AND_SHORT = [(0, 0), (0, 5), (5, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 0, 4), (0, 3, 4)]


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@each_solver
@pytest.mark.parametrize("shape", EMPTY_AND_SHORT)
def test_empty_and_short_arrays(name, shape, dtype):
    x = jnp.array(signal("noise", shape), dtype)
    y = jax.jit(SOLVERS[name])(x, 0.25)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    axes = (-1,) if name == "1d" else (-2, -1)
    want = np.zeros(shape) if x.size == 0 else oracle.prox_nd(x, [0.25] * len(axes), axes)
    atol = 1e-3 if name == "converged" else 4 * float(jnp.finfo(dtype).eps)
    if name != "sweeps" or 1 in shape:  # a few sweeps are not the prox of an image
        np.testing.assert_allclose(np.float64(y), want, rtol=0, atol=atol)


@each_solver
@pytest.mark.parametrize("shape", EMPTY_AND_SHORT)
def test_gradients_of_empty_and_short_arrays(name, shape):
    x = jnp.array(signal("noise", shape))
    grads = jax.grad(lambda x, lam: SOLVERS[name](x, lam).sum(), (0, 1))(x, 0.25)
    np.testing.assert_allclose(grads[0], np.ones(shape), rtol=1e-14)  # the sum is kept
    np.testing.assert_allclose(grads[1], 0.0, atol=1e-14)


def test_weights_of_a_line_without_edges():
    x = jnp.array([[5.0], [7.0]])
    for lam in (jnp.zeros((2, 0)), jnp.ones((2, 1)), jnp.zeros((0,)), 3.0):
        np.testing.assert_array_equal(jaxtv.prox_tv_1d(x, lam), x)


@each_dtype
@each_solver
def test_weight_zero_returns_every_bit(name, dtype):
    """Negative zeros and subnormal numbers too, whatever the hardware does with them elsewhere."""
    info = jnp.finfo(dtype)
    special = [0.0, -0.0, info.tiny, -info.tiny, info.max, -info.max, info.smallest_subnormal]
    x = np.array([special, special[::-1]]).astype(dtype)
    for zero in (0.0, -0.0, 0):
        assert bits(SOLVERS[name](jnp.array(x), zero)) == bits(x)


def test_edges_of_weight_zero_cut_the_line():
    x = signal("walk", (4, 20))
    w = np.where(np.arange(19) == 8, 0.0, 1.3)
    y = jaxtv.prox_tv_1d(jnp.array(x), jnp.array(w))
    assert bits(y[:, :9]) == bits(jaxtv.prox_tv_1d(jnp.array(x[:, :9]), 1.3))
    assert_prox(y[:, 9:], x[:, 9:], 1.3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lam", [1e3, 1e10, 1e30, np.inf])
@pytest.mark.parametrize("kind", ["noise", "walk", "integers", "constant"])
def test_a_large_weight_gives_the_mean(kind, lam, dtype):
    """To the accuracy of the mean itself: a weight of 1e30 must not cost 30 digits."""
    x = signal(kind, (5, 33))
    y = np.float64(jaxtv.prox_tv_1d(jnp.array(x, dtype), lam))
    assert (np.ptp(y, axis=-1) == 0).all()
    atol = 4 * float(jnp.finfo(dtype).eps) * np.abs(x).max()
    np.testing.assert_allclose(y, x.mean(-1, keepdims=True).repeat(33, -1), rtol=0, atol=atol)


@pytest.mark.parametrize("num_sweeps", [None, 1, 4])
@pytest.mark.parametrize("lam", [1e3, np.inf])
def test_a_large_weight_gives_the_mean_of_the_image(lam, num_sweeps):
    x = signal("walk", (2, 9, 8))
    y = jaxtv.prox_tv_2d(jnp.array(x), lam, num_sweeps=num_sweeps)
    want = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-12 * np.abs(x).max())


@each_dtype
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_bad_sample_spoils_its_line_only(axis, bad, dtype):
    x = jnp.array(signal("walk", (9, 10, 11)), dtype)
    y = jaxtv.prox_tv_1d(x.at[4, 5, 6].set(bad), 0.5, axis=axis)
    clean = jaxtv.prox_tv_1d(x, 0.5, axis=axis)
    line = [4, 5, 6]
    line[axis] = slice(None)
    assert bits(y) == bits(clean.at[tuple(line)].set(jnp.nan))


@pytest.mark.parametrize("bad", [np.nan, -1.0, -np.inf, -1e-30])
@pytest.mark.parametrize("place", [0, 7, 18])
def test_a_bad_weight_spoils_its_lines_only(bad, place):
    x = jnp.array(signal("walk", (8, 20)))
    per_line = jnp.full((8, 1), 0.5).at[3].set(bad)
    per_edge = jnp.full((8, 19), 0.5).at[3, place].set(bad)
    want = np.asarray(jaxtv.prox_tv_1d(x, 0.5)).copy()
    want[3] = np.nan
    for lam in (per_line, per_edge):
        np.testing.assert_array_equal(jaxtv.prox_tv_1d(x, lam), want)
    assert np.isnan(jaxtv.prox_tv_1d(x, bad)).all()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 5, 9])
def test_a_bad_sample_at_any_place_of_the_line(place, bad):
    for n in (1, 2, 10):
        x = jnp.array(signal("noise", (n,))).at[min(place, n - 1)].set(bad)
        for lam in (0.5, 1e9, np.inf):
            assert np.isnan(jaxtv.prox_tv_1d(x, lam)).all()


@pytest.mark.parametrize("what", [*BAD, "lam"])
@pytest.mark.parametrize("name", ["sweeps", "converged"])
def test_an_image_that_is_bad_spoils_no_other(name, what):
    x = jnp.array(signal("noise", (4, 9, 8)))
    lam = jnp.full((4, 1, 1), 0.3)
    clean = np.asarray(SOLVERS[name](x, lam))
    if what == "lam":
        y = SOLVERS[name](x, lam.at[2].set(-0.1))
    else:
        y = SOLVERS[name](x.at[2, 3, 3].set(what), lam)
    assert np.isnan(y[2]).all()
    others = np.array([0, 1, 3])
    assert bits(y[others]) == bits(clean[others])


def test_info_of_a_bad_image():
    x = jnp.array(signal("noise", (3, 9, 8))).at[1, 2, 2].set(jnp.nan)
    _, info = jaxtv.prox_tv_2d(x, 0.3, return_info=True)
    assert info.converged.tolist() == [True, False, True]


@pytest.mark.parametrize("bad", BAD)
def test_the_gradient_of_a_bad_line_is_nan_and_no_other(bad):
    x = jnp.array(signal("walk", (6, 12)))
    grad = jax.grad(lambda x: jnp.sum(jaxtv.prox_tv_1d(x, 0.5) * jnp.arange(1.0, 13.0)))
    want = np.asarray(grad(x)).copy()
    want[2] = np.nan
    np.testing.assert_array_equal(grad(x.at[2, 4].set(bad)), want)


@pytest.mark.parametrize("name", ["sweeps", "converged"])
def test_the_gradient_of_a_bad_image_is_nan_and_no_other(name):
    x = jnp.array(signal("noise", (3, 6, 5)))
    grad = jax.grad(lambda x: jnp.sum(SOLVERS[name](x, 0.3) ** 2))
    want = np.asarray(grad(x)).copy()
    want[1] = np.nan
    np.testing.assert_array_equal(grad(x.at[1, 4, 0].set(jnp.nan)), want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [0.5, 2.0, 64.0])
def test_numbers_near_the_smallest(factor, dtype):
    """Kernels may flush subnormal numbers to zero: errors up to the smallest normal one."""
    tiny = float(jnp.finfo(dtype).tiny)
    x = np.asarray(signal("walk", (4, 25)) * factor * tiny, dtype)
    lam = np.asarray(0.7 * factor * tiny, dtype)
    y = np.float64(jaxtv.prox_tv_1d(jnp.array(x), jnp.array(lam)))
    want = oracle.prox_1d(np.float64(x) / tiny, np.float64(lam) / tiny)
    # Flushing moves an input by up to one smallest normal number and lam by as much, and the prox
    # passes that on at most in full (2 lam / length for lam). It also takes up to one from each
    # difference and partial sum: one or two per sample, averaged over the run.
    np.testing.assert_allclose(y / tiny, want, rtol=1e-5, atol=4.0)


LINE_SOLVERS = {
    "direct": jax.jit(jaxtv.prox_tv_1d),
    "newton": jax.jit(functools.partial(jaxtv.prox_tv_1d, method="newton")),
    "reference": jax.jit(lambda x, lam: plain_tv1d.prox(x, jnp.atleast_2d(lam), axis=1)),
    "reference newton": jax.jit(
        lambda x, lam: plain_newton.newton(x, jnp.atleast_2d(lam), axis=1, max_steps=100)[0]
    ),
}
# To the largest powers of two with which the samples of a test neither overflow nor lose digits.
each_factor = pytest.mark.parametrize(
    ("dtype", "exponent"),
    [
        (d, e)
        for d, es in {"float32": (-90, 70, 123), "float64": (-950, 600, 1019)}.items()
        for e in es
    ],
)


def assert_scales(solve, x, lam, dtype, exponent, slack=0.0):
    """prox(c x, c lam) is c prox(x, lam), but for what is below the smallest normal number."""
    x, lam = np.asarray(x, dtype), np.asarray(lam, dtype)
    y = np.float64(solve(jnp.array(x), jnp.array(lam)))
    scaled = solve(jnp.array(np.ldexp(x, exponent)), jnp.array(np.ldexp(lam, exponent)))
    lost = np.ldexp(float(jnp.finfo(dtype).tiny), -exponent)
    slack += rounding_in_step(dtype) * np.abs(x).max()
    assert (np.abs(np.ldexp(np.float64(scaled), -exponent) - y) <= lost + slack).all()


@each_factor
@pytest.mark.parametrize("lam", [0.5, 20.0, np.inf])
@pytest.mark.parametrize("kind", ["noise", "steps"])
@pytest.mark.parametrize(("solver", "n"), [*((s, 40) for s in LINE_SOLVERS), ("direct", 100)])
def test_no_scale_of_a_line_costs_digits(solver, n, kind, lam, dtype, exponent):
    """Where sums over a line would over- or underflow, too: to the last bit."""
    assert_scales(LINE_SOLVERS[solver], signal(kind, (6, n)), lam, dtype, exponent)


@each_factor
@pytest.mark.parametrize(
    ("count", "n"), [(1, 300), (20, 300), (1, 3000), pytest.param(1, 10_000, marks=large)]
)
def test_no_scale_costs_digits_with_a_weight_for_each_edge(count, n, dtype, exponent):
    w = np.random.default_rng(1).exponential(size=(count, n - 1)).astype(np.float32)
    w[:, ::3] = np.inf
    assert_scales(jaxtv.prox_tv_1d, signal("walk", (count, n)) / 256, w, dtype, exponent)


@each_factor
@pytest.mark.parametrize("lam", [0.2, np.inf])
@pytest.mark.parametrize("num_sweeps", [None, 3])
def test_no_scale_of_an_image_costs_digits(num_sweeps, lam, dtype, exponent):
    """Nor sweeps to a tolerance, but that they may stop at another sweep."""
    solve = functools.partial(jaxtv.prox_tv_2d, num_sweeps=num_sweeps)
    x = signal("noise", (2, 17, 12))
    slack = 0.0 if num_sweeps else 2e-3 * np.linalg.norm(x)
    assert_scales(solve, x, lam, dtype, exponent, slack)


@pytest.mark.parametrize("solver", LINE_SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_numbers(dtype, solver):
    """Their differences overflow, and so do their sums."""
    top = float(jnp.finfo(dtype).max)
    signs = np.sign(signal("noise", (6, 40)))
    y = LINE_SOLVERS[solver](jnp.array(signs * top, dtype), jnp.array(top / 4, dtype))
    want = oracle.prox_1d(signs, 0.25)
    np.testing.assert_allclose(np.asarray(y) / top, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("solver", LINE_SOLVERS)
def test_rounding_leaves_the_largest_numbers_finite(solver):
    """Newton's method stops within 1e-12 of the range, with jumps up from the largest number."""
    top = float(np.finfo(np.float64).max)
    x = jnp.array([[0.0] + 6 * [top]])
    lam = jnp.array([[7e295, 3e296, 9e306, 2e296, 1e301, 2e296]])
    np.testing.assert_allclose(LINE_SOLVERS[solver](x, lam)[0, 1:], top, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sum_that_overflows_is_not_finite(dtype):
    top = float(jnp.finfo(dtype).max)
    x = jnp.array(np.sign(signal("noise", (4, 40))) * top, dtype)
    assert not np.isfinite(jaxtv.lambda_max(x)).any()
    assert not np.isfinite(jaxtv.total_variation(x, axes=(-1,))).any()


def test_the_same_call_gives_the_same_bits():
    x, lam = jnp.array(signal("walk", (65, 130)), "float32"), jnp.float32(0.8)
    first = bits(jaxtv.prox_tv_1d(x, lam))
    assert all(bits(jaxtv.prox_tv_1d(x, lam)) == first for _ in range(5))

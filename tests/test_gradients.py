# SPDX-License-Identifier: MIT
"""Are the derivatives those of the exact prox, in the signal and in every shape of weight?

Finite differences are taken of the float64 oracle, not of the library. The prox is piecewise
affine, so a central difference is exact up to rounding unless a kink lies within the step: the
signals below are continuous random draws, for which it does not.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import bits, signal

import jaxtv
from jaxtv._plumbing.ffi import takes_half_types

STEP = 1e-6  # rounding error of a difference: 1e-16 * 10 / 1e-6 = 1e-9


def assert_gradient(got, f, v, atol):
    """`got` is the gradient of the scalar function `f` at `v`, by central differences.

    Many entries are tested together along a few random directions, which a wrong one does not leave
    unchanged.
    """
    v = np.asarray(v, np.float64)
    assert got.shape == v.shape
    directions = np.random.default_rng(v.size).uniform(-1, 1, (8, *v.shape))
    if v.size <= 8:
        directions = np.eye(v.size).reshape(-1, *v.shape)
    for d in directions:
        slope = (f(v + STEP * d) - f(v - STEP * d)) / (2 * STEP)
        np.testing.assert_allclose(np.vdot(got, d), slope, rtol=0, atol=atol)


def cotangent(shape, seed=7):
    return np.random.default_rng(seed).normal(size=shape)


def gradients(prox, x, lam, g):
    """Gradients of <g, prox(x, lam)> in `x` and `lam` (an array or a tuple of arrays)."""
    lam = jax.tree.map(jnp.array, lam)
    return jax.grad(lambda x, lam: jnp.vdot(jnp.array(g), prox(x, lam)), (0, 1))(jnp.array(x), lam)


WEIGHT_SHAPES_1D = [(), (1,), (1, 1, 4), (3, 1, 1), (3, 1, 4), (10, 1), (10, 4), (3, 10, 4)]


@pytest.mark.parametrize("shape", WEIGHT_SHAPES_1D)
def test_one_axis_against_finite_differences(shape):
    """Scalar, per channel, image or line; per edge, shared by channels, images or nothing."""
    x, g = signal("walk", (3, 4, 11)).transpose(0, 2, 1), cotangent((3, 11, 4))
    lam = np.random.default_rng(1).uniform(0.2, 1.5, shape)
    x_bar, lam_bar = gradients(lambda x, w: jaxtv.prox_tv_1d(x, w, axis=1), x, lam, g)
    assert_gradient(x_bar, lambda v: np.vdot(g, oracle.prox_1d(v, lam, 1)), x, 1e-7)
    assert_gradient(lam_bar, lambda w: np.vdot(g, oracle.prox_1d(x, w, 1)), lam, 1e-7)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_every_axis_against_run_means(axis):
    x, g = signal("walk", (9, 8, 10)), cotangent((9, 8, 10))
    x_bar, _ = gradients(lambda x, w: jaxtv.prox_tv_1d(x, w, axis=axis), x, 0.8, g)
    y = np.asarray(jaxtv.prox_tv_1d(jnp.array(x), 0.8, axis=axis))
    np.testing.assert_allclose(x_bar, oracle.run_mean(y, g, axis), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("x", "lam", "g", "x_bar", "lam_bar"),
    [
        # Runs {0, 1}, {2}; one jump up: lam_bar = -(4 - 1.5).
        ([0.0, 0.0, 4.0], 1.0, [1.0, 2.0, 4.0], [1.5, 1.5, 4.0], -2.5),
        # A valley of one sample: s = (-1, +1), D g = (1, 2).
        ([3.0, 1.0, 3.0], 0.5, [1.0, 2.0, 4.0], [1.0, 2.0, 4.0], -1.0),
        # Each edge its own weight.
        ([3.0, 1.0, 3.0], [0.5, 0.25], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, -2.0]),
        # Above lambda_max the answer is the mean, whatever the weight.
        ([0.0, 0.0, 4.0], 100.0, [3.0, 0.0, 0.0], [1.0, 1.0, 1.0], 0.0),
        ([0.0, 0.0, 4.0], np.inf, [3.0, 0.0, 0.0], [1.0, 1.0, 1.0], 0.0),
        # No edges at all.
        ([5.0], 2.0, [3.0], [3.0], 0.0),
        # A constant line: equal neighbours form one run by convention.
        ([2.0, 2.0], 1.0, [1.0, 3.0], [2.0, 2.0], 0.0),
        # Weight zero: y = x whatever x is, but as the weight grows, y = (2 + lam/2 twice, 5 - lam).
        ([2.0, 2.0, 5.0], 0.0, [1.0, 3.0, 9.0], [1.0, 3.0, 9.0], -7.0),
    ],
)
def test_hand_cases(x, lam, g, x_bar, lam_bar):
    got = gradients(jaxtv.prox_tv_1d, x, np.asarray(lam, np.float64), g)
    np.testing.assert_allclose(got[0], x_bar, rtol=1e-14)
    np.testing.assert_allclose(got[1], lam_bar, rtol=1e-14, atol=0)


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("lines", [0, 3])
def test_short_and_empty_lines(n, lines):
    x, g = signal("noise", (lines, n)), cotangent((lines, n))
    x_bar, lam_bar = gradients(jaxtv.prox_tv_1d, x, 0.1, g)
    y = np.asarray(jaxtv.prox_tv_1d(jnp.array(x), 0.1))
    np.testing.assert_allclose(x_bar, oracle.run_mean(y, g), rtol=1e-14)
    want = -np.sum(np.sign(np.diff(y)) * np.diff(oracle.run_mean(y, g)))
    np.testing.assert_allclose(lam_bar, want, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_lower_precisions_follow_float64(dtype):
    x, g = signal("walk", (5, 30)).astype(dtype), np.asarray(cotangent((5, 30)), dtype)
    lam = jnp.array(0.5, dtype)
    x_bar, lam_bar = jax.vjp(jaxtv.prox_tv_1d, jnp.array(x), lam)[1](jnp.array(g))
    assert x_bar.dtype == dtype and lam_bar.dtype == dtype
    y = np.asarray(jaxtv.prox_tv_1d(jnp.array(x).astype("float32"), 0.5))
    want = oracle.run_mean(y, g)
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(np.float64(x_bar), want, rtol=0, atol=eps * np.abs(g).max())
    want = -np.sum(np.sign(np.diff(y)) * np.diff(want))
    # 145 terms, each rounded in float32, and one rounding to the type of lam.
    atol = eps * abs(want) + 145 * 1.2e-7 * np.abs(g).max()
    np.testing.assert_allclose(np.float64(lam_bar), want, rtol=0, atol=atol)


def test_runs_of_halves_are_found_before_rounding():
    """Two float32 values that round to one bfloat16 value are still two runs."""
    x = jnp.array([1.0, 1.0078125, 1.0], "bfloat16")
    lam = jnp.array(0.0009765625, "bfloat16")
    y, pull = jax.vjp(lambda v: jaxtv.prox_tv_1d(v, lam), x)
    assert bits(y) == bits(x)
    assert pull(jnp.array([0.0, 4.0, 0.0], "bfloat16"))[0].tolist() == [0, 4, 0]


@pytest.mark.parametrize("lam_dtype", ["float16", "float32", "float64"])
def test_the_gradient_of_the_weight_has_its_type(lam_dtype):
    x = jnp.array(signal("noise", (20,)), "float32")
    grad = jax.grad(lambda lam: jaxtv.prox_tv_1d(x, lam)[0])(jnp.array(0.25, lam_dtype))
    assert grad.dtype == lam_dtype
    y = np.asarray(jaxtv.prox_tv_1d(x, 0.25))
    start, stop = oracle._runs(y)[
        0
    ]  # the first value is a mean of inputs plus or minus lam / length
    np.testing.assert_allclose(grad, np.sign(y[stop] - y[0]) / (stop - start), rtol=1e-3)


@pytest.mark.parametrize("lam", [0.3, 5.0, 1e4])
def test_a_gradient_is_kept_constant_on_runs_and_keeps_its_sum(lam):
    x, g = signal("walk", (6, 200)), cotangent((6, 200))
    x_bar, _ = gradients(jaxtv.prox_tv_1d, x, lam, g)
    y = np.asarray(jaxtv.prox_tv_1d(jnp.array(x), lam))
    assert (np.diff(np.asarray(x_bar))[np.diff(y) == 0] == 0).all()
    np.testing.assert_allclose(x_bar.sum(-1), g.sum(-1), rtol=0, atol=1e-12)


TWO_AXIS_WEIGHTS = {
    "scalar": lambda r: r.uniform(0.2, 0.6),
    "per channel": lambda r: r.uniform(0.2, 0.6, (2,)),
    "per image": lambda r: r.uniform(0.2, 0.6, (2, 1, 1, 1)),
    "one per axis": lambda r: (np.float64(0.3), np.float64(0.5)),
    "per line": lambda r: (r.uniform(0.2, 0.6, (1, 5, 1)), r.uniform(0.2, 0.6, (6, 1, 1))),
    "per edge": lambda r: (r.uniform(0.2, 0.6, (5, 5, 2)), r.uniform(0.2, 0.6, (2, 6, 4, 1))),
}


def per_axis(lam):
    return lam if isinstance(lam, tuple) else (lam, lam)


def check_two_axes(prox, solve, lam, atol):
    """Compare the gradients of `prox(x, lam)` with finite differences of `solve(x, lams)`."""
    x, g = signal("noise", (2, 2, 6, 5)).transpose(0, 2, 3, 1), cotangent((2, 6, 5, 2))
    value = lambda x, lam: np.vdot(g, solve(x, per_axis(lam)))  # noqa: E731
    x_bar, lam_bar = gradients(prox, x, lam, g)
    assert_gradient(x_bar, lambda v: value(v, lam), x, atol)
    if not isinstance(lam, tuple):
        assert_gradient(lam_bar, lambda w: value(x, w), lam, atol)
        return
    for i in range(2):
        of_one = lambda w, i=i: value(x, (*lam[:i], w, *lam[i + 1 :]))  # noqa: E731
        assert_gradient(lam_bar[i], of_one, lam[i], atol)


@pytest.mark.parametrize("num_sweeps", [1, 4])
@pytest.mark.parametrize("kind", TWO_AXIS_WEIGHTS)
def test_sweeps_against_finite_differences(kind, num_sweeps):
    """Exactly K sweeps, differentiated through the sweeps: the derivative of the literal Alg. 1."""
    lam = TWO_AXIS_WEIGHTS[kind](np.random.default_rng(2))
    prox = lambda x, lam: jaxtv.prox_tv_2d(x, lam, axes=(1, 2), num_sweeps=num_sweeps)  # noqa: E731
    solve = lambda x, lams: oracle.dykstra(x, lams, (1, 2), num_sweeps)  # noqa: E731
    check_two_axes(prox, solve, lam, 1e-7)


@pytest.mark.parametrize("kind", TWO_AXIS_WEIGHTS)
def test_the_converged_image_against_finite_differences(kind):
    """Iterated to a tolerance: the derivative at the solution, not that of the iterations."""
    lam = TWO_AXIS_WEIGHTS[kind](np.random.default_rng(2))
    prox = lambda x, lam: jaxtv.prox_tv_2d(x, lam, axes=(1, 2), tol=1e-9, max_sweeps=5000)  # noqa: E731
    check_two_axes(prox, lambda x, lams: oracle.prox_nd(x, lams, (1, 2)), lam, 1e-5)


def test_three_axes_against_finite_differences():
    x, g = signal("noise", (4, 3, 5)), cotangent((4, 3, 5))
    prox = lambda x, lam: jaxtv.prox_tv(x, lam, axes=(0, 1, 2), tol=1e-9, max_sweeps=5000)  # noqa: E731
    x_bar, lam_bar = gradients(prox, x, np.float64(0.2), g)
    value = lambda x, lam: np.vdot(g, oracle.prox_nd(x, [lam] * 3, (0, 1, 2)))  # noqa: E731
    assert_gradient(x_bar, lambda v: value(v, 0.2), x, 1e-5)
    assert_gradient(lam_bar, lambda w: value(x, w), 0.2, 1e-5)


def test_total_variation_away_from_ties():
    x, lam = signal("noise", (3, 5, 4)), np.random.default_rng(0).random((4, 4))
    f = lambda x, lam: jnp.sum(jaxtv.total_variation(x, axes=(1,), lam=lam) ** 2)  # noqa: E731
    got = jax.grad(f, (0, 1))(jnp.array(x), jnp.array(lam))
    value = lambda x, lam: np.sum(oracle.total_variation(x, (1,), [lam]) ** 2)  # noqa: E731
    assert_gradient(got[0], lambda v: value(v, lam), x, 1e-6)
    assert_gradient(got[1], lambda w: value(x, w), lam, 1e-6)


def test_descent_on_the_weight_finds_the_best_one():
    """The gradient is useful: it leads to the weight that an exhaustive search finds."""
    clean = np.repeat(signal("noise", (4, 6)), 20, axis=1)
    noisy = jnp.array(clean + 0.3 * cotangent(clean.shape))
    loss = jax.jit(lambda lam: jnp.mean((jaxtv.prox_tv_1d(noisy, lam) - clean) ** 2))
    step = jax.jit(lambda lam: lam - 2.0 * jax.grad(loss)(lam))
    lam = jnp.array(0.01)
    for _ in range(200):
        lam = step(lam)
    best = min(loss(jnp.array(v)) for v in np.linspace(0, 2, 401))
    assert loss(lam) <= best * 1.001 < loss(jnp.array(0.01)) / 2


@pytest.mark.parametrize("lam", [np.zeros(()), np.zeros((2, 1)), np.zeros((2, 4))])
def test_without_weight_equal_neighbours_are_not_tied(lam):
    x = jnp.zeros((2, 5))
    y_bar = jnp.array(np.random.default_rng(0).normal(size=(2, 5)))
    _, pull = jax.vjp(lambda x: jaxtv.prox_tv_1d(x, jnp.array(lam)), x)
    np.testing.assert_array_equal(pull(y_bar)[0], y_bar)


def test_an_edge_without_weight_ties_nothing_beside_others_that_do():
    x, lam = jnp.zeros(5), jnp.array([1.0, 0.0, 1.0, 1.0])
    y_bar = jnp.arange(5.0)
    _, pull = jax.vjp(lambda x: jaxtv.prox_tv_1d(x, lam), x)
    np.testing.assert_allclose(pull(y_bar)[0], [0.5, 0.5, 3, 3, 3])


def every_derivative(f, x, lam, y_bar, dx, dlam):
    """Reverse and forward, in one operand and in both, and of the reverse again; and of a batch."""

    def pull(x, lam, y_bar):
        return jax.vjp(f, x, lam)[1](y_bar)

    again = jax.vjp(pull, x, lam, y_bar)[1]
    return (
        f(x, lam),
        pull(x, lam, y_bar),
        jax.vjp(lambda lam: f(x, lam), lam)[1](y_bar),
        jax.jvp(f, (x, lam), (dx, dlam)),
        jax.jvp(lambda x: f(x, lam), (x,), (dx,)),
        again((dx, dlam)),
        again((0 * dx, dlam)),
        jax.vmap(f, (1, None))(jnp.stack([x, y_bar], 1), lam),
    )


HALF = [((3, 40), 1, 1), ((5, 33, 2), 1, 1), ((3, 9), 1, 8), ((2, 300), 1, 1)]


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
@pytest.mark.parametrize(("shape", "axis", "edges"), HALF)
def test_half_types_are_computed_in_float32(shape, axis, edges, half):
    """Bit for bit what conversions around the call give: neither runs nor means are rounded.

    Around a number at which levels of neighbouring runs are often rounded to one.
    """
    rng, large = np.random.default_rng(3), 0.8 / float(jnp.finfo(half).eps)
    x, dx, y_bar = (jnp.array(k + rng.normal(size=shape), half) for k in (large, 0, 0))
    sizes = [edges if d == axis else 1 for d in range(len(shape))]
    lam, dlam = (jnp.array(rng.exponential(0.5, sizes), "float32") for _ in range(2))
    solve = functools.partial(jaxtv.forward.prox_tv_1d, axis=axis)

    def around(x, lam):
        return solve(x.astype("float32"), lam).astype(half)

    moved = (x, lam, y_bar, dx, dlam)
    got, want = (jax.tree.leaves(every_derivative(f, *moved)) for f in (solve, around))
    assert [a.dtype for a in got] == [a.dtype for a in want]
    assert [*map(bits, got)] == [*map(bits, want)]


def test_no_pass_converts_short_lines_of_half_types():
    """The kernels read and write them; only the result that has the runs is of float32."""
    if not takes_half_types("jaxtv_prox_tv1d", jax.default_backend(), (32,)):
        pytest.skip("no kernel for half types here")
    x = jnp.zeros((64, 32), "bfloat16")

    def step(x, lam, y_bar):
        y, pull = jax.vjp(jaxtv.prox_tv_1d, x, lam)
        return y, *pull(y_bar)

    text = jax.jit(step).lower(x, jnp.float32(1), x).compile().as_text()
    calls = re.findall(r" = \((.*?)\) custom-call\((.*?)\).*?\"(jaxtv_\w+)\"", text)
    assert [name for _, _, name in calls] == ["jaxtv_prox_tv1d_unrounded", "jaxtv_pull_back"]
    assert " convert(" not in text

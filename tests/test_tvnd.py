# SPDX-License-Identifier: MIT
"""Are images and volumes solved: exactly Alg. 1 for K sweeps, to a true certificate otherwise?"""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import bits, large, signal
from hypothesis import given
from hypothesis import strategies as st

import jaxtv

DTYPES = ("float32", "float64")


def relative(dtype):
    return 1e-12 if dtype == "float64" else 8 * float(jnp.finfo(dtype).eps)


def deviation(x, axes):
    """||x - mean(x)|| per image."""
    x = np.asarray(x, np.float64)
    return np.sqrt(np.sum((x - x.mean(axes, keepdims=True)) ** 2, axes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_sweeps", [0, 1, 2, 4, 9])
@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "integers"])
def test_sweeps_are_algorithm_1(kind, num_sweeps, dtype):
    x = signal(kind, (3, 11, 14))
    y = jaxtv.prox_tv_2d(jnp.array(x, dtype), 0.5, num_sweeps=num_sweeps)
    want = oracle.dykstra(x, (0.5, 0.5), (1, 2), num_sweeps)
    assert y.dtype == dtype
    # Each sweep adds the rounding of two exact solves and of two updates of the same size.
    atol = (4 * num_sweeps + 1) * relative(dtype) * np.abs(x).max()
    np.testing.assert_allclose(y, want, rtol=0, atol=atol)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (1, 3), (-3, -2), (3, 0), (2, -4)])
@pytest.mark.parametrize("num_sweeps", [3, None])
def test_any_two_axes_in_any_order(axes, num_sweeps):
    x = signal("noise", (3, 5, 2, 4))
    y = jaxtv.prox_tv_2d(jnp.array(x), 0.3, axes=axes, num_sweeps=num_sweeps, tol=1e-8)
    if num_sweeps:
        want = oracle.dykstra(x, (0.3, 0.3), axes, num_sweeps)
    else:
        want = oracle.prox_nd(x, (0.3, 0.3), axes)
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-12 if num_sweeps else 1e-7)


WEIGHTS = {
    "scalar": lambda r: 0.3,
    "per image": lambda r: r.uniform(0.1, 1, (2, 1, 1, 1)),
    "per channel": lambda r: r.uniform(0.1, 1, (3,)),
    "one per axis": lambda r: (0.2, 0.7),
    "zero on one axis": lambda r: (0.0, 0.5),
    "zero on the other": lambda r: (0.5, 0.0),
    "per line": lambda r: (r.uniform(0.1, 1, (1, 9, 1)), r.uniform(0.1, 1, (2, 8, 1, 3))),
    "per edge": lambda r: (r.uniform(0, 1, (7, 9, 3)), r.uniform(0, 1, (2, 8, 8, 1))),
}


@pytest.mark.parametrize("num_sweeps", [1, 4, None])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_shape_of_weight(kind, num_sweeps):
    x, lam = signal("noise", (2, 8, 9, 3)), WEIGHTS[kind](np.random.default_rng(0))
    given_lam = jax.tree.map(jnp.array, lam)
    options = {"axes": (1, 2), "num_sweeps": num_sweeps, "tol": 1e-8}
    y = jaxtv.prox_tv_2d(jnp.array(x), given_lam, **options)
    lams = lam if isinstance(lam, tuple) else (lam, lam)
    if num_sweeps:
        want, atol = oracle.dykstra(x, lams, (1, 2), num_sweeps), 1e-12 * 4 * num_sweeps
    else:
        want, atol = oracle.prox_nd(x, lams, (1, 2)), 1e-7
    np.testing.assert_allclose(y, want, rtol=0, atol=atol * np.abs(x).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("lam", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "integers"])
def test_the_certificate_is_true(kind, lam, tol, dtype):
    """The distance to the true answer is within the bound, and the bound within the tolerance."""
    x = signal(kind, (2, 16, 12))
    y, info = jaxtv.prox_tv_2d(jnp.array(x, dtype), lam, tol=tol, max_sweeps=2000, return_info=True)
    want = oracle.prox_nd(x, (lam, lam), (1, 2))
    error = np.sqrt(np.sum((np.float64(y) - want) ** 2, (1, 2)))
    rounding = relative(dtype) * np.linalg.norm(x)
    assert info.converged.all()
    assert (error <= np.float64(info.error_bound) + rounding).all()
    owed = tol * deviation(x, (1, 2))
    assert (np.sqrt(np.float64(info.gap)) <= owed * (1 + 1e-6)).all()
    assert (error <= owed + rounding).all()


@large
@pytest.mark.parametrize("kind", ["noise", "walk"])
def test_the_certificate_is_true_on_larger_images(kind):
    x = signal(kind, (2, 64, 80))
    y, info = jaxtv.prox_tv_2d(jnp.array(x, "float32"), 0.4, return_info=True)
    want = oracle.prox_nd(x, (0.4, 0.4), (1, 2))
    error = np.sqrt(np.sum((np.float64(y) - want) ** 2, (1, 2)))
    assert info.converged.all()
    assert (error <= np.minimum(info.error_bound, 1e-3 * deviation(x, (1, 2)))).all()


def test_info_has_the_shape_of_the_batch():
    x = jnp.array(signal("noise", (2, 8, 7, 3)))
    y, info = jaxtv.prox_tv_2d(x, 0.3, axes=(1, 2), return_info=True)
    assert bits(y) == bits(jaxtv.prox_tv_2d(x, 0.3, axes=(1, 2)))
    for field in (info.gap, info.error_bound, info.sweeps, info.converged):
        assert field.shape == (2, 3)
    assert info.converged.dtype == bool and (info.gap >= 0).all() and (info.sweeps >= 1).all()
    leaves = jax.tree.leaves(jax.jit(lambda x: jaxtv.prox_tv_2d(x, 0.3, return_info=True))(x))
    assert len(leaves) == 6  # y and five fields: a pytree that crosses jit


def test_too_few_sweeps_are_admitted():
    x = signal("walk", (2, 24, 24))
    options = {"tol": 1e-6, "max_sweeps": 2, "return_info": True}
    y, info = jaxtv.prox_tv_2d(jnp.array(x), 1.0, **options)
    error = np.sqrt(np.sum((y - oracle.prox_nd(x, (1.0, 1.0), (1, 2))) ** 2, (1, 2)))
    assert not info.converged.any() and (info.sweeps <= 2).all()
    assert (error <= info.error_bound).all() and (error > 1e-6 * deviation(x, (1, 2))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tighter_tolerance_is_a_smaller_error(dtype):
    x = signal("noise", (1, 20, 20))
    want = oracle.prox_nd(x, (0.5, 0.5), (1, 2))
    solve = lambda tol: jaxtv.prox_tv_2d(jnp.array(x, dtype), 0.5, tol=tol, max_sweeps=5000)  # noqa: E731
    errors = [np.linalg.norm(np.float64(solve(tol)) - want) for tol in (1e-1, 1e-3, 1e-5)]
    assert errors[2] <= 1e-5 * deviation(x, (1, 2))[0] + relative(dtype) * np.linalg.norm(x)
    assert errors[0] >= errors[2]


@pytest.mark.parametrize("num_sweeps", [4, None])
def test_easy_and_hard_images_stop_on_their_own(num_sweeps):
    lam = np.array([0.01, 3.0, 0.3, 0.0, 1e6]).reshape(5, 1, 1)
    x = jnp.array(signal("noise", (5, 13, 12)))
    solve = jax.jit(lambda x, lam: jaxtv.prox_tv_2d(x, lam, num_sweeps=num_sweeps))
    together = solve(x, jnp.array(lam))
    for i in range(5):
        assert bits(solve(x[i : i + 1], jnp.array(lam[i : i + 1]))) == bits(together[i : i + 1])


def test_sweeps_used_are_counted_per_image():
    lam = jnp.array([0.001, 2.0]).reshape(2, 1, 1)
    x = jnp.array(signal("walk", (2, 24, 24)))
    _, info = jaxtv.prox_tv_2d(x, lam, return_info=True)
    assert info.sweeps[0] < info.sweeps[1]


@pytest.mark.parametrize("num_sweeps", [3, None])
@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_halves_are_float32_answers_rounded_once(half, num_sweeps):
    x = jnp.array(signal("noise", (2, 9, 8)), half)
    y = jaxtv.prox_tv_2d(x, 0.5, num_sweeps=num_sweeps)
    single = jaxtv.prox_tv_2d(x.astype("float32"), 0.5, num_sweeps=num_sweeps)
    assert y.dtype == half and bits(y) == bits(single.astype(half))


def test_one_axis_is_the_prox_of_a_line():
    x = jnp.array(signal("walk", (4, 30, 3)))
    y = jaxtv.prox_tv(x, 0.8, axes=(1,))
    np.testing.assert_allclose(y, jaxtv.prox_tv_1d(x, 0.8, axis=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_sweeps", [2, None])
def test_two_axes_are_an_image(num_sweeps):
    x = jnp.array(signal("noise", (3, 9, 8)))
    options = {"axes": (0, 2), "num_sweeps": num_sweeps}
    assert bits(jaxtv.prox_tv(x, 0.3, **options)) == bits(jaxtv.prox_tv_2d(x, 0.3, **options))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("axes", "lam"), [((0, 1, 2), 0.2), ((2, 0, 1), 0.6), ((1, 2, 3), 0.3)])
def test_three_axes(axes, lam, dtype):
    x = signal("noise", (5, 6, 7) if max(axes) == 2 else (2, 5, 4, 6))
    options = {"axes": axes, "max_sweeps": 3000, "return_info": True}
    y, info = jaxtv.prox_tv(jnp.array(x, dtype), lam, **options)
    want = oracle.prox_nd(x, [lam] * 3, axes)
    error = np.sqrt(np.sum((np.float64(y) - want) ** 2, axes))
    assert info.converged.all()
    assert (error <= np.minimum(info.error_bound, 1e-3 * deviation(x, axes))).all()


def test_three_axes_with_a_weight_each_and_four_axes():
    x, rng = signal("noise", (4, 5, 3, 4)), np.random.default_rng(0)
    lams = (0.1, rng.uniform(0, 1, (4, 3, 1)), 0.4)
    given_lams = tuple(map(jnp.array, lams))
    y = jaxtv.prox_tv(jnp.array(x), given_lams, axes=(0, 1, 2), tol=1e-8, max_sweeps=9000)
    np.testing.assert_allclose(y, oracle.prox_nd(x, lams, (0, 1, 2)), rtol=0, atol=1e-6)
    y = jaxtv.prox_tv(jnp.array(x), 0.2, axes=range(4), tol=1e-6, max_sweeps=9000)
    np.testing.assert_allclose(y, oracle.prox_nd(x, [0.2] * 4, range(4)), rtol=0, atol=1e-4)


@given(st.integers(0, 500), st.sampled_from([0.02, 0.2, 1.0, 7.0]), st.sampled_from(DTYPES))
def test_random_images_are_within_the_tolerance(seed, lam, dtype):
    kind = ("noise", "walk", "steps", "ramp", "alternating", "integers", "constant")[seed % 7]
    x = signal(kind, (2, 10, 9), seed)
    y, info = jaxtv.prox_tv_2d(jnp.array(x, dtype), lam, max_sweeps=2000, return_info=True)
    error = np.sqrt(np.sum((np.float64(y) - oracle.prox_nd(x, (lam, lam), (1, 2))) ** 2, (1, 2)))
    assert info.converged.all()
    assert (error <= 1e-3 * deviation(x, (1, 2)) + relative(dtype) * np.linalg.norm(x)).all()


@pytest.mark.parametrize("exponent", [-30, -15, 15, 30])
def test_the_tolerance_is_relative(exponent):
    """A certificate squares the values: float32 images of 1e30 or 1e-30 must not break it."""
    x = signal("noise", (2, 10, 9))
    scaled = jnp.array(x * 10.0**exponent, "float32")
    lam = jnp.array(0.3 * 10.0**exponent, "float32")
    y, info = jaxtv.prox_tv_2d(scaled, lam, return_info=True)
    error = np.float64(y) / 10.0**exponent - oracle.prox_nd(x, (0.3, 0.3), (1, 2))
    assert info.converged.all()
    assert (np.sqrt(np.sum(error**2, (1, 2))) <= 1e-3 * deviation(x, (1, 2))).all()


def test_a_constant_image_is_kept():
    x = jnp.full((2, 6, 7), 0.3)
    y, info = jaxtv.prox_tv_2d(x, 0.5, return_info=True)
    np.testing.assert_allclose(y, x, rtol=1e-15)
    assert info.converged.all()

# SPDX-License-Identifier: MIT
"""Is lambda_max of several axes a true bound, near the smallest, whatever the image and type?

The smallest weight is found by linear programming: least max |p| with D^T p = x - mean(x).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import signal
from scipy import sparse
from scipy.optimize import linprog

import jaxtv
from jaxtv import _lambda_max

RNG = np.random.default_rng(0)
IMAGES = {
    "noise": signal("noise", (14, 17)),
    "walk": signal("walk", (16, 12)),
    "ramp": np.add.outer(np.arange(9.0), 3 * np.arange(12.0)),
    "square": np.pad(np.ones((5, 6)), ((4, 5), (2, 7))),
    "spike": np.pad([[4.0]], 8),
    "corner": np.pad([[2.0]], ((0, 9), (0, 9))),
    "thin": signal("noise", (2, 40)),
    "volume": signal("noise", (5, 4, 6)),
}


def differences(shape):
    """The matrix of differences to the next pixel, all axes below each other."""
    rows = []
    for axis, n in enumerate(shape):
        d = sparse.diags([-np.ones(n - 1), np.ones(n - 1)], [0, 1], shape=(n - 1, n))
        parts = [sparse.eye(m) for m in shape]
        parts[axis] = d
        rows.append(functools.reduce(sparse.kron, parts))
    return sparse.vstack(rows).tocsc()


def smallest(x):
    x = np.asarray(x, np.float64)
    d = differences(x.shape)
    m, n = d.shape
    one, eye = np.ones((m, 1)), sparse.eye(m)
    found = linprog(
        np.append(np.zeros(m), 1),
        A_ub=sparse.bmat([[eye, -one], [-eye, -one]]),
        b_ub=np.zeros(2 * m),
        A_eq=sparse.hstack([d.T, sparse.csc_matrix((n, 1))]),
        b_eq=(x - x.mean()).ravel(),
        bounds=(None, None),
    )
    assert found.status == 0
    return found.fun


def test_images_too_long_for_the_transform(monkeypatch):
    monkeypatch.setattr(_lambda_max, "LONGEST", 8)
    x = IMAGES["noise"]
    bound = jax.jit(lambda x: _lambda_max._of_images.__wrapped__(x, (0, 1), False))(jnp.array(x))
    assert 2 * smallest(x) < bound < 20 * smallest(x)  # looser than the transform's, but a bound


def all_axes(x):
    return tuple(range(np.ndim(x)))


@pytest.mark.parametrize("kind", IMAGES)
def test_between_the_smallest_and_twice_it(kind):
    x = IMAGES[kind]
    want = smallest(x)
    got = jaxtv.lambda_max(jnp.array(x), axes=all_axes(x))
    assert want * (1 - 1e-9) <= got <= 2 * want
    if kind in ("spike", "corner"):  # by symmetry all edges of the pixel carry the same
        np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_does_not_make_it_smaller(dtype):
    """Corners, whose two edges carry half of x - mean(x) each: what protects is the slack."""
    scale, offset = RNG.lognormal(size=(2, 200, 1, 1))
    x = jnp.array(IMAGES["corner"] * scale + 100 * offset, dtype)
    wide = np.asarray(x, np.longdouble)
    want = (wide[:, 0, 0] - wide.mean((1, 2))) / 2
    got = np.asarray(jaxtv.lambda_max(x, axes=(1, 2)), np.longdouble)
    slack = 8 * 10 * jnp.finfo(dtype).eps * (wide.max((1, 2)) + 2 * want)
    assert (want <= got).all() and (got <= want + 1.1 * slack).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", IMAGES)
def test_the_prox_at_it_is_the_mean(kind, dtype):
    x = jnp.array(IMAGES[kind], dtype)
    prox = functools.partial(jaxtv.prox_tv, x, axes=all_axes(x), tol=1e-5, return_info=True)
    top = jaxtv.lambda_max(x, axes=all_axes(x))
    y, info = prox(top)
    assert jnp.linalg.norm(y - x.mean()) <= info.error_bound + 1e-6 * jnp.linalg.norm(x)
    y, info = prox(0.49 * top)
    assert jnp.linalg.norm(y - x.mean()) > 2 * info.error_bound


def test_a_batch_of_any_layout():
    x = signal("noise", (7, 3, 6))  # [H, C, W]
    got = jaxtv.lambda_max(jnp.array(x), axes=(0, -1))
    assert got.shape == (3,)
    for k in range(3):
        np.testing.assert_allclose(got[k], jaxtv.lambda_max(jnp.array(x[:, k]), axes=(0, 1)))
    kept = jaxtv.lambda_max(jnp.array(x), axes=(0, -1), keepdims=True)
    assert kept.shape == (1, 3, 1)
    np.testing.assert_allclose(jaxtv.lambda_max(jnp.array(x), axes=(-1, 0)), got)
    mapped = jax.vmap(functools.partial(jaxtv.lambda_max, axes=(0, 1)), 1)(jnp.array(x))
    np.testing.assert_allclose(mapped, got)


def test_one_axis_is_a_line():
    x = jnp.array(signal("noise", (4, 30)))
    np.testing.assert_array_equal(jaxtv.lambda_max(x, axes=(1,)), jaxtv.lambda_max(x, axis=1))
    flat = jaxtv.lambda_max(x[:, None], axes=(1, 2))  # an axis of one pixel has no differences
    np.testing.assert_allclose(flat, jaxtv.lambda_max(x), rtol=1e-12)


def test_trivial_images():
    bound = functools.partial(jaxtv.lambda_max, axes=(1, 2))
    x = jnp.zeros((4, 3, 5), "float32").at[1].set(0.1).at[2, 0, 0].set(jnp.nan)
    np.testing.assert_array_equal(bound(x), [0, 0, np.nan, 0])
    assert bound(x[:, :1, :1]).tolist()[:2] == [0, 0]
    assert bound(x[:, :0]).tolist() == [0] * 4
    half = bound(jnp.array(RNG.normal(size=(2, 3, 5)), "float16"))
    assert half.dtype == "float32"


def test_no_sum_overflows():
    x = jnp.array(signal("noise", (6, 8)), "float32")
    x /= jnp.abs(x).max()
    for unit in (1e-30, 3e38):
        got = jaxtv.lambda_max(x * unit, axes=(0, 1)) / unit
        np.testing.assert_allclose(got, jaxtv.lambda_max(x, axes=(0, 1)), rtol=1e-4)


def test_its_derivative_is_that_of_the_flow():
    x = jnp.array(IMAGES["noise"])
    step = 1e-6 * jnp.array(signal("noise", x.shape, 3))
    bound = functools.partial(jaxtv.lambda_max, axes=(0, 1))
    slope = (bound(x + step) - bound(x - step)) / 2
    np.testing.assert_allclose(jnp.vdot(jax.grad(bound)(x), step), slope, rtol=1e-5)

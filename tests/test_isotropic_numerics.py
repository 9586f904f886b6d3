# SPDX-License-Identifier: MIT
"""What is the coupled prox of missing, infinite, huge, tiny, complex and wrong numbers?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from isotropic_models import AXES, IMAGE, MASK, energies, options

import jaxtv

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(21)


@pytest.mark.parametrize("name", ["channels", "periodic, anisotropic", "masked"])
def test_rules_for_numbers(name):
    how = options(name)
    x = np.tile(IMAGE, (3, 1, 1, 1))
    solve = functools.partial(jaxtv.prox_tv, axes=(2, 3), **how)
    if "channel_axis" in how:
        how["channel_axis"] = 1
        solve = functools.partial(jaxtv.prox_tv, axes=(2, 3), **how)
    solve = jax.jit(solve, static_argnames="return_info")
    known = how.get("data_weight", jnp.ones(())) > 0
    same = solve(jnp.asarray(x), 0.0)
    kept = np.broadcast_to(np.asarray(known), x.shape)
    np.testing.assert_array_equal(np.asarray(same)[kept], x[kept])
    y = solve(jnp.asarray(x), jnp.inf)
    weight = np.broadcast_to(how.get("data_weight", 1.0), x.shape)
    mean = (weight * x).sum((2, 3)) / weight.sum((2, 3))
    if "data_weight" not in how:
        np.testing.assert_allclose(y, np.broadcast_to(mean[..., None, None], x.shape), atol=1e-12)
    bad = x.copy()
    where = np.argwhere(kept[1, 0])[0]
    bad[(1, 0, *where)] = np.nan
    y, info = solve(jnp.asarray(bad), 0.3, return_info=True)
    np.testing.assert_array_equal(y[0], y[2])
    np.testing.assert_array_equal(y[0], solve(jnp.asarray(x), 0.3)[0])
    assert np.isnan(y[1] if "channel_axis" in how else y[1, 0]).all()
    assert not info.converged.all()
    lam = jnp.asarray([0.3, -1.0, 0.3])[:, None, None, None]
    y = solve(jnp.asarray(x), lam)
    assert np.isnan(y[1]).all() and not np.isnan(y[jnp.array([0, 2])]).any()
    assert np.isnan(solve(jnp.asarray(x), jnp.nan)).all()


def test_missing_pixels_may_hold_anything():
    x = jnp.asarray(IMAGE)
    solve = functools.partial(
        jaxtv.prox_tv, axes=AXES, kind="isotropic", data_weight=jnp.asarray(MASK)
    )
    expected = solve(jnp.where(MASK > 0, x, 0.0), 0.2)
    np.testing.assert_array_equal(solve(jnp.where(MASK > 0, x, jnp.nan), 0.2), expected)
    gradient = jax.grad(lambda x: (solve(x, 0.2) ** 2).sum())(jnp.where(MASK > 0, x, jnp.inf))
    assert np.isfinite(gradient).all() and (np.asarray(gradient)[:, MASK == 0] == 0).all()


def test_an_image_without_data_is_0():
    weight = jnp.ones((2, 1, 1)).at[0].set(0.0)
    y, info = jaxtv.prox_tv_2d(
        jnp.asarray(IMAGE), 0.3, kind="isotropic", data_weight=weight, return_info=True
    )
    assert (y[0] == 0).all() and info.converged.all()
    np.testing.assert_array_equal(y[1], jaxtv.prox_tv_2d(IMAGE[1], 0.3, kind="isotropic"))


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (1, 2), (7, 1)])
@pytest.mark.parametrize("periodic", [False, True])
def test_small_images(shape, periodic):
    x = jnp.asarray(RNG.standard_normal((2, *shape)))
    solve = functools.partial(
        jaxtv.prox_tv_2d, kind="isotropic", periodic=periodic, tol=1e-6, max_sweeps=50_000
    )
    y, info = solve(x, 0.2, return_info=True, init=0.0)
    assert y.shape == x.shape and info.gap.shape == (2,) and info.converged.all()
    if x.size:
        for k in range(2):
            duals = [np.asarray(p)[k] for p in info.dual]
            primal, dual, excess = energies(
                np.asarray(y)[k], duals, x[k], (0.2, 0.2), (0, 1), "isotropic", periodic=periodic
            )
            assert excess <= 1 + 1e-14 and primal - dual <= float(info.gap[k]) + 1e-14
    assert np.isfinite(jax.grad(lambda x: solve(x, 0.2).sum())(x)).all()


def test_complex_numbers_are_two_channels():
    x = jnp.asarray(IMAGE)
    pair = jaxtv.prox_tv_2d(x, 0.3, kind="isotropic", channel_axis=0)
    z = jax.lax.complex(x[0], x[1])
    y, info = jaxtv.prox_tv_2d(z, 0.3, kind="isotropic", return_info=True)
    assert info.gap.shape == () and info.converged
    np.testing.assert_allclose(y, jax.lax.complex(pair[0], pair[1]), atol=1e-12)
    twice = jax.lax.complex(jnp.stack([x, 2 * x]), jnp.stack([x, -x]))
    y = jaxtv.prox_tv(twice, 0.3, axes=(2, 3), channel_axis=0, data_weight=jnp.asarray(MASK))
    parts = jnp.concatenate([twice.real, twice.imag])
    both = jaxtv.prox_tv(parts, 0.3, axes=(2, 3), channel_axis=0, data_weight=jnp.asarray(MASK))
    np.testing.assert_allclose(y, jax.lax.complex(both[:2], both[2:]), atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_types(dtype):
    x = jnp.asarray(IMAGE, dtype)
    y, info = jaxtv.prox_tv_2d(x, 0.3, kind="isotropic", return_info=True)
    wide = jaxtv.prox_tv_2d(x.astype(jnp.float32), 0.3, kind="isotropic")
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, wide.astype(dtype))
    exact = jaxtv.prox_tv_2d(x.astype(jnp.float64), 0.3, kind="isotropic", tol=1e-6)
    error = jnp.linalg.norm((y.astype(jnp.float64) - exact).reshape(2, -1), axis=1)
    assert (error <= info.error_bound.astype(jnp.float64)).all()


def test_large_and_small_units():
    x = jnp.asarray(IMAGE, jnp.float32)
    expected = jaxtv.prox_tv_2d(x, 0.3, kind="isotropic")
    for unit in (1e30, 1e-30):
        found = jaxtv.prox_tv_2d(unit * x, unit * 0.3, kind="isotropic")
        np.testing.assert_allclose(found / unit, expected, atol=3e-3)
    offset = jaxtv.prox_tv_2d(x + 1e4, 0.3, kind="isotropic")
    np.testing.assert_allclose(offset - 1e4, expected, atol=3e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"kind": "isotrop"}, ValueError, ["kind", "isotrop", "anisotropic"]),
        ({"channel_axis": 1}, ValueError, ["channel_axis", "1", "axes"]),
        ({"channel_axis": 5}, ValueError, ["channel_axis", "5"]),
        ({"data_weight": -1.0}, ValueError, ["data_weight", "-1"]),
        ({"data_weight": float("nan")}, ValueError, ["data_weight", "nan"]),
        ({"data_weight": jnp.ones((3, 1, 1))}, ValueError, ["data_weight", "(3, 1, 1)"]),
        ({"data_weight": "a"}, TypeError, ["data_weight", "a"]),
        ({"periodic": 1}, TypeError, ["periodic", "1"]),
        ({"kind": "isotropic", "num_sweeps": 4}, ValueError, ["num_sweeps", "4"]),
        ({"kind": "isotropic", "lam": jnp.ones((5,))}, ValueError, ["lam", "(5,)"]),
        ({"channel_axis": 0, "lam": jnp.ones((2, 1, 1))}, ValueError, ["lam", "channel_axis"]),
    ],
)
def test_errors(arguments, error, words):
    arguments = {"lam": 0.1} | arguments
    with pytest.raises(error) as caught:
        jaxtv.prox_tv(jnp.asarray(IMAGE), arguments.pop("lam"), axes=AXES, **arguments)
    assert all(word in str(caught.value) for word in words)

# SPDX-License-Identifier: MIT
"""Are derivatives of coupled images those of the solution, in both modes and twice?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from isotropic_models import AXES, IMAGE, LEVELS, SHAPE, options

import jaxtv

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(19)


@pytest.mark.parametrize("name", ["periodic", "masked", "noise levels, channels"])
def test_gradients(name):
    """Against differences of values in float64, along a random direction in every argument."""
    how = options(name)
    m = how.pop("data_weight", jnp.asarray(LEVELS))
    x, lam = jnp.asarray(IMAGE), jnp.asarray(RNG.uniform(0.15, 0.25, (1, 5, 6)))
    cotangent = jnp.asarray(RNG.standard_normal(SHAPE))
    limits = {"tol": 1e-9, "deriv_tol": 1e-9, "max_sweeps": 200_000}

    def value(x, lam, m):
        y = jaxtv.prox_tv(x, lam, axes=AXES, data_weight=m, **limits, **how)
        return (cotangent * y).sum()

    gradient = jax.jit(jax.grad(value, (0, 1, 2)))(x, lam, m)
    value = jax.jit(value)
    for k, argument in enumerate((x, lam, m)):
        direction = jnp.asarray(RNG.standard_normal(argument.shape))
        if k == 2:
            direction = jnp.where(argument > 0, direction, 0.0)  # a weight 0 has no other side
        step, moved = 1e-5, [x, lam, m]
        moved[k] = argument + step * direction
        up = value(*moved)
        moved[k] = argument - step * direction
        expected = (up - value(*moved)) / (2 * step)
        found = float((gradient[k] * direction).sum())
        assert found == pytest.approx(float(expected), rel=3e-4)


def test_forward_and_reverse_mode_agree():
    x, lam = jnp.asarray(IMAGE), jnp.asarray(0.3)
    limits = {"tol": 1e-8, "deriv_tol": 1e-9, "max_sweeps": 200_000}
    solve = functools.partial(jaxtv.forward.prox_tv, axes=AXES, kind="isotropic", **limits)
    dx, dlam = jnp.asarray(RNG.standard_normal(SHAPE)), jnp.asarray(0.7)
    _, tangent = jax.jvp(solve, (x, lam), (dx, dlam))
    y_bar = jnp.asarray(RNG.standard_normal(SHAPE))
    x_bar, lam_bar = jax.vjp(solve, x, lam)[1](y_bar)
    public = functools.partial(jaxtv.prox_tv, axes=AXES, kind="isotropic", **limits)
    np.testing.assert_allclose(jax.vjp(public, x, lam)[1](y_bar)[0], x_bar, rtol=1e-12)
    pulled = float((x_bar * dx).sum() + lam_bar * dlam)
    assert float((tangent * y_bar).sum()) == pytest.approx(pulled, rel=1e-6)


def test_second_derivatives():
    x = jnp.asarray(IMAGE[0])
    limits = {"tol": 1e-9, "deriv_tol": 1e-10, "max_sweeps": 300_000}

    def value(x, lam):
        y = jaxtv.forward.prox_tv_2d(x, lam, kind="isotropic", **limits)
        return (y**3).sum()

    direction = jnp.asarray(RNG.standard_normal(x.shape))
    gradient = jax.jit(jax.grad(value, (0, 1)))
    tangents = (direction, jnp.asarray(0.3))
    _, found = jax.jit(lambda x, lam: jax.jvp(gradient, (x, lam), tangents))(x, 0.2)
    step = 1e-5
    up = gradient(x + step * direction, 0.2 + step * 0.3)
    down = gradient(x - step * direction, 0.2 - step * 0.3)
    expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), up, down)
    np.testing.assert_allclose(found[0], expected[0], atol=2e-3 * abs(expected[0]).max())
    assert float(found[1]) == pytest.approx(float(expected[1]), rel=2e-3)


def test_a_smooth_loss():
    value = functools.partial(jaxtv.total_variation, axes=(0, 1), kind="isotropic")
    x = jnp.asarray(IMAGE[0])
    assert float(value(x, smooth=1e-9)) == pytest.approx(float(value(x)), rel=1e-6)
    assert (jax.grad(value)(jnp.ones((3, 3))) == 0).all()
    direction, step = jnp.asarray(RNG.standard_normal(x.shape)), 1e-6
    smooth = functools.partial(value, smooth=0.1)
    expected = (smooth(x + step * direction) - smooth(x - step * direction)) / (2 * step)
    found = (jax.grad(smooth)(x) * direction).sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert jnp.isnan(value(x, lam=jnp.asarray(-1.0)))

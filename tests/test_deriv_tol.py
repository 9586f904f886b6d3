# SPDX-License-Identifier: MIT
"""At the default tolerance, are gradients of the converged prox those of the solution?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import signal

import jaxtv
from jaxtv import forward

ROW = np.linspace(0, 1, 40)
RNG = np.random.default_rng(0)
IMAGES = {
    "smooth": np.sin(3 * ROW[:, None] + 2 * ROW**2),
    "disc and noise": (np.hypot(ROW[:, None] - 0.5, ROW - 0.4) < 0.3)
    + RNG.normal(0, 0.2, (40, 40)),
}
COTANGENT = RNG.normal(size=(40, 40))
PROX = {"reverse": jaxtv.prox_tv_2d, "both modes": forward.prox_tv_2d}


@functools.partial(jax.jit, static_argnames=("mode", "max_sweeps"))
def gradients(mode, x, lam, tol, max_sweeps=1000):
    """The pull-back of a random cotangent in x, and the slope of 1/2 ||prox||^2 in lam."""
    prox = functools.partial(PROX[mode], tol=tol, max_sweeps=max_sweeps)
    y, pull = jax.vjp(prox, x, lam)
    return pull(jnp.asarray(COTANGENT, x.dtype))[0], pull(y)[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", PROX)
@pytest.mark.parametrize("image", IMAGES)
def test_gradients_at_the_default_tolerance(image, mode, dtype):
    x = IMAGES[image]
    exact = gradients("reverse", x, 0.1, 0.0, max_sweeps=20_000)
    got = gradients(mode, jnp.asarray(x, dtype), jnp.asarray(0.1, dtype), 1e-3)
    for a, b in zip(got, exact, strict=True):
        assert np.linalg.norm(np.float64(a) - np.float64(b)) <= 0.01 * np.linalg.norm(b)


def test_the_value_of_a_differentiated_call_is_at_least_as_close():
    x = jnp.array(IMAGES["smooth"])
    exact = jaxtv.prox_tv_2d(x, 0.1, tol=0.0, max_sweeps=20_000)
    plain, info = jaxtv.prox_tv_2d(x, 0.1, return_info=True)
    value, _, tight = jax.vjp(lambda x: jaxtv.prox_tv_2d(x, 0.1, return_info=True), x, has_aux=True)
    assert tight.error_bound < 1e-2 * info.error_bound
    assert np.linalg.norm(value - exact) <= np.linalg.norm(plain - exact)


def info_of_a_differentiated_call(x, lam, mode, **options):
    def prox(x):
        return PROX[mode](x, jnp.asarray(lam, x.dtype), **options, return_info=True)

    return jax.vjp(prox, x, has_aux=True)[2]


@pytest.mark.parametrize("mode", PROX)
def test_converged_is_still_about_tol(mode):
    x = jnp.array(IMAGES["smooth"])
    info = info_of_a_differentiated_call(x, 0.1, mode, max_sweeps=12)
    spread = np.linalg.norm(x - x.mean())
    assert info.sweeps == 12 and 1e-6 * spread < info.error_bound <= 1e-3 * spread
    assert info.converged
    assert not info_of_a_differentiated_call(x, 0.1, mode, max_sweeps=12, tol=1e-5).converged


@pytest.mark.parametrize("mode", PROX)
def test_no_more_digits_are_asked_of_float32_than_it_has(mode):
    """16 sweeps each; to 1e-6, which float32 images far from 0 may never prove, 329 to 1000."""
    x = jnp.array(signal("noise", (4, 24, 20)) + 10, "float32")
    info = info_of_a_differentiated_call(x, 2.0, mode)
    assert (info.sweeps <= 40).all() and info.converged.all()


def test_deriv_tol_is_a_limit_and_an_option():
    x = jnp.array(IMAGES["smooth"])
    bounds = []
    for deriv_tol in (1e-2, 1e-5, 1e-9):
        prox = functools.partial(jaxtv.prox_tv_2d, lam=0.1, deriv_tol=deriv_tol, return_info=True)
        bounds.append(jax.vjp(prox, x, has_aux=True)[2].error_bound)
        assert prox(x)[1].error_bound == jaxtv.prox_tv_2d(x, 0.1, return_info=True)[1].error_bound
    assert bounds[0] > 10 * bounds[1] > 100 * bounds[2]

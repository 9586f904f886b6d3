# SPDX-License-Identifier: MIT
"""Are the forward-mode functions equal to the others, in value and in every mode of derivative?"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxtv
from jaxtv import forward

X = jnp.array(np.random.default_rng(0).normal(size=(4, 9)))
LAMS = {
    "scalar": jnp.array(0.3),
    "line": jnp.array([[0.1], [0.3], [0.5], [2.0]]),
    "edge": jnp.array(np.random.default_rng(1).uniform(0.1, 1, (4, 8))),
}


def lines(module, method="direct"):
    return lambda x, lam: module.prox_tv_1d(x, lam, method=method)


def images(module, num_sweeps):
    return lambda x, lam: module.prox_tv_2d(x, lam, num_sweeps=num_sweeps, tol=1e-10)


@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize("name", LAMS)
@pytest.mark.parametrize("method", ["direct", "newton"])
def test_lines(method, name, argument):
    f, g = lines(forward, method), lines(jaxtv, method)
    want = jax.jacrev(g, argument)(X, LAMS[name])
    np.testing.assert_array_equal(f(X, LAMS[name]), g(X, LAMS[name]))
    np.testing.assert_allclose(jax.jacfwd(f, argument)(X, LAMS[name]), want, atol=1e-12)
    np.testing.assert_allclose(jax.jacrev(f, argument)(X, LAMS[name]), want, atol=1e-12)


@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize("num_sweeps", [3, None])
def test_images(num_sweeps, argument):
    f, g = images(forward, num_sweeps), images(jaxtv, num_sweeps)
    want = jax.jacrev(g, argument)(X, 0.3)
    np.testing.assert_array_equal(f(X, 0.3), g(X, 0.3))
    np.testing.assert_allclose(jax.jacfwd(f, argument)(X, 0.3), want, atol=1e-11)
    np.testing.assert_allclose(jax.jacrev(f, argument)(X, 0.3), want, atol=1e-11)


@pytest.mark.parametrize("num_sweeps", [3, None])
def test_hessian_vector_products(num_sweeps):
    """Forward over reverse: of 1/2 |prox|^2 it is P^T P = P times the direction."""
    f = images(forward, num_sweeps)
    direction = jnp.ones_like(X)

    def loss(x):
        return 0.5 * jnp.sum(f(x, 0.3) ** 2)

    product = jax.jvp(jax.grad(loss), (X,), (direction,))[1]
    step = 1e-6
    difference = jax.grad(loss)(X + step * direction) - jax.grad(loss)(X - step * direction)
    np.testing.assert_allclose(product, difference / (2 * step), atol=1e-5)


def test_vmap_of_jvp_and_linearize():
    lams = jnp.array([0.1, 0.5, 2.0])

    def slope(lam):
        return jax.jvp(lambda lam: lines(forward)(X, lam), (lam,), (1.0,))[1]

    mapped = jax.vmap(slope)(lams)
    for got, lam in zip(mapped, lams, strict=True):
        np.testing.assert_allclose(got, jax.jacrev(lines(jaxtv), 1)(X, lam), atol=1e-12)
    value, linear = jax.linearize(lambda x: lines(forward)(x, 0.5), X)
    np.testing.assert_array_equal(value, lines(jaxtv)(X, 0.5))
    np.testing.assert_allclose(linear(jnp.ones_like(X)), jnp.ones_like(X), atol=1e-12)


@pytest.mark.parametrize("name", ["prox_tv_1d", "prox_tv_2d", "prox_tv"])
def test_signatures_are_those_of_the_other_functions(name):
    mine, theirs = (inspect.signature(getattr(m, name)) for m in (forward, jaxtv))
    assert mine.parameters == theirs.parameters
    assert f":func:`jaxtv.{name}`" in getattr(forward, name).__doc__


def test_the_other_functions_say_that_they_have_no_forward_mode():
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lines(jaxtv), (X, jnp.array(0.3)), (X, jnp.array(1.0)))

# SPDX-License-Identifier: MIT
"""Are the forward-mode functions equal to the others, in value and in every mode of derivative?"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxtv

forward = jaxtv.forward  # there without an import of its own

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


@pytest.mark.parametrize("name", ["prox_tv_1d", "prox_tv_2d", "prox_tv"])
def test_signatures_are_those_of_the_other_functions(name):
    mine, theirs = (inspect.signature(getattr(m, name)) for m in (forward, jaxtv))
    assert mine.parameters == theirs.parameters
    assert f":func:`jaxtv.{name}`" in getattr(forward, name).__doc__

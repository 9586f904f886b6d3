# SPDX-License-Identifier: MIT
"""Are Jacobians and derivatives of gradients those that the formulas say?"""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
from helpers import signal

import jaxtv

LAM = jnp.array(0.6)


def walks(*shape):
    return jnp.array(signal("walk", shape))


def test_jacrev_is_the_run_mean_matrix():
    x = walks(12)
    y = np.asarray(jaxtv.prox_tv_1d(x, LAM))
    want = oracle.run_mean(np.broadcast_to(y, (12, 12)), np.eye(12))
    np.testing.assert_allclose(jax.jacrev(jaxtv.prox_tv_1d)(x, LAM), want, rtol=0, atol=1e-15)
    s = np.sign(np.diff(y, prepend=y[0], append=y[-1]))
    jac = jax.jacrev(jaxtv.prox_tv_1d, 1)(x, LAM)
    np.testing.assert_allclose(jac, oracle.run_mean(y, np.diff(s)), rtol=0, atol=1e-14)


def test_reverse_over_reverse():
    """The prox is piecewise affine: no curvature of its own, and P^T P = P through a square."""
    x, g = walks(12), jnp.array(signal("noise", (12,), 5))
    linear = jax.jacrev(jax.grad(lambda x: jnp.vdot(g, jaxtv.prox_tv_1d(x, LAM))))(x)
    np.testing.assert_array_equal(linear, np.zeros((12, 12)))
    square = lambda x, lam: jnp.sum(jaxtv.prox_tv_1d(x, lam) ** 2) / 2  # noqa: E731
    jac = jax.jacrev(jaxtv.prox_tv_1d)(x, LAM)
    np.testing.assert_allclose(jax.jacrev(jax.grad(square))(x, LAM), jac, rtol=0, atol=1e-14)
    slope = jax.jacrev(jaxtv.prox_tv_1d, 1)(x, LAM)
    second = jax.grad(jax.grad(square, 1), 1)(x, LAM)
    np.testing.assert_allclose(second, jnp.vdot(slope, slope), rtol=1e-13)
    mixed = jax.grad(jax.grad(square, 1), 0)(x, LAM)
    np.testing.assert_allclose(mixed, jac.T @ slope, rtol=0, atol=1e-13)


def test_reverse_over_reverse_of_images():
    """The same of the converged prox, whose P is the mean over components."""
    x = jnp.array(signal("steps", (4, 5)))
    f = lambda x, lam: jaxtv.prox_tv_2d(x, lam, tol=1e-9)  # noqa: E731
    square = lambda x, lam: jnp.sum(f(x, lam) ** 2) / 2  # noqa: E731
    jac, slope = jax.jacrev(f, (0, 1))(x, LAM / 4)
    assert np.linalg.matrix_rank(jac.reshape(20, 20)) > 1  # several components
    hessian = jax.jacrev(jax.grad(square))(x, LAM / 4)
    np.testing.assert_allclose(hessian, jac, rtol=0, atol=1e-14)
    second = jax.grad(jax.grad(square, 1), 1)(x, LAM / 4)
    np.testing.assert_allclose(second, jnp.vdot(slope, slope), rtol=1e-13)


def test_the_gradient_of_a_gradient_in_the_cotangent():
    """A penalty on the gradient with respect to the input."""
    x, g = walks(2, 10), jnp.array(signal("noise", (2, 10), 5))
    pull = lambda g: jax.vjp(lambda v: jaxtv.prox_tv_1d(v, LAM), x)[1](g)[0]  # noqa: E731
    got = jax.grad(lambda g: jnp.sum(pull(g) ** 2) / 2)(g)
    np.testing.assert_allclose(got, pull(g), rtol=0, atol=1e-15)  # P^T P g = P g

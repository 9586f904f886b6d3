# SPDX-License-Identifier: MIT
"""Does proximal_operator fit the solvers that it is for?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import signal

import jaxtv

X = jnp.array(signal("noise", (6, 9)))


def proximal_gradient(fit, prox, start, lam, step, steps=300):
    """As in the books: a gradient step of the smooth part, a prox of the other."""
    descend = lambda y, _: (prox(y - step * jax.grad(fit)(y), lam, step), None)  # noqa: E731
    return jax.lax.scan(descend, start, length=steps)[0]


@pytest.mark.parametrize(
    ("axes", "lam", "options"),
    [
        ((-1,), 0.3, {}),
        ((0, 1), 0.2, {"tol": 1e-9}),
        ((0, 1), (0.1, 0.4), {"tol": 1e-9}),
        ((0, 1), 0.2, {"kind": "isotropic", "tol": 1e-6}),
    ],
)
def test_proximal_gradient_finds_the_minimum(axes, lam, options):
    """Of |c y - x|^2 / 2 + lam TV(y), which is prox(x / c, lam / c^2), for any step."""
    c = 1.5
    prox = jaxtv.proximal_operator(axes, **options)
    fit = lambda y: jnp.sum((c * y - X) ** 2) / 2  # noqa: E731
    scaled = jax.tree.map(lambda w: w / c**2, lam)
    want = jaxtv.prox_tv(X / c, scaled, axes=axes, **options)
    for step in (0.2, 0.7):
        got = proximal_gradient(fit, prox, jnp.zeros_like(X), lam, step, 60)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 if "kind" in options else 1e-8)


def test_trees_and_defaults():
    prox = jaxtv.proximal_operator((0, 1))
    tree = {"a": X, "b": (X[:4], X.astype("float32"))}
    got = prox(tree, 0.3, 2.0)
    assert jax.tree.structure(got) == jax.tree.structure(tree)
    for y, x in zip(jax.tree.leaves(got), jax.tree.leaves(tree), strict=True):
        np.testing.assert_array_equal(y, jaxtv.prox_tv_2d(x, 0.6))
    np.testing.assert_array_equal(prox(X, 0.5), jaxtv.prox_tv_2d(X, 0.5))
    np.testing.assert_array_equal(prox(X), jaxtv.prox_tv_2d(X, 1.0))
    last = jaxtv.proximal_operator()(X, 0.5)
    np.testing.assert_allclose(last, jaxtv.prox_tv_1d(X, 0.5), rtol=0, atol=1e-12)


def test_it_is_differentiable_in_all_that_it_is_given():
    prox = jaxtv.proximal_operator((0, 1))
    loss = lambda x, lam, s: jnp.sum(jnp.sin(prox(x, lam, s)))  # noqa: E731
    _, by_lam, by_scaling = jax.grad(loss, (0, 1, 2))(X, jnp.array(0.3), jnp.array(0.5))
    assert by_lam != 0
    np.testing.assert_allclose(by_lam / 0.5, by_scaling / 0.3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("x",), "x"), ((X, "lam"), "hyperparams"), ((X, 1.0, None), "scaling"), ((X, (1.0,)), "lam")],
)
def test_mistakes_are_named(arguments, named):
    with pytest.raises((TypeError, ValueError), match=f"^{named} must"):
        jaxtv.proximal_operator((0, 1))(*arguments)


def test_it_returns_no_info():
    with pytest.raises(TypeError, match="return_info"):
        jaxtv.proximal_operator((0, 1), return_info=True)(X)


def test_solvers_of_jaxopt():
    jaxopt = pytest.importorskip("jaxopt")
    with jax.numpy_dtype_promotion("standard"):
        fit = lambda y, b: jnp.sum((1.5 * y - b) ** 2) / 2  # noqa: E731
        solver = jaxopt.ProximalGradient(fit, jaxtv.proximal_operator((0, 1), tol=1e-9), tol=1e-8)
        want = lambda lam: jaxtv.prox_tv_2d(X / 1.5, lam / 1.5**2, tol=1e-9)  # noqa: E731
        found = lambda lam: solver.run(jnp.zeros_like(X), lam, X).params  # noqa: E731
        np.testing.assert_allclose(found(0.3), want(0.3), rtol=0, atol=1e-6)
        got, slope = (jax.grad(lambda lam, f=f: jnp.sum(f(lam) ** 2))(0.3) for f in (found, want))
        np.testing.assert_allclose(got, slope, rtol=1e-4)

# SPDX-License-Identifier: MIT
"""Are derivatives of `prox_tv_1d` with a weight on each sample those of the exact prox?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from data_weights import LAMS, LINES, MASSES, RNG, N, prox
from helpers import signal

import jaxtv

pytestmark = pytest.mark.usefixtures("quick_compilation")
DIRECTIONS = ["x", "lam", "m"]


def direction_of(operands, argument):
    """A direction in one argument, and 0 in the others."""
    rng = np.random.default_rng(3)
    found = [jnp.array(rng.normal(size=a.shape)) for a in operands]
    return tuple(d if k == argument else 0 * d for k, d in enumerate(found))


def difference(f, operands, direction, step=1e-6):
    high = f(*(a + step * d for a, d in zip(operands, direction, strict=True)))
    low = f(*(a - step * d for a, d in zip(operands, direction, strict=True)))
    return (high - low) / (2 * step)


def loss(function, x, lam, m):
    g = np.random.default_rng(4).normal(size=x.shape)
    return jnp.vdot(g, jnp.sin(function(x, lam, data_weight=m)))


@pytest.mark.parametrize(
    ("mass", "lam"),
    [
        ("any", "one"),
        ("missing", "edge"),
        ("missing", "line"),
        ("of a line", "edge"),
        ("one", "one"),
    ],
)
def test_gradients_are_slopes(mass, lam):
    """In both modes. A missing sample gets no mass here: at a jump its value would leap."""
    operands = tuple(map(jnp.array, (signal("noise", (LINES, N)), LAMS[lam], MASSES[mass])))
    reverse = jax.jit(functools.partial(loss, jaxtv.prox_tv_1d))
    both = functools.partial(loss, jaxtv.forward.prox_tv_1d)
    tangent = jax.jit(lambda operands, direction: jax.jvp(both, operands, direction)[1])
    gradient = jax.jit(jax.grad(reverse, (0, 1, 2)))(*operands)
    for k in range(3):
        direction = direction_of(operands, k)
        direction = (*direction[:2], jnp.where(operands[2] > 0, direction[2], 0))
        want = difference(reverse, operands, direction)
        np.testing.assert_allclose(jnp.vdot(gradient[k], direction[k]), want, rtol=1e-6, atol=1e-7)
        along = tangent(operands, direction)
        np.testing.assert_allclose(along, jnp.vdot(gradient[k], direction[k]), rtol=1e-11)


def test_the_first_mass_of_a_missing_sample():
    """Within a run, one-sided: towards its x, but not if that is not a number."""
    x, lam, m = jnp.array([1.0, 9.0, 1.5, 30.0]), 1.0, jnp.array([1.0, 0.0, 2.0, 1.0])
    f = lambda m: jnp.sum(prox(x, lam, m) * jnp.array([1.0, 0, 0, 0]))  # noqa: E731
    step = 1e-7
    want = (f(m.at[1].add(step)) - f(m)) / step
    np.testing.assert_allclose(jax.grad(f)(m)[1], want, rtol=1e-5)
    assert want > 1
    missing = lambda m: jnp.sum(prox(x.at[1].set(jnp.nan), lam, m)[0])  # noqa: E731
    gradient = jax.grad(missing)(m)
    assert gradient[1] == 0 and np.isfinite(gradient).all()


def test_a_weight_that_grows_from_zero_ties_equal_neighbours():
    """The derivative of a weight that a line shares is that from above; x moves each sample."""
    x, m = jnp.array([0.0, 2.0, 2.0, 1.0]), jnp.array([1.0, 1.0, 3.0, 2.0])
    f = lambda x, lam: prox(x, lam, m)  # noqa: E731
    step = 1e-7
    slope = (f(x, step) - f(x, 0.0)) / step
    np.testing.assert_allclose(jax.jacrev(f, 1)(x, 0.0), slope, atol=1e-6)
    np.testing.assert_array_equal(jax.jacrev(f)(x, 0.0), np.eye(4))


def test_an_edge_without_weight_ties_nothing():
    """Nor do its ends move together where they are equal."""
    f = lambda x: prox(x, jnp.array([0.0, 1.0]), jnp.array([1.0, 3.0, 1.0]))  # noqa: E731
    want = [[1, 0, 0], [0, 0.75, 0.25], [0, 0.75, 0.25]]
    np.testing.assert_allclose(jax.jacrev(f)(jnp.ones(3)), want, rtol=1e-15)


def test_second_derivatives():
    """Runs move together by their mass, so that the gradient in m has one of its own."""
    shape = LINES, N
    operands = tuple(map(jnp.array, (signal("noise", shape), LAMS["edge"], MASSES["any"])))

    def slope(function, operands):
        gradient = jax.grad(functools.partial(loss, function), (0, 1, 2))(*operands)
        return sum(jnp.vdot(g, jnp.cos(a)) for g, a in zip(gradient, operands, strict=True))

    first = jax.jit(functools.partial(slope, jaxtv.prox_tv_1d))
    twice = jax.jit(jax.grad(first))(operands)
    both = functools.partial(slope, jaxtv.forward.prox_tv_1d)
    tangent = jax.jit(lambda direction: jax.jvp(both, (operands,), (direction,))[1])
    for k in range(3):
        direction = direction_of(operands, k)
        want = difference(lambda *a: first(a), operands, direction)
        np.testing.assert_allclose(jnp.vdot(twice[k], direction[k]), want, rtol=1e-6)
        np.testing.assert_allclose(tangent(direction), want, rtol=1e-6)


@pytest.mark.parametrize("mapped", [(None, 0, None), (0, None, 1)])
def test_vmap(mapped):
    """Over each argument, of gradients, and gradients of it."""
    arguments = list(zip([(2, N), (2, 1), (2, N)], mapped, strict=True))
    operands = [
        jnp.array(RNG.uniform(0.1, 1, shape if axis is None else np.insert(shape, axis, 3)))
        for shape, axis in arguments
    ]
    total = lambda *a: loss(jaxtv.prox_tv_1d, *a)  # noqa: E731
    gradient = jax.jit(jax.grad(total, (0, 1, 2)))
    each = [
        gradient(
            *(a if d is None else jnp.take(a, k, d) for a, d in zip(operands, mapped, strict=True))
        )
        for k in range(3)
    ]
    got = jax.jit(jax.vmap(gradient, mapped))(*operands)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13)
    jax.tree.map(close, got, jax.tree.map(lambda *g: jnp.stack(g), *each))
    of_sum = jax.grad(lambda *a: jax.vmap(total, mapped)(*a).sum(), (0, 1, 2))(*operands)
    for k, axis in enumerate(mapped):
        parts = [g[k] for g in each]
        close(of_sum[k], sum(parts) if axis is None else jnp.stack(parts, axis))

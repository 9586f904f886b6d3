# SPDX-License-Identifier: MIT
"""Does every operator compose with every transformation? A table, one test for each cell.

A transformation takes an operator f(x, lam) on one image x, and returns what it got and what plain
Python on the untransformed operator makes of it. Gradients are compared with finite differences.
"""

import chex
import jax
import jax.numpy as jnp
import pytest
from helpers import signal
from jax import lax

import jaxtv
from jaxtv import forward

OPERATORS = {
    "1d": lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=-2),
    "newton": lambda x, lam: jaxtv.prox_tv_1d(x, lam, method="newton"),
    "sweeps": lambda x, lam: jaxtv.prox_tv_2d(x, lam, num_sweeps=2),
    "converged": lambda x, lam: jaxtv.prox_tv_2d(x, lam, tol=1e-9),
    "volumes": lambda x, lam: jaxtv.prox_tv(x[None], lam, axes=(0, 1, 2), tol=1e-9)[0],
    "forward": lambda x, lam: forward.prox_tv_2d(x, lam, tol=1e-9),
}
FORWARD = {name: f for name, f in OPERATORS.items() if name == "forward"} | {
    "1d": lambda x, lam: forward.prox_tv_1d(x, lam, axis=-2),
    "newton": lambda x, lam: forward.prox_tv_1d(x, lam, method="newton"),
    "sweeps": lambda x, lam: forward.prox_tv_2d(x, lam, num_sweeps=2),
}

X = jnp.array(signal("noise", (4, 5, 6)))
LAM = jnp.array([0.2, 0.3, 0.5, 0.9])  # each below every lambda_max
IMAGE, WEIGHT = X[0], LAM[1]
COTANGENT = jnp.array(signal("noise", (5, 6), seed=1))
TABLE, REVERSE, BOTH = {}, {}, {}


def loss(f):
    return lambda x, lam: jnp.vdot(COTANGENT, jnp.sin(f(x, lam)))


def gradient(f):
    return jax.grad(loss(f), (0, 1))


def stack(values):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *values)


def difference(f, x, direction, step=1e-6):
    """The derivative of f at x along a direction, by central differences."""
    high = f(*jax.tree.map(lambda a, b: a + step * b, x, direction))
    low = f(*jax.tree.map(lambda a, b: a - step * b, x, direction))
    return jax.tree.map(lambda a, b: (a - b) / (2 * step), high, low)


def row(table):
    def add(transformation):
        table[transformation.__name__] = transformation
        return transformation

    return add


@row(TABLE)
def jit(f):
    return jax.jit(f)(IMAGE, WEIGHT), f(IMAGE, WEIGHT)


@row(TABLE)
def vmap_over_both(f):
    return jax.vmap(f)(X, LAM), stack(map(f, X, LAM))


@row(TABLE)
def vmap_over_images(f):
    got = jax.vmap(f, (2, None), 1)(jnp.moveaxis(X, 0, 2), WEIGHT)
    return got, jnp.stack([f(x, WEIGHT) for x in X], 1)


@row(TABLE)
def vmap_over_weights(f):
    return jax.vmap(f, (None, 0), -1)(IMAGE, LAM), jnp.stack([f(IMAGE, w) for w in LAM], -1)


@row(TABLE)
def vmap_nested(f):
    got = jax.vmap(jax.vmap(f, (None, 0)), (-1, None), 1)(jnp.moveaxis(X, 0, -1), LAM)
    return got, jnp.stack([jnp.stack([f(x, w) for w in LAM]) for x in X], 1)


@row(TABLE)
def scan(f):
    got = lax.scan(lambda x, w: (f(x, w), f(x, w)), IMAGE, LAM[:2])
    first = f(IMAGE, LAM[0])
    second = f(first, LAM[1])
    return got, (second, jnp.stack([first, second]))


@row(TABLE)
def map_in_batches(f):
    got = lax.map(lambda a: f(*a), (X, LAM), batch_size=3)
    return got, stack(map(f, X, LAM))


@row(TABLE)
def while_loop(f):
    def step(state):
        return f(state[0], WEIGHT), state[1] + 1

    got = lax.while_loop(lambda state: state[1] < 2, step, (IMAGE, 0))[0]
    return got, f(f(IMAGE, WEIGHT), WEIGHT)


@row(TABLE)
def while_loop_batched(f):
    """With a trip count for each image, which makes it a loop over masked batches."""

    def repeat(x, times):
        body = lambda state: (f(state[0], WEIGHT), state[1] - 1)  # noqa: E731
        return lax.while_loop(lambda state: state[1] > 0, body, (x, times))[0]

    return jax.vmap(repeat)(X[:2], jnp.array([0, 1])), jnp.stack([X[0], f(X[1], WEIGHT)])


@row(TABLE)
def cond(f):
    branch = jax.jit(lambda p: lax.cond(p, f, lambda x, lam: x * lam, IMAGE, WEIGHT))
    return (branch(True), branch(False)), (f(IMAGE, WEIGHT), IMAGE * WEIGHT)


@row(TABLE)
def cond_batched(f):
    """Becomes a select between both branches."""
    choose = lambda p, x: lax.cond(p, f, lambda x, lam: x, x, WEIGHT)  # noqa: E731
    got = jax.vmap(choose)(jnp.array([True, False]), X[:2])
    return got, jnp.stack([f(X[0], WEIGHT), X[1]])


@row(TABLE)
def donation(f):
    x = IMAGE + 0
    got = jax.jit(f, donate_argnums=0)(x, WEIGHT)
    assert x.is_deleted()
    return got, f(IMAGE, WEIGHT)


@row(REVERSE)
def grad(f):
    direction = (jnp.cos(7 * IMAGE), jnp.array(0.4))
    got = sum(jnp.vdot(g, d) for g, d in zip(gradient(f)(IMAGE, WEIGHT), direction, strict=True))
    return got, difference(loss(f), (IMAGE, WEIGHT), direction)


@row(REVERSE)
def vjp(f):
    value, pull = jax.vjp(lambda x, lam: jnp.sin(f(x, lam)), IMAGE, WEIGHT)
    got = value, pull(COTANGENT)
    return got, (jnp.sin(f(IMAGE, WEIGHT)), gradient(f)(IMAGE, WEIGHT))


@row(REVERSE)
def vmap_of_grad(f):
    return jax.vmap(gradient(f))(X, LAM), stack(map(gradient(f), X, LAM))


@row(REVERSE)
def vmap_of_grad_over_weights(f):
    got = jax.vmap(gradient(f), (None, 0))(IMAGE, LAM)
    return got, stack(gradient(f)(IMAGE, w) for w in LAM)


@row(REVERSE)
def grad_of_vmap(f):
    total = lambda x, lam: jax.vmap(loss(f))(x, lam).sum()  # noqa: E731
    return jax.grad(total, (0, 1))(X, LAM), stack(map(gradient(f), X, LAM))


@row(REVERSE)
def grad_of_vmap_over_weights(f):
    total = lambda x, lam: jax.vmap(loss(f), (None, 0))(x, lam).sum()  # noqa: E731
    each = [gradient(f)(IMAGE, w) for w in LAM]
    return jax.grad(total, (0, 1))(IMAGE, LAM), (sum(g[0] for g in each), stack(g[1] for g in each))


@row(REVERSE)
def jacrev(f):
    direction = (jnp.cos(7 * IMAGE), jnp.array(0.4))
    by_x, by_lam = jax.jacrev(f, (0, 1))(IMAGE, WEIGHT)
    got = jnp.tensordot(by_x, direction[0], 2) + by_lam * direction[1]
    return got, difference(f, (IMAGE, WEIGHT), direction)


@row(REVERSE)
def remat(f):
    return jax.jit(gradient(jax.checkpoint(f)))(IMAGE, WEIGHT), gradient(f)(IMAGE, WEIGHT)


@row(REVERSE)
def grad_of_scan(f):
    scanned = lambda x, lam: lax.scan(lambda c, _: (f(c, lam), None), x, length=2)[0]  # noqa: E731
    looped = lambda x, lam: f(f(x, lam), lam)  # noqa: E731
    return gradient(scanned)(IMAGE, WEIGHT), gradient(looped)(IMAGE, WEIGHT)


@row(REVERSE)
def grad_of_cond(f):
    chosen = lambda x, lam: lax.cond(lam < 1, f, lambda x, lam: x, x, lam)  # noqa: E731
    return gradient(chosen)(IMAGE, WEIGHT), gradient(f)(IMAGE, WEIGHT)


@row(REVERSE)
def reverse_over_reverse(f):
    direction = (jnp.cos(7 * IMAGE), jnp.array(0.4))

    def slope(x, lam):
        both = zip(gradient(f)(x, lam), direction, strict=True)
        return sum(jnp.vdot(g, d) for g, d in both)

    got = jax.grad(slope, (0, 1))(IMAGE, WEIGHT)
    return got, difference(gradient(f), (IMAGE, WEIGHT), direction)


@row(BOTH)
def jvp(f):
    direction = (jnp.cos(7 * IMAGE), jnp.array(0.4))
    got = jax.jvp(f, (IMAGE, WEIGHT), direction)[1]
    return got, difference(f, (IMAGE, WEIGHT), direction)


@row(BOTH)
def vmap_of_jvp(f):
    push = lambda x, lam: jax.jvp(f, (x, lam), (COTANGENT, lam))[1]  # noqa: E731
    return jax.vmap(push)(X, LAM), stack(map(push, X, LAM))


@row(BOTH)
def jacfwd(f):
    return jax.jacfwd(f, (0, 1))(IMAGE, WEIGHT), jax.jacrev(f, (0, 1))(IMAGE, WEIGHT)


@row(BOTH)
def linearize(f):
    value, push = jax.linearize(f, IMAGE, WEIGHT)
    got = value, push(COTANGENT, WEIGHT)
    return got, jax.jvp(f, (IMAGE, WEIGHT), (COTANGENT, WEIGHT))


@row(BOTH)
def jvp_of_scan(f):
    scanned = lambda x, lam: lax.scan(lambda c, _: (f(c, lam), None), x, length=2)[0]  # noqa: E731
    looped = lambda x, lam: f(f(x, lam), lam)  # noqa: E731
    return [jax.jvp(g, (IMAGE, WEIGHT), (COTANGENT, WEIGHT)) for g in (scanned, looped)]


@row(BOTH)
def jvp_of_while_loop(f):
    def looped(x, lam):
        body = lambda state: (f(state[0], lam), state[1] + 1)  # noqa: E731
        return lax.while_loop(lambda state: state[1] < 2, body, (x, 0))[0]

    twice = lambda x, lam: f(f(x, lam), lam)  # noqa: E731
    return [jax.jvp(g, (IMAGE, WEIGHT), (COTANGENT, WEIGHT)) for g in (looped, twice)]


@row(BOTH)
def forward_over_reverse(f):
    direction = (jnp.cos(7 * IMAGE), jnp.array(0.4))
    got = jax.jvp(gradient(f), (IMAGE, WEIGHT), direction)[1]
    return got, difference(gradient(f), (IMAGE, WEIGHT), direction)


def assert_composes(transformation, operator):
    got, want = transformation(operator)
    differentiated = transformation in {
        grad,
        jacrev,
        reverse_over_reverse,
        jvp,
        forward_over_reverse,
    }
    tolerance = 1e-7 if differentiated else 1e-12
    chex.assert_trees_all_close(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("transformation", TABLE | REVERSE)
@pytest.mark.parametrize("operator", OPERATORS)
def test_composes(operator, transformation):
    assert_composes((TABLE | REVERSE)[transformation], OPERATORS[operator])


@pytest.mark.parametrize("transformation", BOTH)
@pytest.mark.parametrize("operator", FORWARD)
def test_composes_in_forward_mode(operator, transformation):
    assert_composes(BOTH[transformation], FORWARD[operator])


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"forward"}))
def test_forward_mode_is_refused_by_type_where_there_is_none(operator):
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(OPERATORS[operator], (IMAGE, WEIGHT), (IMAGE, WEIGHT))

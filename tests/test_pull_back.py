# SPDX-License-Identifier: MIT
"""Is the pulled back derivative of lines right on every path, and what does it cost in memory?

Held against a literal loop over runs (`oracle.pull_back`).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import large, signal

import jaxtv
from jaxtv._operators import tv1d

WEIGHTS = {
    "a line": lambda r, shape: r.permutation(np.arange(math.prod(shape[:-1])) % 3).reshape(
        *shape[:-1], 1
    ),
    "an edge": lambda r, shape: r.integers(0, 3, (*shape[:-1], shape[-1] - 1)),
    "a shared edge": lambda r, shape: r.integers(0, 3, (1,) * (len(shape) - 1) + (shape[-1] - 1,)),
}
each_weight = pytest.mark.parametrize("kind", WEIGHTS)


def operands(kind, shape, repeat):
    """Levels with runs of `repeat` or so, weights of which a third is 0, and a cotangent."""
    rng = np.random.default_rng(shape[-1])
    y = np.repeat(rng.integers(-3, 4, shape), repeat, axis=-1)[..., : shape[-1]]
    return y.astype(float), WEIGHTS[kind](rng, shape).astype(float), rng.normal(size=shape)


def assert_right(got, want, terms):
    np.testing.assert_allclose(got[0], want[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(got[1], want[1], rtol=0, atol=1e-12 * terms)


@each_weight
@pytest.mark.parametrize("repeat", [1, 5])
@pytest.mark.parametrize("shape", [(37, 23), (2, 19, 7), (3, 1), (5, 2)])
def test_lines_along_every_axis(kind, shape, repeat):
    """Full vectors of lines and not full ones, contiguous and side by side."""
    y, lam, g = operands(kind, shape, repeat)
    want = oracle.pull_back(y, lam, g)
    for axis in range(len(shape)):
        moved = (jnp.array(np.moveaxis(a, -1, axis)) for a in (y, lam, g))
        got = tv1d.pull_back(*moved, axis=axis)
        assert_right([np.moveaxis(a, axis, -1) for a in got], want, shape[-1])


@large
@each_weight
@pytest.mark.parametrize("repeat", [2, 700, 6144, 9000])
def test_long_lines_in_chunks(kind, repeat):
    """Runs that cross no border of chunks, one, and several; that cross one and end at the next."""
    y, lam, g = operands(kind, (3, 20_000), repeat)
    lam = lam if kind == "a line" else np.where(lam + np.arange(lam.shape[-1]) % 7 > 0, 1.0, 0.0)
    want = oracle.pull_back(y, lam, g)
    for axis in range(2):
        moved = (jnp.array(np.moveaxis(a, -1, axis)) for a in (y, lam, g))
        got = tv1d.pull_back(*moved, axis=axis)
        assert_right([np.moveaxis(a, axis, -1) for a in got], want, 20_000)


@pytest.mark.parametrize("shape", [(1, 5000), (16, 1500), (1, 30_000)])
def test_means_and_sums_lose_nothing(shape):
    """Where all terms but the first are small: alone, in lanes and in chunks."""
    v = np.random.default_rng(0).normal(size=shape)
    v[:, 0] += 1e3
    y = np.zeros(shape)
    mean = tv1d.pull_back(jnp.array(y), jnp.ones((1, 1)), jnp.array(v), axis=1)[0][:, 0]
    want = [math.fsum(line) / shape[1] for line in v]
    np.testing.assert_allclose(mean, want, rtol=0, atol=3e-13)  # two ulp of 1e3
    # Slopes that cancel: those of falls, with large ones at both ends.
    v[:, -1] += 1e3
    steps = -np.arange(shape[1], dtype=float) * np.ones(shape)
    lam_bar = tv1d.pull_back(jnp.array(steps), jnp.ones((1, 1)), jnp.array(v), axis=1)[1]
    want = [[math.fsum(np.diff(line))] for line in v]
    np.testing.assert_allclose(lam_bar, want, rtol=0, atol=3e-13)


@each_weight
def test_its_transpose_is_the_transposed_matrix(kind):
    y, lam, g = operands(kind, (3, 8), 2)
    columns = [oracle.pull_back(y, lam, e.reshape(y.shape)) for e in np.eye(y.size)]
    pull = lambda v: tv1d.pull_back(jnp.array(y), jnp.array(lam), v, axis=1)  # noqa: E731
    for part, jacobian in enumerate(jax.jacrev(pull)(jnp.array(g))):
        want = np.stack([column[part] for column in columns], -1).reshape(jacobian.shape)
        np.testing.assert_allclose(jacobian, want, rtol=0, atol=1e-14)
        np.testing.assert_allclose(jax.jacfwd(pull)(jnp.array(g))[part], want, rtol=0, atol=1e-14)


@each_weight
@pytest.mark.parametrize("n", [6, 10_000])
def test_a_bad_line_has_bad_cotangents_and_spoils_no_other(kind, n):
    y, lam, g = operands(kind, (9, n), 2)
    want = tv1d.pull_back(jnp.array(y), jnp.array(lam), jnp.array(g), axis=1)
    y[4] = np.nan
    got = tv1d.pull_back(jnp.array(y), jnp.array(lam), jnp.array(g), axis=1)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b.at[4].set(jnp.nan))


@pytest.mark.parametrize("lam", [(), (64, 1), (64, 255)])
def test_nothing_is_kept_or_made_but_operands_and_results(lam):
    """In a step, x, y_bar and y, x_bar are alive: 16 bytes for each sample of float32."""
    x, weights = (jax.ShapeDtypeStruct(shape, "float32") for shape in ((64, 256), lam))

    def step(x, lam, y_bar):
        y, pull = jax.vjp(jaxtv.prox_tv_1d, x, lam)
        return y, *pull(y_bar)

    used = jax.jit(step).lower(x, weights, x).compile().memory_analysis()
    # A number for each line, if they share one, and two work spaces of a byte for each line: three
    # buffers, each rounded up to a multiple of 256 bytes.
    assert used.temp_size_in_bytes <= 3 * 256
    _, pull = jax.eval_shape(lambda x, lam: jax.vjp(jaxtv.prox_tv_1d, x, lam), x, weights)
    kept = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(pull))
    assert kept == 4 * (x.size + weights.size)


def test_the_cotangent_of_a_weight_is_summed_to_its_shape():
    """Against the matrix of the weights of all edges."""
    x, g = signal("walk", (4, 12)), np.random.default_rng(0).normal(size=(4, 12))
    y = np.asarray(jaxtv.prox_tv_1d(jnp.array(x), 0.7))
    each = oracle.pull_back(y, np.full((4, 11), 0.7), g)[1]
    for shape in [(), (4, 1), (11,), (1, 11), (4, 11)]:
        lam = jnp.full(shape, 0.7)
        lam_bar = jax.vjp(lambda w: jaxtv.prox_tv_1d(jnp.array(x), w), lam)[1](jnp.array(g))[0]
        axes = {(): (0, 1), (4, 1): 1, (11,): 0, (1, 11): 0}.get(shape, ())
        np.testing.assert_allclose(lam_bar, each.sum(axes).reshape(shape), rtol=0, atol=1e-12)

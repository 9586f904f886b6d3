# SPDX-License-Identifier: MIT
"""Does vmap over any axes of the image and of the weight give what a loop over them gives?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_prox, signal

import jaxtv

OPERATORS = {
    "1d": lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=-2),
    "sweeps": lambda x, lam: jaxtv.prox_tv_2d(x, lam, num_sweeps=2),
    "converged": lambda x, lam: jaxtv.prox_tv_2d(x, lam, tol=1e-9),
}
each_operator = pytest.mark.parametrize("name", OPERATORS)


def walks(*shape):
    return jnp.array(signal("walk", shape))


@pytest.mark.parametrize(("in_axis", "out_axis"), [(0, 0), (1, -1), (2, 1), (3, 0), (-1, -1)])
@each_operator
def test_images_along_any_axis(name, in_axis, out_axis):
    f, x = OPERATORS[name], walks(4, 5, 6, 3)
    got = jax.vmap(f, (in_axis, None), out_axis)(x, 0.6)
    want = [f(jnp.take(x, i, axis=in_axis), 0.6) for i in range(x.shape[in_axis])]
    np.testing.assert_allclose(got, np.stack(want, out_axis), rtol=0, atol=1e-13)


@pytest.mark.parametrize("in_axes", [(None, 0), (0, None), (0, 0), (2, 1), (1, 2), (None, -1)])
@each_operator
def test_images_and_weights_along_any_axes(name, in_axes):
    f, (x_axis, lam_axis) = OPERATORS[name], in_axes
    x = walks(3, 7, 5) if x_axis is None else jnp.moveaxis(walks(4, 3, 7, 5), 0, x_axis)
    weights = jnp.array(np.random.default_rng(0).uniform(0.1, 2, (4, 3, 1, 1)))
    lam = weights[0] if lam_axis is None else jnp.moveaxis(weights, 0, lam_axis)
    got = jax.vmap(f, in_axes)(x, lam)
    pick = lambda a, axis, i: a if axis is None else jnp.take(a, i, axis=axis)  # noqa: E731
    want = [f(pick(x, x_axis, i), pick(lam, lam_axis, i)) for i in range(4)]
    np.testing.assert_allclose(got, np.stack(want), rtol=0, atol=1e-13)


def test_a_scalar_weight_per_line_and_per_edge():
    x, rng = walks(4, 9), np.random.default_rng(1)
    for shape in [(4,), (4, 1), (4, 8)]:
        lam = rng.uniform(0.1, 2, shape)
        y = jax.vmap(jaxtv.prox_tv_1d)(x, jnp.array(lam))
        assert_prox(y, x, lam.reshape(4, -1))


def test_no_elements():
    f = jax.vmap(OPERATORS["1d"], (0, None))
    assert f(jnp.zeros((0, 5, 3)), 0.6).shape == (0, 5, 3)

# SPDX-License-Identifier: MIT
"""Does a mask over the results of bad lines and images protect the gradients of all others?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import signal

import jaxtv
from jaxtv import forward

newton = {"method": "newton"}
OPERATORS = {
    "1d": (jaxtv.prox_tv_1d, (9, 12)),  # full vectors of lines, and one line
    "one line": (jaxtv.prox_tv_1d, (2, 12)),
    "long lines": (jaxtv.prox_tv_1d, (2, 5000)),
    "newton": (functools.partial(jaxtv.prox_tv_1d, **newton), (9, 12)),
    "forward": (forward.prox_tv_1d, (3, 12)),
    "sweeps": (functools.partial(jaxtv.prox_tv_2d, num_sweeps=3), (3, 7, 6)),
    "forward sweeps": (functools.partial(forward.prox_tv_2d, num_sweeps=3), (3, 7, 6)),
    "converged": (jaxtv.prox_tv_2d, (3, 7, 6)),
    "forward converged": (forward.prox_tv_2d, (3, 7, 6)),
}
WEIGHTS = {
    "shared": lambda shape: 0.3,
    "zero": lambda shape: 0.0,
    "shared edges": lambda shape: np.linspace(0.1, 0.5, shape[-1] - 1),
}


def gradients(name, x, lam, good):
    """Of a loss of the good lines or images, in x and lam; how the others enter is up to a mask."""
    operator, shape = OPERATORS[name]
    g = jnp.array(np.random.default_rng(1).normal(size=shape))
    good = good.reshape((-1,) + (1,) * (len(shape) - 1))

    def loss(x, lam):
        return jnp.sum(jnp.where(good, operator(x, lam), 0) * g)

    return jax.jit(jax.grad(loss, (0, 1)))(x, lam)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_mask_protects_all_others(name, weight, bad):
    shape = OPERATORS[name][1]
    lam = jnp.array(WEIGHTS[weight](shape))
    if len(shape) == 3 and lam.ndim:
        lam = (jnp.array(0.2), lam)
    x = jnp.array(signal("noise", shape))
    good = jnp.arange(shape[0]) != 1
    want = gradients(name, x, lam, good)
    got = gradients(name, x.at[1, ..., 3].set(bad), lam, good)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPERATORS)
def test_without_a_mask_the_gradient_of_a_shared_weight_is_nan(name):
    shape = OPERATORS[name][1]
    x = jnp.array(signal("noise", shape)).at[1, ..., 3].set(np.nan)
    x_bar, lam_bar = gradients(name, x, jnp.array(0.3), jnp.ones(shape[0], bool))
    assert np.isnan(lam_bar) and np.isnan(x_bar[1]).all() and np.isfinite(x_bar[0]).all()

# SPDX-License-Identifier: MIT
"""Is the mean over connected regions, the derivative of the converged prox, that of its region?"""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bits, large
from images import components

from jaxtv._operators import tvnd


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("levels", [2, 3, 9])
@pytest.mark.parametrize("shape", [(1,), (9,), (1, 7), (7, 1), (40, 33), (5, 4, 6), (3, 2, 4, 3)])
def test_component_means(shape, levels, dtype):
    rng = np.random.default_rng(levels)
    y, v = rng.integers(0, levels, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    lams = [
        rng.integers(0, 3, [n - (a == d) for d, n in enumerate(shape)]) for a in range(len(shape))
    ]
    axes = tuple(range(len(shape)))
    got = tvnd.component_mean(
        jnp.array(y), [jnp.array(w, dtype) for w in lams], jnp.array(v), axes=axes
    )
    label = components(y, lams)
    mean = np.bincount(label, v.ravel().astype(np.float64)) / np.bincount(label)
    tolerance = 8 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(got, mean[label].reshape(shape), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_of_a_constant_is_that_constant(dtype):
    """So the means are a projection to the last bit: again, they change nothing."""
    rng = np.random.default_rng(0)
    y = jnp.array(rng.integers(0, 2, (40, 33)), dtype)
    ones = [jnp.ones((1, 1), dtype)] * 2
    mean = functools.partial(tvnd.component_mean, y, ones, axes=(0, 1))
    once = mean(jnp.array(1000 + rng.normal(size=y.shape), dtype))
    assert bits(mean(once)) == bits(once)


@large
def test_component_means_of_a_large_image():
    """Across the stripes that threads label on their own: a spiral is one component."""
    y = np.zeros((300, 301), np.float32)
    for k in range(0, 148, 2):  # walls of a spiral, one pixel thick
        y[k + 1, k : 300 - k - 2] = 1
        y[k + 1 : 300 - k - 1, 300 - k - 2] = 1
    v = np.random.default_rng(0).normal(size=y.shape).astype(np.float32)
    ones = [jnp.ones((1, 1), jnp.float32)] * 2
    got = tvnd.component_mean(jnp.array(y), ones, jnp.array(v), axes=(0, 1))
    label = components(y, (1, 1))
    mean = np.bincount(label, v.ravel().astype(np.float64)) / np.bincount(label)
    np.testing.assert_allclose(got, mean[label].reshape(y.shape), rtol=1e-6, atol=1e-7)

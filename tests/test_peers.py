# SPDX-License-Identifier: MIT
"""Do the answers agree with an established library, proxTV, where it is installed?"""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import KINDS, signal

import jaxtv

prox_tv = pytest.importorskip("prox_tv")


@pytest.mark.parametrize("method", ["hybridtautstring", "classictautstring", "dp", "kolmogorov"])
@pytest.mark.parametrize("lam", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("kind", KINDS)
def test_one_line(kind, lam, method):
    x = signal(kind, (300,))
    want = prox_tv.tv1_1d(x, lam, method=method)
    y = jaxtv.prox_tv_1d(jnp.array(x), lam)
    # Some of these methods keep cumulative sums, which cost them a factor of the length.
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-13 * 300 * max(np.abs(x).max(), 1))


@pytest.mark.parametrize("kind", KINDS)
def test_one_weight_per_edge(kind):
    x = signal(kind, (300,))
    w = np.random.default_rng(0).exponential(size=299)
    want = prox_tv.tv1w_1d(x, w)
    y = jaxtv.prox_tv_1d(jnp.array(x), jnp.array(w))
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-13 * 300 * max(np.abs(x).max(), 1))


@pytest.mark.parametrize("lam", [0.1, 0.5])
@pytest.mark.parametrize("method", ["dr", "pd"])
def test_one_image(lam, method):
    """proxTV stops after a fixed number of iterations without a certificate: three digits."""
    x = signal("noise", (24, 20))
    want = prox_tv.tv1_2d(x, lam, max_iters=1000, method=method)
    y = jaxtv.prox_tv_2d(jnp.array(x), lam, tol=1e-7, max_sweeps=5000)
    assert np.linalg.norm(y - want) <= 1e-3 * np.linalg.norm(x)

# SPDX-License-Identifier: MIT
"""Is the plain-JAX fallback right on its own, and equal to the kernels?"""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from jaxtv._operators import tv1d
from jaxtv._plain import tv1d as plain_tv1d

RNG = np.random.default_rng(0)
LINES = {
    "noise": RNG.normal(size=(3, 40, 2)),
    "walk": np.cumsum(RNG.normal(size=(3, 40, 2)), 1),
    "ramp": np.broadcast_to(np.linspace(0, 5, 40)[:, None], (3, 40, 2)),
    "ties": np.float64(RNG.integers(0, 3, size=(3, 40, 2))),
    "constant": np.full((3, 40, 2), 2.5),
}
LAMS = {
    "zero": np.zeros((1, 1, 1)),
    "one": np.full((1, 1, 1), 0.7),
    "line": RNG.uniform(0, 4, (3, 1, 2)),
    "edge": RNG.uniform(0, 2, (3, 39, 1)),
    "infinite": np.full((1, 1, 1), np.inf),
}
prox = jax.jit(plain_tv1d.prox, static_argnames="axis")


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prox(kind, lam, dtype):
    x, w = jnp.asarray(LINES[kind], dtype), jnp.asarray(LAMS[lam], dtype)
    y = prox(x, w, axis=1)
    eps = jnp.finfo(dtype).eps
    assert y.dtype == x.dtype
    want = oracle.prox_1d(np.float64(x), np.float64(w), 1)
    np.testing.assert_allclose(y, want, rtol=0, atol=16 * eps * np.abs(x).max())
    np.testing.assert_allclose(y, tv1d.prox(x, w, axis=1), rtol=0, atol=16 * eps * np.abs(x).max())


@pytest.mark.parametrize("lam", ["zero", "one", "line", "edge"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pull_back(axis, lam):
    y, v = (jnp.moveaxis(jnp.asarray(LINES[k], "float32"), 1, axis) for k in ("ties", "noise"))
    w = jnp.moveaxis(jnp.asarray(LAMS[lam], "float32"), 1, axis)
    got = plain_tv1d.pull_back(y, w, v, axis=axis)
    for a, b in zip(got, tv1d.pull_back(y, w, v, axis=axis), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_lines(n):
    x = jnp.asarray(RNG.normal(size=(2, n)), "float32")
    w = jnp.full((1, 1), 0.1, "float32")
    np.testing.assert_allclose(prox(x, w, axis=1), tv1d.prox(x, w, axis=1), rtol=1e-6)


def test_bad_lines_stay_alone():
    x = np.array(LINES["noise"][:, :, 0], np.float32)
    good = prox(x, np.full((3, 1), 0.5, np.float32), axis=1)
    x[0, 3] = np.inf
    y = prox(x, np.float32([[0.5], [-1], [0.5]]), axis=1)
    assert np.isnan(y[:2]).all()
    np.testing.assert_array_equal(y[2], good[2])

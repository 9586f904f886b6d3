# SPDX-License-Identifier: MIT
"""Is each coupled image of a batch solved as it is alone, wherever its axes are?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from isotropic_models import AXES, SHAPE, options

import jaxtv

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(20)


def test_vmap_equals_a_loop():
    how = options("channels")
    xs = jnp.asarray(RNG.standard_normal((3, *SHAPE)))
    lams = jnp.array([0.1, 0.3, 0.5])
    solve = functools.partial(jaxtv.prox_tv, axes=AXES, tol=1e-4, **how)
    one = jax.jit(solve)
    expected = jnp.stack([one(x, lam) for x, lam in zip(xs, lams, strict=True)])
    np.testing.assert_array_equal(jax.jit(jax.vmap(solve))(xs, lams), expected)
    last = jax.jit(jax.vmap(solve, (-1, None), -1))(jnp.moveaxis(xs, 0, -1), lams[1])
    np.testing.assert_array_equal(last[..., 1], expected[1])

    def loss(x, lam):
        return (solve(x, lam) ** 2).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    found = jax.jit(jax.vmap(jax.grad(loss, (0, 1))))(xs, lams)
    for k in range(3):
        one = gradient(xs[k], lams[k])
        np.testing.assert_allclose(found[0][k], one[0], atol=1e-12)
        np.testing.assert_allclose(found[1][k], one[1], rtol=1e-9, atol=1e-12)


def test_axes_and_channels_may_be_anywhere():
    x = jnp.asarray(RNG.standard_normal((2, 3, 4, 5)))
    expected = jaxtv.prox_tv(x, 0.3, axes=(2, 3), kind="isotropic", channel_axis=1)
    moved = jnp.transpose(x, (3, 0, 2, 1))
    found = jaxtv.prox_tv(moved, 0.3, axes=(-2, 0), kind="isotropic", channel_axis=-1)
    np.testing.assert_allclose(jnp.transpose(found, (1, 3, 2, 0)), expected, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_an_image_is_solved_alike_alone_and_beside_any_other(masked):
    """Whether its duals start from those of a coarser image depends on the image."""
    x = RNG.standard_normal((3, 36, 36)) * np.array([1.0, 1.0, 1e-3])[:, None, None]
    lam = np.array([0.05, 2.0, 1.0])[:, None, None]
    m = np.ones(x.shape)
    m[1] = RNG.random((36, 36)) < 0.5 if masked else 1
    solve = jax.jit(lambda *a: jaxtv.prox_tv_2d(a[0], a[1], kind="isotropic", data_weight=a[2]))
    together = solve(x, lam, m)
    for i in range(3):
        np.testing.assert_array_equal(
            solve(x[i : i + 1], lam[i : i + 1], m[i : i + 1])[0], together[i]
        )


def test_batches_may_be_sharded():
    mesh = jax.make_mesh((2,), ("batch",))
    x = jnp.asarray(RNG.standard_normal((4, 6, 6)))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
    solve = jax.jit(lambda x: jaxtv.prox_tv_2d(x, 0.3, kind="isotropic"))
    gradient = jax.jit(jax.grad(lambda x: (solve(x) ** 2).sum()))
    cut = jax.device_put(x, sharding)
    np.testing.assert_array_equal(solve(cut), solve(x))
    np.testing.assert_allclose(gradient(cut), gradient(x), atol=1e-12)
    text = solve.lower(cut).compile().as_text()
    assert "all-gather" not in text
    assert "all-reduce" not in text

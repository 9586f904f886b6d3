# SPDX-License-Identifier: MIT
"""Do sharded arrays give the same answers, and what travels between devices?"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxtv

DEVICES = 4
X = np.float32(np.cumsum(np.random.default_rng(0).normal(size=(8, 4, 12)), -1))
LAMS = {
    "scalar": np.float32(0.7),
    "line": np.float32(np.random.default_rng(1).uniform(0.1, 2, (8, 4, 1))),
    "channel": np.float32(np.random.default_rng(2).uniform(0.1, 2, (4, 1))),
    "edge": np.float32(np.random.default_rng(3).uniform(0.1, 2, (8, 4, 11))),
    "shared edge": np.float32(np.random.default_rng(4).uniform(0.1, 2, 11)),
}


def mesh(kind=AxisType.Auto, shape=(DEVICES,), names=("data",)):
    return jax.make_mesh(shape, names, axis_types=(kind,) * len(shape))


def put(value, mesh, spec):
    return jax.device_put(value, NamedSharding(mesh, spec))


def collectives(function, *args):
    text = jax.jit(function).lower(*args).compile().as_text()
    found = re.findall(r"(all-gather|all-to-all|collective-permute|all-reduce)(?:-start)?\(", text)
    return sorted(set(found))


def prox(x, lam):
    return jaxtv.prox_tv_1d(x, lam)


def gradients(x, lam):
    return jax.grad(lambda x, lam: jnp.sum(jnp.sin(prox(x, lam))), (0, 1))(x, lam)


def assert_same(got, want, rtol=1e-5):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("lam_spec", [P(), P("data")])
@pytest.mark.parametrize("name", LAMS)
def test_lines_over_devices(name, lam_spec):
    """Nothing travels but the sum of a shared weight's gradient."""
    lam = LAMS[name]
    if lam_spec != P() and lam.shape[:1] != (8,):
        pytest.skip("this weight has no batch dimension")
    m = mesh()
    x, w = put(X, m, P("data")), put(lam, m, lam_spec)
    assert collectives(prox, x, w) == []
    assert set(collectives(gradients, x, w)) <= {"all-reduce"}
    assert jax.jit(prox)(x, w).sharding.is_equivalent_to(x.sharding, 3)
    assert_same(jax.jit(prox)(x, w), prox(X, lam))
    assert_same(jax.jit(gradients)(x, w), gradients(X, lam))


def test_no_sum_when_no_weight_is_shared():
    m = mesh()
    x, w = put(X, m, P("data")), put(LAMS["line"], m, P("data"))
    assert collectives(gradients, x, w) == []


@pytest.mark.parametrize("name", LAMS)
def test_a_mesh_of_two_dimensions(name):
    m = mesh(shape=(2, 2), names=("data", "model"))
    x, w = put(X, m, P("data", "model")), put(LAMS[name], m, P())
    assert collectives(prox, x, w) == []
    assert_same(jax.jit(gradients)(x, w), gradients(X, LAMS[name]))


@pytest.mark.parametrize("name", LAMS)
def test_a_line_cut_over_devices_is_gathered(name):
    m = mesh()
    x = put(X, m, P(None, None, "data"))
    assert_same(jax.jit(prox)(x, LAMS[name]), prox(X, LAMS[name]))
    assert_same(jax.jit(gradients)(x, LAMS[name]), gradients(X, LAMS[name]))


def test_channels_behind_the_line_over_devices():
    m = mesh()
    x = np.moveaxis(X, 1, -1)  # [8, 12, 4]
    columns = jax.jit(lambda x: jaxtv.prox_tv_1d(x, 0.7, axis=1))
    assert_same(columns(put(x, m, P(None, None, "data"))), columns(x))
    assert_same(columns(put(x, m, P("data"))), columns(x))


@pytest.mark.parametrize("name", LAMS)
def test_explicit_mesh(name):
    m = mesh(AxisType.Explicit)
    with jax.set_mesh(m):
        x, w = put(X, m, P("data")), put(LAMS[name], m, P())
        assert collectives(prox, x, w) == []
        got = jax.jit(gradients)(x, w)
    assert_same(got, gradients(X, LAMS[name]))


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("x_spec, lam_spec", [(P("data"), P()), (P(), P("data"))])
def test_shard_map(x_spec, lam_spec, check_vma):
    """Also with the signal replicated and the weights cut."""
    m = mesh()
    lam = LAMS["line"]
    x = X if x_spec == P("data") else X[:2]
    lam = LAMS["scalar"] if lam_spec == P() else lam

    def local(x, lam):
        return prox(x, lam)

    mapped = jax.shard_map(
        local, mesh=m, in_specs=(x_spec, lam_spec), out_specs=P("data"), check_vma=check_vma
    )
    want = prox(X if x_spec == P("data") else np.tile(x, (DEVICES, 1, 1)), lam)
    assert_same(jax.jit(mapped)(x, lam), want)


def test_gradients_through_shard_map():
    m = mesh()

    def loss(x, lam):
        value = jnp.sum(jnp.sin(prox(x, lam)))
        return jax.lax.psum(value, "data")

    mapped = jax.shard_map(loss, mesh=m, in_specs=(P("data"), P()), out_specs=P())
    got = jax.jit(jax.grad(mapped, (0, 1)))(X, LAMS["scalar"])
    assert_same(got, gradients(X, LAMS["scalar"]))


@pytest.mark.parametrize("num_sweeps", [3, None])
def test_images_over_devices(num_sweeps):
    m = mesh()

    def denoise(x, lam):
        return jaxtv.prox_tv_2d(x, lam, num_sweeps=num_sweeps)

    def slope(x, lam):
        return jax.grad(lambda lam: jnp.sum(jnp.sin(denoise(x, lam))))(lam)

    x, lam = put(X, m, P("data")), LAMS["scalar"]
    assert "all-gather" not in collectives(denoise, x, lam)
    assert_same(jax.jit(denoise)(x, lam), denoise(X, lam))
    assert_same(jax.jit(slope)(x, lam), slope(X, lam), rtol=1e-4)

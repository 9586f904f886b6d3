# SPDX-License-Identifier: MIT
"""Are the NNX layers the Linen layers, in options, values and gradients?"""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bits, signal

nnx = pytest.importorskip("flax.nnx")
linen_layers = pytest.importorskip("jaxtv.linen")
nnx_layers = pytest.importorskip("jaxtv.nnx")

each_layer = pytest.mark.parametrize("name", ["TV1D", "TV2D"])


def maps():
    return jnp.array(signal("noise", (2, 3, 8, 7)).transpose(0, 2, 3, 1), "float32")


@each_layer
def test_options_and_their_defaults(name):
    fields = dataclasses.fields(getattr(linen_layers, name))
    linen_options = {f.name: f.default for f in fields if f.name not in ("parent", "name")}
    parameters = inspect.signature(getattr(nnx_layers, name).__init__).parameters.values()
    nnx_options = {p.name: p.default for p in parameters if p.name != "self"}
    # nnx.bridge gives rngs to every module.
    assert nnx_options.pop("rngs") is None
    assert nnx_options == linen_options


@pytest.mark.parametrize("mode", ["smooth", "sharp"])
@pytest.mark.parametrize("num_channels", [None, 3])
@each_layer
def test_values_and_gradients(name, num_channels, mode):
    x, options = maps(), {"mode": mode, "lam_init": 0.4}
    ours = getattr(nnx_layers, name)(num_channels=num_channels, **options)
    theirs = getattr(linen_layers, name)(num_channels=num_channels, **options)
    params = theirs.init(jax.random.key(0), x)
    assert bits(ours(x)) == bits(theirs.apply(params, x))
    got = nnx.grad(lambda layer: jnp.sum(jnp.sin(layer(x))))(ours)
    want = jax.grad(lambda p: jnp.sum(jnp.sin(theirs.apply(p, x))))(params)
    np.testing.assert_allclose(got["lam_raw"][...], want["params"]["lam_raw"], rtol=1e-6)


@each_layer
def test_weights_that_are_fixed_or_given(name):
    x, layer = maps(), getattr(nnx_layers, name)
    fixed = layer(learned=False, lam_init=0.25)
    assert jax.tree.leaves(nnx.state(fixed)) == []
    assert bits(fixed(x)) == bits(layer(lam_init=3.0)(x, 0.25))


def test_volumes_with_a_weight_for_each_axis():
    x = jnp.stack([maps(), -maps()], axis=1)
    ours = nnx_layers.TV3D(per_axis=True, lam_init=0.4)
    theirs = linen_layers.TV3D(per_axis=True, lam_init=0.4)
    params = theirs.init(jax.random.key(0), x)
    assert ours.lam_raw[...].shape == (3,)
    assert bits(ours(x)) == bits(theirs.apply(params, x))


def test_a_step_of_a_network_under_jit():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.mix = nnx.Linear(3, 4, rngs=rngs)
            self.tv = nnx_layers.TV2D(num_channels=4, lam_init=0.2, rngs=rngs)

        def __call__(self, x):
            return self.tv(self.mix(x))

    @nnx.jit
    def step(net, x):
        loss, slope = nnx.value_and_grad(lambda net: jnp.mean((net(x) - 1) ** 2))(net)
        nnx.update(net, jax.tree.map(lambda p, g: p - 0.3 * g, nnx.state(net, nnx.Param), slope))
        return loss

    net, x = Net(nnx.Rngs(0)), maps()
    before = net.tv.lam
    losses = [step(net, x) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert net.tv.lam.shape == (4,) and not np.array_equal(net.tv.lam, before)


def test_the_mask_in_the_documentation_keeps_the_weight_from_decay(usual_jax):
    optax = pytest.importorskip("optax")

    def decayed(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "lam_raw" not in jax.tree_util.keystr(path), params
        )

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.mix = nnx.Linear(3, 4, rngs=rngs)
            self.tv = nnx_layers.TV2D(lam_init=0.01)

    net = Net(nnx.Rngs(0))
    lam, kernel = net.tv.lam, net.mix.kernel[...]
    decay = optax.adamw(1e-2, weight_decay=1.0, mask=decayed)
    optimizer = nnx.Optimizer(net, decay, wrt=nnx.Param)
    optimizer.update(net, jax.tree.map(jnp.zeros_like, nnx.state(net, nnx.Param)))
    assert net.tv.lam == lam
    assert jnp.abs(net.mix.kernel[...]).max() < jnp.abs(kernel).max()

# SPDX-License-Identifier: MIT
"""Do the Flax layers compute what they say, hold one parameter, and train?"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bits, signal

import jaxtv

nn = pytest.importorskip("flax.linen")
layers = pytest.importorskip("jaxtv.linen")

KEY = jax.random.key(0)
LAYERS = {
    "TV1D": (layers.TV1D, lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=-2)),
    "TV2D": (layers.TV2D, lambda x, lam: jaxtv.prox_tv_2d(x, lam, axes=(-3, -2), num_sweeps=4)),
}
each_layer = pytest.mark.parametrize(("layer", "prox"), LAYERS.values(), ids=LAYERS)


def maps(dtype="float32"):
    return jnp.array(signal("noise", (2, 3, 8, 7)).transpose(0, 2, 3, 1), dtype)


@each_layer
def test_the_parameter_tree(layer, prox):
    shared = layer().init(KEY, maps())
    channels = layer(num_channels=3).init(KEY, maps())
    fixed = layer(learned=False).init(KEY, maps())
    assert jax.tree.map(jnp.shape, shared) == {"params": {"lam_raw": ()}}
    assert jax.tree.map(jnp.shape, channels) == {"params": {"lam_raw": (3,)}}
    assert jax.tree.leaves(fixed) == []


@each_layer
@pytest.mark.parametrize("num_channels", [None, 3])
@pytest.mark.parametrize("lam_init", [1e-4, 0.3, 5.0, 200.0])
def test_the_initial_weight_is_lam_init(layer, prox, lam_init, num_channels):
    x = maps()
    y, params = layer(lam_init=lam_init, num_channels=num_channels).init_with_output(KEY, x)
    # softplus of its inverse, in float32.
    np.testing.assert_allclose(jax.nn.softplus(params["params"]["lam_raw"]), lam_init, rtol=1e-5)
    np.testing.assert_allclose(y, prox(x, jnp.float32(lam_init)), rtol=0, atol=1e-4)


@each_layer
def test_the_parameter_sets_the_weight_of_each_channel(layer, prox):
    x, raw = maps(), jnp.array([-3.0, 0.0, 2.0], "float32")
    y = layer(num_channels=3).apply({"params": {"lam_raw": raw}}, x)
    np.testing.assert_allclose(y, prox(x, jnp.log1p(jnp.exp(raw))), rtol=0, atol=2e-6)


@each_layer
def test_smooth_and_sharp_add_up(layer, prox):
    """Eq. 3 is prox(x), Eq. 4 is 2 x - prox(x)."""
    x = maps()
    smooth, sharp = (
        layer(mode=mode, lam_init=0.4).init_with_output(KEY, x)[0] for mode in ("smooth", "sharp")
    )
    np.testing.assert_allclose(smooth + sharp, 2 * x, rtol=0, atol=1e-6)
    assert jnp.abs(smooth - sharp).max() > 0.1
    assert bits(layer(lam_init=0.4).init_with_output(KEY, x)[0]) == bits(smooth)


@each_layer
def test_a_fixed_weight_is_used_as_it_is(layer, prox):
    x = maps()
    for lam in (0.0, 0.3, jnp.array([0.0, 0.1, 9.0], "float32")):
        assert bits(layer(learned=False, lam_init=lam).apply({}, x)) == bits(prox(x, lam))


@each_layer
def test_a_given_weight_takes_precedence(layer, prox):
    x = maps()
    for lam in (
        jnp.float32(0.2),
        jnp.array([0.1, 0.5, 2.0], "float32"),
        jnp.full((2, 1, 1, 1), 0.7),
    ):
        assert bits(layer(learned=False).apply({}, x, lam)) == bits(prox(x, lam))
        assert bits(layer().init_with_output(KEY, x, lam)[0]) == bits(prox(x, lam))
    grad = jax.grad(lambda lam: jnp.sum(layer(learned=False).apply({}, x, lam) ** 2))(
        jnp.float32(0.2)
    )
    assert grad < 0


def test_axes_and_sweeps_are_options():
    x = maps()
    rows = layers.TV1D(axis=1, lam_init=0.4, learned=False).apply({}, x)
    assert bits(rows) == bits(jaxtv.prox_tv_1d(x, 0.4, axis=1))
    other = layers.TV2D(axes=(2, 1), num_sweeps=1, lam_init=0.4, learned=False).apply({}, x)
    assert bits(other) == bits(jaxtv.prox_tv_2d(x, 0.4, axes=(2, 1), num_sweeps=1))
    converged = layers.TV2D(num_sweeps=None, lam_init=0.4, learned=False).apply({}, x)
    assert bits(converged) == bits(jaxtv.prox_tv_2d(x, 0.4, axes=(1, 2)))


def test_the_energy_is_an_option():
    x = maps()
    layer = layers.TV2D(
        kind="isotropic", channel_axis=-1, num_sweeps=None, tol=1e-2, lam_init=0.4, learned=False
    )
    options = {"kind": "isotropic", "channel_axis": -1, "tol": 1e-2}
    assert bits(layer.apply({}, x)) == bits(jaxtv.prox_tv_2d(x, 0.4, axes=(1, 2), **options))
    with pytest.raises(ValueError, match="num_sweeps=None"):
        layers.TV2D(kind="isotropic").init(KEY, x)


def test_volumes_with_a_weight_for_each_axis():
    x = jnp.stack([maps(), -maps()], axis=1)
    layer = layers.TV3D(per_axis=True, num_channels=3)
    params = layer.init(KEY, x)
    assert jax.tree.map(jnp.shape, params) == {"params": {"lam_raw": (3, 3)}}
    raw = jnp.linspace(-3, 1, 9).reshape(3, 3)
    lams = tuple(jax.nn.softplus(raw))
    expected = jaxtv.prox_tv(x, lams, axes=(1, 2, 3), num_sweeps=4)
    assert bits(layer.apply({"params": {"lam_raw": raw}}, x)) == bits(expected)
    gradient = jax.grad(lambda raw: (layer.apply({"params": {"lam_raw": raw}}, x) ** 2).sum())(raw)
    assert (gradient < 0).all()
    with pytest.raises(ValueError, match="three"):
        layers.TV3D(axes=(1, 2)).init(KEY, x)


@each_layer
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_the_output_has_the_type_of_the_input(layer, prox, dtype):
    x = maps(dtype)
    for mode in ("smooth", "sharp"):
        y, params = layer(mode=mode).init_with_output(KEY, x)
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
        assert jax.tree.leaves(params)[0].dtype == "float32"  # parameters stay in full precision


@each_layer
def test_an_unknown_mode(layer, prox):
    with pytest.raises(ValueError, match=r"mode.*sharpen|sharpen.*mode"):
        layer(mode="sharpen").init(KEY, maps())


class Denoiser(nn.Module):
    """Two convolutions around a TV layer, as in the networks that the layers are meant for."""

    tv: nn.Module

    @nn.compact
    def __call__(self, x):
        return nn.Conv(1, (1, 1))(self.tv(nn.Conv(4, (3, 3))(x)))


@pytest.mark.parametrize(("mode", "num_channels"), [("smooth", None), ("sharp", 4)])
@pytest.mark.parametrize("layer", [layers.TV1D, layers.TV2D])
def test_a_network_trains(layer, num_channels, mode):
    clean = jnp.array(np.kron(signal("noise", (4, 3, 3)), np.ones((4, 4))), "float32")[..., None]
    noisy = clean + 0.3 * jax.random.normal(KEY, clean.shape, "float32")
    model = Denoiser(layer(mode=mode, num_channels=num_channels, lam_init=0.1))
    params = model.init(KEY, noisy)
    value_and_grad = jax.jit(
        jax.value_and_grad(lambda p: jnp.mean((model.apply(p, noisy) - clean) ** 2))
    )
    first, grads = value_and_grad(params)
    assert (grads["params"]["tv"]["lam_raw"] != 0).all()
    before = params["params"]["tv"]["lam_raw"]
    for _ in range(60):
        loss, grads = value_and_grad(params)
        params = jax.tree.map(lambda p, g: p - jnp.float32(0.1) * g, params, grads)
    assert loss < 0.7 * first
    assert (params["params"]["tv"]["lam_raw"] != before).all()


@each_layer
def test_a_layer_can_be_mapped_and_rematerialised(layer, prox):
    x = maps()
    model = layer(num_channels=3)
    params = model.init(KEY, x)
    np.testing.assert_allclose(
        jax.vmap(model.apply, (None, 0))(params, x), model.apply(params, x), rtol=0, atol=1e-6
    )
    loss = lambda model: jax.grad(lambda p: jnp.sum(model.apply(p, x) ** 2))(params)  # noqa: E731
    plain, again = loss(model), loss(nn.remat(layer)(num_channels=3))
    np.testing.assert_allclose(again["params"]["lam_raw"], plain["params"]["lam_raw"], rtol=1e-5)


@each_layer
@pytest.mark.parametrize(
    ("dtype", "top"), [("float16", 4e4), ("bfloat16", 2e38), ("float32", 2e38)]
)
def test_sharpening_large_values_does_not_overflow(layer, prox, dtype, top):
    """Twice the input is out of range, the result is not."""
    x = jnp.full((1, 4, 4, 1), top, dtype)
    y = layer(mode="sharp", learned=False).apply({}, x)
    np.testing.assert_array_equal(np.asarray(y, "float32"), np.asarray(x, "float32"))


# As in the documentation of jaxtv.linen.
def decayed(params):
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "lam_raw" not in jax.tree_util.keystr(path), params
    )


@each_layer
def test_the_mask_in_the_documentation_keeps_the_weight_from_decay(layer, prox, usual_jax):
    optax = pytest.importorskip("optax")
    assert inspect.getsource(decayed).splitlines()[2].strip() in layers.__doc__
    params = Denoiser(layer(lam_init=0.01)).init(KEY, maps())

    def after(mask):
        """Steps that do nothing but decay."""
        optimizer = optax.adamw(1e-2, weight_decay=1.0, mask=mask)

        @jax.jit
        def step(trained, state):
            updates, state = optimizer.update(jax.tree.map(jnp.zeros_like, params), state, trained)
            return optax.apply_updates(trained, updates), state

        trained, state = params, optimizer.init(params)
        for _ in range(200):
            trained, state = step(trained, state)
        return trained["params"]

    masked, plain = after(decayed), after(None)
    assert masked["tv"]["lam_raw"] == params["params"]["tv"]["lam_raw"]
    assert jax.nn.softplus(plain["tv"]["lam_raw"]) > 0.3  # on its way to log 2
    kernel = params["params"]["Conv_0"]["kernel"]
    for trained in (masked, plain):
        assert jnp.abs(trained["Conv_0"]["kernel"]).max() < 0.2 * jnp.abs(kernel).max()

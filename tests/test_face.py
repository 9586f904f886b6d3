# SPDX-License-Identifier: MIT
"""What do the public functions make of arguments that are unusual but right?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bits, signal

import jaxtv

X = jnp.array(signal("noise", (2, 5, 6)), "float32")
LAM = jnp.full((), 0.3, "float32")

PROXES = {
    "lines": lambda module, x, lam: module.prox_tv_1d(x, lam),
    "newton": lambda module, x, lam: module.prox_tv_1d(x, lam, method="newton"),
    "info of lines": lambda module, x, lam: module.prox_tv_1d(x, lam, return_info=True)[0],
    "sweeps": lambda module, x, lam: module.prox_tv_2d(x, lam, num_sweeps=3),
    "converged": lambda module, x, lam: module.prox_tv_2d(x, lam),
    "info": lambda module, x, lam: module.prox_tv_2d(x, lam, return_info=True)[0],
    "warm": lambda module, x, lam: module.prox_tv_2d(x, lam, init=(lam, lam)),
    "volume": lambda module, x, lam: module.prox_tv(x, lam, axes=(0, 1, 2)),
}


@pytest.mark.parametrize("module", [jaxtv, jaxtv.forward], ids=["jaxtv", "forward"])
@pytest.mark.parametrize("name", PROXES)
def test_eager_calls_on_device_arrays_transfer_nothing(name, module):
    with jax.transfer_guard("disallow"):
        y, pull = jax.vjp(lambda x, lam: PROXES[name](module, x, lam), X, LAM)
        pull(y)
        PROXES[name](module, X, LAM)


def test_eager_reductions_of_device_arrays_transfer_nothing():
    total = lambda x: jaxtv.total_variation(x, axes=(1, 2))  # noqa: E731
    weighted = lambda x, lam: jaxtv.total_variation(x, axes=(1, 2), lam=lam)  # noqa: E731
    with jax.transfer_guard("disallow"):
        for f, arguments in ((total, (X,)), (weighted, (X, LAM)), (jaxtv.lambda_max, (X,))):
            value, pull = jax.vjp(f, *arguments)
            pull(value)
            f(*arguments)


def test_eager_layers_on_device_arrays_transfer_nothing():
    pytest.importorskip("flax")
    import jaxtv.linen
    import jaxtv.nnx

    for options in ({"mode": "smooth"}, {"mode": "sharp"}):
        layer, own = jaxtv.linen.TV2D(**options), jaxtv.nnx.TV1D(**options)
        params = layer.init(jax.random.key(0), X)
        with jax.transfer_guard("disallow"):
            y, pull = jax.vjp(layer.apply, params, X)
            pull(y)
            own(X)


@pytest.mark.parametrize("big", [2**31, 2**40, 10**30, np.int64(2**40), np.full((1,), 2**40)])
def test_large_integers_are_weights(big, usual_jax):
    """Integers that are not int32 once float64 is off."""
    same = float(np.ravel(big)[0])
    np.testing.assert_array_equal(jaxtv.prox_tv_1d(X, big), jaxtv.prox_tv_1d(X, same))
    np.testing.assert_array_equal(jaxtv.prox_tv_2d(X, big), jaxtv.prox_tv_2d(X, same))
    total = jaxtv.total_variation(X, axes=(1, 2))
    got = jaxtv.total_variation(X, axes=(1, 2), lam=big)
    np.testing.assert_allclose(got, same * total, rtol=1e-5)


def test_wrapped_arrays_are_arrays():
    """As flax.nnx.Param is."""

    class Wrapped:
        def __init__(self, array):
            self.array = array

        def __jax_array__(self):
            return self.array

    want = jaxtv.prox_tv_2d(X, (LAM, LAM), init=(LAM, LAM))
    lam = Wrapped(LAM)
    assert bits(jaxtv.prox_tv_2d(Wrapped(X), (lam, lam), init=(lam, lam))) == bits(want)


@pytest.mark.parametrize("axes", [[0, 1], range(2), np.arange(2), (np.int8(0), 1), jnp.arange(2)])
def test_axes_of_any_sequence(axes):
    assert bits(jaxtv.prox_tv_2d(X, 0.3, axes=axes)) == bits(jaxtv.prox_tv_2d(X, 0.3, axes=(0, 1)))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_a_traced_limit_of_any_integer_type(dtype):
    top = np.array(jnp.iinfo(dtype).max, dtype)
    sweeps = jax.jit(
        lambda limit: jaxtv.prox_tv_2d(X, 0.3, max_sweeps=limit, return_info=True)[1].sweeps
    )
    want = jaxtv.prox_tv_2d(X, 0.3, return_info=True)[1].sweeps
    np.testing.assert_array_equal(sweeps(jnp.array(top)), want)
    np.testing.assert_array_equal(sweeps(jnp.array(2, dtype)), np.minimum(want, 2))
    if dtype.startswith("i"):
        np.testing.assert_array_equal(sweeps(jnp.array(jnp.iinfo(dtype).min, dtype)), 0)


def test_a_new_tolerance_or_limit_traces_nothing():
    call = lambda tol, limit: jaxtv.prox_tv_2d(X, LAM, tol=tol, max_sweeps=limit)  # noqa: E731
    call(1e-2, 10)
    with jax.no_tracing():
        call(1e-5, 20)
        call(0.5, 3)


def test_a_deleted_array_is_reported_by_jax():
    x = X + 1
    x.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        jaxtv.prox_tv_1d(x, 0.3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_total_variation_of_a_half_image_is_float32(dtype):
    """An ordinary image, whose total variation is beyond float16."""
    x = jnp.array(np.random.default_rng(0).uniform(size=(512, 512)), dtype)
    got = jaxtv.total_variation(x, axes=(0, 1))
    want = jaxtv.total_variation(x.astype("float32"), axes=(0, 1))
    assert got.dtype == "float32" and got > 70_000
    assert bits(got) == bits(want)


TIED = jnp.array([0.0, 0.0, 1.0])


def variation(x, lam):
    return jaxtv.total_variation(x, axes=(0,), lam=lam)


def test_an_infinite_weight_on_a_tie_has_derivatives():
    lam = jnp.array([np.inf, 1.0])
    np.testing.assert_array_equal(variation(TIED, lam), 1)
    np.testing.assert_array_equal(jax.grad(variation)(TIED, lam), [0, -1, 1])
    np.testing.assert_array_equal(jax.grad(variation, 1)(TIED, lam), [0, 1])
    assert jax.grad(variation, 1)(jnp.zeros(3), jnp.array(np.inf)) == 0
    for x_or_lam in (0, 1):
        np.testing.assert_array_equal(jax.hessian(variation, x_or_lam)(TIED, lam), 0)
        slope = jax.jacfwd(variation, x_or_lam)(TIED, lam)
        np.testing.assert_array_equal(slope, jax.grad(variation, x_or_lam)(TIED, lam))
    mixed = jax.jacrev(jax.grad(variation), 1)(TIED, lam)
    np.testing.assert_array_equal(mixed, [[0, 0], [0, -1], [0, 1]])


def test_an_infinite_weight_on_a_step_is_infinite():
    lam = jnp.array([1.0, np.inf])
    assert variation(TIED, lam) == np.inf
    np.testing.assert_array_equal(jax.grad(variation)(TIED, lam), [0, -np.inf, np.inf])


@pytest.mark.parametrize("weight", [-41.0, float("nan")])
def test_the_variation_with_a_traced_weight_below_zero_is_nan(weight):
    """For that image alone, also where nothing varies."""
    x = jnp.array([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    lam = jnp.array([[1.0], [weight], [weight]])
    total = lambda x, lam: jaxtv.total_variation(x, axes=(1,), lam=lam)  # noqa: E731
    np.testing.assert_array_equal(total(x, lam), [3, np.nan, np.nan])
    np.testing.assert_array_equal(jax.jit(total)(x, lam), [3, np.nan, np.nan])
    slope = jax.grad(lambda x: total(x, lam)[0])(x)
    np.testing.assert_array_equal(slope[0], [-1, 0, 1])
    np.testing.assert_array_equal(total(x[:, :1], lam), [0, 0, 0])  # no edge, no weight

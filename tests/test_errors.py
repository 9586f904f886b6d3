# SPDX-License-Identifier: MIT
"""Does each mistake raise the right exception, naming the argument and what was given?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxtv

X = jnp.zeros((2, 5, 6))

PROXES = {
    "prox_tv_1d": lambda x=X, lam=1.0, **options: jaxtv.prox_tv_1d(x, lam, **options),
    "prox_tv_2d": lambda x=X, lam=1.0, **options: jaxtv.prox_tv_2d(x, lam, **options),
    "prox_tv": lambda x=X, lam=1.0, **options: jaxtv.prox_tv(x, lam, **{"axes": (0, 1), **options}),
    "lambda_max": lambda x=X, **options: jaxtv.lambda_max(x, **options),
    "total_variation": lambda x=X, **options: jaxtv.total_variation(x, **{"axes": (1,), **options}),
}
each_function = pytest.mark.parametrize("name", PROXES)
each_prox = pytest.mark.parametrize("name", ["prox_tv_1d", "prox_tv_2d", "prox_tv"])
each_2d = pytest.mark.parametrize("name", ["prox_tv_2d", "prox_tv"])


def assert_says(error, *fragments):
    message = str(error.value)
    for fragment in fragments:
        assert fragment in message
    assert len(message) > 30  # room for what was expected


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex64", "complex128"])
@each_function
def test_a_signal_that_is_not_floating(name, dtype):
    if "complex" in dtype and name in ("prox_tv", "prox_tv_2d"):
        pytest.skip("complex images are pairs of channels")
    with pytest.raises(TypeError) as error:
        PROXES[name](X.astype(dtype))
    assert_says(error, "x", dtype, "float32")


@each_function
def test_a_signal_without_axes(name):
    with pytest.raises(ValueError) as error:
        PROXES[name](jnp.array(1.0))
    assert_says(error, "x", "scalar")


@pytest.mark.parametrize("dtype", ["bool", "complex64"])
@each_prox
def test_a_weight_that_is_not_real(name, dtype):
    with pytest.raises(TypeError) as error:
        PROXES[name](lam=jnp.ones((), dtype))
    assert_says(error, "lam", dtype)


@pytest.mark.parametrize(
    "shape", [(6,), (4,), (7,), (5, 6), (5, 1, 1), (3, 1, 1), (2, 5, 0), (1, 1, 1, 1), (2, 2, 5, 6)]
)
def test_a_weight_that_does_not_broadcast_along_a_line(shape):
    with pytest.raises(ValueError) as error:
        jaxtv.prox_tv_1d(X, jnp.ones(shape))
    assert_says(error, "lam", str(shape), str(X.shape), "5")


@pytest.mark.parametrize("shape", [(5, 1), (6,), (4, 5), (3, 1, 1), (1, 1, 1, 1)])
def test_one_weight_for_two_axes_has_size_one_on_both(shape):
    with pytest.raises(ValueError) as error:
        jaxtv.prox_tv_2d(X, jnp.ones(shape))
    assert_says(error, "lam", str(shape), str(X.shape))


@each_2d
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_tuple_of_weights_has_one_per_axis(name, count):
    with pytest.raises(ValueError) as error:
        PROXES[name](lam=(1.0,) * count)
    assert_says(error, "lam", str(count), "2")


def test_a_weight_of_a_tuple_that_does_not_fit_its_axis():
    good, bad = jnp.ones((4, 6)), jnp.ones((5, 6))
    with pytest.raises(ValueError) as error:
        jaxtv.prox_tv_2d(X, (good, bad))
    assert_says(error, "lam", "(5, 6)", str(X.shape))


@pytest.mark.parametrize("axis", [3, -4, 100])
@pytest.mark.parametrize("name", ["prox_tv_1d", "lambda_max"])
def test_an_axis_out_of_range(name, axis):
    with pytest.raises(ValueError) as error:
        PROXES[name](axis=axis)
    assert_says(error, "axis", str(axis), "3")


@pytest.mark.parametrize("axes", [(0, 3), (-4, 1)])
@pytest.mark.parametrize("name", ["prox_tv_2d", "prox_tv", "total_variation"])
def test_axes_out_of_range(name, axes):
    with pytest.raises(ValueError) as error:
        PROXES[name](axes=axes)
    assert_says(error, "axes", str(axes[0] if axes[0] else axes[1]))


@pytest.mark.parametrize("axes", [(0, 0), (1, -2)])
@pytest.mark.parametrize("name", ["prox_tv_2d", "prox_tv", "total_variation"])
def test_repeated_axes(name, axes):
    with pytest.raises(ValueError) as error:
        PROXES[name](axes=axes)
    assert_says(error, "axes", str(axes))


@pytest.mark.parametrize("axes", [(), (1,), (0, 1, 2)])
def test_an_image_has_two_axes(axes):
    with pytest.raises(ValueError) as error:
        jaxtv.prox_tv_2d(X, 1.0, axes=axes)
    assert_says(error, "axes", str(axes), "two")


def test_an_axis_that_is_no_integer():
    with pytest.raises(TypeError) as error:
        jaxtv.prox_tv_1d(X, 1.0, axis=1.5)
    assert_says(error, "axis", "1.5", "int")


@each_2d
def test_a_negative_number_of_sweeps(name):
    with pytest.raises(ValueError) as error:
        PROXES[name](num_sweeps=-1)
    assert_says(error, "num_sweeps", "-1")


@pytest.mark.parametrize("tol", [-1e-3, float("nan")])
@each_2d
def test_a_tolerance_below_zero(name, tol):
    with pytest.raises(ValueError) as error:
        PROXES[name](tol=tol)
    assert_says(error, "tol", str(tol))


@each_2d
def test_a_negative_limit_of_sweeps(name):
    with pytest.raises(ValueError) as error:
        PROXES[name](max_sweeps=-2)
    assert_says(error, "max_sweeps", "-2")


@each_prox
def test_options_are_keywords(name):
    with pytest.raises(TypeError):
        getattr(jaxtv, name)(X, 1.0, -1)


@each_prox
def test_mistakes_are_found_while_tracing(name):
    """No array of that shape exists yet, so a compiled handler cannot have raised it."""
    with pytest.raises(ValueError, match="lam"):
        jax.eval_shape(PROXES[name], X, jax.ShapeDtypeStruct((3, 1, 1), "float32"))


@each_prox
def test_values_are_not_checked(name):
    """A negative weight is no exception, inside jit or outside: it gives NaN."""
    assert np.isnan(PROXES[name](lam=-1.0)).all()
    assert np.isnan(jax.jit(PROXES[name])(X, -1.0)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init": 0.0, "num_sweeps": 3}, "num_sweeps"),
        ({"init": (0.0,)}, "2 axes"),
        ({"init": (0.0, np.zeros((4, 4)))}, r"init\[1\]"),
    ],
)
def test_a_start_that_does_not_fit(options, words):
    with pytest.raises(ValueError, match=words):
        jaxtv.prox_tv_2d(jnp.zeros((4, 4)), 0.3, **options)


def test_an_axis_or_axes():
    with pytest.raises(ValueError) as error:
        jaxtv.lambda_max(X, axis=0, axes=(1, 2))
    assert_says(error, "axis", "axis=0", "(1, 2)", "one of the two")

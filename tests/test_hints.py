# SPDX-License-Identifier: MIT
"""Does a call that looks like a slip get a hint with the remedy, and no other call one?"""

import warnings

import jax
import jax.numpy as jnp
import pytest
from jax import export

import jaxtv

MODULES = pytest.mark.parametrize("module", [jaxtv, jaxtv.forward], ids=["jaxtv", "forward"])


def hints(function, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    return [hint for hint in caught if "prox_tv_2d takes the last two axes" in str(hint.message)]


def default_axes(module, **options):
    return lambda x: module.prox_tv_2d(x, 0.1, num_sweeps=1, **options)


@pytest.mark.parametrize("shape", [(2, 32, 48, 3), (16, 16, 1), (64, 64, 4), (5, 2, 32, 16, 2)])
@MODULES
def test_channels_last_without_axes(module, shape):
    (hint,) = hints(default_axes(module), jnp.ones(shape))
    assert str(shape) in str(hint.message) and "axes=(-3, -2)" in str(hint.message)
    assert hint.filename == __file__  # it points to the caller's line


@pytest.mark.parametrize(
    "shape", [(48, 3), (3, 32, 48), (32, 48, 5), (8, 48, 3), (48, 8, 3), (2, 3, 32, 48), (5, 6, 4)]
)
@MODULES
def test_other_shapes(module, shape):
    assert hints(default_axes(module), jnp.ones(shape)) == []


@pytest.mark.parametrize("axes", [(-2, -1), (-3, -2), (2, 3), [1, 2]])
@MODULES
def test_axes_that_are_named(module, axes):
    assert hints(default_axes(module, axes=axes), jnp.ones((2, 32, 48, 3))) == []


@MODULES
def test_a_jitted_function_hints_while_it_is_traced(module):
    step = jax.jit(default_axes(module))
    x = jnp.ones((2, 32, 48, 3))
    assert len(hints(step, x)) == 1
    assert len(hints(step, x)) == 0


def test_the_default_is_the_last_two_axes():
    x = jax.random.normal(jax.random.key(0), (3, 5, 6), "float32")
    want = jaxtv.prox_tv_2d(x, 0.3, axes=(1, 2))
    assert jnp.array_equal(jaxtv.prox_tv_2d(x, 0.3), want)
    assert jnp.array_equal(jaxtv.prox_tv_2d(x, 0.3, axes=None), want)


def test_sizes_that_are_not_known():
    n, m = export.symbolic_shape("n, m")
    x = jax.ShapeDtypeStruct((n, m, 3), jnp.float32)
    checks = [export.DisabledSafetyCheck.custom_call(name) for name in jaxtv.FFI_TARGETS]
    lower = export.export(jax.jit(default_axes(jaxtv)), disabled_checks=checks)
    assert hints(lower, x) == []

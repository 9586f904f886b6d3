# SPDX-License-Identifier: MIT
"""Is each wrong argument refused by an error that names it and shows what was given?"""

import importlib.util
import re

import hostile
import jax
import jax.numpy as jnp
import pytest

import jaxtv

FUNCTIONS = list(hostile.cases(hostile.targets()))
LAYERS = list(hostile.cases(hostile.layers())) if importlib.util.find_spec("flax") else []


@pytest.mark.parametrize("case", FUNCTIONS + LAYERS, ids=lambda case: case.name)
def test_refused_by_name(case):
    with pytest.raises((TypeError, ValueError)) as error:
        case.call()
    message = str(error.value)
    assert type(error.value) in (TypeError, ValueError)  # ours, not one that JAX derives from them
    assert isinstance(error.value, case.error)
    assert re.match(rf"(each of )?{case.argument}\b.* must ", message)
    assert case.given in message
    assert len(message) < 600


TRACED = {
    "axis": lambda v: jaxtv.prox_tv_1d(hostile.X, 0.1, axis=v),
    "axes": lambda v: jaxtv.prox_tv_2d(hostile.X, 0.1, axes=(0, v)),
    "num_sweeps": lambda v: jaxtv.prox_tv_2d(hostile.X, 0.1, num_sweeps=v),
    "return_info": lambda v: jaxtv.prox_tv_1d(hostile.X, 0.1, return_info=v),
    "keepdims": lambda v: jaxtv.lambda_max(hostile.X, keepdims=v),
}


@pytest.mark.parametrize("argument", TRACED)
def test_what_shapes_the_program_is_not_traced(argument):
    with pytest.raises(TypeError, match=f"{argument}.*traced.*static") as error:
        jax.jit(TRACED[argument])(jnp.ones((), "int32"))
    assert type(error.value) is TypeError


def test_a_traced_initial_weight():
    """The parameter of a layer is made of it."""
    pytest.importorskip("flax")
    import jaxtv.linen
    import jaxtv.nnx

    linen = lambda v: jaxtv.linen.TV1D(lam_init=v).init(jax.random.key(0), hostile.X)  # noqa: E731
    for make in (linen, lambda v: jaxtv.nnx.TV2D(lam_init=v).lam):
        with pytest.raises(ValueError, match=r"lam_init must.*traced array.*lam_raw"):
            jax.jit(make)(jnp.ones(()))
        assert jax.tree.leaves(make(jnp.full((), 0.3))) == jax.tree.leaves(make(0.3))


def test_a_verdict_does_not_depend_on_what_was_compiled_before():
    """1.0 and True are equal to 1, also as keys of the cache of jit."""
    jaxtv.prox_tv_2d(hostile.X, 0.1, axes=(0, 1), num_sweeps=1)
    jaxtv.prox_tv_1d(hostile.X, 0.1, axis=1)
    for call in (
        lambda: jaxtv.prox_tv_2d(hostile.X, 0.1, axes=(0.0, 1.0), num_sweeps=1),
        lambda: jaxtv.prox_tv_2d(hostile.X, 0.1, axes=(0, 1), num_sweeps=True),
        lambda: jaxtv.prox_tv_1d(hostile.X, 0.1, axis=1.0),
    ):
        with pytest.raises(TypeError, match="integer"):
            call()

# SPDX-License-Identifier: MIT
"""Can compiled programs be exported, also for devices that are not here?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxtv

CHECKS = [export.DisabledSafetyCheck.custom_call(name) for name in jaxtv.FFI_TARGETS]
X = np.float32(np.random.default_rng(0).normal(size=(6, 20)))


def value_and_gradient(x, lam):
    def loss(lam):
        return jnp.sum(jnp.sin(jaxtv.prox_tv_1d(x, lam)))

    return jax.value_and_grad(loss)(lam)


def test_round_trip():
    exported = export.export(jax.jit(value_and_gradient), disabled_checks=CHECKS)(X, np.float32(1))
    loaded = export.deserialize(exported.serialize())
    for got, want in zip(loaded.call(X, np.float32(1)), value_and_gradient(X, 1.0), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_symbolic_batch():
    (batch,) = export.symbolic_shape("batch")
    spec = jax.ShapeDtypeStruct((batch, 20), jnp.float32)
    exported = export.export(jax.jit(value_and_gradient), disabled_checks=CHECKS)(
        spec, jax.ShapeDtypeStruct((), jnp.float32)
    )
    for size in (1, 6):
        got = exported.call(X[:size], np.float32(0.5))
        np.testing.assert_allclose(got[0], value_and_gradient(X[:size], 0.5)[0], rtol=1e-6)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowering_for_a_platform(platform):
    exported = export.export(
        jax.jit(value_and_gradient), platforms=[platform], disabled_checks=CHECKS
    )(X, np.float32(1))
    compiled = platform in jaxtv.compiled_platforms
    assert ("@jaxtv_prox_tv1d(" in exported.mlir_module()) == compiled


def test_one_artifact_for_two_platforms():
    exported = export.export(
        jax.jit(value_and_gradient), platforms=["cpu", "cuda"], disabled_checks=CHECKS
    )(X, np.float32(1))
    got = export.deserialize(exported.serialize()).call(X, np.float32(1))
    np.testing.assert_allclose(got[0], value_and_gradient(X, 1.0)[0], rtol=1e-6)

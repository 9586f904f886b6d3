# SPDX-License-Identifier: MIT
"""Checks an installed jaxtv-cuda on a machine without a GPU: nox -s cuda_wheel.

jaxtv is there without compiled kernels of its own, so whatever runs for CUDA is from this wheel.
"""

import importlib.metadata
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import jaxtv
import jaxtv_cuda._cuda

from jaxtv._plumbing import cuda_wheel


def kernels_called(function) -> set[str]:
    """The custom calls in `function` and its derivative, compiled for CUDA."""
    checks = [jax.export.DisabledSafetyCheck.custom_call(name) for name in jaxtv.FFI_TARGETS]
    program = jax.jit(lambda x: jax.vjp(function, x)[1](x))
    made = jax.export.export(program, platforms=["cuda"], disabled_checks=checks)
    text = made(jnp.ones((4, 64, 64))).mlir_module()
    return set(re.findall(r"@(jaxtv_\w+)", text))


def error_of(target: str) -> str:
    """What a handler says that gets no stream of a GPU."""
    capsule = jaxtv_cuda._cuda.targets[target]
    jax.ffi.register_ffi_target("without_a_gpu", capsule, platform="cpu")
    x = np.ones((2, 5, 3), np.float32)
    work_space = jax.ShapeDtypeStruct((2, 1), np.uint8)
    call = jax.ffi.ffi_call("without_a_gpu", [jax.ShapeDtypeStruct(x.shape, x.dtype), work_space])
    try:
        jax.block_until_ready(call(x, np.ones((1, 1, 1), np.float32), axis=np.int64(1)))
    except jax.errors.JaxRuntimeError as error:
        return str(error)
    raise AssertionError(f"{target} ran without a GPU")


wheel = importlib.metadata.distribution("jaxtv").read_text("WHEEL")
assert "Root-Is-Purelib: true" in wheel and "Tag: py3-none-any" in wheel, wheel
said = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
assert len(said) == 1 and "computes on cpu in plain JAX" in said[0], said
assert jaxtv.compiled_platforms == {"cuda"}, jaxtv.compiled_platforms
assert set(jaxtv.FFI_TARGETS) == jaxtv_cuda._cuda.targets.keys()
lines = kernels_called(lambda x: jaxtv.prox_tv_1d(x, 1.0))
assert lines >= {"jaxtv_prox_tv1d", "jaxtv_pull_back"}, lines
images = kernels_called(lambda x: jaxtv.prox_tv_2d(x, 1.0))
assert images >= {"jaxtv_prox_tv1d", "jaxtv_alternating", "jaxtv_component_mean"}, images
coupled = kernels_called(lambda x: jaxtv.prox_tv_2d(x, 1.0, kind="isotropic"))
assert coupled == {"jaxtv_isotropic_steps"}, coupled
y = jaxtv.prox_tv_1d(jnp.array([0.0, 0.0, 4.0]), 1.0)  # on the CPU, in plain JAX
np.testing.assert_array_equal(y, [0.5, 0.5, 3.0])
if cuda_wheel.driver_version() is None:
    print("without a GPU:", error_of("jaxtv_prox_tv1d"))
built = jaxtv_cuda._cuda.cuda_version
print(f"jaxtv-cuda: {len(jaxtv.FFI_TARGETS)} kernels registered, built with CUDA {built}")

# SPDX-License-Identifier: MIT
"""Can compiled programs be exported, also for devices that are not here?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import cpu_mesh, default_platform
from jax import export
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxtv
from jaxtv import forward
from jaxtv._plain import scan

pytestmark = pytest.mark.usefixtures("quick_compilation")

CHECKS = [export.DisabledSafetyCheck.custom_call(name) for name in jaxtv.FFI_TARGETS]
X = np.float32(np.random.default_rng(0).normal(size=(6, 5, 8)))
LAM = np.float32(0.4)
OPERATORS = {
    "1d": functools.partial(jaxtv.prox_tv_1d, axis=-2),
    "newton": functools.partial(jaxtv.prox_tv_1d, method="newton"),
    "sweeps": functools.partial(jaxtv.prox_tv_2d, num_sweeps=2),
    # To the default of deriv_tol, so that a value alone is the one with derivatives.
    "converged": functools.partial(jaxtv.prox_tv_2d, tol=1e-6),
    "forward": functools.partial(forward.prox_tv_2d, tol=1e-6),
}
each_operator = pytest.mark.parametrize("name", OPERATORS)


def with_gradients(operator):
    def program(x, lam):
        y, pull = jax.vjp(operator, x, lam)
        return y, *pull(jnp.cos(y))

    return jax.jit(program)


def exported(program, *args, **options):
    made = export.export(program, disabled_checks=CHECKS, **options)(*args)
    return export.deserialize(made.serialize())


def assert_same(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@each_operator
def test_a_symbolic_batch_for_cpu_and_cuda(name):
    """One artifact, made without a GPU, for every batch size and for both platforms."""
    program = with_gradients(OPERATORS[name])
    (batch,) = export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, *X.shape[1:]), X.dtype)
    loaded = exported(program, x, LAM, platforms=["cpu", "cuda"])
    assert loaded.platforms == ("cpu", "cuda")
    for size in (1, 6):
        assert_same(loaded.call(X[:size], LAM), program(X[:size], LAM))


def bound_of_sweeps(x, lam):
    return jaxtv.prox_tv_2d(x, lam, num_sweeps=2, return_info=True)[1].error_bound


SIZES = {
    **OPERATORS,
    "warm": lambda x, lam: jaxtv.prox_tv_2d(x, lam, init=0.0),
    "bound of sweeps": bound_of_sweeps,
    "volumes": functools.partial(jaxtv.prox_tv, axes=(0, 1, 2)),
    "value": lambda x, lam: lam * jaxtv.total_variation(x, axes=(1, 2)),
    "bound": lambda x, lam: lam * jaxtv.lambda_max(x),
}


@pytest.mark.parametrize("name", SIZES)
def test_symbolic_sizes(name):
    """One artifact for every size of image, on every platform: images, lines and single pixels."""
    program = with_gradients(SIZES[name])
    x = jax.ShapeDtypeStruct(export.symbolic_shape("batch, height, width"), X.dtype)
    exported(program, x, LAM, platforms=["cuda", "tpu"])
    loaded = exported(program, x, LAM, platforms=[default_platform()])
    for shape in [(6, 5, 8), (2, 1, 3), (1, 4, 1), (1, 1, 1)]:
        part = X[tuple(map(slice, shape))]
        assert_same(loaded.call(part, LAM), program(part, LAM))


def test_symbolic_sizes_of_a_weight_for_each_edge():
    program = with_gradients(OPERATORS["sweeps"])
    batch, height, width = export.symbolic_shape("batch, height, width")
    spec = functools.partial(jax.ShapeDtypeStruct, dtype=X.dtype)
    lams = np.ones((1, 4, 8), X.dtype), np.linspace(0.1, 1, 35, dtype=X.dtype).reshape(1, 5, 7)
    specs = spec((1, height - 1, width)), spec((1, height, width - 1))
    loaded = exported(program, spec((batch, height, width)), specs)
    assert_same(jax.tree.leaves(loaded.call(X, lams)), jax.tree.leaves(program(X, lams)))
    small = X[:, :1, :2], (lams[0][:, :0, :2], lams[1][:, :1, :1])
    assert_same(jax.tree.leaves(loaded.call(*small)), jax.tree.leaves(program(*small)))


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_over_symbolic_sizes(reverse):
    """By doubling, on the associative but not commutative product of affine maps."""

    def then(a, b):
        return a[0] * b[0], b[0] * a[1] + b[1]

    product = functools.partial(scan.associative_scan, then, axis=1, reverse=reverse)
    x = jax.ShapeDtypeStruct(export.symbolic_shape("batch, width"), np.float64)
    loaded = exported(jax.jit(lambda a, b: product((a, b))), x, x)
    for size in (1, 2, 7, 64):
        a, b = np.random.default_rng(0).normal(size=(2, 3, size))
        assert_same(loaded.call(a, b), product((a, b)))


def test_a_symbolic_batch_with_a_weight_for_each_image():
    program = with_gradients(OPERATORS["sweeps"])
    (batch,) = export.symbolic_shape("batch")
    spec = functools.partial(jax.ShapeDtypeStruct, dtype=X.dtype)
    loaded = exported(program, spec((batch, *X.shape[1:])), spec((batch, 1, 1)))
    lam = np.linspace(0.1, 1, 6, dtype=X.dtype)[:, None, None]
    assert_same(loaded.call(X, lam), program(X, lam))


@each_operator
def test_a_gradient_of_what_was_loaded(name):
    """Exported with its vjp, the program is differentiated after it was loaded."""
    operator = jax.jit(OPERATORS[name])
    made = export.export(operator, disabled_checks=CHECKS)(X, LAM)
    loaded = export.deserialize(made.serialize(vjp_order=1))
    y, pull = jax.vjp(loaded.call, X, LAM)
    assert_same((y, *pull(jnp.cos(y))), with_gradients(operator)(X, LAM))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowering_for_a_platform(platform):
    program = with_gradients(OPERATORS["1d"])
    made = export.export(program, platforms=[platform], disabled_checks=CHECKS)(X, LAM)
    compiled = platform in jaxtv.compiled_platforms
    assert ("@jaxtv_prox_tv1d(" in made.mlir_module()) == compiled


@pytest.mark.skipif(
    default_platform() != "cpu", reason="needs eight devices of the default platform"
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_a_program_for_eight_devices(symbolic):
    """Loaded, it still computes every line where it lies."""
    mesh = cpu_mesh((8,), ("data",), (AxisType.Auto,))
    cut, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    x, lam = jax.device_put(np.tile(X, (4, 1, 1)), cut), jax.device_put(LAM, whole)
    (batch,) = export.symbolic_shape("8 * batch") if symbolic else (24,)
    spec = jax.ShapeDtypeStruct((batch, *X.shape[1:]), X.dtype, sharding=cut)
    program = jax.jit(OPERATORS["1d"], in_shardings=(cut, whole), out_shardings=cut)
    call = jax.jit(exported(program, spec, lam).call).lower(x, lam).compile()
    assert "all-gather" not in call.as_text()
    np.testing.assert_allclose(call(x, lam), OPERATORS["1d"](x, lam))

# SPDX-License-Identifier: MIT
"""Do sharded arrays give the same answers and gradients, and what travels between devices?"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import cpu_mesh
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxtv
from jaxtv import forward

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH, OTHER = 16, 2  # over 8 devices, and along a second batch axis

# Operators on the last axes of x, and how many of them are TV axes.
OPERATORS = {
    "1d": (jaxtv.prox_tv_1d, 1),
    "newton": (functools.partial(jaxtv.prox_tv_1d, method="newton"), 1),
    "sweeps": (functools.partial(jaxtv.prox_tv_2d, num_sweeps=2), 2),
    "converged": (jaxtv.prox_tv_2d, 2),
    "volumes": (functools.partial(jaxtv.prox_tv, axes=(-3, -2, -1)), 3),
    "forward": (functools.partial(forward.prox_tv_2d, num_sweeps=2), 2),
}
KINDS = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}
each_operator = pytest.mark.parametrize("name", OPERATORS)
each_kind = pytest.mark.parametrize("kind", KINDS)
ALL_REDUCE = {"all-reduce"}  # the sum that the gradient of a shared weight is


def mesh(kind="auto", shape=(8,), names=("data",)):
    return cpu_mesh(shape, names, (KINDS[kind],) * len(shape))


def signal(*shape):
    return np.float32(np.cumsum(np.random.default_rng(0).normal(size=shape), -1))


def weights(*shape):
    return np.float32(np.random.default_rng(1).uniform(0.1, 2, shape))


def put(value, mesh, *spec):
    return jax.device_put(value, NamedSharding(mesh, P(*spec)))


def with_gradients(operator):
    """The result, and the gradients in x and lam of a loss of it."""

    def program(x, lam):
        y, pull = jax.vjp(operator, x, lam)
        return y, *pull(jnp.cos(y))

    return program


def collectives(compiled):
    kinds = "all-gather|all-to-all|all-reduce|collective-permute|reduce-scatter"
    return set(re.findall(rf"({kinds})(?:-start)?\(", compiled.as_text()))


def check(operator, x, lam, allowed=frozenset()):
    """Results and gradients are those of one device; only the allowed collectives are there."""
    compiled = jax.jit(with_gradients(operator)).lower(x, lam).compile()
    assert collectives(compiled) <= allowed
    got = compiled(x, lam)
    want = jax.jit(with_gradients(operator))(np.asarray(x), np.asarray(lam))
    # A gradient of a weight is a sum, in another order, of what may be as large as x.
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max()))
    return got


@pytest.mark.parametrize("cut_weights", [False, True])
@each_kind
@each_operator
def test_batch_dimensions_before_the_tv_axes(name, kind, cut_weights):
    """Nothing travels but the sum of a shared weight's gradient: not even that for own weights."""
    operator, num_axes = OPERATORS[name]
    m, x = mesh(kind), signal(BATCH, *(6, 7, 8)[-num_axes:])
    lam = weights(BATCH, *[1] * num_axes) if cut_weights else np.float32(0.7)
    lam = put(lam, m, "data") if cut_weights else put(lam, m)
    y, x_bar, _ = check(operator, put(x, m, "data"), lam, set() if cut_weights else ALL_REDUCE)
    for result in (y, x_bar):
        assert result.sharding.is_equivalent_to(NamedSharding(m, P("data")), x.ndim)


@each_kind
@pytest.mark.parametrize("shape", [(BATCH, OTHER, 1), (OTHER, 1), (BATCH, OTHER, 8), (8,)], ids=str)
def test_weights_that_broadcast(shape, kind):
    """Per line, per channel, per edge, on a mesh of two dimensions."""
    m = mesh(kind, (4, 2), ("data", "model"))
    x, lam = put(signal(BATCH, OTHER, 9), m, "data", "model"), put(weights(*shape), m)
    gather = {"all-gather"} if shape[0] in (BATCH, OTHER) else set()  # the gradient, as lam is
    check(jaxtv.prox_tv_1d, x, lam, ALL_REDUCE | gather)


@each_kind
@each_operator
def test_a_tv_axis_over_devices_is_gathered(name, kind):
    operator, num_axes = OPERATORS[name]
    m = mesh(kind)
    for axis in range(-num_axes, 0):
        shape = [OTHER, *(4, 5, 6)[-num_axes:]]
        shape[axis] = 16
        spec = [None] * (num_axes + 1)
        spec[axis] = "data"
        everything = ALL_REDUCE | {"all-gather", "all-to-all", "collective-permute"}
        y, *_ = check(operator, put(signal(*shape), m, *spec), np.float32(0.7), everything)
        if kind == "explicit":
            assert y.sharding.is_equivalent_to(NamedSharding(m, P(*spec)), len(shape))


def test_edges_over_devices():
    """Weights on the 16 edges of 17 samples, cut, as can be said of no samples."""
    m = mesh("explicit")
    x, lam = put(signal(OTHER, 17), m), put(weights(OTHER, 16), m, None, "data")
    check(jaxtv.prox_tv_1d, x, lam, ALL_REDUCE | {"all-gather"})


@pytest.mark.parametrize(
    "value",
    [
        lambda x: jaxtv.total_variation(x, axes=(-2, -1)),
        lambda x: jaxtv.lambda_max(x, axis=-1),
        lambda x: jaxtv.lambda_max(x, axes=(-2, -1)),
    ],
)
@each_kind
def test_values_of_an_image_over_devices(value, kind):
    x = signal(OTHER, 6, 16)
    got = jax.jit(value)(put(x, mesh(kind), None, None, "data"))
    np.testing.assert_allclose(got, value(x), rtol=1e-5)


# Behind the TV axes: rows or images, channels last.
BEHIND = {
    "rows": functools.partial(jaxtv.prox_tv_1d, axis=-2),
    "sweeps": functools.partial(jaxtv.prox_tv_2d, axes=(-3, -2), num_sweeps=2),
    "converged": functools.partial(jaxtv.prox_tv_2d, axes=(-3, -2)),
    "forward": functools.partial(forward.prox_tv_2d, axes=(-3, -2)),
}
each_behind = pytest.mark.parametrize("name", BEHIND)


@pytest.mark.parametrize("shape", [(), (8,)])
@each_behind
def test_channels_behind_the_tv_axes_on_an_explicit_mesh(name, shape):
    m = mesh("explicit", (2, 4), ("data", "model"))
    x = put(signal(2, 5, 6, 8), m, "data", None, None, "model")
    lam = put(weights(*shape), m, *["model"][: len(shape)])
    check(BEHIND[name], x, lam, ALL_REDUCE)


@each_behind
def test_channels_behind_the_tv_axes_on_an_automatic_mesh(name):
    x = put(signal(2, 5, 6, 8), mesh(), None, None, None, "data")
    check(BEHIND[name], x, np.float32(0.7), ALL_REDUCE | {"all-gather"})


@each_behind
def test_the_recipe_for_channels_on_an_automatic_mesh(name):
    """As docs/sharding.md has it: shard_map, or vmap over the channels. Neither gathers."""
    m = mesh("auto", (2, 4), ("data", "model"))
    x = put(signal(2, 5, 6, 8), m, "data", None, None, "model")
    spec = P("data", None, None, "model")
    mapped = jax.shard_map(BEHIND[name], mesh=m, in_specs=(spec, P()), out_specs=spec)
    check(mapped, x, np.float32(0.7), ALL_REDUCE)


def test_vmap_over_channels_does_not_gather():
    x = put(signal(2, 5, 6, 8), mesh(), None, None, None, "data")
    operator = jax.vmap(jaxtv.prox_tv_2d, (-1, None), -1)
    check(operator, x, np.float32(0.7), ALL_REDUCE)


@pytest.mark.parametrize(
    ("name", "check_vma"), [*((name, True) for name in OPERATORS), ("1d", False)]
)
def test_shard_map(name, check_vma):
    """With the weight replicated, or the signal: then each device has a weight of its own."""
    operator, num_axes = OPERATORS[name]
    m, x = mesh(), signal(BATCH, *(4, 5, 6)[-num_axes:])
    shard = functools.partial(jax.shard_map, mesh=m, check_vma=check_vma, out_specs=P("data"))
    check(
        shard(operator, in_specs=(P("data"), P())), put(x, m, "data"), np.float32(0.7), ALL_REDUCE
    )
    lam = weights(8, *[1] * num_axes)
    mapped = jax.jit(shard(operator, in_specs=(P(), P("data"))))
    want = operator(np.tile(x[:1], (8,) + (1,) * num_axes), lam)
    np.testing.assert_allclose(mapped(x[:1], put(lam, m, "data")), want, rtol=1e-5, atol=1e-5)


@each_operator
def test_gradients_within_shard_map(name):
    """A loss summed over devices, differentiated from outside."""
    operator, num_axes = OPERATORS[name]

    def loss(x, lam):
        return jax.lax.psum(jnp.sum(jnp.sin(operator(x, lam))), "data")

    mapped = jax.shard_map(loss, mesh=mesh(), in_specs=(P("data"), P()), out_specs=P())
    x, lam = signal(BATCH, *(4, 5, 6)[-num_axes:]), np.float32(0.7)
    got = jax.jit(jax.grad(mapped, (0, 1)))(x, lam)
    want = jax.jit(with_gradients(operator))(x, lam)[1:]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

# SPDX-License-Identifier: MIT
"""Does projected Newton give the answer of the direct method, on every line, in bounded time?"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import KINDS, assert_prox, bits, cpu_mesh, signal
from hypothesis import given
from hypothesis import strategies as st

import jaxtv
from jaxtv._operators import tv1d
from jaxtv._plain import tv1d_newton as plain_newton

LAMS = (0.01, 0.3, 1.0, 4.0, 50.0)
SOLVERS = {"compiled": tv1d.newton, "reference": plain_newton.newton}
OWED = {"float32": 1e-5, "float64": 1e-10}
each_dtype = pytest.mark.parametrize("dtype", OWED)
each_kind = pytest.mark.parametrize("kind", KINDS)
each_solver = pytest.mark.parametrize("solver", SOLVERS)
# The reference is compiled once for each shape, so its tests share one. Its optimised code is under
# test in test_both_solvers and in those of examples.
SHAPE = (6, 40)
quickly = pytest.mark.usefixtures("quick_compilation")

newton = functools.partial(jaxtv.prox_tv_1d, method="newton")


@functools.partial(jax.jit, static_argnames=("solver", "axis", "max_steps"))
def solve(x, lam, *, solver="compiled", axis=-1, max_steps=100):
    lam = jnp.reshape(lam, (1,) * (x.ndim - jnp.ndim(lam)) + jnp.shape(lam)).astype(x.dtype)
    return SOLVERS[solver](x, lam, axis=axis % x.ndim, max_steps=max_steps)


def assert_agrees(y, x, lam):
    """`y` is the direct answer to the accuracy that the method owes, relative to the line."""
    want = np.asarray(jaxtv.prox_tv_1d(x, lam), np.float64)
    scale = np.abs(np.asarray(x, np.float64)).max(-1, keepdims=True, initial=0)
    allowed = OWED[str(y.dtype)] * scale + float(jnp.finfo(y.dtype).tiny)
    assert y.shape == x.shape
    assert (np.abs(np.asarray(y, np.float64) - want) <= allowed).all()


@pytest.mark.parametrize("lam", LAMS)
@pytest.mark.parametrize("n", [2, 3, 32, 257])
@each_kind
@each_dtype
def test_equals_the_oracle(dtype, kind, n, lam):
    x = signal(kind, (5, n))
    assert_prox(newton(jnp.array(x, dtype), lam), x, lam)


@each_solver
@each_kind
@each_dtype
def test_both_solvers(dtype, kind, solver):
    x = signal(kind, SHAPE)
    y, steps = solve(jnp.array(x, dtype), 1.5, solver=solver)
    assert_prox(y, x, 1.5)
    assert steps.shape == (6, 1)
    assert ((steps >= 0) & (steps <= 100)).all()


@st.composite
def problems(draw, lengths=(1, 2, 3, 8, 21, 40)):  # few, since each is compiled
    """A line of any character, offset and scale, with one weight or one per edge."""
    n = draw(st.sampled_from(lengths))
    values = st.one_of(st.integers(-3, 3).map(float), st.floats(-4, 4, width=32))
    steps = np.array(draw(st.lists(values, min_size=n, max_size=n)))
    x = {
        "values": lambda: steps,
        "walk": lambda: steps.cumsum(),
        "ramp": lambda: steps[0] * np.arange(n),
        "plateaus": lambda: np.repeat(steps, 3)[:n],
    }[draw(st.sampled_from(["values", "walk", "ramp", "plateaus"]))]()
    count = draw(st.sampled_from([1, max(n - 1, 1)]))
    weight = st.one_of(st.sampled_from([0.0, 1.0, 2.0, np.inf]), st.floats(0, 8, width=32))
    lam = np.array(draw(st.lists(weight, min_size=count, max_size=count)))
    scale = 2.0 ** draw(st.sampled_from([-90, -20, 0, 20, 90]))
    return (x + draw(st.sampled_from([0.0, 0.0, 100.0]))) * scale, lam * scale


@each_dtype
@given(problem=problems())
def test_agrees_with_the_direct_method(dtype, problem):
    x, lam = (jnp.array(a, dtype)[None] for a in problem)
    y, steps = solve(x, lam)
    assert_agrees(y, x, lam)
    assert 0 <= int(steps[0, 0]) <= 100


@given(problem=problems(lengths=(21,)))
def test_the_reference_agrees_with_the_direct_method(problem):
    x, lam = (jnp.array(a)[None] for a in problem)
    assert_agrees(solve(x, lam, solver="reference")[0], x, lam)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
@each_kind
def test_huge_and_tiny_scales(kind, scale):
    x = signal(kind, (4, 50))
    if 1e-38 < scale < 1e38:
        assert_prox(newton(jnp.array(x * scale, "float32"), scale), np.float32(x * scale), scale)
    y = newton(jnp.array(x * scale), scale) / scale
    np.testing.assert_allclose(y, oracle.prox_1d(x, 1.0), rtol=0, atol=1e-11)


@pytest.mark.parametrize("n", [100, 999])
@pytest.mark.parametrize("lam", [0.5, 5.0, 500.0])
@each_kind
def test_one_weight_per_edge(kind, lam, n):
    x, w = signal(kind, (3, n)), lam * np.random.default_rng(1).exponential(size=(3, n - 1))
    w[0, ::7], w[1, ::9] = 0.0, np.inf
    assert_prox(newton(jnp.array(x), jnp.array(w)), x, w)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_every_axis_and_shape_of_weight(axis):
    x, rng = signal("walk", (6, 5, 7)), np.random.default_rng(2)
    for shape in [(), (7,), (6, 1, 1), (6, 5, 7)]:
        sizes = [1 if x.ndim - len(shape) + d == axis % 3 else s for d, s in enumerate(shape)]
        lam = rng.uniform(0.1, 2, sizes)
        assert_prox(newton(jnp.array(x), jnp.array(lam), axis=axis), x, lam, axis)


@quickly
@pytest.mark.parametrize(
    ("max_steps", "solver"), [*((k, "compiled") for k in (0, 1, 2, 5)), (2, "reference")]
)
def test_a_line_over_its_limit_gets_the_exact_answer(max_steps, solver):
    x = signal("walk", SHAPE)
    x[3], x[4] = 0.7, 0.0  # nothing to solve there
    full = solve(jnp.array(x), 2.0, solver=solver)[1]
    assert int(full.max()) > 5
    y, steps = solve(jnp.array(x), 2.0, solver=solver, max_steps=max_steps)
    np.testing.assert_array_equal(steps, np.minimum(full, max_steps))
    assert_prox(y, x, 2.0)


def test_a_ramp_that_needs_too_many_steps():
    x = signal("ramp", (2, 10_000))
    y, info = newton(jnp.array(x), 1000.0, return_info=True)
    assert info.iterations.tolist() == [100, 100]
    assert bits(y) == bits(jaxtv.prox_tv_1d(jnp.array(x), 1000.0))


@quickly
@each_solver
def test_a_line_does_not_change_its_batch_mates(solver):
    x = signal("walk", SHAPE)
    alone = [solve(jnp.array(x[k : k + 1]), 2.0, solver=solver) for k in range(6)]
    y, steps = solve(jnp.array(x), 2.0, solver=solver)
    np.testing.assert_array_equal(steps, jnp.concatenate([s for _, s in alone]))
    np.testing.assert_allclose(y, jnp.concatenate([y for y, _ in alone]), rtol=0, atol=1e-14)


@quickly
@each_solver
@each_dtype
def test_ties_are_exact(dtype, solver):
    """Edges on which the dual just reaches its bound join their runs."""
    x = jnp.array([[0, 2, 0, 2], [3, 0, 0, 3], [1, 1, 1, 1], [0, 0, 4, 4]], dtype)
    lam = jnp.array([[1.0], [2.0], [1.0], [4.0]], dtype)
    y, _ = solve(x, lam, solver=solver)
    want = [[1, 1, 1, 1], [1.5] * 4, [1, 1, 1, 1], [2, 2, 2, 2]]
    np.testing.assert_array_equal(y, np.array(want, dtype))


def test_no_jump_that_the_oracle_does_not_have():
    x = np.random.default_rng(5).integers(-3, 4, (200, 60)).astype(float)
    y = newton(jnp.array(x), 2.0)
    want = oracle.prox_1d(x, 2.0)
    assert ((jnp.diff(y) == 0) | (np.abs(np.diff(want)) > 1e-9)).all()


@each_kind
def test_gradients_are_those_of_the_direct_method(kind):
    x, g = signal(kind, (6, 5, 40)), np.random.default_rng(3).normal(size=(6, 5, 40))
    if kind in ("integers", "alternating"):
        x = x + 1e-3 * signal("noise", x.shape, seed=9)  # off the ties, where every choice is right
    for shape in [(), (5, 1), (6, 1, 1), (6, 5, 39)]:
        lam = jnp.array(np.random.default_rng(4).uniform(0.1, 2, shape))
        grads = [
            jax.grad(lambda x, w, m=m: jnp.vdot(g, jaxtv.prox_tv_1d(x, w, method=m)), (0, 1))
            for m in ("newton", "direct")
        ]
        for got, want in zip(*(grad(jnp.array(x), lam) for grad in grads), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", ["direct", "newton"])
def test_info(method):
    x = jnp.array(signal("walk", (3, 20, 4)))
    y, info = jaxtv.prox_tv_1d(x, 0.5, axis=1, method=method, return_info=True)
    assert bits(y) == bits(jaxtv.prox_tv_1d(x, 0.5, axis=1, method=method))
    assert isinstance(info, jaxtv.LineInfo)
    assert (info.iterations.shape, info.iterations.dtype) == ((3, 4), jnp.int32)
    assert (info.iterations > 0).all() == (method == "newton")


def test_info_through_transformations():
    x = jnp.array(signal("walk", (3, 20, 4)))
    f = functools.partial(newton, lam=0.5, return_info=True)
    want = newton(x, 0.5, axis=1, return_info=True)
    got = jax.jit(jax.vmap(jax.vmap(lambda x: f(x)), in_axes=2, out_axes=1))(x)
    np.testing.assert_array_equal(got[0], jnp.moveaxis(want[0], 1, 2))
    np.testing.assert_array_equal(got[1].iterations, want[1].iterations)
    y, pullback, info = jax.vjp(lambda x: f(x, axis=1), x, has_aux=True)
    np.testing.assert_array_equal(info.iterations, want[1].iterations)
    np.testing.assert_allclose(pullback(jnp.ones_like(y))[0], 1.0, rtol=1e-14)
    _, infos = jax.lax.scan(lambda c, x: (c, f(x)[1]), 0, jnp.moveaxis(x, 2, 1))
    np.testing.assert_array_equal(infos.iterations, want[1].iterations)


def test_the_same_over_devices():
    x = jnp.array(signal("walk", (8, 4, 30)))
    mesh = cpu_mesh((4,), ("data",), (jax.sharding.AxisType.Auto,))
    f = jax.jit(functools.partial(newton, return_info=True))
    for spec in (("data", None, None), (None, "data", None), (None, None, None)):
        put = jax.device_put(x, jax.NamedSharding(mesh, jax.P(*spec)))
        text = f.lower(put, 0.7).compile().as_text()
        assert not re.search(r"(all-gather|all-to-all|collective-permute|all-reduce)\W", text)
        y, info = f(put, 0.7)
        assert bits(y) == bits(newton(x, 0.7))
        assert info.iterations.sharding.is_equivalent_to(
            jax.NamedSharding(mesh, jax.P(*spec[:2])), 2
        )


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 0, 4), (1, 1), (4, 1), (0, 0)])
@each_solver
def test_empty_and_short_lines(shape, solver):
    x = jnp.array(signal("noise", shape))
    y, steps = solve(x, 0.25, solver=solver)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(steps, np.zeros((*shape[:-1], 1)))
    assert newton(x, 0.25, return_info=True)[1].iterations.shape == shape[:-1]


@quickly
@each_solver
@each_dtype
def test_weights_without_effect(dtype, solver):
    x = jnp.array(signal("noise", SHAPE), dtype).at[0, 0].set(-0.0)
    assert bits(solve(x, 0.0, solver=solver)[0]) == bits(x)
    for lam in (1e10, np.inf):
        y, _ = solve(x, lam, solver=solver)
        assert (np.ptp(y, axis=-1) == 0).all()
        np.testing.assert_allclose(y, x.mean(-1, keepdims=True).repeat(40, -1), atol=1e-6)


@quickly
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, "weight"])
@each_solver
def test_a_bad_line_is_nan_and_no_other(bad, solver):
    x = jnp.array(signal("walk", SHAPE))
    lam = jnp.full((6, 1), 0.5)
    want = np.array(solve(x, lam, solver=solver)[0])
    want[4] = np.nan
    x, lam = (x, lam.at[4].set(-1.0)) if bad == "weight" else (x.at[4, 6].set(bad), lam)
    y, steps = solve(x, lam, solver=solver)
    np.testing.assert_array_equal(y, want)
    assert steps[4, 0] == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types(dtype):
    x = jnp.array(signal("walk", (5, 30)), dtype)
    y = newton(x, 0.5)
    assert y.dtype == dtype
    assert bits(y) == bits(newton(x.astype("float32"), 0.5).astype(dtype))


def test_an_unknown_method():
    with pytest.raises(ValueError, match=r"method .*'direct', 'newton'.*'fast'"):
        jaxtv.prox_tv_1d(jnp.zeros(3), 1.0, method="fast")

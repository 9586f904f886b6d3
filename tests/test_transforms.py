# SPDX-License-Identifier: MIT
"""Do jit, vmap, grad, scan, remat and their combinations give what plain loops give?"""

import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_prox, bits, signal

import jaxtv

LAM = jnp.array(0.6)
SOLVERS = {
    "1d": lambda x, lam=LAM: jaxtv.prox_tv_1d(x, lam, axis=-2),
    "sweeps": lambda x, lam=LAM: jaxtv.prox_tv_2d(x, lam, num_sweeps=3),
    "converged": lambda x, lam=LAM: jaxtv.prox_tv_2d(x, lam, tol=1e-6),
}
each_solver = pytest.mark.parametrize("name", SOLVERS)


def walks(*shape):
    return jnp.array(signal("walk", shape))


@each_solver
def test_jit_changes_no_bit(name):
    f, x = SOLVERS[name], walks(3, 7, 9)
    assert bits(jax.jit(f)(x)) == bits(f(x))


@pytest.mark.parametrize(("in_axis", "out_axis"), [(0, 0), (1, -1), (2, 1), (3, 0), (-1, -1)])
@each_solver
def test_vmap_over_any_axis_is_a_loop(name, in_axis, out_axis):
    f, x = SOLVERS[name], walks(4, 5, 6, 3)
    got = jax.vmap(f, in_axis, out_axis)(x)
    want = [f(jnp.take(x, i, axis=in_axis)) for i in range(x.shape[in_axis])]
    np.testing.assert_allclose(got, np.stack(want, out_axis), rtol=0, atol=1e-13)


@pytest.mark.parametrize("in_axes", [(None, 0), (0, None), (0, 0), (2, 1), (1, 2), (None, -1)])
@pytest.mark.parametrize("name", ["1d", "sweeps"])
def test_vmap_over_weights(name, in_axes):
    f, x_axis, lam_axis = SOLVERS[name], *in_axes
    x = walks(3, 7, 5) if x_axis is None else jnp.moveaxis(walks(4, 3, 7, 5), 0, x_axis)
    weights = jnp.array(np.random.default_rng(0).uniform(0.1, 2, (4, 3, 1, 1)))
    lam = weights[0] if lam_axis is None else jnp.moveaxis(weights, 0, lam_axis)
    got = jax.vmap(f, in_axes)(x, lam)
    pick = lambda a, axis, i: a if axis is None else jnp.take(a, i, axis=axis)  # noqa: E731
    want = [f(pick(x, x_axis, i), pick(lam, lam_axis, i)) for i in range(4)]
    np.testing.assert_allclose(got, np.stack(want), rtol=0, atol=1e-13)


def test_vmap_over_a_scalar_weight_per_line_and_per_edge():
    x, rng = walks(4, 9), np.random.default_rng(1)
    for shape in [(4,), (4, 1), (4, 8)]:
        lam = rng.uniform(0.1, 2, shape)
        y = jax.vmap(jaxtv.prox_tv_1d)(x, jnp.array(lam))
        assert_prox(y, x, lam.reshape(4, -1))


def test_nested_vmap_makes_a_table():
    x, lam = walks(3, 8), jnp.array([0.1, 0.5, 2.0, 9.0])
    table = jax.vmap(jax.vmap(jaxtv.prox_tv_1d, (None, 0)), (0, None))(x, lam)
    np.testing.assert_array_equal(table.shape, (3, 4, 8))
    for i in range(4):
        np.testing.assert_allclose(table[:, i], jaxtv.prox_tv_1d(x, lam[i]), rtol=0, atol=1e-13)


def test_vmap_of_no_elements():
    assert jax.vmap(SOLVERS["1d"])(jnp.zeros((0, 5, 3))).shape == (0, 5, 3)


@each_solver
def test_vmap_of_grad_and_grad_of_vmap(name):
    f, x = SOLVERS[name], walks(4, 6, 5)
    loss = jax.jit(lambda x, lam: jnp.sum(f(x, lam) ** 3))
    grad = jax.jit(jax.grad(loss, (0, 1)))
    lam = jnp.array([0.2, 0.5, 1.0, 2.0])
    per_example = jax.vmap(grad)(x, lam)
    of_sum = jax.grad(lambda x, lam: jax.vmap(loss)(x, lam).sum(), (0, 1))(x, lam)
    looped = [grad(x[i], lam[i]) for i in range(4)]
    for k in range(2):
        want = np.stack([g[k] for g in looped])
        np.testing.assert_allclose(per_example[k], want, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(of_sum[k], want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["1d", "sweeps"])
def test_scan_is_a_loop_and_differentiates(name):
    f, x, lams = SOLVERS[name], walks(2, 6, 5), jnp.array([0.1, 0.2, 0.4])
    scanned = lambda x, lams: jax.lax.scan(lambda c, lam: (f(c, lam), None), x, lams)[0]  # noqa: E731
    looped = lambda x, lams: f(f(f(x, lams[0]), lams[1]), lams[2])  # noqa: E731
    np.testing.assert_allclose(scanned(x, lams), looped(x, lams), rtol=0, atol=1e-13)
    got, want = (
        jax.grad(lambda *a, f=f: jnp.sum(f(*a) ** 3), (0, 1))(x, lams) for f in (scanned, looped)
    )
    chex.assert_trees_all_close(got, want, rtol=1e-12)


@each_solver
def test_remat_changes_no_gradient(name):
    f, x = SOLVERS[name], walks(2, 6, 5)
    loss = lambda f: jax.jit(jax.grad(lambda x, lam: jnp.sum(f(jnp.sin(x), lam) ** 3), (0, 1)))  # noqa: E731
    chex.assert_trees_all_close(loss(jax.checkpoint(f))(x, LAM), loss(f)(x, LAM), rtol=1e-13)


def test_cond_and_while_loop():
    x = walks(3, 12)
    halved = lambda s: (jaxtv.prox_tv_1d(s[0], 0.1), s[1] + 1)  # noqa: E731
    y, _ = jax.lax.while_loop(lambda s: s[1] < 4, halved, (x, 0))
    np.testing.assert_allclose(y, jaxtv.prox_tv_1d(x, 0.4), rtol=0, atol=1e-13)
    y = jax.jit(lambda p, x: jax.lax.cond(p, jaxtv.prox_tv_1d, lambda x, lam: x, x, 0.4))(True, x)
    np.testing.assert_allclose(y, jaxtv.prox_tv_1d(x, 0.4), rtol=0, atol=1e-13)


def test_jacrev_is_the_run_mean_matrix():
    x = walks(12)
    y = np.asarray(jaxtv.prox_tv_1d(x, LAM))
    want = oracle.run_mean(np.broadcast_to(y, (12, 12)), np.eye(12))
    np.testing.assert_allclose(jax.jacrev(jaxtv.prox_tv_1d)(x, LAM), want, rtol=0, atol=1e-15)
    s = np.sign(np.diff(y, prepend=y[0], append=y[-1]))
    jac = jax.jacrev(jaxtv.prox_tv_1d, 1)(x, LAM)
    np.testing.assert_allclose(jac, oracle.run_mean(y, np.diff(s)), rtol=0, atol=1e-14)


def test_reverse_over_reverse():
    """The prox is piecewise affine: no curvature of its own, and P^T P = P through a square."""
    x, g = walks(12), jnp.array(signal("noise", (12,), 5))
    linear = jax.jacrev(jax.grad(lambda x: jnp.vdot(g, jaxtv.prox_tv_1d(x, LAM))))(x)
    np.testing.assert_array_equal(linear, np.zeros((12, 12)))
    square = lambda x, lam: jnp.sum(jaxtv.prox_tv_1d(x, lam) ** 2) / 2  # noqa: E731
    jac = jax.jacrev(jaxtv.prox_tv_1d)(x, LAM)
    np.testing.assert_allclose(jax.jacrev(jax.grad(square))(x, LAM), jac, rtol=0, atol=1e-14)
    slope = jax.jacrev(jaxtv.prox_tv_1d, 1)(x, LAM)
    second = jax.grad(jax.grad(square, 1), 1)(x, LAM)
    np.testing.assert_allclose(second, jnp.vdot(slope, slope), rtol=1e-13)
    mixed = jax.grad(jax.grad(square, 1), 0)(x, LAM)
    np.testing.assert_allclose(mixed, jac.T @ slope, rtol=0, atol=1e-13)


def test_the_gradient_of_a_gradient_in_the_cotangent():
    """A penalty on the gradient with respect to the input."""
    x, g = walks(2, 10), jnp.array(signal("noise", (2, 10), 5))
    pull = lambda g: jax.vjp(lambda v: jaxtv.prox_tv_1d(v, LAM), x)[1](g)[0]  # noqa: E731
    got = jax.grad(lambda g: jnp.sum(pull(g) ** 2) / 2)(g)
    np.testing.assert_allclose(got, pull(g), rtol=0, atol=1e-15)  # P^T P g = P g


@each_solver
def test_forward_mode_is_refused_by_type(name):
    x = walks(6, 5)
    with pytest.raises(TypeError):
        jax.jvp(SOLVERS[name], (x,), (x,))


@each_solver
def test_a_donated_input_is_used_up(name):
    f, x = SOLVERS[name], walks(3, 16, 16)
    want = np.asarray(f(x))
    y = jax.jit(f, donate_argnums=0)(x)
    np.testing.assert_array_equal(y, want)
    assert x.is_deleted()


@each_solver
def test_a_new_weight_does_not_retrace(name):
    chex.clear_trace_counter()
    f = jax.jit(chex.assert_max_traces(SOLVERS[name], n=1))
    x = walks(4, 5)
    for lam in (0.0, 0.3, 1.0, 50.0):
        y = f(x, jnp.array(lam))
    np.testing.assert_allclose(y, np.full((4, 5), np.mean(y)) if name != "1d" else y, atol=1e-9)


def test_an_eager_call_compiles_once_for_all_weights():
    x = walks(4, 23)
    jaxtv.prox_tv_1d(x, 0.5)
    with jax.log_compiles(False), jax.no_tracing():
        for lam in (0.25, 2.0, 7.5):
            assert_prox(jaxtv.prox_tv_1d(x, lam), x, lam)


def test_tracing_with_shapes_only():
    x = jax.ShapeDtypeStruct((2, 7, 9), "bfloat16")
    for f in SOLVERS.values():
        out = jax.eval_shape(lambda x, f=f: f(x, 0.5), x)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)


def test_many_calls_in_one_program():
    """Independent calls may run at the same time; none may see another's scratch memory."""
    x = walks(8, 300)
    lams = np.geomspace(0.1, 30, 12)
    ys = jax.jit(lambda x: [jaxtv.prox_tv_1d(x + i, lam) for i, lam in enumerate(lams)])(x)
    for i, lam in enumerate(lams):
        assert_prox(ys[i], np.asarray(x) + i, lam)


SINGLE_PRECISION = """
import jax, jax.numpy as jnp, jaxtv, numpy as np
x = np.array([0., 0., 4.])
y, pull = jax.vjp(jaxtv.prox_tv_1d, x, 1.0)
assert y.dtype == jnp.float32 and y.tolist() == [0.5, 0.5, 3.0], y
assert pull(jnp.array([1., 2., 4.]))[0].tolist() == [1.5, 1.5, 4.0]
image, info = jaxtv.prox_tv_2d(np.outer(x, x), np.float64(0.5), return_info=True)
assert image.dtype == jnp.float32 and bool(info.converged)
assert jaxtv.prox_tv_2d(np.outer(x, x), 0.5, num_sweeps=2).dtype == jnp.float32
assert jaxtv.lambda_max(x).dtype == jnp.float32
print("fine")
"""


def test_single_precision_jax():
    """With float64 off, as most programs run, and with every warning an error."""
    env = {**os.environ, "JAX_ENABLE_X64": "0"}
    command = [sys.executable, "-W", "error", "-c", SINGLE_PRECISION]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr

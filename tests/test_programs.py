# SPDX-License-Identifier: MIT
"""What is in a compiled program, and what do a new weight, JAX's settings and threads change?"""

import collections
import concurrent.futures
import contextlib
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_prox, bits, compiled_here, signal
from jax.experimental import checkify

import jaxtv

OPERATORS = {
    "1d": jaxtv.prox_tv_1d,
    "newton": lambda x, lam: jaxtv.prox_tv_1d(x, lam, method="newton"),
    "sweeps": lambda x, lam: jaxtv.prox_tv_2d(x, lam, num_sweeps=2),
    "converged": jaxtv.prox_tv_2d,
    "volumes": lambda x, lam: jaxtv.prox_tv(x[None], lam, axes=(0, 1, 2))[0],
}
each_operator = pytest.mark.parametrize("name", OPERATORS)


def image(*shape):
    return jnp.array(signal("walk", shape))


def value_and_gradients(f):
    return jax.value_and_grad(lambda x, lam: jnp.sum(jnp.sin(f(x, lam))), (0, 1))


@each_operator
def test_a_new_weight_traces_nothing(name):
    """Neither in a compiled program, nor called eagerly with a Python number."""
    f, x = OPERATORS[name], image(4, 23)
    compiled = jax.jit(value_and_gradients(f))
    compiled(x, 0.5)
    f(x, 0.5)
    with jax.no_tracing():
        for lam in (0.0, 0.25, 50.0):
            compiled(x, lam)
            f(x, lam)


LAYOUTS = {
    "rows": ("1d", -1),
    "columns": ("1d", -2),
    "rows, channels last": ("1d", -2),
    "columns, channels last": ("1d", -3),
    "first axis": ("1d", 0),
    "newton": ("newton", -2),
    "images, channels first": ("2d", (-2, -1)),
    "images, channels last": ("2d", (-3, -2)),
    "images, first axes": ("2d", (0, 1)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_copy_and_no_transpose(layout):
    """Every layout is read where it lies: forward, and with the gradients."""
    kind, axes = LAYOUTS[layout]
    if kind == "2d" and not compiled_here("jaxtv_prox_tvnd"):
        pytest.skip("the solver of images is a JAX program here, whose loops copy their state")
    f = {
        "1d": lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=axes),
        "newton": lambda x, lam: jaxtv.prox_tv_1d(x, lam, axis=axes, method="newton"),
        "2d": lambda x, lam: jaxtv.prox_tv_2d(x, lam, axes=axes),
    }[kind]
    x = jnp.zeros((3, 16, 20, 8), jnp.float32)

    def pull_back(x, lam, y_bar):
        y, pull = jax.vjp(f, x, lam)
        return y, *pull(y_bar)

    for program, args in ((f, (x, 0.5)), (pull_back, (x, 0.5, x))):
        text = jax.jit(program).lower(*args).compile().as_text()
        ops = collections.Counter(re.findall(r" = \S+ ([a-z-]+)\(", text))
        assert "jaxtv_" in text  # the compiled kernel, or there is nothing to see here
        assert ops["copy"] == ops["transpose"] == ops["reshape"] == 0, ops


@contextlib.contextmanager
def settings(**values):
    before = {name: getattr(jax.config, name) for name in values}
    for name, value in values.items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


SETTINGS = {
    "strict": {"jax_numpy_dtype_promotion": "strict", "jax_numpy_rank_promotion": "raise"},
    "no jit": {"jax_disable_jit": True},
    "nans": {"jax_debug_nans": True},
    "infs": {"jax_debug_infs": True},
    "leaks": {"jax_check_tracer_leaks": True},
}


@pytest.mark.parametrize("setting", SETTINGS)
@each_operator
def test_settings_change_no_result(name, setting):
    x, lam = image(4, 5), jnp.array(0.3)
    want = value_and_gradients(OPERATORS[name])(x, lam)
    with settings(**SETTINGS[setting]):
        got = value_and_gradients(OPERATORS[name])(x, lam)
        assert np.all(np.isfinite(OPERATORS[name](x, jnp.zeros(()))))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@each_operator
def test_debug_nans_names_the_nan(name):
    x = image(4, 5).at[1, 2].set(jnp.nan)
    with jax.debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
        jax.jit(OPERATORS[name])(x, 0.3)


@each_operator
def test_checkify_passes_through(name):
    checked = checkify.checkify(value_and_gradients(OPERATORS[name]), checkify.all_checks)
    error, got = jax.jit(checked)(image(4, 5), 0.3)
    error.throw()
    want = value_and_gradients(OPERATORS[name])(image(4, 5), 0.3)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
    np.testing.assert_allclose(got[1][0], want[1][0], rtol=1e-12)


def test_tracing_with_shapes_only():
    x = jax.ShapeDtypeStruct((7, 9), "bfloat16")
    for f in OPERATORS.values():
        out = jax.eval_shape(lambda x, f=f: f(x, 0.5), x)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)


def test_many_calls_in_one_program():
    """Independent calls may run at the same time; none may see another's scratch memory."""
    x = image(8, 300)
    lams = np.geomspace(0.1, 30, 12)
    ys = jax.jit(lambda x: [jaxtv.prox_tv_1d(x + i, lam) for i, lam in enumerate(lams)])(x)
    for i, lam in enumerate(lams):
        assert_prox(ys[i], np.asarray(x) + i, lam)


def test_many_threads_at_once():
    """Threads that trace, compile and run, and then run again, get the bits of one thread."""
    shapes = [(3, 40), (2, 9000), (17, 33), (24, 24)]  # lanes, a long line, odd sizes, images
    cases = [
        (jax.jit(value_and_gradients(OPERATORS[name])), image(*shape))
        for name in ("1d", "sweeps", "converged")
        for shape in shapes
        if name == "1d" or shape[1] < 100
    ]

    def run(k):
        program, x = cases[k % len(cases)]
        return [bits(leaf) for leaf in jax.tree.leaves(program(x, 0.5))]

    calls = range(6 * len(cases))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(run, calls))
    alone = [run(k) for k in range(len(cases))]
    assert all(together[k] == alone[k % len(cases)] for k in calls)


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

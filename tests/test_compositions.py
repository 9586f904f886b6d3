# SPDX-License-Identifier: MIT
"""Are the one-liners of docs/compositions.md true, and does the page say what the code does?"""

import doctest
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import KINDS, signal
from scipy.optimize import minimize

import jaxtv

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "compositions.md"
N, LAM, LOW, HIGH, MU, A = 9, 0.4, -0.3, 0.8, 0.15, 0.25
LINES = {kind: signal(kind, (N,)) for kind in KINDS}
MASS = np.random.default_rng(0).uniform(0.2, 2, N)


def soft(z):
    return np.sign(z) * np.maximum(np.abs(z) - MU, 0)


# The elementwise function, and whether v is a subgradient of h at each y, to rounding.
PENALTIES = {
    "sparse": (soft, lambda y, v: np.where(y == 0, np.abs(v) <= MU, near(v, MU * np.sign(y)))),
    "box": (
        lambda z: np.clip(z, LOW, HIGH),
        lambda y, v: near(v, 0) | (v < 0) & (y == LOW) | (v > 0) & (y == HIGH),
    ),
    "elastic": (lambda z: z / (1 + A), lambda y, v: near(v, A * y)),
    "all": (
        lambda z: np.clip(soft(z) / (1 + A), LOW, HIGH),
        lambda y, v: (
            (near(v, MU * np.sign(y) + A * y) & (y != 0))
            | ((y == 0) & (np.abs(v) <= MU))
            | ((y == LOW) & (v < -MU + A * y))
            | ((y == HIGH) & (v > MU + A * y))
        ),
    ),
}


def near(a, b):
    return np.abs(a - b) <= 1e-13


def test_page():
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted > 10 and results.failed == 0


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_optimality_conditions(kind, penalty):
    """Of a subgradient D^T u of TV and one of h, m v: their sum is m (x - y)."""
    x = LINES[kind]
    z = np.asarray(jaxtv.prox_tv_1d(jnp.array(x), LAM, data_weight=jnp.array(MASS)))
    function, is_subgradient = PENALTIES[penalty]
    y, v = function(z), z - function(z)
    u = np.cumsum(MASS * (y - x + v))
    s = np.sign(np.diff(y))
    assert is_subgradient(y, v).all()
    assert (np.abs(u[:-1]) <= LAM + 1e-13).all() and near(u[-1], 0)
    assert near(u[:-1], LAM * s)[s != 0].all()
    assert kind not in ("noise", "walk") or (y != z).any()


def test_clipping_against_a_general_solver():
    """Another method, another code: SLSQP on the problem itself, with y and |D y| as unknowns."""
    x = LINES["noise"]
    want = jnp.clip(jaxtv.prox_tv_1d(jnp.array(x), LAM), LOW, HIGH)
    difference = np.diff(np.eye(N), axis=0)
    above = np.block([[-difference, np.eye(N - 1)], [difference, np.eye(N - 1)]])
    found = minimize(
        lambda p: np.sum((p[:N] - x) ** 2) / 2 + LAM * p[N:].sum(),
        np.zeros(2 * N - 1),
        jac=lambda p: np.append(p[:N] - x, np.full(N - 1, LAM)),
        bounds=[(LOW, HIGH)] * N + [(0, None)] * (N - 1),
        constraints={"type": "ineq", "fun": lambda p: above @ p, "jac": lambda p: above},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    np.testing.assert_allclose(found.x[:N], want, rtol=0, atol=1e-6)


def test_the_envelope_of_images():
    """Its gradient is x - prox(x), whether y is a constant or not."""
    x = jnp.array(signal("noise", (5, 6)))

    def envelope(x, lam, cut):
        y = jaxtv.prox_tv_2d(x, lam, tol=1e-12)
        y = jax.lax.stop_gradient(y) if cut else y
        return jnp.sum((y - x) ** 2) / 2 + jaxtv.total_variation(y, axes=(0, 1), lam=lam)

    y = jaxtv.prox_tv_2d(x, LAM, tol=1e-12)
    for cut in (True, False):
        by_x, by_lam = jax.grad(envelope, (0, 1))(x, LAM, cut)
        np.testing.assert_allclose(by_x, x - y, rtol=0, atol=1e-10)
        np.testing.assert_allclose(by_lam, jaxtv.total_variation(y, axes=(0, 1)), rtol=1e-9)


def test_the_projection_on_the_dual_ball():
    """No point of the ball is nearer: <x - v, w - v> <= 0 for all w = D^T u, |u| <= lam."""
    x = LINES["walk"]
    v = x - np.asarray(jaxtv.prox_tv_1d(jnp.array(x), LAM))
    u = np.random.default_rng(1).choice([-LAM, LAM], (500, N - 1))
    others = -np.diff(np.pad(u, ((0, 0), (1, 1))), axis=1)
    assert np.abs(np.cumsum(v)[:-1]).max() <= LAM + 1e-13
    assert ((others - v) @ (x - v)).max() <= 1e-12

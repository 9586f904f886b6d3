# SPDX-License-Identifier: MIT
"""Is the dual that a call returns a start for the next one, and any other start harmless?"""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import bits, signal
from images import FORMS, SHAPES, distance, solve, weight, weights_of

import jaxtv


def residual(x, duals):
    """x - sum_a D_a^T p_a."""
    for axis, p in enumerate(duals, x.ndim - len(duals)):
        zero = np.zeros_like(np.take(np.asarray(x), [0], axis))
        x = x + np.diff(np.concatenate([zero, p, zero], axis), axis=axis)
    return x


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_the_dual_is_feasible_and_ends_a_second_call(form, dims):
    x = jnp.array(signal("noise", SHAPES[dims]))
    lam = weight(form, dims)
    y, info = solve(x, lam, dims, tol=1e-9, init=0.0, return_info=True)
    assert bits(y) == bits(solve(x, lam, dims, tol=1e-9))
    for p, w in zip(info.dual, weights_of(lam, dims), strict=True):
        assert (np.abs(p) <= w).all()
    assert (distance(residual(x, info.dual), y) <= 2 * np.float64(info.error_bound)).all()
    _, again = solve(x, lam, dims, tol=1e-9, init=info.dual, return_info=True)
    assert again.converged.all() and (again.sweeps <= 2).all()


@pytest.mark.parametrize("start", ["other weights", "noise", "infinite", "nan"])
def test_any_start_gives_a_certified_answer(start):
    x = signal("noise", SHAPES[2])
    rng = np.random.default_rng(0)
    shapes = [[n - (d == a) for d, n in enumerate(x.shape)] for a in (1, 2)]
    value = {"infinite": np.inf, "nan": np.nan}.get(start)
    init = tuple(
        jnp.array(rng.normal(size=s) if value is None else np.full(s, value)) for s in shapes
    )
    if start == "other weights":
        init = solve(jnp.array(x), 2.0, 2, init=0.0, return_info=True)[1].dual
    y, info = solve(jnp.array(x), 0.3, 2, tol=1e-6, init=init, return_info=True)
    assert info.converged.all()
    assert (distance(y, oracle.prox_nd(x, (0.3, 0.3), (1, 2))) <= info.error_bound + 1e-12).all()


def test_a_warm_start_is_carried_by_scan_and_vmap_and_has_no_derivative():
    x = jnp.array(signal("noise", (3, 9, 8)))
    frames = x * jnp.linspace(1.0, 1.01, 4)[:, None, None, None]

    def frame_by_frame(images):
        first = jaxtv.prox_tv_2d(images[0], 0.3, init=0.0, return_info=True)[1].dual

        def step(dual, image):
            y, info = jaxtv.prox_tv_2d(image, 0.3, init=dual, return_info=True)
            return info.dual, (y, info.sweeps)

        return jax.lax.scan(step, first, images)[1]

    ys, sweeps = jax.jit(jax.vmap(frame_by_frame, 1, 1))(frames)
    _, cold = jaxtv.prox_tv_2d(frames, 0.3, return_info=True)
    assert 10 * int(sweeps.sum()) < 7 * int(cold.sweeps.sum())
    for i in range(3):  # each as if alone
        assert bits(ys[:, i]) == bits(frame_by_frame(frames[:, i])[0])
    init = tuple(jnp.zeros_like(p) for p in (x[:, 1:], x[..., 1:]))
    loss = lambda p: jaxtv.prox_tv_2d(x, 0.3, init=p).sum()  # noqa: E731
    assert all((g == 0).all() for g in jax.grad(loss)(init))

# SPDX-License-Identifier: MIT
"""Is every error bound true: of fixed sweeps, of half types, of certificates in plain JAX?

The distance to the solution is measured in float64, from the arrays that are returned.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import bits, signal
from images import FORMS, SHAPES, distance, solve, weight, weights_of

import jaxtv
from jaxtv._plain import certificate, measures, rounded
from jaxtv._plain import sweeps as plain_sweeps

KINDS = ("noise", "walk", "steps", "integers")


LAM = 0.3125  # in every type
line_solves = jax.jit(plain_sweeps.line_solves, static_argnums=(2, 3))


@functools.cache
def image(kind):
    """Two images and their solutions."""
    x = signal(kind, (2, 12, 10))
    return x, oracle.prox_nd(x, (LAM, LAM), (1, 2))


def certified(kind, num_sweeps, dtype):
    """The information on fixed sweeps, and the distances of their results to the solutions."""
    x, want = image(kind)
    options = {"num_sweeps": num_sweeps, "tol": 1e-4}
    y, info = jaxtv.prox_tv_2d(jnp.array(x, dtype), LAM, **options, return_info=True)
    assert bits(y) == bits(jaxtv.prox_tv_2d(jnp.array(x, dtype), LAM, **options))
    return info, distance(y, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_sweeps", [0, 1, 4, 30, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_of_fixed_sweeps_is_true(kind, num_sweeps, dtype):
    x, _ = image(kind)
    info, error = certified(kind, num_sweeps, dtype)
    assert (error <= np.float64(info.error_bound) + 1e-11).all()  # of the oracle
    norms = np.linalg.norm(x, axis=(1, 2))
    deviations = np.linalg.norm(x - x.mean((1, 2), keepdims=True), axis=(1, 2))
    assert (error <= 1e-4 * deviations)[info.converged].all()
    assert (error <= float(jnp.finfo(dtype).eps) * norms)[info.exact].all()
    assert (2 * info.gap >= 0.999 * info.error_bound**2).all()


def test_the_bound_of_fixed_sweeps_follows_the_error():
    """Down to where the rounding of the result alone costs a float32 gap that much."""
    bounds = [certified("noise", k, "float32")[0].error_bound for k in (1, 4, 30)]
    assert (bounds[0] > 2 * bounds[1]).all() and (bounds[1] > 5 * bounds[2]).all()
    for dtype in ("float32", "float64"):
        info, _ = certified("noise", 200, dtype)
        assert (np.float64(info.error_bound) < 20 * np.sqrt(float(jnp.finfo(dtype).eps))).all()


@pytest.mark.parametrize(("form", "dims"), [(form, 2) for form in FORMS] + [("edge", 3)])
def test_the_bound_of_fixed_sweeps_holds_for_every_form_of_weight(form, dims):
    x = signal("noise", SHAPES[dims])
    lam = jax.tree.map(lambda w: np.float64(np.asarray(w, "float32")), weight(form, dims))
    finite = jax.tree.map(lambda w: np.minimum(w, 1e3), lam)  # for the oracle: far above any dual
    want = oracle.prox_nd(x, weights_of(finite, dims), range(1, dims + 1))
    y, info = solve(jnp.array(x, "float32"), lam, dims, num_sweeps=50, return_info=True)
    assert (distance(y, want) <= np.float64(info.error_bound) + 1e-11).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_axis_is_solved_by_one_sweep_and_says_so(kind, dtype):
    x = jnp.array(signal(kind, (3, 40)), dtype)
    y, info = jaxtv.prox_tv(x, 0.5, axes=(1,), num_sweeps=1, return_info=True)
    error = distance(y, oracle.prox_1d(np.float64(x), 0.5))
    assert info.converged.all() and (error <= np.float64(info.error_bound) + 1e-12).all()


def test_an_image_without_a_prox_has_no_bound():
    x = jnp.array(signal("noise", (2, 6, 5))).at[0, 2, 3].set(jnp.nan)
    for num_sweeps in (0, 3, None):
        _, info = jaxtv.prox_tv_2d(x, 0.3, num_sweeps=num_sweeps, return_info=True)
        assert np.isnan(info.error_bound[0]) and not info.converged[0] and not info.exact[0]
        assert np.isfinite(info.error_bound[1])


@pytest.mark.parametrize("num_sweeps", [60, None])
@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_the_bound_of_half_types_is_of_the_array_that_is_returned(half, num_sweeps):
    x = jnp.array(signal("noise", (2, 12, 10)), half)
    want = oracle.prox_nd(np.float64(x), (LAM, LAM), (1, 2))
    for tol in (1e-6, 1e-2):
        options = {"num_sweeps": num_sweeps, "tol": tol}
        y, info = jaxtv.prox_tv_2d(x, LAM, **options, return_info=True)
        error = distance(y, want)
        assert (error <= np.float64(info.error_bound)).all()
        assert (info.converged == (tol == 1e-2)).all()
        rounding = float(jnp.finfo(half).eps) * np.linalg.norm(np.float64(x), axis=(1, 2))
        assert (error <= rounding)[info.exact].all()
        assert info.exact.all() or tol == 1e-2  # at 1e-6 only the rounding of the type is left


@pytest.mark.parametrize("vote", [False, True])
@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_certificates_from_results_and_duals_are_true(kind, offset, vote):
    """Of float32, where the rounding of the sums is of the size of the bound itself."""
    x = np.float64(np.float32(signal(kind, (2, 8, 7)) + offset))
    single, one = jnp.array(x, "float32"), jnp.ones((1, 1, 1), "float32")
    votes = jnp.full((1, 1, 1), vote)
    certify = jax.jit(certificate.certify, static_argnames="axes")
    for lam in (0.03125, 0.5):
        want = oracle.prox_nd(x, (lam, lam), (1, 2))
        for num_sweeps in (1, 3, 40):
            lams = [lam * one, lam * one]
            results, duals = line_solves(single, lams, (1, 2), num_sweeps)
            z, gap, bound = certify(single, votes, *results, *duals, *lams, axes=(1, 2))
            rounding = 1e-12 * np.abs(x).max()  # of the oracle
            assert (distance(z, want) <= np.float64(bound).ravel() + rounding).all()
            assert (2 * gap >= 0.999 * bound**2).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_within_what_is_allowed_for_their_rounding(dtype):
    rng = np.random.default_rng(0)
    terms = np.asarray(rng.exponential(size=(37, 1001)) ** 8, dtype)
    exact = math.fsum(map(float, terms.ravel()))
    total = rounded.total(jnp.array(terms), (0, 1))[0, 0]
    assert float(rounded.down(total)) <= exact <= float(rounded.up(total))
    high, low, slack = (float(v) for v in rounded.exact_sum(list(jnp.array(terms[0, :9]))))
    off = abs(math.fsum([*map(float, terms[0, :9]), -high, -low]))
    assert off <= slack <= float(jnp.finfo(dtype).eps) ** 2 * 1000 * exact


def test_nothing_underflows_to_a_bound_of_zero():
    tiny = jnp.array(1e-30, "float32")
    assert rounded.product(tiny, tiny) > 0 and rounded.product(tiny, 0 * tiny) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_norm_neither_overflows_nor_vanishes(dtype):
    """XLA divides by one number for all pixels with its inverse, which may be subnormal."""
    finfo = jnp.finfo(dtype)
    norm = jax.jit(functools.partial(measures.norm, axes=(0, 1)))
    for size in (float(finfo.max) / 8, float(finfo.tiny)):
        got = norm(jnp.array([[3.0, 4.0], [0.0, 0.0]], dtype) * size)
        np.testing.assert_allclose(np.float64(got) / size, [[5.0]], rtol=1e-6)

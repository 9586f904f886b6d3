# SPDX-License-Identifier: MIT
"""Do the identities hold that every prox of a total variation obeys?"""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import KINDS, bits, signal
from hypothesis import given
from hypothesis import strategies as st

import jaxtv

weights = st.floats(0.01, 30.0)
seeds = st.integers(0, 10_000)
kinds = st.sampled_from(KINDS)


def prox(x, lam):
    return np.asarray(jaxtv.prox_tv_1d(jnp.array(x), lam))


def close(a, b, x):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(np.abs(x).max(), 1))


@given(kinds, seeds, weights, st.floats(-100, 100))
def test_a_shift_passes_through(kind, seed, lam, shift):
    x = signal(kind, (3, 40), seed)
    close(prox(x + shift, lam), prox(x, lam) + shift, np.abs(x) + 100)


@given(kinds, seeds, weights, st.integers(-60, 60))
def test_a_power_of_two_passes_through_without_rounding(kind, seed, lam, exponent):
    x, c = signal(kind, (3, 40), seed), 2.0**exponent
    assert bits(prox(c * x, c * lam)) == bits(c * prox(x, lam))


@given(kinds, seeds, weights, st.floats(0.01, 100))
def test_scaling_signal_and_weight_scales_the_answer(kind, seed, lam, c):
    x = signal(kind, (3, 40), seed)
    close(prox(c * x, c * lam) / c, prox(x, lam), x)


@given(kinds, seeds, weights)
def test_negation_passes_through(kind, seed, lam):
    x = signal(kind, (3, 40), seed)
    close(prox(-x, lam), -prox(x, lam), x)


@given(kinds, seeds, weights)
def test_reading_the_line_backwards_changes_nothing(kind, seed, lam):
    x = signal(kind, (3, 40), seed)
    w = lam * np.random.default_rng(seed).random((3, 39))
    close(prox(x[:, ::-1], w[:, ::-1]), prox(x, w)[:, ::-1], x)


@given(kinds, seeds, weights)
def test_the_mean_and_the_range_are_kept(kind, seed, lam):
    x = signal(kind, (3, 40), seed)
    y = prox(x, lam)
    close(y.mean(-1), x.mean(-1), x)
    slack = 1e-12 * max(np.abs(x).max(), 1)
    assert (y.max(-1) <= x.max(-1) + slack).all() and (y.min(-1) >= x.min(-1) - slack).all()


@given(kinds, seeds, weights)
def test_order_is_kept(kind, seed, lam):
    x = signal(kind, (3, 40), seed)
    above = x + np.random.default_rng(seed).exponential(size=x.shape)
    assert (prox(above, lam) >= prox(x, lam) - 1e-12 * max(np.abs(x).max(), 1)).all()


@given(kinds, kinds, seeds, weights)
def test_firmly_non_expansive(kind_a, kind_b, seed, lam):
    """||prox a - prox b||^2 <= <prox a - prox b, a - b>, the property that makes it a prox."""
    a, b = signal(kind_a, (3, 40), seed), signal(kind_b, (3, 40), seed + 1)
    d = prox(a, lam) - prox(b, lam)
    assert (np.sum(d * d, -1) <= np.sum(d * (a - b), -1) + 1e-12 * np.sum((a - b) ** 2, -1)).all()


@given(kinds, seeds, weights, weights)
def test_two_weights_in_a_row_are_their_sum(kind, seed, lam, mu):
    """Only in one dimension with one weight for all edges: the total variation flow."""
    x = signal(kind, (3, 40), seed)
    close(prox(prox(x, lam), mu), prox(x, lam + mu), x)


@given(kinds, seeds, weights)
def test_total_variation_and_jumps_shrink(kind, seed, lam):
    x = signal(kind, (3, 40), seed)
    before, after = np.diff(x), np.diff(prox(x, lam))
    slack = 1e-12 * max(np.abs(x).max(), 1)
    assert (np.abs(after) <= np.abs(before) + slack).all()
    assert (after * before >= -slack).all()  # no jump changes its direction


@given(kinds, seeds, weights)
def test_moreau_residual_is_inside_the_dual_ball(kind, seed, lam):
    """x - prox(x) is D^T p with |p| <= lam: its partial sums are p."""
    x = signal(kind, (3, 40), seed)
    p = np.cumsum(x - prox(x, lam), axis=-1)
    assert (np.abs(p) <= lam + 40e-12 * max(np.abs(x).max(), 1)).all()


@pytest.mark.parametrize("num_sweeps", [None, 4])
def test_images_obey_shift_scale_negation_and_transposition(num_sweeps):
    x = jnp.array(signal("noise", (2, 12, 10)))

    # Alg. 1 stopped early favours one axis; the axes in the other order transpose that too.
    def f(v, lam=0.3, axes=(1, 2)):
        return jaxtv.prox_tv_2d(v, lam, axes=axes, num_sweeps=num_sweeps, tol=1e-9)

    y = f(x)
    atol = 1e-12 if num_sweeps else 1e-8 * float(jnp.linalg.norm(x))
    np.testing.assert_allclose(f(x + 5), y + 5, rtol=0, atol=10 * atol)
    np.testing.assert_allclose(f(3 * x, 0.9), 3 * y, rtol=0, atol=10 * atol)
    np.testing.assert_allclose(f(-x), -y, rtol=0, atol=10 * atol)
    np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)), rtol=0, atol=10 * atol)
    turned = f(x.transpose(0, 2, 1), axes=(2, 1)).transpose(0, 2, 1)
    np.testing.assert_allclose(turned, y, rtol=0, atol=10 * atol)

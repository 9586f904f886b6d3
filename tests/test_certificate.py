# SPDX-License-Identifier: MIT
"""Is the certified prox what it says: within its bound, differentiable, alone in its batch?"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import bits, large, signal
from hypothesis import given
from hypothesis import strategies as st
from images import FORMS, SHAPES, distance, solve, weight, weights_of

import jaxtv
from jaxtv._operators import tvnd
from jaxtv._plain import tvnd as plain_tvnd


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_the_error_is_within_the_bound(form, dims, dtype):
    x = signal("noise", SHAPES[dims])
    lam = jax.tree.map(lambda w: np.float64(np.asarray(w, dtype)), weight(form, dims))
    finite = jax.tree.map(lambda w: np.minimum(w, 1e3), lam)  # for the oracle: far above any dual
    want = oracle.prox_nd(x, weights_of(finite, dims), range(1, dims + 1))
    for tol in (1e-1, 1e-2, 1e-3, 1e-5):
        y, info = solve(jnp.array(x, dtype), lam, dims, tol=tol, return_info=True)
        assert info.converged.all()
        assert (distance(y, want) <= np.float64(info.error_bound) + 1e-12 * np.abs(x).max()).all()


@given(
    st.integers(0, 10_000),
    st.sampled_from([0.02, 0.2, 1.0, 5.0]),
    st.integers(1, 30),
    st.sampled_from(["float32", "float64"]),
)
def test_the_bound_holds_wherever_the_sweeps_stop(seed, lam, max_sweeps, dtype):
    kind = ("noise", "walk", "steps", "ramp", "alternating", "integers")[seed % 6]
    x = signal(kind, (2, 9, 8), seed)
    lam = float(np.float32(lam))
    y, info = jaxtv.prox_tv_2d(
        jnp.array(x, dtype), lam, tol=0.0, max_sweeps=max_sweeps, return_info=True
    )
    want = oracle.prox_nd(x, (lam, lam), (1, 2))
    assert (info.sweeps <= max_sweeps).all()
    rounding = 1e-12 * np.abs(x).max()
    assert (distance(y, want) <= np.float64(info.error_bound) + rounding).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_exact_is_exact(form, dtype):
    """Iterated without tolerance, the answer is the solution to the rounding of its type."""
    x = signal("noise", SHAPES[2])
    lam = jax.tree.map(lambda w: np.float64(np.asarray(w, dtype)), weight(form, 2))
    finite = jax.tree.map(lambda w: np.minimum(w, 1e3), lam)
    want = oracle.prox_nd(x, weights_of(finite, 2), (1, 2))
    y, info = solve(jnp.array(x, dtype), lam, 2, tol=0.0, return_info=True)
    assert info.exact.all() and (info.sweeps < 20_000).all()
    allowed = float(jnp.finfo(dtype).eps) * np.linalg.norm(x) + 1e-9
    assert (distance(y, want) <= allowed).all()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_a_batch_mate_changes_no_bit(form, dims):
    x = jnp.array(signal("noise", SHAPES[dims]), "float32")
    lam = jax.tree.map(lambda w: jnp.array(w, "float32"), weight(form, dims))
    together = solve(x, lam, dims)
    for i in range(2):
        own = jax.tree.map(lambda w: w[i : i + 1] if w.ndim and w.shape[0] > 1 else w, lam)  # noqa: B023
        assert bits(solve(x[i : i + 1], own, dims)) == bits(together[i : i + 1])


@large
@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 2)])
def test_layout_and_company_change_no_bit(axes):
    """A large image shares its lines out over threads, a batch its images."""
    image = jnp.array(signal("walk", (150, 170)), "float32")
    alone = jaxtv.prox_tv_2d(image, 0.3)
    batch = jnp.expand_dims(image, next(d for d in range(3) if d not in axes))
    assert bits(jaxtv.prox_tv_2d(batch, 0.3, axes=axes).squeeze()) == bits(alone)
    stack = jnp.stack([image * s for s in (0.1, 1.0, 3.0, 0.5)] * 4)
    assert bits(jaxtv.prox_tv_2d(stack, 0.3)[1]) == bits(alone)


# Seeds where no pair of neighbours is close to a tie, so that the prox is linear nearby.
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_the_solution(form, dims):
    x = jnp.array(signal("noise", SHAPES[dims]))
    lam = jax.tree.map(jnp.asarray, weight(form, dims))
    rng = np.random.default_rng(1)
    target = jnp.array(rng.normal(size=x.shape))

    def loss(x, lam):
        return jnp.vdot(solve(x, lam, dims, tol=1e-13), target)

    x_bar, lam_bar = jax.grad(loss, (0, 1))(x, lam)
    moved = lambda w: jnp.where(jnp.isfinite(w) & (w > 0), rng.normal(size=w.shape), 0)  # noqa: E731
    directions = [(jnp.array(rng.normal(size=x.shape)), jax.tree.map(jnp.zeros_like, lam))]
    directions += [(jnp.zeros_like(x), jax.tree.map(moved, lam))]
    for dx, dlam in directions:
        step = 1e-6
        ahead = loss(x + step * dx, jax.tree.map(lambda w, d: w + step * d, lam, dlam))  # noqa: B023
        behind = loss(x - step * dx, jax.tree.map(lambda w, d: w - step * d, lam, dlam))  # noqa: B023
        want = (ahead - behind) / (2 * step)
        got = jnp.vdot(x_bar, dx) + sum(
            jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (lam_bar, dlam)), strict=True)
        )
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("form", ["scalar", "edge"])
def test_the_implicit_derivative_is_the_limit_of_the_unrolled(form):
    x = jnp.array(signal("noise", SHAPES[2]))
    lam = jax.tree.map(jnp.asarray, weight(form, 2))
    target = jnp.array(np.random.default_rng(2).normal(size=x.shape))

    def gradients(**options):
        def loss(x, lam):
            return jnp.vdot(jaxtv.prox_tv_2d(x, lam, **options), target)

        return jax.tree.leaves(jax.grad(loss, (0, 1))(x, lam))

    implicit = gradients(tol=1e-12, max_sweeps=20_000)
    for a, b in zip(implicit, gradients(num_sweeps=1500), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_an_edge_of_weight_zero_ties_nothing():
    """Its ends may be equal, but the derivative does not average over it."""
    x = jnp.zeros((4, 4))
    weights = (jnp.zeros((3, 4)), jnp.zeros((4, 3)))
    target = jnp.arange(16.0).reshape(4, 4)
    x_bar = jax.grad(lambda x: jnp.vdot(jaxtv.prox_tv_2d(x, weights), target))(x)
    np.testing.assert_array_equal(x_bar, target)


def solve_plainly(form, dims, dtype, tol):
    """What the solver in plain JAX gives, and the compiled one."""
    x = jnp.array(signal("noise", SHAPES[dims]), dtype)
    lams = weights_of(jax.tree.map(lambda w: jnp.asarray(w, dtype), weight(form, dims)), dims)
    lams = [jnp.reshape(w, (1,) * (x.ndim - jnp.ndim(w)) + jnp.shape(w)) for w in lams]
    one = (1,) * x.ndim
    arguments = (jnp.full(one, tol, dtype), jnp.full(one, 20_000, jnp.int32))
    axes = tuple(range(1, dims + 1))
    plain = jax.jit(plain_tvnd.solve, static_argnames="axes")(x, *arguments, *lams, axes=axes)
    y, *info = plain
    return (y, tvnd.ProxInfo(*info)), tvnd.prox(x, lams, (), *arguments, axes=axes)


PLAIN = [(form, 2) for form in FORMS] + [("edge", 3), ("infinite", 3)]


@pytest.mark.parametrize(("form", "dims"), PLAIN)
def test_compiled_and_plain_agree(form, dims):
    (y, plain), (z, compiled) = solve_plainly(form, dims, "float64", 1e-7)
    assert plain.converged.all() and compiled.converged.all()
    assert (distance(y, z) <= (plain.error_bound + compiled.error_bound).ravel()).all()


@pytest.mark.parametrize("form", ["scalar", "infinite"])
def test_plain_jax_is_exact_in_single_precision(form):
    (y, plain), (z, compiled) = solve_plainly(form, 2, "float32", 0.0)
    assert plain.exact.all() and compiled.exact.all()
    allowed = np.float64(plain.error_bound + compiled.error_bound).ravel()
    assert (distance(y, np.float64(z)) <= allowed).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_any_number_of_axes(count):
    shape = (4, 3, 3, 2, 3)[:count]
    x = signal("noise", shape)
    y, info = jaxtv.prox_tv(jnp.array(x), 0.2, axes=range(count), tol=1e-6, return_info=True)
    want = oracle.prox_nd(x, [0.2] * count, range(count))
    assert info.converged and np.linalg.norm(y - want) <= info.error_bound + 1e-9


def test_every_order_of_the_axes_is_one_answer():
    x = jnp.array(signal("noise", (3, 4, 5, 2)))
    lam = {0: 0.1, 2: 0.3, 3: 0.5}
    answers = {
        bits(jaxtv.prox_tv(x, tuple(lam[a] for a in axes), axes=axes))
        for axes in itertools.permutations(lam)
    }
    assert len(answers) == 1


@pytest.mark.parametrize("in_axes", [(0, 0), (None, 0), (0, None), (2, 1)])
def test_vmap_is_a_loop(in_axes):
    x = jnp.array(signal("noise", (3, 3, 3)))
    lam = jnp.array([[0.1, 0.3, 1.0]]).T if in_axes[1] == 0 else jnp.array([[0.1, 0.3, 1.0]])
    mapped = jax.vmap(lambda x, lam: jaxtv.prox_tv_2d(x, lam[..., :1]), in_axes)(x, lam)
    for i in range(3):
        pairs = zip((x, lam), in_axes, strict=True)
        x_i, lam_i = (a if d is None else jnp.take(a, i, d) for a, d in pairs)
        assert bits(mapped[i]) == bits(jaxtv.prox_tv_2d(x_i, lam_i[..., :1]))


def test_the_backward_pass_is_differentiable():
    x = jnp.array(signal("noise", (6, 5)))
    gradient = jax.grad(lambda x, g: jnp.vdot(jaxtv.prox_tv_2d(x, 0.3, tol=1e-10), g))
    g = jnp.array(signal("walk", (6, 5)))
    jacobian = jax.jacobian(lambda g: gradient(x, g))(g).reshape(30, 30)
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-12)
    np.testing.assert_allclose(jacobian @ jacobian, jacobian, atol=1e-12)


def test_four_axes_have_the_gradient_of_the_solution():
    x = jnp.array(signal("noise", (3, 4, 2, 3)))
    lam = tuple(jnp.array(0.1 + 0.05 * a) for a in range(4))
    target = jnp.array(np.random.default_rng(3).normal(size=x.shape))

    def loss(x, lam):
        y = jaxtv.prox_tv(x, lam, axes=range(4), tol=1e-13, max_sweeps=20_000)
        return jnp.vdot(y, target)

    x_bar, lam_bar = jax.grad(loss, (0, 1))(x, lam)
    dx, step = jnp.array(signal("walk", x.shape, 1)), 1e-6
    want = (loss(x + step * dx, lam) - loss(x - step * dx, lam)) / (2 * step)
    np.testing.assert_allclose(jnp.vdot(x_bar, dx), want, rtol=1e-6)
    ahead, behind = (tuple(w + s for w in lam) for s in (step, -step))
    np.testing.assert_allclose(
        sum(lam_bar), (loss(x, ahead) - loss(x, behind)) / (2 * step), rtol=1e-6
    )


@pytest.mark.parametrize("exponent", [-300, -160, 160, 300])
def test_float64_has_no_scale(exponent):
    """Squares of these would be 0 or infinite; the error bound is still that of the image."""
    x = signal("noise", (2, 9, 8))
    unit = 2.0 ** round(exponent * np.log2(10))
    want, plain = jaxtv.prox_tv_2d(jnp.array(x), 0.3, tol=1e-5, return_info=True)
    y, info = jaxtv.prox_tv_2d(jnp.array(x * unit), 0.3 * unit, tol=1e-5, return_info=True)
    assert bits(y / unit) == bits(want) and info.converged.all()
    np.testing.assert_allclose(info.error_bound / unit, plain.error_bound, rtol=1e-12)

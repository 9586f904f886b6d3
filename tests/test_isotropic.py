# SPDX-License-Identifier: MIT
"""Are isotropic, coupled, masked and periodic images solved, to a true certificate?"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from isotropic_models import AXES, IMAGE, MODELS, SHAPE, energies, images_of, options

import jaxtv
from jaxtv._operators import isotropic as operators
from jaxtv._plain import isotropic as plain
from jaxtv._plain.stencil import Stencil

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(18)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, np.float64) for name in MODELS),
        ("isotropic", np.float32),
        ("channels", np.float32),
        ("masked", np.float32),
    ],
)
def test_results_are_proven_by_their_duals(name, dtype):
    lam, tol = 0.3, (1e-7 if dtype == np.float64 else 3e-3)
    x = jnp.asarray(IMAGE, dtype)
    how = options(name)
    y, info = jaxtv.prox_tv(
        x, lam, axes=AXES, tol=tol, max_sweeps=60_000, init=0.0, return_info=True, **how
    )
    assert info.converged.all()
    for index, image, axes in images_of(np.asarray(x, float), name):
        own = dict(how)
        if "data_weight" in own:
            weight = np.asarray(own["data_weight"])
            own["data_weight"] = weight
        duals = [np.asarray(p, float)[index] for p in info.dual]
        result = np.asarray(y, float)[index]
        primal, dual, excess = energies(result, duals, image, (lam, lam), axes, **own)
        gap = float(np.asarray(info.gap)[index])
        rounding = np.finfo(dtype).eps * (abs(image).max() + lam) * abs(image).sum()
        assert excess <= 1 + 4 * np.finfo(dtype).eps
        assert primal - dual <= gap + rounding
        assert gap <= float(np.asarray(info.error_bound)[index]) ** 2 + rounding


@pytest.mark.parametrize("lam", [0.0625, 0.3125, 1.0])
@pytest.mark.parametrize("kind", ["isotropic", "anisotropic"])
def test_gaps_in_float32_are_those_of_feasible_duals(kind, lam):
    """Rounding leaves duals an ulp longer than their weights, which would make gaps smaller."""
    stencil = Stencil((1, 2, 3), kind == "isotropic", periodic=False)
    x = jnp.asarray(RNG.standard_normal((1, 1, 30, 31)), "float32")
    one, zero = jnp.ones((1, 1, 1, 1), "float32"), jnp.zeros_like(x)
    limit = jnp.full((1, 1, 1, 1), 200, jnp.int32)
    lams = (lam * one, lam * one)
    found = operators.prox(x, one, lams, (zero, zero), 0 * one, limit, stencil=stencil)
    image, y, *duals = (np.float64(a)[0, 0] for a in (x, found.y, *found.duals))
    excess = energies(y, duals, image, (lam, lam), (0, 1), kind)[2]
    assert excess <= 1 + 4 * float(jnp.finfo("float32").eps)
    feasible = [p / max(1, excess) for p in duals]
    primal, dual, _ = energies(y, feasible, image, (lam, lam), (0, 1), kind)
    assert primal - dual <= float(found.gap[0, 0, 0, 0]) + 1e-13 * abs(image).sum()


@pytest.mark.parametrize("name", ["isotropic", "channels", "masked", "noise levels, channels"])
def test_error_bounds_are_true(name):
    how = options(name)
    solve = functools.partial(jaxtv.prox_tv, jnp.asarray(IMAGE), axes=AXES, **how)
    solve = jax.jit(solve, static_argnames="return_info")
    weight = jnp.sqrt(how.get("data_weight", jnp.ones(())))
    coupled = (0, 1, 2) if "channel_axis" in how else AXES
    for lam in (0.1, 0.5):
        exact = solve(lam, tol=1e-8, max_sweeps=100_000)
        for tol in (0.1, 1e-2, 1e-4):
            y, info = solve(lam, tol=tol, return_info=True)
            error = jnp.sqrt(((weight * (y - exact)) ** 2).sum(coupled))
            assert info.converged.all()
            assert (error <= info.error_bound).all()


@pytest.mark.parametrize("lam", [0.2, 1.0])
def test_anisotropic_images_are_those_of_line_solves(lam):
    """Weights 1 for the data take the other solver, which shares nothing with that of lines."""
    x = jnp.asarray(IMAGE)
    expected = jaxtv.prox_tv(x, lam, axes=AXES, tol=0.0)
    found = jaxtv.prox_tv(x, lam, axes=AXES, data_weight=1.0, tol=1e-7, max_sweeps=60_000)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_image_of_one_column_is_a_line():
    x = jnp.asarray(RNG.standard_normal((30, 1)))
    found, info = jaxtv.prox_tv_2d(x, 0.7, kind="isotropic", tol=1e-6, return_info=True)
    assert info.converged
    expected = jaxtv.prox_tv_1d(x, 0.7, axis=0)
    assert np.linalg.norm(found - expected) <= info.error_bound


def test_volumes():
    x = jnp.asarray(RNG.standard_normal((4, 3, 5)))
    how = {"kind": "isotropic", "axes": (0, 1, 2)}
    y, info = jaxtv.prox_tv(x, 0.4, tol=1e-6, max_sweeps=60_000, init=0.0, return_info=True, **how)
    primal, dual, excess = energies(
        np.asarray(y), [np.asarray(p) for p in info.dual], x, (0.4,) * 3, (0, 1, 2), "isotropic"
    )
    assert excess <= 1 + 1e-15
    assert primal - dual <= float(info.gap) + 1e-13 <= 1e-9


def weights_of_every_form():
    generator = np.random.default_rng(5)
    yield "a number", 0.3
    yield "per image", generator.uniform(0.1, 0.5, (2, 1, 1))
    yield "per pixel", generator.uniform(0.1, 0.5, (5, 6))
    yield "spacing", (0.2, 0.5)
    yield "a pair", tuple(generator.uniform(0.1, 0.5, (5, 6)) for _ in range(2))
    yield "per axis and pixel", tuple(generator.uniform(0.1, 0.5, (2, 5, 6)) for _ in range(2))
    yield "some zero", np.where(generator.random((5, 6)) < 0.3, 0, 0.4)
    yield "one axis only", (0.3, 0.0)


@pytest.mark.parametrize(("form", "lam"), list(weights_of_every_form()))
def test_weights(form, lam):
    kind = "anisotropic" if "axis" in form else "isotropic"
    arrays = jax.tree.map(jnp.asarray, lam)
    how = {"kind": kind, "data_weight": 1.0}
    y, info = jaxtv.prox_tv(
        jnp.asarray(IMAGE), arrays, axes=AXES, tol=1e-5, max_sweeps=60_000, init=0.0,
        return_info=True, **how,
    )  # fmt: skip
    lams = lam if isinstance(lam, tuple) else (lam, lam)
    assert info.converged.all()
    for k in range(2):
        own = [np.broadcast_to(w, SHAPE)[k] for w in lams]
        duals = [np.asarray(p)[k] for p in info.dual]
        primal, dual, excess = energies(np.asarray(y)[k], duals, IMAGE[k], own, (0, 1), **how)
        assert excess <= 1 + 1e-14
        assert primal - dual <= float(info.gap[k]) + 1e-13


def test_a_dual_is_a_start():
    x = jnp.asarray(RNG.standard_normal((40, 40)))
    solve = functools.partial(jaxtv.prox_tv_2d, kind="isotropic", return_info=True, init=0.0)
    _, cold = solve(x, 0.5)
    again = functools.partial(jaxtv.prox_tv_2d, kind="isotropic", return_info=True)
    y, warm = again(x + 1e-4, 0.5, init=cold.dual)
    assert warm.converged and 3 * warm.sweeps < cold.sweeps
    wild = jax.tree.map(lambda p: jnp.asarray(RNG.normal(0, 100, p.shape)), cold.dual)
    y, info = again(x, 0.5, init=wild, max_sweeps=30_000)
    assert info.converged
    np.testing.assert_allclose(y, solve(x, 0.5, tol=1e-5)[0], atol=float(info.error_bound))


def test_limits():
    x = jnp.asarray(IMAGE)
    for most in (0, 1, 13):
        _, info = jaxtv.prox_tv_2d(
            x, 0.5, kind="isotropic", tol=1e-9, max_sweeps=most, return_info=True
        )
        assert (info.sweeps == most).all()
        assert not info.converged.any()
    floor = jaxtv.prox_tv_2d(
        jnp.asarray(IMAGE, jnp.float32), 0.3, kind="isotropic", tol=0.0, return_info=True
    )[1]
    assert (floor.sweeps < 10_000).all()  # the rounding of float32 ends it


@pytest.mark.parametrize(
    ("channels", "is_isotropic", "even", "periodic"),
    [
        (1, True, False, True),
        (2, True, False, True),
        (2, False, False, True),
        (1, True, True, False),
    ],
)
def test_the_compiled_kernel_is_what_plain_jax_is(channels, is_isotropic, even, periodic):
    """With one weight for all pixels an iteration takes one pass."""
    stencil = Stencil((1, 2, 3), is_isotropic, periodic)
    shape = (2, channels, 7, 9)
    x = jnp.asarray(RNG.standard_normal(shape))
    m = jnp.asarray(RNG.uniform(0.5, 1, shape))
    of_lams = (2, 1, 1, 1) if even else (2, 1, 7, 9)
    lams = (jnp.asarray(RNG.uniform(0.1, 0.5, of_lams)),) * 2
    if not even:
        lams = tuple(jnp.asarray(RNG.uniform(0, 0.5, of_lams)) for _ in range(2))
    init = tuple(
        stencil.edges(x, axis) * jnp.asarray(RNG.standard_normal(shape)) for axis in (2, 3)
    )
    goal, limit = jnp.full((1, 1, 1, 1), 1e-5), jnp.full((1, 1, 1, 1), 30, jnp.int32)
    operands, params = (x, m, goal, limit, *lams, *init), stencil._asdict()
    expected = jax.jit(functools.partial(plain.solve, **params))(*operands)
    found = operators.prox(x, m, lams, init, goal, limit, stencil=stencil)
    np.testing.assert_allclose(found.y, expected[0], atol=1e-10)
    np.testing.assert_allclose(found.gap, expected[1], rtol=1e-8)
    for p, q in zip(found.duals, expected[4:], strict=True):
        np.testing.assert_allclose(p, q, atol=1e-10)
    steps = stencil.differences(x)
    lengths = tuple(jnp.where(n > 0.5, n, 0) for n in stencil.lengths(steps))
    directions = tuple(
        jnp.where(n > 0, h / (n + 1e-9), 0) for h, n in zip(steps, lengths, strict=True)
    )
    limit = jnp.full((1, 1, 1, 1), 6, jnp.int32)  # before factors are worth their time
    operands = (x, m, goal, limit, *lams, *lengths, *directions)
    expected = jax.jit(functools.partial(plain.solve_linear, **params))(*operands)
    z = operators.solve_linear(x, m, lams, lengths, directions, goal, limit, stencil=stencil)
    np.testing.assert_allclose(z, expected[0], atol=1e-9)


@pytest.mark.parametrize("name", ["isotropic", "channels", "channels, anisotropic", "periodic"])
def test_the_value_of_the_penalty(name):
    how = options(name)
    lams = (0.2, 0.5)
    found = jaxtv.total_variation(jnp.asarray(IMAGE), axes=AXES, lam=lams, **how)
    for index, image, axes in images_of(IMAGE, name):
        zero = [np.zeros_like(image)] * 2
        expected = energies(image, zero, image, lams, axes, **how)[0]
        assert float(found[index]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unit", [1.0, 0.75, 1.3, 3e3])
def test_the_unit_of_data_weights_costs_no_iterations(unit):
    """With steps for half or twice the weight they are 40 to 56. The image is cut into stripes."""
    x = np.random.default_rng(5).standard_normal((96, 100))
    _, info = jaxtv.prox_tv_2d(x, 0.1 * unit, kind="isotropic", data_weight=unit, return_info=True)
    assert info.converged
    assert info.sweeps <= 32


def test_missing_pixels_take_few_iterations():
    """With steps as for data everywhere they are 3000."""
    rng = np.random.default_rng(5)
    image = np.add.outer(np.sin(np.arange(64) / 6), np.sign(np.arange(64) - 40.5)) / 4
    x, mask = image + 0.1 * rng.standard_normal(image.shape), rng.random(image.shape) < 0.15
    given = {"kind": "isotropic", "data_weight": 1.0 * mask, "tol": 1e-2}
    _, info = jaxtv.prox_tv_2d(x, 0.02, **given, return_info=True)
    assert info.converged
    assert info.sweeps <= 300

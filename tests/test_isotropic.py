# SPDX-License-Identifier: MIT
"""Are isotropic, coupled, masked and periodic images solved, to a true certificate and derivative?

The proof of a result is its duals: `energies` computes the primal and the dual energy of the model
from its definition alone, in NumPy.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxtv
from jaxtv._operators import isotropic as operators
from jaxtv._plain import isotropic as plain
from jaxtv._plain.stencil import Stencil

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(18)
MODELS = {
    "isotropic": {"kind": "isotropic"},
    "channels": {"kind": "isotropic", "channel_axis": 0},
    "channels, anisotropic": {"channel_axis": 0},
    "periodic": {"kind": "isotropic", "periodic": True},
    "periodic, anisotropic": {"periodic": True},
    "masked": {"kind": "isotropic", "data_weight": "mask"},
    "masked, anisotropic": {"data_weight": "mask"},
    "noise levels, channels": {"kind": "isotropic", "channel_axis": 0, "data_weight": "levels"},
}
SHAPE = (2, 5, 6)
AXES = (1, 2)
MASK = np.array(RNG.random(SHAPE[1:]) < 0.6, float)
LEVELS = RNG.uniform(0.3, 2.0, SHAPE)
IMAGE = RNG.standard_normal(SHAPE)


def options(name):
    """The keyword arguments of a model."""
    found = dict(MODELS[name])
    weights = {"mask": jnp.asarray(MASK), "levels": jnp.asarray(LEVELS)}
    if "data_weight" in found:
        found["data_weight"] = weights[found["data_weight"]]
    return found


def differences(y, axis, periodic):
    ahead = np.roll(y, -1, axis) - y
    if not periodic:
        ahead[tuple(slice(-1, None) if d == axis else slice(None) for d in range(y.ndim))] = 0
    return ahead


def energies(
    y, duals, x, lams, axes, kind="anisotropic", channel_axis=None, data_weight=1.0, periodic=False
):
    """The primal energy at y, the dual one at the duals, and how far these are beyond the weights.

    One image of all of `x`. The dual energy is the least over images in the range of the data.
    """
    x, m = np.asarray(x), np.broadcast_to(data_weight, np.shape(x))
    steps, charged, force = [], [], np.zeros_like(x)
    for p, lam, axis in zip(duals, lams, axes, strict=True):
        full = np.zeros_like(x)
        full[tuple(slice(0, n) for n in p.shape)] = p
        force += np.roll(full, 1, axis) - full
        w = np.broadcast_to(lam, x.shape)
        steps.append(w * differences(y, axis, periodic))
        charged.append(
            np.where(w > 0, full / np.where(w > 0, w, 1), np.where(full == 0, 0, np.inf))
        )

    def lengths(values):
        squares = [v**2 for v in values]
        if channel_axis is not None:
            squares = [s.sum(channel_axis, keepdims=True) for s in squares]
        return [np.sqrt(sum(squares))] if kind == "isotropic" else [np.sqrt(s) for s in squares]

    primal = (m * (y - x) ** 2).sum() / 2 + sum(n.sum() for n in lengths(steps))
    known = np.where(m > 0, x, np.nan)
    low, high = np.nanmin(known, axes, keepdims=True), np.nanmax(known, axes, keepdims=True)
    if channel_axis is None and x.ndim > len(axes):
        raise ValueError("one image")
    free = np.where(force > 0, low, high)
    best = np.clip(np.where(m > 0, x - force / np.where(m > 0, m, 1), free), low, high)
    dual = (m * (best - x) ** 2).sum() / 2 + (force * best).sum()
    return primal, dual, max(n.max() for n in lengths(charged))


def images_of(x, name):
    """The images of `x` one by one, with their axes and their index."""
    if "channel_axis" in MODELS[name]:
        return [((), x, AXES)]
    return [((k,), x[k], (0, 1)) for k in range(len(x))]


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
    found = jaxtv.prox_tv_2d(x, 0.7, kind="isotropic", tol=1e-8, max_sweeps=100_000)
    np.testing.assert_allclose(found, jaxtv.prox_tv_1d(x, 0.7, axis=0), atol=1e-7)


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


@pytest.mark.parametrize("name", ["periodic", "masked", "noise levels, channels"])
def test_gradients(name):
    """Against differences of values in float64, along a random direction in every argument."""
    how = options(name)
    m = how.pop("data_weight", jnp.asarray(LEVELS))
    x, lam = jnp.asarray(IMAGE), jnp.asarray(RNG.uniform(0.15, 0.25, (1, 5, 6)))
    cotangent = jnp.asarray(RNG.standard_normal(SHAPE))
    limits = {"tol": 1e-9, "deriv_tol": 1e-9, "max_sweeps": 200_000}

    def value(x, lam, m):
        y = jaxtv.prox_tv(x, lam, axes=AXES, data_weight=m, **limits, **how)
        return (cotangent * y).sum()

    gradient = jax.jit(jax.grad(value, (0, 1, 2)))(x, lam, m)
    value = jax.jit(value)
    for k, argument in enumerate((x, lam, m)):
        direction = jnp.asarray(RNG.standard_normal(argument.shape))
        if k == 2:
            direction = jnp.where(argument > 0, direction, 0.0)  # a weight 0 has no other side
        step, moved = 1e-5, [x, lam, m]
        moved[k] = argument + step * direction
        up = value(*moved)
        moved[k] = argument - step * direction
        expected = (up - value(*moved)) / (2 * step)
        found = float((gradient[k] * direction).sum())
        assert found == pytest.approx(float(expected), rel=3e-4)


def test_forward_and_reverse_mode_agree():
    x, lam = jnp.asarray(IMAGE), jnp.asarray(0.3)
    limits = {"tol": 1e-8, "deriv_tol": 1e-9, "max_sweeps": 200_000}
    solve = functools.partial(jaxtv.forward.prox_tv, axes=AXES, kind="isotropic", **limits)
    dx, dlam = jnp.asarray(RNG.standard_normal(SHAPE)), jnp.asarray(0.7)
    _, tangent = jax.jvp(solve, (x, lam), (dx, dlam))
    y_bar = jnp.asarray(RNG.standard_normal(SHAPE))
    x_bar, lam_bar = jax.vjp(solve, x, lam)[1](y_bar)
    public = functools.partial(jaxtv.prox_tv, axes=AXES, kind="isotropic", **limits)
    np.testing.assert_allclose(jax.vjp(public, x, lam)[1](y_bar)[0], x_bar, rtol=1e-12)
    pulled = float((x_bar * dx).sum() + lam_bar * dlam)
    assert float((tangent * y_bar).sum()) == pytest.approx(pulled, rel=1e-6)


def test_second_derivatives():
    x = jnp.asarray(IMAGE[0])
    limits = {"tol": 1e-9, "deriv_tol": 1e-10, "max_sweeps": 300_000}

    def value(x, lam):
        y = jaxtv.forward.prox_tv_2d(x, lam, kind="isotropic", **limits)
        return (y**3).sum()

    direction = jnp.asarray(RNG.standard_normal(x.shape))
    gradient = jax.jit(jax.grad(value, (0, 1)))
    tangents = (direction, jnp.asarray(0.3))
    _, found = jax.jit(lambda x, lam: jax.jvp(gradient, (x, lam), tangents))(x, 0.2)
    step = 1e-5
    up = gradient(x + step * direction, 0.2 + step * 0.3)
    down = gradient(x - step * direction, 0.2 - step * 0.3)
    expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), up, down)
    np.testing.assert_allclose(found[0], expected[0], atol=2e-3 * abs(expected[0]).max())
    assert float(found[1]) == pytest.approx(float(expected[1]), rel=2e-3)


def test_vmap_equals_a_loop():
    how = options("channels")
    xs = jnp.asarray(RNG.standard_normal((3, *SHAPE)))
    lams = jnp.array([0.1, 0.3, 0.5])
    solve = functools.partial(jaxtv.prox_tv, axes=AXES, tol=1e-4, **how)
    one = jax.jit(solve)
    expected = jnp.stack([one(x, lam) for x, lam in zip(xs, lams, strict=True)])
    np.testing.assert_array_equal(jax.jit(jax.vmap(solve))(xs, lams), expected)
    last = jax.jit(jax.vmap(solve, (-1, None), -1))(jnp.moveaxis(xs, 0, -1), lams[1])
    np.testing.assert_array_equal(last[..., 1], expected[1])

    def loss(x, lam):
        return (solve(x, lam) ** 2).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    found = jax.jit(jax.vmap(jax.grad(loss, (0, 1))))(xs, lams)
    for k in range(3):
        one = gradient(xs[k], lams[k])
        np.testing.assert_allclose(found[0][k], one[0], atol=1e-12)
        np.testing.assert_allclose(found[1][k], one[1], rtol=1e-9, atol=1e-12)


def test_axes_and_channels_may_be_anywhere():
    x = jnp.asarray(RNG.standard_normal((2, 3, 4, 5)))
    expected = jaxtv.prox_tv(x, 0.3, axes=(2, 3), kind="isotropic", channel_axis=1)
    moved = jnp.transpose(x, (3, 0, 2, 1))
    found = jaxtv.prox_tv(moved, 0.3, axes=(-2, 0), kind="isotropic", channel_axis=-1)
    np.testing.assert_allclose(jnp.transpose(found, (1, 3, 2, 0)), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["channels", "periodic, anisotropic", "masked"])
def test_rules_for_numbers(name):
    how = options(name)
    x = np.tile(IMAGE, (3, 1, 1, 1))
    solve = functools.partial(jaxtv.prox_tv, axes=(2, 3), **how)
    if "channel_axis" in how:
        how["channel_axis"] = 1
        solve = functools.partial(jaxtv.prox_tv, axes=(2, 3), **how)
    solve = jax.jit(solve, static_argnames="return_info")
    known = how.get("data_weight", jnp.ones(())) > 0
    same = solve(jnp.asarray(x), 0.0)
    kept = np.broadcast_to(np.asarray(known), x.shape)
    np.testing.assert_array_equal(np.asarray(same)[kept], x[kept])
    y = solve(jnp.asarray(x), jnp.inf)
    weight = np.broadcast_to(how.get("data_weight", 1.0), x.shape)
    mean = (weight * x).sum((2, 3)) / weight.sum((2, 3))
    if "data_weight" not in how:
        np.testing.assert_allclose(y, np.broadcast_to(mean[..., None, None], x.shape), atol=1e-12)
    bad = x.copy()
    where = np.argwhere(kept[1, 0])[0]
    bad[(1, 0, *where)] = np.nan
    y, info = solve(jnp.asarray(bad), 0.3, return_info=True)
    np.testing.assert_array_equal(y[0], y[2])
    np.testing.assert_array_equal(y[0], solve(jnp.asarray(x), 0.3)[0])
    assert np.isnan(y[1] if "channel_axis" in how else y[1, 0]).all()
    assert not info.converged.all()
    lam = jnp.asarray([0.3, -1.0, 0.3])[:, None, None, None]
    y = solve(jnp.asarray(x), lam)
    assert np.isnan(y[1]).all() and not np.isnan(y[jnp.array([0, 2])]).any()
    assert np.isnan(solve(jnp.asarray(x), jnp.nan)).all()


def test_missing_pixels_may_hold_anything():
    x = jnp.asarray(IMAGE)
    solve = functools.partial(
        jaxtv.prox_tv, axes=AXES, kind="isotropic", data_weight=jnp.asarray(MASK)
    )
    expected = solve(jnp.where(MASK > 0, x, 0.0), 0.2)
    np.testing.assert_array_equal(solve(jnp.where(MASK > 0, x, jnp.nan), 0.2), expected)
    gradient = jax.grad(lambda x: (solve(x, 0.2) ** 2).sum())(jnp.where(MASK > 0, x, jnp.inf))
    assert np.isfinite(gradient).all() and (np.asarray(gradient)[:, MASK == 0] == 0).all()


def test_missing_pixels_take_few_iterations():
    """With steps as for data everywhere they are 3000."""
    rng = np.random.default_rng(5)
    image = np.add.outer(np.sin(np.arange(64) / 6), np.sign(np.arange(64) - 40.5)) / 4
    x, mask = image + 0.1 * rng.standard_normal(image.shape), rng.random(image.shape) < 0.15
    given = {"kind": "isotropic", "data_weight": 1.0 * mask, "tol": 1e-2}
    _, info = jaxtv.prox_tv_2d(x, 0.02, **given, return_info=True)
    assert info.converged
    assert info.sweeps <= 300


def test_an_image_without_data_is_0():
    weight = jnp.ones((2, 1, 1)).at[0].set(0.0)
    y, info = jaxtv.prox_tv_2d(
        jnp.asarray(IMAGE), 0.3, kind="isotropic", data_weight=weight, return_info=True
    )
    assert (y[0] == 0).all() and info.converged.all()
    np.testing.assert_array_equal(y[1], jaxtv.prox_tv_2d(IMAGE[1], 0.3, kind="isotropic"))


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (1, 2), (7, 1)])
@pytest.mark.parametrize("periodic", [False, True])
def test_small_images(shape, periodic):
    x = jnp.asarray(RNG.standard_normal((2, *shape)))
    solve = functools.partial(
        jaxtv.prox_tv_2d, kind="isotropic", periodic=periodic, tol=1e-6, max_sweeps=50_000
    )
    y, info = solve(x, 0.2, return_info=True, init=0.0)
    assert y.shape == x.shape and info.gap.shape == (2,) and info.converged.all()
    if x.size:
        for k in range(2):
            duals = [np.asarray(p)[k] for p in info.dual]
            primal, dual, excess = energies(
                np.asarray(y)[k], duals, x[k], (0.2, 0.2), (0, 1), "isotropic", periodic=periodic
            )
            assert excess <= 1 + 1e-14 and primal - dual <= float(info.gap[k]) + 1e-14
    assert np.isfinite(jax.grad(lambda x: solve(x, 0.2).sum())(x)).all()


def test_complex_numbers_are_two_channels():
    x = jnp.asarray(IMAGE)
    pair = jaxtv.prox_tv_2d(x, 0.3, kind="isotropic", channel_axis=0)
    z = jax.lax.complex(x[0], x[1])
    y, info = jaxtv.prox_tv_2d(z, 0.3, kind="isotropic", return_info=True)
    assert info.gap.shape == () and info.converged
    np.testing.assert_allclose(y, jax.lax.complex(pair[0], pair[1]), atol=1e-12)
    twice = jax.lax.complex(jnp.stack([x, 2 * x]), jnp.stack([x, -x]))
    y = jaxtv.prox_tv(twice, 0.3, axes=(2, 3), channel_axis=0, data_weight=jnp.asarray(MASK))
    parts = jnp.concatenate([twice.real, twice.imag])
    both = jaxtv.prox_tv(parts, 0.3, axes=(2, 3), channel_axis=0, data_weight=jnp.asarray(MASK))
    np.testing.assert_allclose(y, jax.lax.complex(both[:2], both[2:]), atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_types(dtype):
    x = jnp.asarray(IMAGE, dtype)
    y, info = jaxtv.prox_tv_2d(x, 0.3, kind="isotropic", return_info=True)
    wide = jaxtv.prox_tv_2d(x.astype(jnp.float32), 0.3, kind="isotropic")
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, wide.astype(dtype))
    exact = jaxtv.prox_tv_2d(x.astype(jnp.float64), 0.3, kind="isotropic", tol=1e-6)
    error = jnp.linalg.norm((y.astype(jnp.float64) - exact).reshape(2, -1), axis=1)
    assert (error <= info.error_bound.astype(jnp.float64)).all()


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


def test_large_and_small_units():
    x = jnp.asarray(IMAGE, jnp.float32)
    expected = jaxtv.prox_tv_2d(x, 0.3, kind="isotropic")
    for unit in (1e30, 1e-30):
        found = jaxtv.prox_tv_2d(unit * x, unit * 0.3, kind="isotropic")
        np.testing.assert_allclose(found / unit, expected, atol=3e-3)
    offset = jaxtv.prox_tv_2d(x + 1e4, 0.3, kind="isotropic")
    np.testing.assert_allclose(offset - 1e4, expected, atol=3e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"kind": "isotrop"}, ValueError, ["kind", "isotrop", "anisotropic"]),
        ({"channel_axis": 1}, ValueError, ["channel_axis", "1", "axes"]),
        ({"channel_axis": 5}, ValueError, ["channel_axis", "5"]),
        ({"data_weight": -1.0}, ValueError, ["data_weight", "-1"]),
        ({"data_weight": float("nan")}, ValueError, ["data_weight", "nan"]),
        ({"data_weight": jnp.ones((3, 1, 1))}, ValueError, ["data_weight", "(3, 1, 1)"]),
        ({"data_weight": "a"}, TypeError, ["data_weight", "a"]),
        ({"periodic": 1}, TypeError, ["periodic", "1"]),
        ({"kind": "isotropic", "num_sweeps": 4}, ValueError, ["num_sweeps", "4"]),
        ({"kind": "isotropic", "lam": jnp.ones((5,))}, ValueError, ["lam", "(5,)"]),
        ({"channel_axis": 0, "lam": jnp.ones((2, 1, 1))}, ValueError, ["lam", "channel_axis"]),
    ],
)
def test_errors(arguments, error, words):
    arguments = {"lam": 0.1} | arguments
    with pytest.raises(error) as caught:
        jaxtv.prox_tv(jnp.asarray(IMAGE), arguments.pop("lam"), axes=AXES, **arguments)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("masked", [False, True])
def test_an_image_is_solved_alike_alone_and_beside_any_other(masked):
    """Whether its duals start from those of a coarser image depends on the image."""
    x = RNG.standard_normal((3, 36, 36)) * np.array([1.0, 1.0, 1e-3])[:, None, None]
    lam = np.array([0.05, 2.0, 1.0])[:, None, None]
    m = np.ones(x.shape)
    m[1] = RNG.random((36, 36)) < 0.5 if masked else 1
    solve = jax.jit(lambda *a: jaxtv.prox_tv_2d(a[0], a[1], kind="isotropic", data_weight=a[2]))
    together = solve(x, lam, m)
    for i in range(3):
        np.testing.assert_array_equal(
            solve(x[i : i + 1], lam[i : i + 1], m[i : i + 1])[0], together[i]
        )


def test_batches_may_be_sharded():
    mesh = jax.make_mesh((2,), ("batch",))
    x = jnp.asarray(RNG.standard_normal((4, 6, 6)))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
    solve = jax.jit(lambda x: jaxtv.prox_tv_2d(x, 0.3, kind="isotropic"))
    gradient = jax.jit(jax.grad(lambda x: (solve(x) ** 2).sum()))
    cut = jax.device_put(x, sharding)
    np.testing.assert_array_equal(solve(cut), solve(x))
    np.testing.assert_allclose(gradient(cut), gradient(x), atol=1e-12)
    text = solve.lower(cut).compile().as_text()
    assert "all-gather" not in text
    assert "all-reduce" not in text


@pytest.mark.parametrize(("channels", "is_isotropic"), [(1, True), (2, True), (2, False)])
def test_the_compiled_kernel_is_what_plain_jax_is(channels, is_isotropic):
    stencil = Stencil((1, 2, 3), is_isotropic, periodic=True)
    shape = (2, channels, 7, 9)
    x = jnp.asarray(RNG.standard_normal(shape))
    m = jnp.asarray(RNG.uniform(0.5, 1, shape))
    lams = tuple(jnp.asarray(RNG.uniform(0, 0.5, (2, 1, 7, 9))) for _ in range(2))
    init = tuple(jnp.asarray(RNG.standard_normal(shape)) for _ in range(2))
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


def test_a_smooth_loss():
    value = functools.partial(jaxtv.total_variation, axes=(0, 1), kind="isotropic")
    x = jnp.asarray(IMAGE[0])
    assert float(value(x, smooth=1e-9)) == pytest.approx(float(value(x)), rel=1e-6)
    assert (jax.grad(value)(jnp.ones((3, 3))) == 0).all()
    direction, step = jnp.asarray(RNG.standard_normal(x.shape)), 1e-6
    smooth = functools.partial(value, smooth=0.1)
    expected = (smooth(x + step * direction) - smooth(x - step * direction)) / (2 * step)
    found = (jax.grad(smooth)(x) * direction).sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert jnp.isnan(value(x, lam=jnp.asarray(-1.0)))

# SPDX-License-Identifier: MIT
"""Do the CUDA kernels on images, run on an emulator, give what plain JAX gives, without races?"""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from emulated import SCHEDULES
from helpers import bits, signal
from images import components

from jaxtv._operators import tv1d as _lines
from jaxtv._plain.alternating import Search, solve

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

# Channels last, three axes, long lines of one axis, TV axes apart, an axis of one sample.
CASES = [
    ((2, 7, 6, 5), (1, 2)),
    ((4, 5, 3, 2), (0, 1, 2)),
    ((2, 700), (1,)),
    ((70, 3, 40), (0, 2)),
    ((3, 1, 8), (0, 1)),
]


def state(shape, axes, dtype, kind="noise"):
    """x, duals as after a sweep, and weights; zero and infinite weights among them."""
    rng = np.random.default_rng(3)
    x = jnp.array(signal(kind, shape), dtype)
    lams, duals, y = [], [], x
    for a, axis in enumerate(axes):
        size = [n - 1 if d == axis else n for d, n in enumerate(shape)]
        lam = rng.exponential(0.5, size if a == 0 else [1] * len(shape))
        if a == 0:
            lam[rng.random(lam.shape) < 0.1] = 0
            lam[rng.random(lam.shape) < 0.1] = np.inf
        lams.append(jnp.array(lam, dtype))
        z = y
        y = _lines.prox(z, lams[-1], axis=axis)
        duals.append(z - y)
    return x, lams, duals


def every_other(shape, axes):
    """A flag for each image, alternating over the first batch axis."""
    batch = next((d for d in range(len(shape)) if d not in axes), None)
    sizes = [1 if d in axes else n for d, n in enumerate(shape)]
    if batch is None:
        return jnp.ones(sizes, bool)
    return jax.lax.broadcasted_iota("int32", sizes, batch) % 2 == 0


def component_mean(emulated, y, v, lams, axes):
    return emulated.with_space("jaxtv_component_mean", [y], y, v, *lams, axes=axes)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["noise", "steps"])
@pytest.mark.parametrize(("shape", "axes"), CASES)
def test_a_certificate_is_that_of_plain_jax_in_float64(fast, shape, axes, kind, dtype):
    """After one sweep, by vote, and for every other image of all equalities too."""
    x, lams, duals = state(shape, axes, dtype, kind)
    unions = every_other(shape, axes)
    found = fast.alternating(x, lams, duals, axes, max_sweeps=1, unions=unions)
    z, gap, bound, count, *_ = found
    want = plain_search(x, lams, duals, axes, 1, unions)
    # float32: z is rounded once, which moves the gap. float64: plain sums are rounded n times.
    eps = float(jnp.finfo(dtype).eps)
    atol = (2 if dtype == "float32" else 100) * eps * float(jnp.abs(x).max())
    np.testing.assert_allclose(z, want.y, rtol=0, atol=atol)
    for got, expected in ((gap, want.gap), (bound, want.bound)):
        np.testing.assert_allclose(got, expected, rtol=100 * eps, atol=100 * eps)
    assert (count == 1).all()


@pytest.mark.parametrize(("shape", "axes"), CASES[:4])  # the last needs one sweep, or by chance two
def test_sweeps_and_tests_are_those_of_plain_jax(fast, shape, axes):
    """Every other image has fewer sweeps to make, and rests."""
    x, lams, duals = state(shape, axes, "float64")
    unions = every_other(shape, axes)
    most = jnp.where(unions, 5, 3) if len(axes) > 1 else 5  # one axis stands still after 1
    lams = [jnp.where(jnp.isfinite(lam), lam, 1) for lam in lams]
    found = fast.alternating(x, lams, duals, axes, max_sweeps=most, unions=unions)
    got = Search.of([*found], axes)
    want = plain_search(x, lams, duals, axes, most, unions)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    # The gap and the bound have roundings of their own.
    jax.tree.map(close, got, want._replace(gap=got.gap, bound=got.bound))


@pytest.mark.parametrize(
    ("target", "rounding"), [(0.3, 0.0), (1e-3, 0.0), (1e-6, 0.0), (1e-5, 1e-3), (1e-4, 1e-2)]
)
def test_tests_are_due_when_plain_jax_says(fast, target, rounding):
    """Of images that come near soon, late, or stand still before, one by one, to the last test."""
    batch, _, starts = state((6, 9, 8), (1, 2), "float64")
    lams, unions = [jnp.full((1, 1, 1), 0.4)] * 2, jnp.ones((1, 1, 1), bool)
    settings = {"max_sweeps": 90, "unions": unions, "target": target, "rounding": rounding}
    for image in range(len(batch)):
        x, *duals = (a[image : image + 1] for a in (batch, *starts))
        got = Search.of([*fast.alternating(x, lams, duals, (1, 2), **settings)], (1, 2))
        want = plain_search(x, lams, duals, (1, 2), 90, unions, target, rounding)
        for field in ("count", "due", "vain", "active"):
            np.testing.assert_array_equal(getattr(got, field), getattr(want, field))
        assert 2 < got.count.item() < 90 and not got.active.item()


# Lines in step as columns and rows, rows of channels, warps on columns, on rows, on long columns.
IN_ONE_LAUNCH = [
    ((9, 3, 40), (0, 2)),
    ((6, 8, 5), (0, 1)),
    ((2, 130, 9), (1, 2)),
    ((2, 9, 300), (1, 2)),
    ((1, 700, 3), (1, 2)),
]


@pytest.mark.parametrize(("shape", "axes"), IN_ONE_LAUNCH)
def test_half_sweeps_in_one_launch_are_those_in_several(fast, shape, axes):
    """Which float64 takes, that is plain JAX's; every other image has fewer sweeps to make."""
    operands = one_weight(shape, axes)
    unions = every_other(shape, axes)
    settings = {"max_sweeps": jnp.where(unions, 4, 2), "unions": unions}
    got, want = (
        Search.of([*fast.alternating(*jax.tree.map(cast, operands), axes, **settings)], axes)
        for cast in (lambda a: a, lambda a: a.astype("float64"))
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, got, want._replace(gap=got.gap, bound=got.bound))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_host_waits_at_the_start_and_for_each_point(fast, dtype):
    """However many sweeps there are between two tests."""
    x, lams, duals = jax.tree.map(lambda a: a.astype(dtype), one_weight((9, 2, 40), (0, 2)))
    for try_unions, points in (False, 1), (True, 2):
        unions, before = jnp.full((1, 2, 1), try_unions), fast.library.num_waits
        settings = {"max_sweeps": 12, "first_test": 12, "unions": unions}
        count = fast.alternating(x, lams, duals, (0, 2), **settings)[3]
        assert (count == 12).all()
        assert fast.library.num_waits == before + 1 + points


def one_weight(shape, axes):
    x = jnp.array(signal("noise", shape), "float32")
    lams = [jnp.full((1,) * x.ndim, lam, "float32") for lam in (0.4, 0.3)[: len(axes)]]
    return x, lams, [0.1 * jnp.roll(x, 1 + a, axes[0]) for a in range(len(axes))]


# It runs once for each shape: to optimise it takes longer.
_OPTIONS = {"xla_backend_optimization_level": 0}
_plain_solve = jax.jit(solve, static_argnames="axes", compiler_options=_OPTIONS)


def plain_search(x, lams, duals, axes, max_sweeps, unions, target=0.0, rounding=0.0):
    """In float64."""
    x, lams, duals = jax.tree.map(lambda a: a.astype("float64"), (x, lams, duals))
    zero = jnp.zeros(unions.shape)
    count = zero.astype("int32")
    numbers = (
        zero + target,
        zero + rounding,
        count + jnp.asarray(max_sweeps, "int32"),
        count + 1,
        jnp.where(unions, count + 1, 999),
    )
    return Search.of(_plain_solve(x, *numbers, *lams, *duals, axes=axes), axes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axes"), CASES)
def test_means_over_components(fast, shape, axes, dtype):
    """Of values whose size differs much, from component to component and within."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, shape).astype(dtype)
    v = (rng.normal(size=shape) * 10.0 ** rng.integers(-30, 30, shape)).astype(dtype)
    lams = [rng.integers(0, 3, [n - (d == a) for d, n in enumerate(shape)]) for a in axes]
    every = [lams[axes.index(d)] if d in axes else 0 for d in range(len(shape))]
    got = component_mean(
        fast, jnp.array(y), jnp.array(v), [jnp.array(w, dtype) for w in lams], axes
    )
    label = components(y, every)
    count = np.bincount(label)
    mean = (np.bincount(label, v.ravel().astype(np.float64)) / count)[label].reshape(shape)
    size = np.bincount(label, np.abs(v).ravel().astype(np.float64))[label].reshape(shape)
    assert (np.abs(np.float64(got) - mean) <= 4 * float(jnp.finfo(dtype).eps) * size).all()


def test_what_is_not_finite_stays_in_its_component(fast):
    y = jnp.array([[0, 0, 1, 1, 2, 2, 3, 3, np.nan]])
    v = jnp.array([[np.inf, 1, -np.inf, 1, np.inf, -np.inf, 2, 4, 5]])
    got = component_mean(fast, y, v, [jnp.ones((1, 1))] * 2, (0, 1))
    assert not np.isfinite(got)[0, [0, 1, 2, 3, 4, 5, 8]].any()
    np.testing.assert_array_equal(got[0, 6:8], 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_schedule_of_threads_changes_a_bit_or_races(check, dtype):
    for shape, axes in [((2, 40, 9), (1, 2)), ((1, 7, 6, 3), (1, 2)), ((1, 70), (1,))]:
        x, lams, duals = state(shape, axes, dtype, "steps")
        unions = every_other(shape, axes)
        answers = set()
        for order, seed in SCHEDULES:
            check.library.set_order(order, seed)
            check.library.set_poison(0xFF if seed else 0)
            found = check.alternating(x, lams, duals, axes, max_sweeps=2, unions=unions)
            mean = component_mean(check, x.round(), x, lams, axes)
            answers.add((*map(bits, found), bits(mean)))
        assert len(answers) == 1
    check.library.set_order("forward")


def test_half_sweeps_in_one_launch_race_with_nothing(check):
    for shape, axes in [((9, 1, 40), (0, 2)), ((6, 3, 2), (0, 1)), ((3, 130, 2), (0, 1))]:
        x, lams, duals = one_weight(shape, axes)
        unions, answers = every_other(shape, axes), set()
        for order, seed in SCHEDULES:
            check.library.set_order(order, seed)
            check.library.set_poison(0xFF if seed else 0)
            found = check.alternating(x, lams, duals, axes, max_sweeps=2, unions=unions)
            answers.add((*map(bits, found),))
            assert not check.library.report
        assert len(answers) == 1
    check.library.set_order("forward")


def test_an_image_that_is_done_is_not_looked_at(check):
    """By blocks of its own: the checker would say that nobody has written its results."""
    operands = one_weight((2, 40, 128), (1, 2))
    x, lams, duals = jax.tree.map(lambda a: a.astype("float64"), operands)
    settings = {"unions": jnp.ones((2, 1, 1), bool)}
    most = jnp.array([0, 2], "int32").reshape(2, 1, 1)
    found = check.alternating(x, lams, duals, (1, 2), max_sweeps=most, **settings)
    assert not check.library.report and bits(found[0][0]) == bits(x[0])
    both = check.alternating(x, lams, duals, (1, 2), max_sweeps=2, **settings)
    assert [bits(a[1]) for a in found] == [bits(a[1]) for a in both]


@pytest.mark.parametrize("lam", [0.1, 1.0])
def test_the_bound_holds_wherever_the_sweeps_are(fast, lam):
    """Also after sweeps that have not come near the solution, in either type and for any vote."""
    x = signal("walk", (4, 11, 12))
    want = oracle.prox_nd(x, (lam, lam), (1, 2))
    unions = every_other(x.shape, (1, 2))
    for dtype in ("float32", "float64"):
        image, lams = jnp.array(x, dtype), [jnp.full((1, 1, 1), lam, dtype)] * 2
        duals = [jnp.zeros_like(image)] * 2
        for max_sweeps in range(1, 7):
            found = fast.alternating(
                image, lams, duals, (1, 2), max_sweeps=max_sweeps, unions=unions
            )
            z, gap, bound, *_ = found
            error = np.sqrt(np.sum((np.float64(z) - want) ** 2, (1, 2)))
            rounding = float(jnp.finfo(dtype).eps) * np.linalg.norm(x[0])
            assert (error <= np.float64(bound).ravel() + rounding).all()
            assert (np.float64(bound) ** 2 >= np.float64(gap) * (1 - 1e-6)).all()


def test_wrong_operands_are_refused(fast):
    x, one = jnp.ones((2, 3)), jnp.ones((1, 1))
    whole, space = jnp.ones((1, 1), "int32"), jax.ShapeDtypeStruct((9,), "uint8")
    both = np.array([0, 1])

    def mean(results, *operands, axes=both):
        jax.block_until_ready(
            fast.image_call("jaxtv_component_mean", results, *operands, axes=axes)
        )

    def search(number=one, count=whole, lams=(one, one), duals=(x, x), bytes_=9):
        results = [x, *[number] * 2, count, *[number] * 4, *[count] * 2, count.astype(bool)]
        operands = (x, number, number, count, count, count, *lams, *duals)
        results = [*results, *[x] * 5, space.update(shape=(bytes_,))]
        jax.block_until_ready(fast.image_call("jaxtv_alternating", results, *operands, axes=both))

    launches = fast.library.num_launches
    for message, call in {
        "needs a weight and a dual": lambda: search(lams=[one]),
        "a dual of shape": lambda: search(duals=(one, x)),
        "numbers of images must have shape": lambda: search(number=x),
        "or have another type": lambda: search(count=one),
        "every lam must have the dtype": lambda: search(lams=(one, one.astype("float32"))),
        "does not fit x of shape": lambda: search(lams=(one, jnp.ones((3, 1))), bytes_=9999),
        "work space is too small": search,
        "ascending": lambda: mean([x, space], x, x, one, one, axes=both[::-1].copy()),
        "2 operands where each of 1 axes": lambda: mean([x, space], x, x, one, one, axes=both[:1]),
        "v of shape": lambda: mean([x, space], x, one, one, one),
    }.items():
        with pytest.raises((jax.errors.JaxRuntimeError, ValueError), match=message):
            call()
    assert fast.library.num_launches == launches

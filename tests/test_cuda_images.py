# SPDX-License-Identifier: MIT
"""Do the CUDA kernels on images, run on an emulator, give what plain JAX gives, without races?"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from emulated import SCHEDULES
from helpers import bits, signal
from images import components

from jaxtv._operators import certificate as _certificate
from jaxtv._operators import tv1d as _lines

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
    """x, results, duals and weights as after a sweep; zero and infinite weights among them."""
    rng = np.random.default_rng(3)
    x = jnp.array(signal(kind, shape), dtype)
    lams, results, duals, y = [], [], [], x
    for a, axis in enumerate(axes):
        size = [n - 1 if d == axis else n for d, n in enumerate(shape)]
        lam = rng.exponential(0.5, size if a == 0 else [1] * len(shape))
        if a == 0:
            lam[rng.random(lam.shape) < 0.1] = 0
            lam[rng.random(lam.shape) < 0.1] = np.inf
        lams.append(jnp.array(lam, dtype))
        z = y
        y = _lines.prox(z, lams[-1], axis=axis)
        results.append(y)
        duals.append(z - y)
    return x, results, duals, lams


def flags(shape, axes):
    """Whether to vote, alternating over the images of the first batch axis."""
    batch = next((d for d in range(len(shape)) if d not in axes), None)
    if batch is None:
        return jnp.ones((1,) * len(shape), bool)
    sizes = [n if d == batch else 1 for d, n in enumerate(shape)]
    return (jnp.arange(shape[batch]) % 2 == 0).reshape(sizes)


def certify(emulated, x, vote, results, duals, lams, axes):
    per_image = tuple(1 if d in axes else n for d, n in enumerate(x.shape))
    number = jax.ShapeDtypeStruct(per_image, x.dtype)
    return emulated.with_space(
        "jaxtv_certify", [x, number, number], x, vote, *results, *duals, *lams, axes=axes
    )


def component_mean(emulated, y, v, lams, axes):
    return emulated.with_space("jaxtv_component_mean", [y], y, v, *lams, axes=axes)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["noise", "steps"])
@pytest.mark.parametrize(("shape", "axes"), CASES)
def test_the_certificate_is_that_of_plain_jax_in_float64(fast, shape, axes, kind, dtype):
    x, *operands = state(shape, axes, dtype, kind)
    vote = flags(shape, axes)
    z, gap, bound = certify(fast, x, vote, *operands, axes)
    wide = jax.tree.map(lambda a: a.astype("float64"), (x, *operands))
    z_64, gap_64, bound_64 = _certificate.certify(wide[0], *wide[1:], vote, axes)
    # float32: z is rounded once, which moves the gap. float64: plain sums are rounded n times.
    eps = float(jnp.finfo(dtype).eps)
    atol = (2 if dtype == "float32" else 100) * eps * float(jnp.abs(x).max())
    np.testing.assert_allclose(z, z_64, rtol=0, atol=atol)
    for got, want in ((gap, gap_64), (bound, bound_64)):
        np.testing.assert_allclose(got, want, rtol=100 * eps, atol=100 * eps)


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
        x, results, duals, lams = state(shape, axes, dtype, "steps")
        answers = set()
        for order, seed in SCHEDULES:
            check.library.set_order(order, seed)
            check.library.set_poison(0xFF if seed else 0)
            found = certify(check, x, flags(shape, axes), results, duals, lams, axes)
            mean = component_mean(check, results[-1], x, lams, axes)
            answers.add((*map(bits, found), bits(mean)))
        assert len(answers) == 1
    check.library.set_order("forward")


@pytest.mark.parametrize("lam", [0.1, 1.0])
def test_the_bound_holds_wherever_the_sweeps_are(fast, lam):
    """Also after sweeps that have not come near the solution, in either type and for any vote."""
    x = signal("walk", (4, 11, 12))
    want = oracle.prox_nd(x, (lam, lam), (1, 2))
    for dtype in ("float32", "float64"):
        image, lams = jnp.array(x, dtype), [jnp.full((1, 1, 1), lam, dtype)] * 2
        duals = [jnp.zeros_like(image)] * 2
        for _ in range(6):
            rows = _lines.prox(image - duals[1], lams[0], axis=1)
            duals[0] = image - duals[1] - rows
            columns = _lines.prox(image - duals[0], lams[1], axis=2)
            duals[1] = image - duals[0] - columns
            vote = flags(x.shape, (1, 2))
            z, gap, bound = certify(fast, image, vote, [rows, columns], duals, lams, (1, 2))
            error = np.sqrt(np.sum((np.float64(z) - want) ** 2, (1, 2)))
            rounding = float(jnp.finfo(dtype).eps) * np.linalg.norm(x[0])
            assert (error <= np.float64(bound).ravel() + rounding).all()
            assert (np.float64(bound) ** 2 >= np.float64(gap) * (1 - 1e-6)).all()


def test_wrong_operands_are_refused(fast):
    x, vote, one = jnp.ones((2, 3)), jnp.ones((1, 1), bool), jnp.ones((1, 1))
    number, space = jax.ShapeDtypeStruct((1, 1), x.dtype), jax.ShapeDtypeStruct((9,), "uint8")
    both = np.array([0, 1])

    def raw(results, *operands, axes=both):
        name = "jaxtv_certify" if len(results) == 4 else "jaxtv_component_mean"
        jax.block_until_ready(fast.image_call(name, results, *operands, axes=axes))

    launches = fast.library.num_launches
    full = [x, x, x, x, one, one]
    for message, call in {
        "needs a result, a dual and a weight": lambda: raw([x, number, number, space], x, vote, x),
        "a result or dual of shape": lambda: raw(
            [x, number, number, space], x, vote, one, *full[1:]
        ),
        "vote of shape": lambda: raw([x, number, number, space], x, jnp.ones((2, 1), bool), *full),
        "gap and bound are one number": lambda: raw([x, x, number, space], x, vote, *full),
        "work space is too small": lambda: raw([x, number, number, space], x, vote, *full),
        "ascending": lambda: raw([x, space], x, x, one, one, axes=both[::-1].copy()),
        "2 operands where each of 1 axes": lambda: raw([x, space], x, x, one, one, axes=both[:1]),
        "v of shape": lambda: raw([x, space], x, one, one, one),
    }.items():
        with pytest.raises((jax.errors.JaxRuntimeError, ValueError), match=message):
            call()
    assert fast.library.num_launches == launches

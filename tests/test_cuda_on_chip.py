# SPDX-License-Identifier: MIT
"""Does one launch solve small images on CUDA, with the bits of the launches that solve all?"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated import SCHEDULES
from helpers import bits, signal

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("the emulated modules are made here", allow_module_level=True)

AXES = (1, 2)
# A row of less than a warp, columns of one part and of several, the largest, the smallest.
SHAPES = [(3, 9, 40), (4, 17, 5), (3, 32, 32), (2, 64, 64), (3, 2, 2)]


def images(shape, kind="noise", lam=0.4):
    """x, weights of lines and of images, and duals as after a sweep."""
    rng = np.random.default_rng(3)
    count, _, width = shape
    x = jnp.array(signal(kind, shape), "float32")
    of_columns = lam * rng.exponential(1.0, (count, 1, width))
    of_columns[rng.random(of_columns.shape) < 0.1] = 0
    of_columns[0, 0, 0] = np.inf
    lams = [jnp.array(lam, "float32") for lam in (of_columns, lam * np.ones((count, 1, 1)))]
    return x, lams, [0.1 * jnp.roll(x, 1 + a, 1) for a in range(2)]


def search(emulated, x, lams, duals, max_sweeps, unions, *, on_chip=True, **settings):
    """All results, of images that lie together, or row by row beside each other: not on chip."""
    numbers = [jnp.broadcast_to(n, (len(x), 1, 1)) for n in (max_sweeps, unions)]
    axes, place = AXES, 0
    if not on_chip:
        axes, place = (0, 2), 1
        apart = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), (x, lams, duals, numbers))
        x, lams, duals, numbers = apart
    max_sweeps, unions = numbers
    settings |= {"max_sweeps": max_sweeps.astype("int32"), "unions": unions}
    results = emulated.alternating(x, lams, duals, axes, **settings)
    return [jnp.moveaxis(a, place, 0) for a in results]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_launch_gives_the_bits_of_many(fast, shape):
    """Whenever images stop: by their last sweep, by their target, or standing still."""
    for kind, lam in [("noise", 0.4), ("steps", 1.0)]:
        x, lams, duals = images(shape, kind, lam)
        most = jnp.array([0, 3, 40, 7][: len(x)]).reshape(-1, 1, 1)
        settings = {"unions": most < 9, "target": 1e-2, "rounding": 1e-5, "first_test": 2}
        for max_sweeps in (most, 30):
            before, waits = fast.library.num_launches, fast.library.num_waits
            got = search(fast, x, lams, duals, max_sweeps=max_sweeps, **settings)
            jax.block_until_ready(got)
            assert fast.library.num_launches == before + 1 and fast.library.num_waits == waits
            want = search(fast, x, lams, duals, max_sweeps=max_sweeps, **settings, on_chip=False)
            jax.block_until_ready(want)
            assert fast.library.num_launches > before + 20
            swept = np.broadcast_to(max_sweeps, (len(x), 1, 1))[:, 0, 0] > 0
            for a, b in zip(got, want, strict=True):
                assert bits(a[swept]) == bits(b[swept])
            assert bits(got[0]) == bits(want[0])


def test_bad_images_stop_and_spoil_no_other(fast):
    x, lams, duals = images((4, 9, 8))
    settings = {"max_sweeps": 9, "unions": True, "target": 1e-3}
    want = search(fast, x, lams, duals, **settings)
    bad = x.at[1, 2, 3].set(jnp.nan).at[2, 4, 5].set(jnp.inf)
    got = search(fast, bad, lams, duals, **settings)
    for a, b in zip(got, want, strict=True):
        assert bits(a[::3]) == bits(b[::3])


@pytest.mark.parametrize(
    ("shape", "lam_shape", "launches"),
    [
        ((2, 64, 64), (1, 1, 1), 1),
        ((2, 65, 4), (1, 1, 1), None),
        ((2, 4, 65), (1, 1, 1), None),
        ((2, 8, 8), (1, 7, 8), None),
        ((1025, 2, 2), (1, 1, 1), None),
        ((257, 2, 2), (1, 1, 1), 1),
        ((257, 46, 46), (1, 1, 1), None),  # one at a time on a multiprocessor
    ],
    ids=str,
)
def test_which_images_are_solved_so(fast, shape, lam_shape, launches):
    x = jnp.array(signal("noise", shape), "float32")
    lams = [jnp.full(lam_shape, 0.3, "float32"), jnp.full((1, 1, 1), 0.3, "float32")]
    before = fast.library.num_launches
    jax.block_until_ready(search(fast, x, lams, [0 * x] * 2, max_sweeps=0, unions=False))
    assert (fast.library.num_launches == before + 1) == (launches == 1)


def test_no_schedule_of_threads_changes_a_bit_or_races(check):
    for shape, kind in [((2, 9, 20), "noise"), ((1, 20, 6), "steps")]:
        x, lams, duals = images(shape, kind)
        settings = {"max_sweeps": 3, "unions": True, "first_test": 2}
        answers = set()
        for order, seed in [*SCHEDULES, ("interleaved", 1), ("delayed", 2)]:
            check.library.set_order(order, seed)
            check.library.set_poison(0xFF if seed else 0)
            answers.add((*map(bits, search(check, x, lams, duals, **settings)),))
            assert not check.library.report
        assert len(answers) == 1
    check.library.set_order("forward")

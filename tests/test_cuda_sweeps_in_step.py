# SPDX-License-Identifier: MIT
"""Do lanes that sweep over images in step give what the CPU gives, on images of every kind?"""

import os

import jax.numpy as jnp
import numpy as np
import pytest
from emulated import fast_and_check
from helpers import bits, signal
from test_cuda_sweeps import EmulatedSweeps, assert_same, assert_same_reverse
from test_sweeps import weights

from jaxtv._operators import sweeps as _sweeps

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

# Sides around those at which the threads of an image fill a warp and at which words of codes end;
# alone, and as channels of which a block has all, some, or those that are left.
SIDES = [
    *((1, 1), (1, 2), (2, 1), (31, 32), (32, 31), (32, 32), (33, 32), (7, 16), (16, 17)),
    *((56, 56), (64, 63), (128, 128), (128, 1), (3, 128), (129, 5)),
]


fast, check = fast_and_check(EmulatedSweeps)


def image(sides, channels, kind="noise", seed=0):
    """Channels first without `channels`, else last; and the axes of a sweep."""
    shape = (2, *sides) if channels is None else (2, *sides, channels)
    x = np.moveaxis(signal(kind, (2, channels or 1, *sides), seed), 1, -1)
    return jnp.array(x.reshape(shape), "float32")


@pytest.mark.parametrize("channels", [None, 3, 8, 11])
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_images_of_any_shape(fast, sides, channels):
    if channels in (3, 8) and max(sides) > 64:
        pytest.skip("as with more channels")
    x, y_bar = image(sides, channels), image(sides, channels, seed=1)
    rng = np.random.default_rng(2)
    for axes, kind, num_sweeps in [((2, 1), "per line", 1), ((1, 2), "per image", 2)]:
        lams = [0.3 * w.astype(x.dtype) for w in weights(kind, x.shape, axes, rng)]
        y, codes = fast.forward(x, lams, axes, num_sweeps=num_sweeps)
        assert_same(y, codes, x, lams, axes, num_sweeps)
        assert_same_reverse(fast, y_bar, codes, axes, (0, 0), num_sweeps)


@pytest.mark.parametrize("num_sweeps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["noise", "walk", "ramp"])
def test_any_number_of_sweeps(fast, kind, num_sweeps):
    x, y_bar = image((19, 32), 5, kind), image((19, 32), 5, seed=1)
    lams = [jnp.full((1, 1, 1, 1), lam, "float32") for lam in (0.05, 0.7)]
    y, codes = fast.forward(x, lams, (2, 1), num_sweeps=num_sweeps)
    assert_same(y, codes, x, lams, (2, 1), num_sweeps)
    (alone,) = fast.forward(x, lams, (2, 1), keep_bits=False, num_sweeps=num_sweeps)
    assert bits(alone) == bits(y)
    assert_same_reverse(fast, y_bar, codes, (2, 1), (0, 0), num_sweeps)


def test_images_beside_unusual_ones_stay_as_they_are(fast):
    """The unusual are the CPU's: NaN, infinite, huge, zero, -0; and weights that no walk takes."""
    x, y_bar = image((9, 12), 19, "walk"), image((9, 12), 19, seed=1)
    lams = [jnp.full((2, 1, 1, 19), lam, "float32") for lam in (0.4, 0.7)]
    usual_y, usual_codes = fast.forward(x, lams, (2, 1))
    for channel, value in {1: np.nan, 2: np.inf, 3: 3e38, 4: 2e30, 9: -0.0}.items():
        x = x.at[0, 4, 5, channel].set(value)
    x = x.at[0, 2, 3, 9].set(0).at[0, :, :, 5].set(0).at[0, :, :, 6].set(-0.0)
    x = x.at[0, 3, :, 7].set(0).at[0, 3, 4:7, 7].set(-0.0)
    mask = np.random.default_rng(4).random((9, 12)) < 0.6
    x = x.at[0, :, :, 8].multiply(mask.astype("float32"))  # 0 and -0
    weights = {10: 0.0, 11: -0.0, 12: np.inf, 13: -1.0, 14: np.nan, 15: 1e-40, 16: 3e38}
    for channel, value in weights.items():
        lams[0] = lams[0].at[0, 0, 0, channel].set(value)
    lams[1] = lams[1].at[0, 0, 0, 10].set(0).at[0, 0, 0, 17].set(0)
    y, codes = fast.forward(x, lams, (2, 1))
    want, want_codes = _sweeps.prox(x, lams, (2, 1), 3)
    unusual = range(1, 18)
    others = np.array([c for c in range(19) if c not in unusual])
    assert bits(y[1]) == bits(usual_y[1]) and bits(codes[1]) == bits(usual_codes[1])
    assert bits(y[..., others]) == bits(usual_y[..., others])
    assert bits(codes) == bits(want_codes)
    for c in unusual:
        got, wanted, samples = (np.asarray(a)[..., c] for a in (y, want, x))
        atol = 4 * np.spacing(np.abs(samples).max(where=np.isfinite(samples), initial=0))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=atol, err_msg=str(c))
        zeros = (got == 0) & (wanted == 0)
        assert (np.signbit(got) == np.signbit(wanted))[zeros].all()
    assert_same_reverse(fast, y_bar, codes, (2, 1), (0, 0))


@pytest.mark.parametrize(
    ("sides", "channels"),
    [((32, 32), 9), ((17, 5), 11), ((8, 8), None), ((33, 20), 9), ((128, 6), None), ((1, 40), 3)],
    ids=str,
)
def test_all_that_is_read_was_written(check, sides, channels):
    """Before races, of which test_cuda_sweeps.py has more schedules, the checker finds this."""
    x, y_bar = image(sides, channels), image(sides, channels, seed=1)
    lams = [jnp.full((1,) * x.ndim, 0.3, "float32")] * 2
    for poison, spoilt in [(0x00, x), (0xFF, x), (0xFF, x.at[1, 0, 0].set(jnp.nan))]:
        check.library.set_poison(poison)
        y, codes = check.forward(spoilt, lams, (2, 1))
        assert_same(y, codes, spoilt, lams, (2, 1))
        assert_same_reverse(check, y_bar, codes, (2, 1), (0, 0))
        assert not check.library.report


@pytest.mark.parametrize("axes", [(2, 1), (1, 2)])
@pytest.mark.parametrize("sides", [(9, 12), (32, 32), (40, 33), (128, 3)], ids=str)
def test_codes_of_every_kind_are_reversed(fast, sides, axes):
    """Whether or not they can occur: jumps and cuts anywhere, free lines, bad images."""
    rng, num_sweeps = np.random.default_rng(3), 3
    y_bar = image(sides, 9, seed=1)
    codes = rng.integers(0, 256, (2, 2, *sides, 9), "uint8")
    codes[1] &= np.where(rng.random(codes[1].shape) < 0.1, 0xFF, 0x00).astype("uint8")  # long runs
    for half in range(2 * num_sweeps):
        plane, axis, shift = codes[:, half // 4], axes[half % 2], half % 4 * 2
        plane = np.moveaxis(plane, axis, 0)  # a view
        cut = (plane >> shift & 3 == 3) & (np.arange(9) % 2 == 0)  # jumps alone in some channels
        plane &= ~(cut.astype("uint8") << shift)
        free = rng.random(plane[-1].shape) < 0.1
        plane[-1] = plane[-1] & ~np.uint8(3 << shift) | free.astype("uint8") << shift
    codes[0, ..., 4] = 0xFF
    assert_same_reverse(fast, y_bar, jnp.array(codes), axes, (0, 0))


def test_unusual_cotangents_are_reversed_as_on_the_cpu(fast):
    x, y_bar = image((9, 12), 7), image((9, 12), 7, seed=1)
    lams = [jnp.full((1, 1, 1, 1), 0.3, "float32")] * 2
    _, codes = fast.forward(x, lams, (2, 1))
    for channel, value in {1: np.nan, 2: np.inf, 3: 3e38}.items():
        y_bar = y_bar.at[0, 4, 5, channel].set(value)
    y_bar = y_bar.at[0, 4, 6, 3].set(-3e38)
    got = fast.reverse(y_bar, codes, (2, 1), (0, 0))
    want = _sweeps._reverse_p.bind(y_bar, codes, axes=(2, 1), num_sweeps=3, edges=(0, 0))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_array_equal(np.isinf(a), np.isinf(b))
        for c in range(7):
            each, wanted = np.asarray(a)[..., c], np.asarray(b)[..., c]
            fine = np.isfinite(wanted)
            scale = np.abs(wanted).max(initial=0, where=fine)
            np.testing.assert_allclose(each[fine], wanted[fine], rtol=0, atol=4e-6 * scale)

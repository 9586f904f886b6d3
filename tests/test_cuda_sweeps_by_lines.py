# SPDX-License-Identifier: MIT
"""Do the CUDA kernels of half sweeps over images of any size give what the CPU gives?"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated import SCHEDULES, fast_and_check
from helpers import bits, signal
from test_cuda_sweeps import EmulatedSweeps, assert_same, assert_same_reverse
from test_sweeps import weights

from jaxtv._operators import sweeps as _sweeps

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

# Rows before columns and the reverse, channels first and last, a batch axis between, and lines of
# each number of samples that a lane may have.
CASES = {
    "channels first": ((2, 65, 70), (2, 1)),
    "channels last": ((1, 67, 65, 3), (1, 2)),
    "turned": ((66, 2, 65, 2), (2, 0)),
    "16 samples": ((1, 257, 65), (2, 1)),
    "32 samples": ((1, 65, 513, 1), (2, 1)),
    "64 samples": ((65, 1027), (0, 1)),
}
LONG = [case for case in CASES if "samples" in case]


class EmulatedByLines(EmulatedSweeps):
    """With work space behind the results."""

    prefix = "jaxtv_sweeps_by_lines"

    def work_space(self, x, axes):
        """A number for each pixel, more than forward sweeps need."""
        del axes
        return [jax.ShapeDtypeStruct((4 * x.size,), "uint8")]


fast, check = fast_and_check(EmulatedByLines)


def operands(case, kind, data="noise"):
    shape, axes = CASES[case]
    x, y_bar = (jnp.array(signal(d, shape, s), "float32") for d, s in ((data, 0), ("noise", 1)))
    rng = np.random.default_rng(2)
    lams = [0.5 * w.astype("float32") for w in weights(kind, shape, axes, rng)]
    return x, lams, y_bar, axes


@pytest.mark.parametrize("case", CASES)
def test_cuda_and_cpu_agree(fast, case):
    runs = [("per line", "walk", 1 if case in LONG else 3)]
    if case not in LONG:
        runs.append(("scalar", "noise", 1))
    for kind, data, num_sweeps in runs:
        x, lams, y_bar, axes = operands(case, kind, data)
        y, codes = fast.forward(x, lams, axes, num_sweeps=num_sweeps)
        assert_same(y, codes, x, lams, axes, num_sweeps)
        (alone,) = fast.forward(x, lams, axes, keep_bits=False, num_sweeps=num_sweeps)
        assert bits(alone) == bits(y)
        assert_same_reverse(fast, y_bar, codes, axes, (0, 0), num_sweeps)


def test_unusual_images_are_those_of_the_cpu_and_spoil_no_other(fast):
    """NaN, infinite, huge and -0 among samples; weights of 0, inf, NaN, and below 0."""
    shape, axes, unusual, others = (66, 65, 12), (1, 0), range(1, 11), np.array([0, 11])
    x, y_bar = (jnp.array(signal("walk", shape, s), "float32") for s in (0, 1))
    lams = [jnp.full((1, 1, 12), lam, "float32") for lam in (0.4, 0.7)]
    usual_y, usual_codes = fast.forward(x, lams, axes)
    for channel, value in {1: np.nan, 2: np.inf, 3: 3e38, 4: -0.0}.items():
        x = x.at[4, 5, channel].set(value)
    x = x.at[:, 3, 4].set(0)
    for channel, value in {5: 0.0, 6: np.inf, 7: -1.0, 8: np.nan, 9: 1e-40}.items():
        lams[0] = lams[0].at[0, 0, channel].set(value)
    lams[1] = lams[1].at[0, 0, 10].set(-1.0)  # of the last half sweep too
    y, codes = fast.forward(x, lams, axes)
    want, want_codes = _sweeps.prox(x, lams, axes, 3)
    assert bits(y[..., others]) == bits(usual_y[..., others])
    assert bits(codes[..., others]) == bits(usual_codes[..., others])
    assert bits(codes) == bits(want_codes)
    for c in unusual:
        got, wanted, samples = (np.asarray(a)[..., c] for a in (y, want, x))
        atol = 4 * np.spacing(np.abs(samples).max(where=np.isfinite(samples), initial=0))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=atol, err_msg=str(c))
        zeros = (got == 0) & (wanted == 0)
        assert (np.signbit(got) == np.signbit(wanted))[zeros].all()
    assert_same_reverse(fast, y_bar, codes, axes, (0, 0))


@pytest.mark.parametrize("axes", [(2, 1), (1, 2)])
def test_codes_of_every_kind_are_reversed(fast, axes):
    """Whether or not they can occur: jumps and cuts anywhere, free lines, a bad image."""
    rng, shape = np.random.default_rng(3), (2, 70, 66, 2)
    codes = rng.integers(0, 256, (2, 2, 70, 66, 2), "uint8")
    codes[1] &= np.where(rng.random(codes[1].shape) < 0.1, 0xFF, 0x00).astype("uint8")  # long runs
    for half in range(6):
        plane, shift = np.moveaxis(codes[:, half // 4], axes[half % 2], 0), half % 4 * 2  # a view
        free = rng.random(plane[-1].shape) < 0.1
        plane[-1] = plane[-1] & ~np.uint8(3 << shift) | free.astype("uint8") << shift
    codes[0, ..., 1] = 0xFF
    y_bar = jnp.array(signal("noise", shape, 1), "float32")
    assert_same_reverse(fast, y_bar, jnp.array(codes), axes, (0, 0))


def test_no_schedule_of_threads_changes_a_bit_or_races(check):
    """Nor does what memory held before; of rows and columns, one image of two with a NaN."""
    x, y_bar = (jnp.array(signal("walk", (66, 65, 2), s), "float32") for s in (0, 1))
    x, lams, axes = x.at[3, 4, 1].set(jnp.nan), [jnp.full((1, 1, 1), 0.4, "float32")] * 2, (1, 0)
    answers = set()
    for number, (order, seed) in enumerate([*SCHEDULES[:3], ("interleaved", 1)]):
        check.library.set_order(order, seed)
        check.library.set_poison(0xFF if number % 2 else 0x00)
        y, codes = check.forward(x, lams, axes, num_sweeps=1)
        reverse = check.reverse(y_bar, codes, axes, (0, 0), num_sweeps=1)
        answers.add((bits(y), *map(bits, reverse)))
        assert not check.library.report
    assert len(answers) == 1
    check.library.set_order("forward")


def test_what_is_not_for_these_kernels_is_refused(fast):
    small, one = jnp.zeros((64, 70), "float32"), jnp.ones((1, 1), "float32")
    with pytest.raises(jax.errors.JaxRuntimeError, match="not swept line by line"):
        fast.forward(small, [one] * 2, (1, 0))
    x, edges = jnp.zeros((66, 70), "float32"), jnp.ones((1, 69), "float32")
    with pytest.raises(jax.errors.JaxRuntimeError, match="one weight each"):
        fast.forward(x, [edges, one], (1, 0))
    codes = jnp.zeros((2, 66, 70), "uint8")
    with pytest.raises(jax.errors.JaxRuntimeError, match="one cotangent each"):
        fast.reverse(x, codes, (1, 0), (1, 0))
    fast.work_space = lambda x, axes: [jax.ShapeDtypeStruct((3,), "uint8")]
    try:
        with pytest.raises(jax.errors.JaxRuntimeError, match="work space is too small"):
            fast.forward(x, [one] * 2, (1, 0))
    finally:
        del fast.work_space


def test_a_half_sweep_is_one_launch(fast):
    x, lams, y_bar, axes = operands("channels first", "scalar")
    before = fast.library.num_launches
    _, codes = jax.block_until_ready(fast.forward(x, lams, axes))
    assert fast.library.num_launches == before + 6 + 1  # and one for images with a NaN
    jax.block_until_ready(fast.reverse(y_bar, codes, axes, (0, 0)))
    assert fast.library.num_launches == before + 7 + 6

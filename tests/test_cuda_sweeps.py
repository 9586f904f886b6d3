# SPDX-License-Identifier: MIT
"""Do the CUDA kernels of K sweeps give what the CPU gives, without races, on an emulator?"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emulated import SCHEDULES, Emulated, fast_and_check
from helpers import bits, signal
from test_sweeps import weights

from jaxtv._operators import sweeps as _sweeps
from jaxtv._plumbing import primitive

# Rows before columns and the reverse, images and tiles of them that are full or not, a batch axis
# between, lines of one and of more threads than a block has, more shared memory than comes unasked.
CASES = {
    "channels first": ((3, 9, 14), (2, 1)),
    "channels last": ((2, 7, 6, 11), (2, 1)),
    "turned": ((5, 2, 9, 2), (0, 2)),
    "one row": ((2, 1, 6), (2, 1)),
    "wide": ((1, 3, 300), (1, 2)),
    "large": ((1, 90, 88), (2, 1)),
}
NUM_SWEEPS = 3


class EmulatedSweeps(Emulated):
    prefix = "jaxtv_sweeps"

    def work_space(self, x, axes):
        """What the kernels want as a last result."""
        del x, axes
        return []

    def forward(self, x, lams, axes, keep_bits=True, num_sweeps=NUM_SWEEPS):
        first, planes = min(axes), (num_sweeps + 1) // 2
        codes = jax.ShapeDtypeStruct((*x.shape[:first], planes, *x.shape[first:]), "uint8")
        results = [jax.ShapeDtypeStruct(x.shape, x.dtype), *([codes] * keep_bits)]
        space = self.work_space(x, axes)
        params = {"num_sweeps": np.int64(num_sweeps), "keep_bits": keep_bits}
        call = jax.ffi.ffi_call(self.names[self.prefix], [*results, *space])
        return call(x, *lams, axes=np.array(axes), **params)[: len(results)]

    def reverse(self, y_bar, codes, axes, edges, num_sweeps=NUM_SWEEPS):
        results = [jax.ShapeDtypeStruct(y_bar.shape, y_bar.dtype)]
        for axis, each in zip(axes, edges, strict=True):
            shape = list(y_bar.shape)
            shape[axis] = shape[axis] - 1 if each else 1
            results.append(jax.ShapeDtypeStruct(shape, primitive.computed_type(y_bar.dtype)))
        params = {"num_sweeps": np.int64(num_sweeps), "edges": np.array(edges)}
        space = self.work_space(y_bar, axes)
        call = jax.ffi.ffi_call(self.names[f"{self.prefix}_reverse"], [*results, *space])
        return call(y_bar, codes, axes=np.array(axes), **params)[: len(results)]


fast, check = fast_and_check(EmulatedSweeps)


def operands(case, kind, dtype):
    shape, axes = CASES[case]
    rng = np.random.default_rng(2)
    x, y_bar = (jnp.array(signal("noise", shape, seed), dtype) for seed in (0, 1))
    lams = [
        (w * (rng.random(w.shape) < 0.8).astype(float)).astype(dtype)
        for w in weights(kind, shape, axes, rng)
    ]
    edges = tuple(int(w.shape[a] > 1 and x.shape[a] > 2) for w, a in zip(lams, axes, strict=True))
    return x, lams, y_bar, axes, edges


def assert_same(y, codes, x, lams, axes, num_sweeps=NUM_SWEEPS):
    """Bit by bit, or to a few units in the last place where lines are walked in float32."""
    want, want_codes = _sweeps.prox(x, lams, axes, num_sweeps)
    assert bits(codes) == bits(want_codes)
    per_edge = all(lam.shape[a] > 1 or x.shape[a] < 3 for lam, a in zip(lams, axes, strict=True))
    if x.dtype == "float64" or per_edge:
        assert bits(y) == bits(want)
    else:
        unit = np.spacing(np.nanmax(np.abs(x)))
        np.testing.assert_allclose(y, want, rtol=0, atol=4 * float(unit))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["scalar", "per line", "per edge"])
def test_cuda_and_cpu_agree(fast, kind, dtype):
    for case in CASES:
        x, lams, y_bar, axes, edges = operands(case, kind, dtype)
        y, codes = fast.forward(x, lams, axes)
        assert_same(y, codes, x, lams, axes)
        (y_alone,) = fast.forward(x, lams, axes, keep_bits=False)
        assert bits(y_alone) == bits(y)
        assert_same_reverse(fast, y_bar, codes, axes, edges)


def assert_same_reverse(emulated, y_bar, codes, axes, edges, num_sweeps=NUM_SWEEPS):
    """Bit by bit, or to a few units in the last place where lanes go in step in float32."""
    got = emulated.reverse(y_bar, codes, axes, edges, num_sweeps)
    params = {"axes": axes, "num_sweeps": num_sweeps, "edges": edges}
    want = _sweeps._reverse_p.bind(y_bar, codes, **params)
    eps = float(jnp.finfo(y_bar.dtype).eps)
    if y_bar.dtype == "float64" or any(edges):
        assert bits(got[0]) == bits(want[0])
    else:
        atol = 4 * eps * float(jnp.abs(y_bar).max())
        np.testing.assert_allclose(got[0], want[0], rtol=0, atol=atol)
    for a, b in zip(got[1:], want[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=20 * eps * max(y_bar.shape))


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["scalar", "per edge"])
def test_half_types_are_those_of_float32_before_rounding(fast, kind, half):
    """In step, and not; with a NaN, with numbers that round to 0, and beyond float16."""
    for case in ("channels last", "turned"):
        x, lams, y_bar, axes, edges = operands(case, kind, "float32")
        scale = 10.0 ** np.arange(-9, 9 * len(x) - 9, 9).reshape(-1, *[1] * (x.ndim - 1))
        x = x * scale.astype("float32")
        x, y_bar = x.at[0, 0, 0, 0].set(jnp.nan).astype(half), y_bar.astype(half)
        y, codes = fast.forward(x, lams, axes)
        want, want_codes = fast.forward(x.astype("float32"), lams, axes)
        assert bits(codes) == bits(want_codes)
        assert_equal(y, want.astype(half))
        got = fast.reverse(y_bar, codes, axes, edges)
        want = fast.reverse(y_bar.astype("float32"), codes, axes, edges)
        assert_equal(got[0], want[0].astype(half))
        assert [*map(bits, got[1:])] == [*map(bits, want[1:])]


def assert_equal(a, b):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a.astype("float32"), b.astype("float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bad_image_spoils_no_other(fast, dtype):
    x, lams, y_bar, axes, edges = operands("channels last", "scalar", dtype)
    x = x.at[1, 2, 3, 9].set(jnp.nan)
    y, codes = fast.forward(x, lams, axes)
    assert_same(y, codes, x, lams, axes)
    assert jnp.isnan(y).sum() == 7 * 6
    assert_same_reverse(fast, y_bar, codes, axes, edges)


def test_no_schedule_of_threads_changes_a_bit_or_races(check):
    cases = [
        *itertools.product(("channels last", "turned"), ("per line", "per edge"), ("float32",)),
        ("channels last", "per line", "bfloat16"),
        ("turned", "per edge", "float16"),
    ]
    for case, kind, dtype in cases:
        x, lams, y_bar, axes, edges = operands(case, kind, "float32")
        x, y_bar = x.astype(dtype), y_bar.astype(dtype)
        answers = set()
        for order, seed in SCHEDULES:
            check.library.set_order(order, seed)
            y, codes = check.forward(x, lams, axes)
            answers.add((bits(y), *map(bits, check.reverse(y_bar, codes, axes, edges))))
            assert not check.library.report
        assert len(answers) == 1
    check.library.set_order("forward")


def test_an_image_that_does_not_fit_is_refused_with_the_remedy(fast):
    x = jnp.zeros((200, 200))
    with pytest.raises(jax.errors.JaxRuntimeError, match="compile the program on this device"):
        fast.forward(x, [jnp.ones((1, 1))] * 2, (1, 0))[0].block_until_ready()

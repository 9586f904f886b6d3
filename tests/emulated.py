# SPDX-License-Identifier: MIT
"""The CUDA operators on an emulator: lines for each of their kernels, and how to call them."""

import math

import cuda_emulation
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cuda_emulator.library import EmulatedLibrary
from helpers import bits, signal

from jaxtv._operators import tv1d as _lines
from jaxtv._plumbing import ffi

# Each kernel of cuda/lines/kernel_choice.h, with tiles and blocks that are full, not full, and
# several.
STAGED = [((70, 21), 1), ((2, 33, 5), 1), ((3, 64), 1), ((1, 2), 1)]
STRIDED = [((2, 30, 33), 1), ((40, 65), 0)]
ON_CHIP = [((3, 65), 1), ((2, 128, 2), 1), ((1, 129), 1), ((2, 700), 1)]
BY_WARPS = [((9, 129), 1), ((2, 257, 3), 1), ((1025, 3), 0)]  # where there is one weight
IN_MEMORY = [((1, 2049), 1), ((2100, 2), 0)]
CASES = [*STAGED, *STRIDED, *ON_CHIP, *BY_WARPS, *IN_MEMORY]
SMALL = [((35, 9), 1), ((1, 7, 5), 1), ((1, 6, 33), 1), ((1, 300), 1), ((1, 520), 1)]
SCHEDULES = [("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)]


class Emulated:
    """The operators on lines of a library made by `cuda_emulation`."""

    def __init__(self, path):
        self.library = EmulatedLibrary(path)
        module = cuda_emulation.load(path)
        self.scratch = module.scratch
        self.names = {}
        for name, handler in module.targets.items():
            self.names[name] = f"{path.parent.name}_{name}"
            jax.ffi.register_ffi_target(self.names[name], handler, platform="cpu")

    def call(self, name, operands, axis, *results, **attributes):
        """All results but the work space; the first is like the first operand."""
        x = operands[0]
        per_sample, longest = self.scratch[name]
        size = per_sample * math.prod(x.shape) if x.shape[axis] > longest else 1
        results = (jax.ShapeDtypeStruct(x.shape, x.dtype), *results)
        work_space = jax.ShapeDtypeStruct((size,), "uint8")
        call = jax.ffi.ffi_call(self.names[name], (*results, work_space))
        return call(*operands, axis=np.int64(axis), **attributes)[:-1]

    def prox(self, x, lam, axis):
        return self.call("jaxtv_prox_tv1d", (x, lam), axis)[0]

    def run_mean(self, y, v, axis):
        return self.pull_back(y, jnp.ones((1,) * y.ndim, y.dtype), v, axis)[0]

    def pull_back(self, y, lam, v, axis):
        edges = (*y.shape[:axis], lam.shape[axis], *y.shape[axis + 1 :])
        result = jax.ShapeDtypeStruct(edges, y.dtype)
        return self.call("jaxtv_pull_back", (y, lam, v), axis, result)

    def newton(self, x, lam, axis, max_steps=100):
        sizes = [1 if d == axis else n for d, n in enumerate(x.shape)]
        steps = jax.ShapeDtypeStruct(sizes, "int32")
        attributes = {"max_steps": np.int64(max_steps)}
        return self.call("jaxtv_prox_tv1d_newton", (x, lam), axis, steps, **attributes)

    def mass(self, x, lam, mass, axis):
        return self.call("jaxtv_prox_tv1d_mass", (x, lam, mass), axis)[0]

    def sweeps(self, x):
        """Three sweeps over images [outer, height, width], of which one is bad, and the reverse."""
        x = jnp.concatenate([x, x.at[0, 0, 0].set(jnp.nan)])
        lam = jnp.ones((1, 1, 1), x.dtype)
        params = {"num_sweeps": np.int64(3), "axes": np.array([2, 1])}
        like, codes = (jax.ShapeDtypeStruct(x.shape, t) for t in (x.dtype, "uint8"))
        codes = codes.update(shape=(len(x), 2, *x.shape[1:]))
        sweeps, reverse = (self.names[f"jaxtv_sweeps{suffix}"] for suffix in ("", "_reverse"))
        y, codes = jax.ffi.ffi_call(sweeps, (like, codes))(x, lam, lam, keep_bits=True, **params)
        lines = [like.update(shape=(*x.shape[:2], 1)), like.update(shape=(len(x), 1, x.shape[2]))]
        edges = np.array([0, 0])
        return jax.ffi.ffi_call(reverse, [like, *lines])(y, codes, edges=edges, **params)[0]

    def with_space(self, name, results, *operands, axes):
        """An operator on images, with the work space that it wants as a last result."""
        x = operands[0]
        images = math.prod(n for d, n in enumerate(x.shape) if d not in axes)
        size = ffi.Scratch(*self.scratch[name]).bytes_for(x.shape, len(axes), images)
        results = [*results, jax.ShapeDtypeStruct((size,), "uint8")]
        return self.image_call(name, results, *operands, axes=axes)[:-1]

    def alternating(
        self, x, lams, duals, axes, *, max_sweeps, unions, first_test=1, target=0.0, rounding=0.0
    ):
        """A search from duals to the last sweep.

        `unions`: whether each image tries the point of all equalities, a flag for each image.
        """
        shape = tuple(1 if d in axes else n for d, n in enumerate(x.shape))
        zero, one = (jnp.full(shape, n, "int32") for n in (0, 1))
        first, none = zero + first_test, jnp.zeros(shape, x.dtype)
        numbers = (
            none + target,
            none + rounding,
            zero + max_sweeps,
            first,
            jnp.where(unions, one, 999),
        )
        floats, ints = (jax.ShapeDtypeStruct(shape, t) for t in (x.dtype, "int32"))
        results = [x, *[floats] * 2, ints, *[floats] * 4, *[ints] * 2, floats.update(dtype=bool)]
        results = [*results, *[x] * (3 * len(axes) - 1)]
        operands = (x, *numbers, *lams, *duals)
        return self.with_space("jaxtv_alternating", results, *operands, axes=axes)

    def isotropic_steps(self, operands, *, axes, isotropic, periodic, count):
        """Iterations on images whose last axes are these, of which the first is of channels."""
        y, name = operands[0], "jaxtv_isotropic_steps"
        size = ffi.Scratch(*self.scratch[name]).bytes_for(y.shape, len(axes), 1)
        results = [jax.ShapeDtypeStruct(y.shape, y.dtype)] * len(axes)
        results.append(jax.ShapeDtypeStruct((size,), "uint8"))
        attributes = {"isotropic": isotropic, "periodic": periodic, "count": np.int64(count)}
        call = jax.ffi.ffi_call(self.names[name], results)
        return call(*operands, axes=np.array(axes), **attributes)[:-1]

    def image_call(self, name, results, *operands, axes):
        return jax.ffi.ffi_call(self.names[name], results)(*operands, axes=np.array(axes))


def operands(shape, axis, kind, dtype, weights):
    """x, lam and a second array, for lines along `axis`."""
    rng, last = np.random.default_rng(5), (*shape[:axis], *shape[axis + 1 :], shape[axis])
    x = jnp.array(np.moveaxis(signal(kind, last), -1, axis), dtype)
    sizes = {
        "scalar": [1] * len(shape),
        "per line": [1 if d == axis else n for d, n in enumerate(shape)],
        "per edge": [n - 1 if d == axis else n for d, n in enumerate(shape)],
    }[weights]
    lam = jnp.array(rng.exponential(1.5, sizes), dtype)
    return x, lam, jnp.array(rng.normal(size=shape), dtype)


def assert_unfit_lines_are_those_of_the_cpu(emulated, shape, axis):
    """Of 70 lines, some with samples or weights that only core/tv1d.h solves; the others stay."""
    x, lam, _ = operands(shape, axis, "walk", "float32", "per line")
    lines = jnp.moveaxis(x, axis, -1)
    want = jnp.moveaxis(emulated.prox(x, lam, axis), axis, -1)
    weights = jnp.ravel(lam)
    unfit = {3: jnp.nan, 5: jnp.inf, 8: -jnp.inf, 13: 3e38, 21: 2e30}
    for line, value in unfit.items():
        lines = lines.at[line, 7].set(value)
    lines = lines.at[34].set(0).at[34, 3:6].set(-0.0)
    unfit_weights = {40: 0.0, 41: -0.0, 50: -1.0, 55: jnp.nan, 60: 1e-40, 61: 1e-31}
    for line, value in unfit_weights.items():
        weights = weights.at[line].set(value)
    lines = lines.at[60:62].multiply(1e-30)
    changed = [*unfit, 34, *unfit_weights]

    x, lam = jnp.moveaxis(lines, -1, axis), weights.reshape(lam.shape)
    got = jnp.moveaxis(emulated.prox(x, lam, axis), axis, -1)
    cpu = jnp.moveaxis(_lines.prox(x, lam, axis=axis), axis, -1)
    for line in changed:
        assert bits(got[line]) == bits(cpu[line]), line
    others = [line for line in range(len(lines)) if line not in changed]
    assert bits(got[np.array(others)]) == bits(want[np.array(others)])


def fast_and_check(kind):
    """Fixtures of a module: `kind` of library without checks, and with them."""

    @pytest.fixture(scope="module")
    def fast():
        return kind(cuda_emulation.build_module("fast"))

    @pytest.fixture(scope="module")
    def check():
        return kind(cuda_emulation.build_module("check"))

    return fast, check

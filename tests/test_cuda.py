# SPDX-License-Identifier: MIT
"""Do the CUDA handlers and kernels, run on an emulator, give what the CPU gives, without races?"""

import math
import os
import shutil

import cuda_emulation
import cuda_resources
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cuda_emulator import mutate
from cuda_emulator.library import EmulatedLibrary
from helpers import KINDS, bits, signal

from jaxtv import _lines

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("holds CUDA against the CPU kernels, which are not here", allow_module_level=True)

# Each regime of cuda/regime.h, with tiles and blocks that are full, not full, and several.
STAGED = [((70, 21), 1), ((2, 33, 5), 1), ((3, 64), 1), ((1, 2), 1)]
STRIDED = [((2, 30, 33), 1), ((40, 65), 0)]
ON_CHIP = [((3, 65), 1), ((2, 128, 2), 1), ((1, 129), 1), ((2, 700), 1)]
IN_MEMORY = [((1, 2049), 1), ((2100, 2), 0)]
CASES = [*STAGED, *STRIDED, *ON_CHIP, *IN_MEMORY]
GRID = [((1, 2600), 1), ((2600, 2), 0)]  # longer than any line that the emulator gives one block
SMALL = [((35, 9), 1), ((1, 7, 5), 1), ((1, 6, 33), 1), ((1, 300), 1), ((1, 520), 1)]


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
        return self.call("jaxtv_run_mean", (y, v), axis)[0]

    def pull_back(self, y, lam, v, axis):
        edges = (*y.shape[:axis], lam.shape[axis], *y.shape[axis + 1 :])
        result = jax.ShapeDtypeStruct(edges, y.dtype)
        return self.call("jaxtv_pull_back", (y, v, lam), axis, result)

    def newton(self, x, lam, axis, max_steps=100, halving=False):
        sizes = [1 if d == axis else n for d, n in enumerate(x.shape)]
        steps = jax.ShapeDtypeStruct(sizes, "int32")
        attributes = {"max_steps": np.int64(max_steps), "halving": halving}
        return self.call("jaxtv_prox_tv1d_newton", (x, lam), axis, steps, **attributes)

    def sweeps(self, x):
        """Two sweeps over images [outer, height, width], of which one is bad, and their reverse."""
        x = jnp.concatenate([x, x.at[0, 0, 0].set(jnp.nan)])
        lam = jnp.ones((1, 1, 1), x.dtype)
        params = {"num_sweeps": np.int64(2), "axes": np.array([2, 1])}
        like, codes = (jax.ShapeDtypeStruct(x.shape, t) for t in (x.dtype, "uint8"))
        codes = codes.update(shape=(len(x), 1, *x.shape[1:]))
        sweeps, reverse = (self.names[f"jaxtv_sweeps{suffix}"] for suffix in ("", "_reverse"))
        y, codes = jax.ffi.ffi_call(sweeps, (like, codes))(x, lam, lam, keep_bits=True, **params)
        lines = [like.update(shape=(*x.shape[:2], 1)), like.update(shape=(len(x), 1, x.shape[2]))]
        edges = np.array([0, 0])
        return jax.ffi.ffi_call(reverse, [like, *lines])(y, codes, edges=edges, **params)[0]

    def with_space(self, name, results, *operands, axes):
        """An operator on images, with the work space that it wants as a last result."""
        per_sample, _, per_axis = self.scratch[name]
        size = (per_sample + per_axis * len(axes)) * operands[0].size
        results = [*results, jax.ShapeDtypeStruct((size,), "uint8")]
        return self.image_call(name, results, *operands, axes=axes)[:-1]

    def image_call(self, name, results, *operands, axes):
        return jax.ffi.ffi_call(self.names[name], results)(*operands, axes=np.array(axes))


@pytest.fixture(scope="module")
def fast():
    return Emulated(cuda_emulation.build_module("fast"))


@pytest.fixture(scope="module")
def check():
    return Emulated(cuda_emulation.build_module("check"))


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


def assert_close(got, want, x, lam):
    """Equal to a few units in the last place of the largest number that enters."""
    scale = float(np.abs(x).max()) + min(float(lam.max()), float(np.abs(x).sum()))
    slack = 16 * float(jnp.finfo(x.dtype).eps) * scale
    np.testing.assert_allclose(np.float64(got), np.float64(want), rtol=0, atol=slack)


def assert_close_cotangents(got, want, v):
    """To a few units in the last place of the largest number in each mean, and in each sum."""
    assert_close(got[0], want[0], v, jnp.zeros(1, v.dtype))
    terms = v.size // want[1].size + 1
    assert_close(got[1] / terms, want[1] / terms, v, jnp.zeros(1, v.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["scalar", "per line", "per edge"])
def test_cuda_and_cpu_agree(fast, kind, weights, dtype):
    before = fast.library.num_launches
    for shape, axis in CASES:
        x, lam, v = operands(shape, axis, kind, dtype, weights)
        y = _lines.prox(x, lam, axis=axis)
        assert_close(fast.prox(x, lam, axis), y, x, lam)
        mean = fast.run_mean(y, v, axis)
        assert_close(mean, _lines.run_mean(y, v, axis=axis), v, lam * 0)
        got = fast.pull_back(y, lam, v, axis)
        assert_close_cotangents(got, _lines.pull_back(y, lam, v, axis=axis), v)
    assert fast.library.num_launches == before + 3 * len(CASES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_cuda_and_cpu_agree_on_very_long_lines(fast, kind, dtype):
    for (shape, axis), weights in zip(GRID, ["per edge", "scalar"], strict=True):
        x, lam, v = operands(shape, axis, kind, dtype, weights)
        y = _lines.prox(x, lam, axis=axis)
        assert_close(fast.prox(x, lam, axis), y, x, lam)
        before = fast.library.num_launches
        mean = fast.run_mean(y, v, axis)
        assert fast.library.num_launches == before + 3
        assert_close(mean, _lines.run_mean(y, v, axis=axis), v, lam * 0)
        got = fast.pull_back(y, lam, v, axis)
        assert_close_cotangents(got, _lines.pull_back(y, lam, v, axis=axis), v)


def test_a_line_that_splits_for_more_rounds_than_are_launched(fast):
    """Each round splits off the few largest of numbers that grow exponentially."""
    x = jnp.exp2(jnp.linspace(0.0, 900.0, 2600))[None]
    lam = jnp.full((1, 1), 0.1)
    np.testing.assert_allclose(fast.prox(x, lam, 1), _lines.prox(x, lam, axis=1), rtol=1e-15)


@pytest.mark.parametrize("n", [1500, 2600])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_long_runs_lose_nothing(fast, dtype, n):
    """The mean of a constant is that constant, and tiny samples do not drown beside huge ones."""
    level = jnp.zeros((1, n), dtype)
    v = jnp.full((1, n), 0.1, dtype)
    assert bits(fast.run_mean(level, v, 1)) == bits(v)
    huge = 1e9 if dtype == "float32" else 1e25
    v = v.at[0, 0].set(huge).at[0, n - 1].set(-huge)
    want = np.float64(v[0, 1]) * (n - 2) / n
    np.testing.assert_allclose(fast.run_mean(level, v, 1), want, rtol=float(jnp.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("halving", [False, True])
def test_newton_gives_the_bits_and_the_steps_of_the_cpu(fast, halving, dtype):
    for shape, axis in [((70, 21), 1), ((2, 33, 5), 1), ((3, 20, 33), 1), ((80, 3), 0)]:
        for kind in KINDS:
            x, lam, _ = operands(shape, axis, kind, dtype, "per edge")
            for limit in (3, 100):
                before = fast.library.num_launches
                got = fast.newton(x, lam, axis, limit, halving)
                want = _lines.newton(x, lam, axis=axis, max_steps=limit, halving=halving)
                assert fast.library.num_launches == before + 1
                assert [bits(a) for a in got] == [bits(a) for a in want]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), [*STAGED, *STRIDED])
def test_a_thread_for_each_line_gives_the_bits_of_the_cpu(fast, shape, axis, dtype):
    for weights in ("scalar", "per line", "per edge"):
        x, lam, v = operands(shape, axis, "walk", dtype, weights)
        y = _lines.prox(x, lam, axis=axis)
        assert bits(fast.run_mean(y, v, axis)) == bits(_lines.run_mean(y, v, axis=axis))
        got, want = fast.pull_back(y, lam, v, axis), _lines.pull_back(y, lam, v, axis=axis)
        assert [bits(a) for a in got] == [bits(a) for a in want]


@pytest.mark.parametrize("weights", ["scalar", "per line", "per edge"])
def test_cotangents_where_weights_are_zero_and_lines_are_bad(fast, weights):
    """Equal neighbours without weight, also where a run of equal samples crosses tiles."""
    for shape, axis in [*SMALL, *GRID]:
        y, lam, v = operands(shape, axis, "integers", "float32", weights)
        y, lam = jnp.round(y / 3), jnp.where(lam < 1, 0, lam)
        y = y.at[(0,) * (axis + 1)].set(jnp.nan)
        lam = lam if weights == "per edge" else lam.at[(-1,) * lam.ndim].set(0)
        got, want = fast.pull_back(y, lam, v, axis), _lines.pull_back(y, lam, v, axis=axis)
        assert_close_cotangents(
            [jnp.nan_to_num(a, nan=9) for a in got], [jnp.nan_to_num(a, nan=9) for a in want], v
        )


def test_lines_over_budget_are_divided(fast):
    """Ramps on which the walk would be quadratic, staged and in memory."""
    for shape, axis in [((40, 64), 1), ((64, 40), 0)]:
        x, _, _ = operands(shape, axis, "ramp", "float32", "scalar")
        lam = jnp.full((1, 1), 1.7, "float32")
        assert_close(fast.prox(x, lam, axis), _lines.prox(x, lam, axis=axis), x, lam)


@pytest.mark.parametrize("place", [0, 99, 150, 299])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_sample_spoils_its_line_only(fast, bad, place):
    shapes = [((5, 300), 1), ((300, 5), 0), ((1, 2300), 1), ((300, 30), 1), ((2, 2600), 1)]
    for shape, axis in shapes:
        x, lam, _ = operands(shape, axis, "walk", "float32", "scalar")
        line = place % shape[1 - axis]
        at = (line, place % shape[1]) if axis == 1 else (place, line)
        spoilt = x.at[at].set(bad)
        got = fast.prox(spoilt, lam, axis)
        want = _lines.prox(spoilt, lam, axis=axis)
        np.testing.assert_array_equal(jnp.isnan(got), jnp.isnan(want))


@pytest.mark.parametrize("lam", [0.0, np.inf, -1.0, np.nan])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_weights(fast, lam, dtype):
    for shape, axis in [*SMALL, GRID[0]]:
        x, _, _ = operands(shape, axis, "walk", dtype, "scalar")
        lam_array = jnp.full([1] * len(shape), lam, dtype)
        got, want = fast.prox(x, lam_array, axis), _lines.prox(x, lam_array, axis=axis)
        if lam == np.inf:
            assert_close(got, want, x, jnp.abs(x))
            assert (np.ptp(got, axis=axis) == 0).all()
        else:
            assert bits(got) == bits(want)


SCHEDULES = [("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_schedule_of_threads_changes_a_bit_or_races(check, dtype):
    for shape, axis in SMALL:
        x, lam, v = operands(shape, axis, "walk", dtype, "per edge")
        answers = set()
        for order, seed in SCHEDULES:
            for poison in (0x00, 0xFF):
                check.library.set_order(order, seed)
                check.library.set_poison(poison)
                y = check.prox(x, lam, axis)
                found = [y, check.run_mean(y, v, axis), *check.pull_back(y, lam, v, axis)]
                found += check.pull_back(y, lam.max(axis, keepdims=True), v, axis)
                answers.add(tuple(map(bits, found)))
        assert len(answers) == 1
    check.library.set_order("forward")


def test_no_schedule_changes_a_bit_or_races_on_very_long_lines(check):
    answers = {"per edge": set(), "scalar": set()}
    for order, poison in [(("forward", 0), 0x00), (("reverse", 0), 0xFF), (("random", 1), 0xFF)]:
        check.library.set_order(*order)
        check.library.set_poison(poison)
        for weights, found in answers.items():
            x, lam, v = operands((1, 2600), 1, "noise", "float64", weights)
            y = check.prox(x, lam, 1)
            found.add((bits(y), *map(bits, check.pull_back(y, lam, v, 1))))
    assert [len(found) for found in answers.values()] == [1, 1]
    check.library.set_order("forward")


def test_newton_touches_nothing_but_its_own(check):
    x, lam, _ = operands((35, 9), 1, "walk", "float32", "per edge")
    for max_steps in (2, 100):
        check.newton(x, lam, 1, max_steps)
        assert not check.library.report


def test_every_regime_is_free_of_races(check):
    for shape, axis in CASES:
        x, lam, v = operands(shape, axis, "noise", "float32", "scalar")
        y = check.prox(x, lam, axis)
        check.run_mean(y, v, axis)
        check.pull_back(y, lam, v, axis)
        assert not check.library.report


def test_every_synchronisation_is_needed():
    """Leaves out one barrier at a time: the checker must find it, and say in which kernel."""
    mutants = mutate.build_mutants(
        **cuda_emulation.module_arguments(), headers=[*(cuda_emulation.ROOT / "cuda").glob("*.h")]
    )
    emulated = Emulated(mutants.library.path)
    complaints = []

    def run(shape, axis):
        x, lam, v = operands(shape, axis, "walk", "float32", "per edge")
        y = emulated.prox(x, lam, axis)
        jax.block_until_ready(emulated.pull_back(y, lam, v, axis))
        emulated.sweeps(v[None, :, :40]).block_until_ready()
        # As an image of rows that are solved, and of columns that need not be.
        zeros, number = jnp.zeros_like(x), jax.ShapeDtypeStruct((1, 1), x.dtype)
        images = (x, jnp.ones((1, 1), bool), x, y, zeros, x - y, jnp.zeros((1, 1), x.dtype), lam)
        emulated.with_space("jaxtv_certify", [x, number, number], *images, axes=(0, 1))

    def is_caught():
        for shape, axis in [((35, 9), 1), ((1, 300), 1)]:
            try:
                run(shape, axis)
            except (jax.errors.JaxRuntimeError, ValueError) as error:  # the latter when eager
                complaints.append(str(error))
                return True
        return False

    assert mutants.sites
    assert not mutate.survivors(mutants, is_caught)
    x, lam, _ = operands((1, 2600), 1, "walk", "float32", "per edge")
    for site in mutants.sites:
        if site.file == "scan.h":
            mutants.library.set_mutant(site.number)
            with pytest.raises((jax.errors.JaxRuntimeError, ValueError)) as raised:
                emulated.prox(x, lam, 1).block_until_ready()
            complaints.append(str(raised.value))
    mutants.library.set_mutant(-1)
    of_lines = "ProxTile", "PullBackTile", "ProxBlock", "GridSummarize"
    of_images = "ReadDuals", "GapOfLines", "GapOfImages"
    for kernel in (*of_lines, "SweepImagesOnChip", "ReverseImagesOnChip", *of_images):
        assert any(f"CUDA kernel {kernel} was not launched" in text for text in complaints)


REFUSALS = {
    "out of range": lambda e, x, lam: e.prox(x, lam, -1),
    "lam must have the dtype": lambda e, x, lam: e.prox(x, lam.astype("float64"), 1),
    "does not fit": lambda e, x, lam: e.prox(x, jnp.ones((4, 3), "float32"), 1),
    "only float32 and float64": lambda e, x, lam: e.prox(x.astype("int32"), lam.astype("int32"), 1),
    "v of shape": lambda e, x, lam: e.run_mean(x, x[:2], 1),
    "lam_bar of shape": lambda e, x, lam: e.call("jaxtv_pull_back", (x, x, lam), 1, x),
    "max_steps must be": lambda e, x, lam: e.newton(x, lam, 1, max_steps=-1),
    "one element per line": lambda e, x, lam: e.call(
        "jaxtv_prox_tv1d_newton",
        (x, lam),
        1,
        jax.ShapeDtypeStruct((3, 1), "int32"),
        max_steps=np.int64(9),
        halving=False,
    ),
}
LONG = jnp.ones((1, 4000), "float32")
WITHOUT_SPACE = {
    "prox": lambda e, lam: e.prox(LONG, lam, 1),
    "run_mean": lambda e, lam: e.run_mean(LONG, LONG, 1),
    "pull_back": lambda e, lam: e.pull_back(LONG, lam, LONG, 1),
    "newton": lambda e, lam: e.newton(LONG, lam, 1),
}


@pytest.mark.parametrize("operator", WITHOUT_SPACE)
def test_too_little_work_space_is_refused(fast, monkeypatch, operator):
    monkeypatch.setattr(fast, "scratch", dict.fromkeys(fast.scratch, (1, 10**9)))
    with pytest.raises(jax.errors.JaxRuntimeError, match="work space is too small"):
        jax.block_until_ready(WITHOUT_SPACE[operator](fast, jnp.ones((1, 1), "float32")))


@pytest.mark.parametrize("message", REFUSALS)
def test_wrong_operands_are_refused(fast, message):
    x, lam = jnp.ones((4, 9), "float32"), jnp.ones((1, 1), "float32")
    launches = fast.library.num_launches
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(REFUSALS[message](fast, x, lam))
    assert fast.library.num_launches == launches


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (3, 1)])
def test_nothing_to_do(fast, shape):
    x, lam = jnp.ones(shape), jnp.full((1, 1), 0.5)
    assert bits(fast.prox(x, lam, 1)) == bits(x)
    assert bits(fast.run_mean(x, x, 1)) == bits(x)
    x_bar, lam_bar = fast.pull_back(x, lam, x, 1)
    assert bits(x_bar) == bits(x)
    assert bits(lam_bar) == bits(jnp.zeros((shape[0], 1)))
    y, steps = fast.newton(x, lam, 1)
    assert bits(y) == bits(x)
    assert not steps.any()


needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")


@needs_nvcc
@pytest.mark.parametrize("arch", [75, 80, 86, 89, 90, 100, 120])
def test_kernels_compile_without_a_warning_within_their_resources(arch):
    """Local memory in a float32 kernel, or many more registers than tabled, is a regression."""
    resources = cuda_resources.compile_for(arch)
    for kernel, (_, stack, _) in resources.items():
        assert "<float" not in kernel or stack == 0, f"{kernel} uses local memory"
    if arch not in cuda_resources.TABLED:
        return
    path = cuda_emulation.ROOT / "tests" / "cuda_resources.txt"
    tabled = cuda_resources.read(path.read_text())[arch]
    assert resources.keys() == tabled.keys()
    for kernel, numbers in resources.items():
        margins = (8, 16, 0)  # between releases of nvcc
        allowed = [n + margin for n, margin in zip(tabled[kernel], margins, strict=True)]
        assert all(np.array(numbers) <= allowed), f"{kernel}: {numbers}, tabled {tabled[kernel]}"


def test_the_built_module_imports_without_a_driver_and_has_the_line_operators():
    cuda = pytest.importorskip("jaxtv._cuda", reason="built without CUDA", exc_type=ImportError)
    cpu = pytest.importorskip("jaxtv._cpu")
    names = ("prox_tv1d", "run_mean", "pull_back", "prox_tv1d_newton", "component_mean")
    # On the CPU, the certificate is a part of the solver.
    allowed = cpu.targets.keys() | {"jaxtv_certify"}
    assert {f"jaxtv_{name}" for name in names} <= cuda.targets.keys() <= allowed
    assert cuda.ffi_api_version == cpu.ffi_api_version

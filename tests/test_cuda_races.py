# SPDX-License-Identifier: MIT
"""Are the CUDA kernels free of races on any schedule of threads, and is every barrier needed?"""

import os

import cuda_emulation
import jax
import jax.numpy as jnp
import pytest
from cuda_emulator.mutate import survivors
from emulated import CASES, SCHEDULES, SMALL, Emulated, operands
from helpers import bits

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("the check build is made here", allow_module_level=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_schedule_of_threads_changes_a_bit_or_races(check, dtype):
    for shape, axis in SMALL:
        x, lam, v = operands(shape, axis, "walk", dtype, "per edge")
        answers = set()
        for (order, seed), poison in zip(SCHEDULES, (0x00, 0xFF, 0x00, 0xFF), strict=True):
            check.library.set_order(order, seed)
            check.library.set_poison(poison)
            y = check.prox(x, lam, axis)
            found = [y, check.run_mean(y, v, axis), *check.pull_back(y, lam, v, axis)]
            one_weight = lam.max(axis, keepdims=True)
            found.append(check.prox(x, one_weight, axis))
            found += check.pull_back(y, one_weight, v, axis)
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


def test_masses_touch_nothing_but_their_own(check):
    for weights in ("scalar", "per edge"):
        x, lam, v = operands((70, 9), 1, "walk", "float32", weights)
        check.mass(x, lam, jnp.maximum(v, 0), 1)
        assert not check.library.report


def test_every_kernel_of_lines_is_free_of_races(check):
    for shape, axis in CASES:
        x, lam, v = operands(shape, axis, "noise", "float32", "scalar")
        y = check.prox(x, lam, axis)
        check.run_mean(y, v, axis)
        check.pull_back(y, lam, v, axis)
        assert not check.library.report


def run_all(emulated, shape, axis, answers):
    """What has a barrier, on small arrays; `answers` are those of the unchanged kernels."""
    x, lam, v = operands(shape, axis, "walk", "float32", "per edge")
    for weights in (lam, lam[:, :1]):
        y = emulated.prox(x, weights, axis)
        jax.block_until_ready(emulated.pull_back(y, weights, v, axis))
    emulated.prox(jnp.stack([x[0], v[0]], axis=1), lam[:1, :1], 0).block_until_ready()
    emulated.prox(x.at[0, 0].set(jnp.nan), lam[:, :1], axis).block_until_ready()
    # In step, with the threads of an image in one warp or not, and not in step.
    for images in (v[None, :, :40], v[None, :32, :40], v[None, :, :40].astype("float64")):
        emulated.sweeps(images).block_until_ready()
    # As two images side by side, of rows, and of columns without a weight.
    lams, dual = [jnp.zeros((1, 1, 1), x.dtype), lam[..., None]], jnp.stack([x - y] * 2, -1)
    images, unions = jnp.stack([x, y], -1), jnp.ones((1, 1, 2), bool)
    duals = [jnp.zeros_like(dual), dual]
    emulated.alternating(images, lams, duals, (0, 1), max_sweeps=1, unions=unions)
    one_weight = [jnp.full((1, 1, 1), 0.5, x.dtype)] * 2
    emulated.alternating(images, one_weight, duals, (0, 1), max_sweeps=1, unions=unions)
    # As one image of rows, staged for its certificate.
    rows, of_rows = [a.T[None].astype("float64") for a in (x, x - y)]
    one = jnp.ones((1, 1, 1))
    emulated.alternating(rows, [one] * 2, [0 * rows, of_rows], (1, 2), max_sweeps=1, unions=one > 0)
    # The same on chip, with components of several lines. Between atomics, the checker sees no
    # race: the answer must change.
    together = jax.tree.map(lambda a: jnp.moveaxis(a, 2, 0), (images, duals, unions))
    images, duals, unions = together
    large = [jnp.full((1, 1, 1), 3.0, x.dtype)] * 2
    y = emulated.alternating(images, large, duals, (1, 2), max_sweeps=2, unions=unions)[0]
    if bits(y) != answers.setdefault(shape, bits(y)):
        raise ValueError("another answer")
    # Two iterations on an image that is coupled.
    zero, image, one = jnp.zeros((1, 1, 1)), x[None], jnp.ones((1, 1, 1), x.dtype)
    numbers = [n.astype("int32") for n in (zero, zero + 2)]
    steps = [image, image, *numbers, zero > 0, one, one, one, image, image]
    axes = {"axes": (0, 1, 2), "isotropic": True, "periodic": True}
    jax.block_until_ready(emulated.isotropic_steps(steps, **axes, count=2))


def test_every_synchronisation_is_needed():
    """Leaves out one barrier at a time: the checker must find it, and say in which kernel."""
    mutants = cuda_emulation.build_mutants()
    emulated = Emulated(mutants.library.path)
    complaints, answers = [], {}

    def is_caught():
        for shape, axis in [((35, 9), 1), ((1, 300), 1)]:
            try:
                run_all(emulated, shape, axis, answers)
            except (jax.errors.JaxRuntimeError, ValueError) as error:  # the latter when eager
                complaints.append(str(error))
                return True
        return False

    assert mutants.sites
    assert not survivors(mutants, is_caught)
    x, lam, _ = operands((1, 2600), 1, "walk", "float32", "per edge")
    try:
        for site in mutants.sites:
            if site.file == "scan.h":
                mutants.library.set_mutant(site.number)
                with pytest.raises((jax.errors.JaxRuntimeError, ValueError)) as raised:
                    emulated.prox(x, lam, 1).block_until_ready()
                complaints.append(str(raised.value))
    finally:
        mutants.library.set_mutant(-1)
    of_lines = "ProxTile", "ProxWalk", "PullBackTile", "PullBackWalk", "ProxBlock", "GridSummarize"
    of_images = "ReadDuals", "GapOfLines", "GapOfImages", "AdvanceImages", "MakePlan", "SweepWalk"
    on_chip = "SolveImagesOnChip"
    of_sweeps = "SweepInStep", "ReverseInStep", "SweepImagesOnChip", "ReverseImagesOnChip"
    for kernel in (*of_lines, *of_sweeps, *of_images, on_chip, "IterateOnRegions"):
        assert any(f"CUDA kernel {kernel} was not launched" in text for text in complaints)

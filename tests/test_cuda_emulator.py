# SPDX-License-Identifier: MIT
"""Does the CUDA emulator compute what CUDA would, accuse no correct kernel, and find every bug?"""

import ctypes
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cuda_emulator import build, mutate
from cuda_emulator.library import FIBERS, ORDERS, EmulatedLibrary
from cuda_samples import KERNELS, OUT_DIR, integers, launch, needs_emulator, normals, unwritten

pytestmark = needs_emulator

SAMPLES = build.ROOT / "samples" / "samples.cu"
BUGS = build.ROOT / "samples" / "bugs.cu"
SCHEDULES = [
    ("forward", 0),
    ("reverse", 0),
    *itertools.product(["random"], (1, 2, 3)),
    *itertools.product(["interleaved", "delayed"], (1, 2)),
]
SETTINGS = list(zip(SCHEDULES, itertools.cycle((0x00, 0xFF)), strict=False))


@pytest.fixture(scope="module")
def fast_samples():
    return EmulatedLibrary(build.build([SAMPLES], "fast", OUT_DIR))


@pytest.fixture(scope="module")
def check_samples():
    return EmulatedLibrary(build.build([SAMPLES], "check", OUT_DIR))


@pytest.fixture(scope="module")
def mutants():
    return mutate.build_mutants([SAMPLES], OUT_DIR)


@pytest.fixture(scope="module")
def fast_bugs():
    return EmulatedLibrary(build.build([BUGS], "fast", OUT_DIR))


@pytest.fixture(scope="module")
def check_bugs():
    return EmulatedLibrary(build.build([BUGS], "check", OUT_DIR))


def configure(library, setting):
    (order, seed), poison = setting
    library.set_order(order, seed)
    library.set_poison(poison)


@pytest.mark.parametrize("sample", KERNELS)
@pytest.mark.parametrize("flavour", ["fast_samples", "check_samples"])
def test_correct_kernels_are_right_and_not_accused(request, flavour, sample):
    library = request.getfixturevalue(flavour)
    assert library.checking == (flavour == "check_samples")
    for setting in SETTINGS:
        configure(library, setting)
        before = library.num_launches
        status, got, want = sample(library, integers)
        assert status == 0 and library.report == ""
        assert library.num_launches > before
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("sample", KERNELS)
def test_no_schedule_poison_or_fiber_changes_a_bit(fast_samples, sample):
    answers = set()
    for fibers, setting in itertools.product(FIBERS, SETTINGS):
        fast_samples.set_fibers(fibers)
        configure(fast_samples, setting)
        answers.add(sample(fast_samples, normals)[1].tobytes())
    fast_samples.set_fibers("assembler")
    assert len(answers) == 1


# What the check build says of each kernel of bugs.cu.
MESSAGES = {
    "BarrierInBranch": r"divergent barrier: 80 threads .* exited while 48 wait in __syncthreads",
    "TwoBarriers": r"different barriers: .*__syncthreads at .*__syncthreads at",
    "MissingBarrier": r"race: .* of shared array '.*MissingBarrier\(",
    "MissingBarrierInLoop": r"race: write of .*, not ordered after the read",
    "MissingSyncwarp": r"race: .* of shared array '.*MissingSyncwarp\(",
    "ShuffleAsBarrier": r"race: read of .*, not ordered after the write",
    "StaticOverrun": r"out of bounds: index 128 by thread \(127,0,0\)",
    "DynamicOverrun": r"out of bounds: write of 4 bytes at offset 512 of dynamic shared memory",
    "UninitialisedShared": r"uninitialised read: .* at offset 28 of shared array",
    "UninitialisedOutput": r"uninitialised read: .* of y ",
    "ShuffleInBranch": r"divergent warp operation: .*__shfl_sync.* waits in __syncthreads",
    "ShuffleFromOutside": r"shuffle source: .* which is outside its mask",
    "MaskWithoutCaller": r"mask without its caller: .* with mask 0x0000ffff",
    "BlocksCollide": r"race: write of 4 bytes at offset 400 of y .* of block number",
    "ReadPastEnd": r"out of bounds: read of 4 bytes at offset 1024 of x",
    "WriteInput": r"write to input: write of 4 bytes .* of x",
    "UnevenLoop": r"divergent barrier: 28 threads .* exited while 100 wait",
    "ExitBeforeBarrier": r"divergent barrier: 56 threads .* exited while 72 wait",
    "UnprotectedSum": r"race: .* of y .*, not ordered after the write",
    "SpinOnFlag": r"race: .* of shared array '.*flag'",
    "PlainLoadOfAtomic": r"race: .* of y .*, not ordered after the (atomic write|read)",
    "WaitForBlocks": r"livelock: .* spins without end",
}
# Found without instrumentation, since threads wait for each other wrongly.
REPORTED_WHEN_FAST = [
    "BarrierInBranch",
    "TwoBarriers",
    "ShuffleInBranch",
    "ShuffleFromOutside",
    "MaskWithoutCaller",
    "UnevenLoop",
    "ExitBeforeBarrier",
    "WaitForBlocks",
]
# Shown without instrumentation by results that depend on schedule or poison. Of the others most
# give right results by luck, two touch foreign memory, and SpinOnFlag hangs.
VISIBLE_WHEN_FAST = [
    "MissingBarrier",
    "MissingBarrierInLoop",
    "MissingSyncwarp",
    "UninitialisedShared",
    "BlocksCollide",
]


def run_bug(library, name):
    """Status and result of one kernel of bugs.cu."""
    x, y = np.arange(1, 257, dtype="float32"), unwritten(256, "float32")
    buffers = {"x": (x, "input"), "y": (y, "output")}
    if name == "WaitForBlocks":
        buffers["arrived"] = (np.zeros(1, "int32"), "inout")
    return launch(library, f"Bug{name}", **buffers), y


def assert_reported(library, name):
    for setting in SETTINGS:
        configure(library, setting)
        status, _ = run_bug(library, name)
        assert status != 0
        assert library.report.startswith(f"kernel {name}: ")
        assert re.search(MESSAGES[name], library.report)


def test_every_planted_bug_has_its_message():
    planted = re.findall(r"__global__ void (\w+)\(const float\*", BUGS.read_text())
    assert set(planted) == MESSAGES.keys()


@pytest.mark.parametrize("name", MESSAGES)
def test_check_build_reports(check_bugs, name):
    assert_reported(check_bugs, name)
    if name != "WaitForBlocks":  # it is stopped between two accesses
        assert re.search(r" at bugs\.cu:\d+", check_bugs.report)


@pytest.mark.parametrize("name", REPORTED_WHEN_FAST)
def test_fast_build_reports(fast_bugs, name):
    assert_reported(fast_bugs, name)


@pytest.mark.parametrize("name", VISIBLE_WHEN_FAST)
def test_fast_build_shows_by_its_results(fast_bugs, name):
    answers = set()
    for setting in SETTINGS:
        configure(fast_bugs, setting)
        status, y = run_bug(fast_bugs, name)
        assert status == 0
        answers.add(y.tobytes())
    assert len(answers) > 1


RUN_ONE_BUG = """
import ctypes, sys
x, y = (ctypes.c_float * 256)(), (ctypes.c_float * 256)()
library = ctypes.CDLL(sys.argv[1])
library.jaxtv_emulator_set_order(int(sys.argv[3]), ctypes.c_uint64(1))
getattr(library, sys.argv[2])(x, y)
"""


@pytest.fixture(scope="module")
def asan_bugs():
    return build.build([BUGS], "asan", OUT_DIR)


@pytest.mark.parametrize("order", ["forward", "interleaved"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("StaticOverrun", "global-buffer-overflow"),
        ("ReadPastEnd", "heap-buffer-overflow"),
        ("UnprotectedSum", None),
    ],
)
def test_asan_build_reports_overruns(asan_bugs, name, message, order):
    command = [sys.executable, "-c", RUN_ONE_BUG, asan_bugs, f"Bug{name}", str(ORDERS[order])]
    env = os.environ | build.asan_environment()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (message is None)
    assert re.search(message or "^$", done.stderr)


def test_launch_configurations_are_held_to_the_limits(fast_bugs):
    default, largest, keep = 48 << 10, 227 << 10, -1
    too_large = "launch configuration: {} bytes of dynamic shared memory"
    for grid, block, dynamic, opt_in, message in [
        (1, 1024, default, keep, None),
        (0, 32, 0, keep, r"launch configuration: grid \(0,1,1\)"),
        (1, 0, 0, keep, r"launch configuration: block \(0,1,1\)"),
        (1, 1025, 0, keep, r"launch configuration: block \(1025,1,1\)"),
        (1, 32, default + 1, keep, too_large.format(default + 1)),
        (1, 32, largest, largest, None),
        (1, 32, largest + 1, keep, too_large.format(largest + 1)),
    ]:
        numbers = grid, block, ctypes.c_size_t(dynamic), opt_in
        status = launch(fast_bugs, "LaunchNothing", *numbers)
        assert (status == 0) == (message is None)
        assert re.search(message or "^$", fast_bugs.report)
    beyond = (1, 32, ctypes.c_size_t(0), largest + 1)
    launches = fast_bugs.num_launches
    assert launch(fast_bugs, "LaunchNothing", *beyond) != 0
    assert fast_bugs.num_launches == launches


def test_every_removed_synchronisation_is_caught(mutants):
    def is_caught():
        return any(sample(mutants.library, integers)[0] != 0 for sample in KERNELS)

    assert not mutate.survivors(mutants, is_caught)
    redundant = [site for site in mutants.sites if site.redundant]
    assert [site.text for site in redundant] == ["__syncthreads();"]
    mutants.library.set_mutant(redundant[0].number)
    assert not is_caught()
    mutants.library.set_mutant(-1)


def test_survivors_are_named(mutants):
    code = re.sub(r"//.*", "", SAMPLES.read_text())
    assert len(mutants.sites) == len(re.findall(r"__sync(?:threads|warp)\(|__threadfence\(", code))
    needed = [site for site in mutants.sites if not site.redundant]
    assert mutate.survivors(mutants, lambda: False) == needed
    lines = SAMPLES.read_text().splitlines()
    assert all(site.text in lines[site.line - 1] for site in mutants.sites)
    with pytest.raises(AssertionError, match="unchanged kernels fail"):
        mutate.survivors(mutants, lambda: True)

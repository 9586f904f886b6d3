# SPDX-License-Identifier: MIT
"""Does the CUDA emulator find races of atomics between blocks, of which no rule is broken?

The kernels of samples/races.cu are right as long as blocks run one after the other.
"""

import numpy as np
import pytest
from cuda_emulator import build
from cuda_emulator.library import EmulatedLibrary
from cuda_samples import OUT_DIR, launch, needs_emulator

pytestmark = needs_emulator

BLOCKS, ROUNDS = 8, 32
SAMPLES = BLOCKS * ROUNDS
SEEDS = range(20)
ONE_BY_ONE = [("forward", 0), ("reverse", 0), *(("random", seed) for seed in SEEDS)]

# Of 20 seeds, how many at least must give a wrong result, in each order that interleaves.
RACES = {
    "Flatten": 20,
    "LostUpdate": 20,
    "LostMaximum": 14,
    "FlagBeforeData": 10,
    "DoubleLink": 10,
    "StaleRoot": 14,
    "PartialSum": 8,
}


@pytest.fixture(scope="module", params=["fast", "check"])
def library(request):
    sources = [build.ROOT / "samples" / "races.cu"]
    return EmulatedLibrary(build.build(sources, request.param, OUT_DIR))


def forest():
    """A parent for each sample: deep trees, whose ways to the root go through other samples."""
    rng = np.random.default_rng(0)
    parent = np.maximum(np.arange(SAMPLES) - rng.integers(1, 9, SAMPLES), 0)
    return np.where(rng.random(SAMPLES) < 0.03, np.arange(SAMPLES), parent).astype("int32")


def roots(parent):
    while (parent[parent] != parent).any():
        parent = parent[parent]
    return parent


def components(edges):
    """The smallest sample of each component."""
    root = np.arange(SAMPLES)
    for a, b in edges:
        low, high = sorted((root[a], root[b]))
        root[root == high] = low
    return root


def run(library, name, order, seed):
    """The result of a kernel, and what it should be."""
    x = np.random.default_rng(1).integers(0, SAMPLES, SAMPLES, "int32")
    y, work = np.zeros((2, SAMPLES), "int32")
    want, rows = np.zeros(SAMPLES, "int32"), x.reshape(BLOCKS, ROUNDS)
    if name == "Flatten":
        y = forest()
        want = roots(y)
    elif name == "DoubleLink":
        y = np.arange(SAMPLES, dtype="int32")
        want = components(x.reshape(-1, 2))
    elif name == "LostUpdate":
        want[0] = BLOCKS * ROUNDS
    elif name != "FlagBeforeData":
        each = {"LostMaximum": rows.max(0), "PartialSum": rows.sum(0), "StaleRoot": BLOCKS // 2}
        want[:ROUNDS] = each[name]
    library.set_order(order, seed)
    buffers = {"x": (x, "input"), "y": (y, "inout"), "work": (work, "inout")}
    status = launch(library, f"Race{name}", **buffers)
    assert status == 0 and library.report == ""
    return (roots(y) if name == "DoubleLink" else y), want


def is_right(*arguments):
    return np.array_equal(*run(*arguments))


@pytest.mark.parametrize("name", RACES)
def test_blocks_one_after_the_other_hide_it(library, name):
    assert all(is_right(library, name, *schedule) for schedule in ONE_BY_ONE)


@pytest.mark.parametrize("order", ["interleaved", "delayed"])
@pytest.mark.parametrize("name", RACES)
def test_blocks_by_turns_show_it(library, name, order):
    wrong = [seed for seed in SEEDS if not is_right(library, name, order, seed)]
    assert len(wrong) >= RACES[name], wrong


@pytest.mark.parametrize("order", ["interleaved", "delayed"])
def test_a_seed_names_a_schedule(library, order):
    counts = [run(library, "LostUpdate", order, seed)[0][0] for seed in [*SEEDS, *SEEDS]]
    assert counts[: len(SEEDS)] == counts[len(SEEDS) :]
    assert len(set(counts)) > 10

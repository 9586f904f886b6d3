# SPDX-License-Identifier: MIT
"""The kernels of samples/samples.cu of the emulator: how to launch them, what they should give."""

import ctypes
import platform
import shutil

import numpy as np
import pytest
from cuda_emulator import build
from cuda_emulator.library import pointer

needs_emulator = pytest.mark.skipif(
    shutil.which(build.CXX) is None
    or (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the emulator needs g++, Linux and x86-64",
)

OUT_DIR = build.ROOT.parents[1] / "build" / "cuda_emulator"


def launch(library, function, *numbers, **buffers):
    """Calls a launcher, whose buffers follow its numbers; returns its cudaError_t."""
    with library.buffers(**buffers):
        pointers = [pointer(array) for array, _ in buffers.values()]
        return getattr(library.c, function)(*numbers, *pointers)


def unwritten(shape, dtype):
    return np.full(shape, -7, dtype)


# Each launches one sample on what `draw(shape)` gives; status, result and what it should be.


def saxpy(library, draw):
    x, y = draw(1000).astype("float32"), draw(1000).astype("float32")
    want = 3 * x + y
    numbers = 1000, ctypes.c_float(3)
    return launch(library, "SampleSaxpy", *numbers, x=(x, "input"), y=(y, "inout")), y, want


def row_mean(library, draw):
    x, mean = draw((3, 300)), unwritten((3, 300), "float64")
    status = launch(library, "SampleRowMean", 3, 300, x=(x, "input"), mean=(mean, "output"))
    return status, mean, np.broadcast_to(x.sum(1, keepdims=True) / 300, mean.shape)


def total(library, draw):
    x, out = draw(3000).astype("float32"), unwritten(1, "float32")
    status = launch(
        library,
        "SampleSum",
        *(5, 3000),
        x=(x, "input"),
        partial_sums=(unwritten(5, "float32"), "output"),
        ticket=(unwritten(1, "int32"), "output"),
        out=(out, "output"),
    )
    return status, out, x.sum(keepdims=True)


def transpose(library, draw):
    x, y = draw((40, 67)).astype("float32"), unwritten((67, 40), "float32")
    return launch(library, "SampleTranspose", 40, 67, x=(x, "input"), y=(y, "output")), y, x.T


def scan(library, draw):
    x, y = draw((6, 70)), unwritten((6, 70), "float64")
    return launch(library, "SampleScan", 6, 70, x=(x, "input"), y=(y, "output")), y, x.cumsum(1)


def reverse_groups(library, draw):
    x = (100 * draw(640)).astype("int32")
    want = x.reshape(-1, 32)[:, ::-1].reshape(-1).copy()
    return launch(library, "SampleReverseGroups", 640, x=(x, "inout")), x, want


def follow_chains(library, draw):
    del draw  # chains of 30 samples
    following = np.maximum(
        np.arange(300, dtype="int32") - 1, np.arange(300, dtype="int32") // 30 * 30
    )
    want = np.arange(300, dtype="int32") // 30 * 30
    status = launch(library, "SampleFollowChains", 300, next=(following, "inout"))
    return status, following, want


def unite(library, draw):
    """Components of a graph: the root, the size and the largest sample of each."""
    ends = draw((260, 2)).astype("int64").astype("int32") % 300
    parent, root = np.arange(300, dtype="int32"), unwritten(300, "int32")
    count, largest, want = np.zeros(300, "int32"), np.zeros(300, "int32"), parent.copy()
    for a, b in ends:
        low, high = sorted((want[a], want[b]))
        want[want == high] = low
    status = launch(
        library,
        "SampleUnite",
        *(len(ends), 300),
        ends=(ends, "input"),
        parent=(parent, "inout"),
        root=(root, "output"),
        count=(count, "inout"),
        largest=(largest, "inout"),
    )
    counts = np.bincount(want, minlength=300)
    most = [np.flatnonzero(want == r).max(initial=0) for r in range(300)]
    return status, np.stack([root, count, largest]), np.stack([want, counts, most])


def hand_over(library, draw):
    x, y, message = (100 * draw(1280)).astype("int32"), *unwritten((2, 1280), "int32")
    status = launch(
        library,
        "SampleHandOver",
        10,
        x=(x, "input"),
        message=(message, "output"),
        flags=(np.zeros(10, "int32"), "inout"),
        y=(y, "output"),
    )
    return status, y, x.reshape(5, 2, 128)[:, [0, 0]].ravel()


KERNELS = [
    *(saxpy, row_mean, total, transpose, scan, reverse_groups, follow_chains, unite, hand_over),
]


def integers(shape):
    """Numbers whose sums are exact, so that a result is right or wrong."""
    return np.random.default_rng(1).integers(-50, 50, shape).astype("float64")


def normals(shape):
    """Numbers whose sums depend on the order of summation."""
    return np.random.default_rng(2).normal(size=shape)

# SPDX-License-Identifier: MIT
"""Do CUDA kernels of lines take more instructions than they did?"""

import shutil

import cuda_costs
import numpy as np
import pytest
from helpers import KINDS, signal

TABLE = (cuda_costs.ROOT / "tests" / "cuda_costs.txt").read_text()
needs_disassembler = pytest.mark.skipif(
    shutil.which("nvcc") is None or cuda_costs.find_nvdisasm() is None,
    reason="no nvcc or no nvdisasm",
)


@needs_disassembler
def test_no_loop_has_grown():
    found, _ = cuda_costs.read(cuda_costs.table())
    tabled, _ = cuda_costs.read(TABLE)
    assert {kernel for kernel, _ in found} == {kernel for kernel, _ in tabled}
    for kernel in {kernel for kernel, _ in found}:
        now, before = (sum(c for (k, _), c in t.items() if k == kernel) for t in (found, tabled))
        assert now <= 1.1 * before, f"loops of {kernel}: {now} instructions, tabled {before}"
    for loop, count in found.items():
        before = tabled.get(loop, 0)
        assert count <= 1.2 * before + 32, f"{loop}: {count} instructions, tabled {before}"


@needs_disassembler
def test_no_sample_takes_more_instructions():
    _, tabled = cuda_costs.read(TABLE)
    for name, parts in cuda_costs.per_sample().items():
        total = sum(parts.values())
        assert total <= 1.04 * tabled[name], f"{name}: {parts}, tabled {tabled[name]} in all"


def test_a_step_looks_at_each_sample_once_where_runs_end_at_once():
    x = np.arange(64 * 32).reshape(64, 32)
    assert cuda_costs.steps_per_sample(x, 0.25) == 31 / 32


@pytest.mark.parametrize("kind", [*KINDS, "long ramp"])
def test_a_walk_is_never_quadratic(kind):
    """A ramp would take 64 steps a sample: each looks at half of the line again."""
    if kind == "long ramp":
        x, lam = np.tile(np.arange(128.0), (32, 1)), 400.0
    else:
        x, lam = signal(kind, (32, 128)), 1.7
    steps = cuda_costs.steps_per_sample(x, lam)
    assert steps <= 18
    assert kind != "long ramp" or steps > 16

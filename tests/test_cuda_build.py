# SPDX-License-Identifier: MIT
"""Do the CUDA kernels compile within their resources, and does their module import anywhere?"""

import re
import shutil

import cuda_resources
import numpy as np
import pytest
from cuda_cubins import ROOT

needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
BY_LINES = ("sweeps_by_lines", "sweeps_by_lines_reverse")


@needs_nvcc
def test_kernels_compile_without_a_warning_within_their_resources():
    """Local memory, but for float64, or many more registers than tabled, is a regression."""
    resources = cuda_resources.resources()
    for kernel, (_, stack, _) in resources.items():
        assert "<double" in kernel or stack == 0, f"{kernel} uses local memory"
    tabled = cuda_resources.read((ROOT / "tests" / "cuda_resources.txt").read_text())
    assert resources.keys() == tabled.keys()
    for kernel, numbers in resources.items():
        margins = (8, 16, 0)  # between releases of nvcc
        allowed = [n + margin for n, margin in zip(tabled[kernel], margins, strict=True)]
        assert all(np.array(numbers) <= allowed), f"{kernel}: {numbers}, tabled {tabled[kernel]}"


def test_every_source_is_built():
    """The emulator takes all that there are; the module, those that CMake is told."""
    told = re.findall(r"cuda/\S+\.(?:cc|cu)\b", (ROOT / "cuda" / "module.cmake").read_text())
    there = [path.relative_to(ROOT).as_posix() for path in (ROOT / "cuda").rglob("*.c[cu]")]
    assert sorted(told) == sorted(there)


def test_the_built_module_imports_without_a_driver_and_has_the_line_operators():
    cuda = pytest.importorskip("jaxtv._cuda", reason="built without CUDA", exc_type=ImportError)
    cpu = pytest.importorskip("jaxtv._cpu")
    names = ("prox_tv1d", "pull_back", "prox_tv1d_newton", "component_mean")
    # On the CPU, the sweeps and the iterations are a part of the solver, XLA rounds results, and
    # images of all sizes have the same kernels.
    on_cuda = ("alternating", "isotropic_steps", "prox_tv1d_unrounded", *BY_LINES)
    allowed = cpu.targets.keys() | {f"jaxtv_{name}" for name in on_cuda}
    assert {f"jaxtv_{name}" for name in names} <= cuda.targets.keys() <= allowed
    assert cuda.ffi_api_version == cpu.ffi_api_version

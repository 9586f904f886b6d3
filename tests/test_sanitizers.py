# SPDX-License-Identifier: MIT
"""Is the C++ code free of undefined behaviour, bad memory accesses, leaks and data races?"""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
COMPILER = shutil.which("g++") or shutil.which("clang++")
KERNELS = [
    "-DJAXTV_LANES",
    "-DJAXTV_ISA=portable",
    "cpu/lines/prox_lines.cc",
    "cpu/lockstep/kernels.cc",
    "cpu/images/pixel_kernels.cc",
]
LANES = ["-DJAXTV_ISA=portable", "cpu/lockstep/kernels.cc"]
PROGRAMS = {
    "lines": ("address,undefined", ["tests/cpp/sanitize.cc"]),
    "threads": ("thread", ["tests/cpp/sanitize.cc"]),
    "lanes": ("address,undefined", ["tests/cpp/lanes.cc", *LANES]),
    "values": ("address,undefined", ["tests/cpp/values.cc", *LANES]),
    "images": ("address,undefined", ["tests/cpp/sanitize_images.cc"]),
    "images on threads": ("thread", ["tests/cpp/sanitize_images.cc"]),
    "coupled images": ("address,undefined", ["tests/cpp/sanitize_isotropic.cc"]),
    "coupled images on threads": ("thread", ["tests/cpp/sanitize_isotropic.cc"]),
    "kept pages": ("address,undefined", ["tests/cpp/kept_pages.cc"]),
    "votes": ("address,undefined", ["tests/cpp/votes.cc"]),
    "calls at once": ("thread", ["tests/cpp/kernels.cc", *KERNELS]),
}


@pytest.mark.skipif(COMPILER is None, reason="needs g++ or clang++")
@pytest.mark.parametrize("name", PROGRAMS)
def test_clean_under_sanitizers(name, tmp_path):
    sanitizers, sources = PROGRAMS[name]
    program = tmp_path / "program"
    flags = ["-std=c++17", "-g1", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    sanitize = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-pthread"]
    build = [COMPILER, *flags, *sanitize, "-I.", *sources, "-o", str(program)]
    subprocess.run(build, check=True, cwd=ROOT)
    done = subprocess.run([program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

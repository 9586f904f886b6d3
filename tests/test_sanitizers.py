# SPDX-License-Identifier: MIT
"""Is the C++ code free of undefined behaviour, bad memory accesses, leaks and data races?"""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
COMPILER = shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(COMPILER is None, reason="needs g++ or clang++")
@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_clean_under_sanitizers(sanitizers, tmp_path):
    program = tmp_path / "sanitize"
    source = ROOT / "tests" / "cpp" / "sanitize.cc"
    flags = ["-std=c++17", "-g", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    sanitize = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-pthread"]
    build = [COMPILER, *flags, *sanitize, f"-I{ROOT}", str(source), "-o", str(program)]
    subprocess.run(build, check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

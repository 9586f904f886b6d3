# SPDX-License-Identifier: MIT
"""Registers, stack and shared memory of every CUDA kernel, as nvcc reports them.

    python tests/cuda_resources.py > tests/cuda_resources.txt

writes the table that test_cuda_build.py holds the sources against.
"""

import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
KERNELS = sorted((ROOT / "cuda").rglob("*.cu"))
TABLED = (75, 90)
"""The oldest generation, and the one with most registers in use today."""

# Those of cuda/module.cmake; of warnings, all are errors.
FLAGS = [
    "-std=c++17",
    "--expt-relaxed-constexpr",
    "-fmad=false",
    "-Werror=all-warnings",
    "-Xcompiler=-Wall,-Wextra",
]

_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for 'sm_(?P<arch>\d+)'.*?"
    r"(?P<stack>\d+) bytes stack frame.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def compile_for(arch: int) -> dict[str, tuple[int, int, int]]:
    """Compiles all kernels for sm_`arch`; registers, stack and static shared bytes of each."""
    found = {}
    for source in KERNELS:
        with tempfile.TemporaryDirectory() as folder:
            command = ["nvcc", *FLAGS, f"-I{ROOT}", f"-arch=sm_{arch}", "-Xptxas", "-v", "-cubin"]
            command += [str(source), "-o", f"{folder}/kernels.cubin"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        for entry in _ENTRY.finditer(done.stderr):
            shared = re.search(r"(\d+) bytes smem", entry["rest"])
            numbers = entry["registers"], entry["stack"], shared[1] if shared else 0
            found[readable(entry["name"])] = tuple(map(int, numbers))
    return found


def readable(symbol: str) -> str:
    name = subprocess.run(["c++filt", symbol], capture_output=True, text=True, check=True).stdout
    name = name.replace("(anonymous namespace)::", "").split("jaxtv::cuda::", 1)[1].split("(")[0]
    return name.replace("jaxtv::cuda::", "")


def table(resources: dict[int, dict[str, tuple[int, int, int]]]) -> str:
    """One line for each kernel and generation."""
    rows = [f"{'sm':<4}{'kernel':<34}{'registers':>10}{'stack':>7}{'shared':>8}"]
    for arch, kernels in resources.items():
        for name, (registers, stack, shared) in sorted(kernels.items()):
            rows.append(f"{arch:<4}{name:<34}{registers:>10}{stack:>7}{shared:>8}")
    return "\n".join(rows) + "\n"


def read(text: str) -> dict[int, dict[str, tuple[int, int, int]]]:
    """The inverse of `table`."""
    found: dict[int, dict[str, tuple[int, int, int]]] = {}
    for row in text.splitlines()[1:]:
        arch, kernel, *numbers = re.split(r"\s{2,}", row)
        found.setdefault(int(arch), {})[kernel] = tuple(map(int, numbers))
    return found


if __name__ == "__main__":
    print(table({arch: compile_for(arch) for arch in TABLED}), end="")

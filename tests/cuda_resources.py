# SPDX-License-Identifier: MIT
"""Registers, stack and shared memory of every CUDA kernel on the generation of `cuda_cubins`.

    python tests/cuda_resources.py > tests/cuda_resources.txt

writes the table that test_cuda_build.py holds the sources against.
"""

import re
import subprocess

from cuda_cubins import ROOT, compiled

KERNELS = sorted((ROOT / "cuda").rglob("*.cu"))

_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def resources() -> dict[str, tuple[int, int, int]]:
    """Registers, stack and static shared bytes of each kernel."""
    found = {}
    for source in KERNELS:
        for entry in _ENTRY.finditer(compiled(source).log):
            shared = re.search(r"(\d+) bytes smem", entry["rest"])
            numbers = entry["registers"], entry["stack"], shared[1] if shared else 0
            found[readable(entry["name"])] = tuple(map(int, numbers))
    return found


def readable(symbol: str) -> str:
    name = subprocess.run(["c++filt", symbol], capture_output=True, text=True, check=True).stdout
    name = name.replace("(anonymous namespace)::", "").split("jaxtv::cuda::", 1)[1].split("(")[0]
    return name.replace("jaxtv::cuda::", "")


def table(found: dict[str, tuple[int, int, int]]) -> str:
    """One line for each kernel."""
    rows = [f"{'kernel':<34}{'registers':>10}{'stack':>7}{'shared':>8}"]
    for name, (registers, stack, shared) in sorted(found.items()):
        rows.append(f"{name:<34}{registers:>10}{stack:>7}{shared:>8}")
    return "\n".join(rows) + "\n"


def read(text: str) -> dict[str, tuple[int, int, int]]:
    """The inverse of `table`."""
    rows = (re.split(r"\s{2,}", row) for row in text.splitlines()[1:])
    return {kernel: tuple(map(int, numbers)) for kernel, *numbers in rows}


if __name__ == "__main__":
    print(table(resources()), end="")

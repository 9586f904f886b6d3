# SPDX-License-Identifier: MIT
"""Does C++ code include only folders below its own, and do files that comments name exist?"""

import pathlib
import re
from graphlib import TopologicalSorter

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# Folder: the folders that it may include beside itself. The files in `cpu` and `cuda` themselves
# are the handlers and the modules.
BELOW = {
    "core": set(),
    "ffi": {"core"},
    "cpu/simd": set(),
    "cpu/threads": set(),
    "cpu/lockstep": {"core", "cpu/simd"},
    "cpu/lines": {"core", "cpu/threads", "cpu/lockstep"},
    "cpu/images": {"core", "ffi", "cpu/simd", "cpu/threads", "cpu/lines"},
    "cpu/sweeps": {"core", "cpu/lines", "cpu/threads"},
    "cpu/isotropic": {"core", "cpu/simd", "cpu/threads"},
    "cpu": {"core", "ffi", "cpu/threads", "cpu/lines", "cpu/images", "cpu/sweeps", "cpu/isotropic"},
    "cuda/common": {"core"},
    "cuda/lines": {"core", "cuda/common"},
    "cuda/images": {"core", "ffi", "cuda/common", "cuda/lines"},
    "cuda/isotropic": {"core", "cuda/common"},
    "cuda": {"core", "ffi", "cuda/common", "cuda/lines", "cuda/images", "cuda/isotropic"},
}
FILES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("core", "ffi", "cpu", "cuda")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".h", ".cc", ".cu")
)
INCLUDES = {
    name: {
        other
        for other in re.findall(r'#include "([^"]+)"', (ROOT / name).read_text())
        if re.match("(core|ffi|cpu|cuda)/", other)
    }
    for name in FILES
}


def folder_of(name):
    """The folder of `BELOW` that holds a file, the innermost one."""
    return max((f for f in BELOW if name.startswith(f"{f}/")), key=len)


@pytest.mark.parametrize("name", FILES)
def test_includes_only_folders_below(name):
    folder = folder_of(name)
    allowed = BELOW[folder] | {folder}
    assert [other for other in sorted(INCLUDES[name]) if folder_of(other) not in allowed] == []


def test_folders_and_files_have_an_order():
    tuple(TopologicalSorter(BELOW).static_order())  # raises where there is a cycle
    tuple(TopologicalSorter(INCLUDES).static_order())


def test_only_headers_are_included_and_each_of_them():
    included = set().union(*INCLUDES.values())
    assert included == {name for name in FILES if name.endswith(".h")}


@pytest.mark.parametrize("folder", ["core", "ffi", "cpu", "cuda", "jaxtv", "docs"])
def test_files_that_comments_name_exist(folder):
    named = re.compile(
        r"(?<![\w/.])(?:core|ffi|cpu|cuda|jaxtv|docs|tests)/[\w/]+\.(?:h|cc|cu|py|md)\b"
    )
    missing = [
        (path.name, other)
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".h", ".cc", ".cu", ".py", ".md")
        for other in named.findall(path.read_text())
        if not (ROOT / other).exists()
    ]
    assert missing == []

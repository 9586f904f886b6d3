# SPDX-License-Identifier: MIT
"""Can the linker take a function compiled for one instruction set for one of all?"""

import itertools
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from fuzz import build

SOURCES = (
    "cpu/lockstep/kernels.cc",
    "cpu/images/pixel_kernels.cc",
    "cpu/isotropic/fused_kernels.cc",
    "cpu/isotropic/interior_kernels.cc",
    "cpu/isotropic/profile_kernels.cc",
    "cpu/isotropic/row_kernels.cc",
    "cpu/isotropic/test_kernels.cc",
)
COMPILER = build.COMPILER or "g++"


def symbols_of(source, isa, folder):
    """The mangled names that an object file offers to others, weak ones included. Not optimised,
    so that every inline function that is called is there.
    """
    target = folder / f"{source.replace('/', '_')}.{isa}.o"
    flags = [flag for flag in build.FLAGS if flag != "-O2"] + build.ISA_FLAGS[isa]
    command = [COMPILER, "-O0", *flags, f"-DJAXTV_ISA={isa}", "-I.", "-c", source, "-o", target]
    subprocess.run(command, check=True, cwd=build.ROOT)
    command = ["nm", "--defined-only", "--extern-only", "--format=posix", target]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in table.splitlines()}


@pytest.mark.skipif(not build.available(), reason="needs g++ on an x86 processor with Linux")
def test_every_symbol_is_in_the_namespace_of_its_instruction_set(tmp_path):
    """An inline function outside of it would have the same name in all object files, of which the
    linker keeps one: perhaps one with instructions that the processor does not have.
    """
    jobs = list(itertools.product(SOURCES, build.ISA_FLAGS))
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda job: symbols_of(*job, tmp_path), jobs)
    for (source, isa), symbols in zip(jobs, found, strict=True):
        own = re.compile(f"_Z(GV)?Z*NK?5jaxtv{len(isa)}{isa}")  # a name in jaxtv::isa, mangled
        assert symbols
        assert [s for s in symbols if not own.match(s)] == [], f"{source} for {isa}"

# SPDX-License-Identifier: MIT
"""The CUDA module of jaxtv, built on the emulator of CUDA for CPUs.

``install`` puts it in the place of jaxtv's CPU module: from then on ``import jaxtv`` runs the CUDA
handlers and kernels of ``cuda/`` on JAX's CPU platform. The environment variable
``JAXTV_TEST_SCHEDULE``, such as ``interleaved:3``, names the order of threads and its seed.
"""

import importlib.util
import os
import pathlib
import sys
import sysconfig
import types

import jax
import nanobind
from cuda_emulator import build, mutate
from cuda_emulator.library import EmulatedLibrary

ROOT = pathlib.Path(__file__).resolve().parents[1]
KERNELS = tuple(sorted((ROOT / "cuda").rglob("*.cu")))
HEADERS = tuple(sorted((ROOT / "cuda").rglob("*.h")))
OUT_DIR = ROOT / "build" / "cuda_emulator"


def build_module(flavour: str) -> pathlib.Path:
    """Compiles handlers, kernels and binding into a Python module.

    "check" is the module with mutants, none of them active: one compilation serves both.
    """
    if flavour == "check":
        return build_mutants().library.path
    return build.build(**module_arguments(), flavour=flavour)


def build_mutants() -> mutate.Mutants:
    """The same, checked, such that each synchronisation can be left out."""
    return mutate.build_mutants(**module_arguments(), headers=HEADERS)


def module_arguments() -> dict:
    """Arguments of ``build``, but for the flavour."""
    bindings = pathlib.Path(nanobind.source_dir()) / "nb_combined.cpp"
    includes = (
        nanobind.include_dir(),
        pathlib.Path(nanobind.source_dir()).parent / "ext" / "robin_map" / "include",
        sysconfig.get_paths()["include"],
        jax.ffi.include_dir(),
    )
    return {
        "sources": (*KERNELS, *sorted((ROOT / "cuda").glob("*.cc")), bindings),
        "out_dir": OUT_DIR,
        "include_dirs": (ROOT,),
        "extra_flags": (
            *(f"-isystem{path}" for path in includes),
            "-fvisibility=hidden",
            "-fno-strict-aliasing",
        ),
        "name": f"_cuda{sysconfig.get_config_var('EXT_SUFFIX')}",
    }


def load(path: pathlib.Path) -> types.ModuleType:
    """Imports a module that ``build_module`` made."""
    spec = importlib.util.spec_from_file_location("_cuda", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install(flavour: str) -> EmulatedLibrary:
    """Makes jaxtv's CPU platform run the emulated CUDA module; before jaxtv is imported."""
    assert "jaxtv" not in sys.modules
    path = build_module(flavour)
    sys.modules["jaxtv._cpu"] = load(path)
    library = EmulatedLibrary(path)
    order, _, seed = os.environ.get("JAXTV_TEST_SCHEDULE", "forward").partition(":")
    library.set_order(order, int(seed or 0))
    return library

# SPDX-License-Identifier: MIT
"""Loads the compiled modules and registers their FFI targets with JAX."""

import importlib
import pathlib
import re
import types
import warnings

import jax

_MODULES = {"cpu": "jaxtv._cpu", "cuda": "jaxtv._cuda"}


def check_api_version(name: str, built: tuple[int, int], running: tuple[int, int]) -> None:
    """Raises ImportError if handlers built for one FFI version are refused by another.

    XLA finds this out when it makes a backend, and then that whole backend fails.
    """
    if built[0] != running[0] or built[1] > running[1]:
        raise ImportError(
            f"{name} was built for version {built[0]}.{built[1]} of XLA's FFI, but the installed "
            f"jaxlib has {running[0]}.{running[1]} and would refuse it. Upgrade jaxlib, or rebuild "
            "against this one: pip install --no-build-isolation --force-reinstall --no-deps jaxtv"
        )


def running_api_version() -> tuple[int, int]:
    """The FFI version of the installed jaxlib."""
    header = pathlib.Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    found = dict(re.findall(r"#define XLA_FFI_API_(MAJOR|MINOR) (\d+)", header.read_text()))
    return int(found["MAJOR"]), int(found["MINOR"])


def _load(name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def _register() -> tuple[frozenset[str], tuple[str, ...]]:
    compiled, targets = set(), set()
    for platform, name in _MODULES.items():
        module = _load(name)
        if module is None:
            continue
        check_api_version(name, module.ffi_api_version, running_api_version())
        for target, handler in module.targets.items():
            jax.ffi.register_ffi_target(
                target, handler, platform={"cuda": "CUDA"}.get(platform, platform)
            )
            jax.ffi.register_ffi_target_as_batch_partitionable(target)
        compiled.add(platform)
        targets |= module.targets.keys()
    if "cpu" not in compiled:
        warnings.warn(
            "jaxtv was installed without its compiled CPU module and computes in plain JAX, which "
            "is much slower. To build it: pip install --force-reinstall --no-deps jaxtv (in a "
            "source checkout: pip install -e .)",
            RuntimeWarning,
            stacklevel=2,
        )
    return frozenset(compiled), tuple(sorted(targets))


compiled_platforms, FFI_TARGETS = _register()
"""The platforms, of "cpu" and "cuda", that have compiled kernels; the names of all kernels."""

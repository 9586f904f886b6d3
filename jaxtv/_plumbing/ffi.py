# SPDX-License-Identifier: MIT
"""Loads the compiled modules and registers their FFI targets with JAX."""

import functools
import importlib
import math
import pathlib
import re
import types
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import jax

from jaxtv._plumbing import cuda_wheel

# The first that there is: jaxtv_cuda is the wheel jaxtv-cuda.
_MODULES = {"cpu": ("jaxtv._cpu",), "cuda": ("jaxtv._cuda", "jaxtv_cuda._cuda")}


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


def _load(names: Sequence[str]) -> types.ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in (name, name.partition(".")[0]):
                raise
    return None


def _refused(module: types.ModuleType) -> str | None:
    """Why the kernels of a module are not used, if they are not; raises if they must not be."""
    if module.__name__.startswith("jaxtv_cuda."):
        cuda_wheel.check_version(*cuda_wheel.installed_versions())
    check_api_version(module.__name__, module.ffi_api_version, running_api_version())
    if not hasattr(module, "cuda_version"):
        return None
    return cuda_wheel.why_refused(module.cuda_version, cuda_wheel.driver_version())


def _register() -> tuple[dict[str, types.ModuleType], dict[str, str]]:
    modules, refused = {}, {}
    for platform, names in _MODULES.items():
        module = _load(names)
        if module is None:
            continue
        if (why := _refused(module)) is not None:
            refused[platform] = why
            continue
        for target, handler in module.targets.items():
            jax.ffi.register_ffi_target(
                target, handler, platform={"cuda": "CUDA"}.get(platform, platform)
            )
            jax.ffi.register_ffi_target_as_batch_partitionable(target)
        modules[platform] = module
    return modules, refused


_modules, _why_refused = _register()

compiled_platforms: frozenset[str] = frozenset(_modules)
"""The platforms, of "cpu" and "cuda", that have compiled kernels."""

FFI_TARGETS: tuple[str, ...] = tuple(
    sorted({target for module in _modules.values() for target in module.targets})
)
"""The names of all kernels, for `jax.export.DisabledSafetyCheck.custom_call`."""


def platforms_of(target: str) -> list[str]:
    """The platforms that have a compiled kernel of this name."""
    return [platform for platform, module in _modules.items() if target in module.targets]


def why_plain(platform: str) -> str:
    """Why there are no compiled kernels for "cpu" or "cuda", and what to do."""
    if platform in _why_refused:
        return _why_refused[platform]
    checkout = pathlib.Path(__file__).resolve().parents[2]
    if not _modules and (checkout / "CMakeLists.txt").exists():
        return (
            f"Python imports jaxtv from the source checkout {checkout}, where nothing is compiled, "
            "and not the installed package, if there is one: start Python in another directory, "
            "set PYTHONSAFEPATH=1, or install the checkout itself: pip install -e ."
        )
    return f"jaxtv was installed without its compiled module for {platform}. {_REMEDIES[platform]}"


_REMEDIES = {
    "cpu": (
        "To have it, without JAXTV_CPU in the environment, and with a C++ compiler where no wheel "
        "fits: pip install --force-reinstall --no-deps --no-cache-dir jaxtv"
    ),
    "cuda": (
        "Install its wheel, for the CUDA of your JAX: pip install 'jaxtv[cuda12]' or "
        "'jaxtv[cuda13]'. Or build it, with nvcc on the PATH: pip install --force-reinstall "
        "--no-deps --no-binary jaxtv jaxtv"
    ),
}


@functools.cache
def warn_of_plain_jax(platform: str) -> None:
    """Says once that a platform that could have compiled kernels runs in plain JAX."""
    warnings.warn(
        f"jaxtv computes on {platform} in plain JAX, which is tens of times slower than its "
        f"compiled kernels. {why_plain(platform)}",
        RuntimeWarning,
        stacklevel=2,
    )


if "cpu" not in _modules:
    warn_of_plain_jax("cpu")


class Scratch(NamedTuple):
    """The work space that a kernel wants as a last result."""

    per_sample: int  # bytes
    longest: int  # the length of the longest line that needs none
    per_axis: int = 0  # bytes per sample and axis of an image
    per_image: int = 0  # bytes

    def bytes_for(self, lines: Sequence[int], axes: int, images: int) -> int:
        """For lines `[length, *inner]`, or so many images with so many axes."""
        if isinstance(lines[0], int) and lines[0] <= self.longest:
            return 1  # not 0: a buffer of no bytes is a case that backends forget
        of_samples = (self.per_sample + self.per_axis * axes) * math.prod(lines)
        return of_samples + self.per_image * images


def scratch_of(target: str, platform: str) -> Scratch | None:
    """The work space of a kernel, if it wants any."""
    found = getattr(_modules[platform], "scratch", {}).get(target)
    return found and Scratch(*found)


def takes_half_types(target: str, platform: str, sizes: tuple[int, ...]) -> bool:
    """Whether a kernel reads and writes lines or images of these sizes in half types too."""
    longest = getattr(_modules[platform], "half_types", {}).get(target, -1)
    return all(isinstance(size, int) and size <= longest for size in sizes)


def takes(target: str, platform: str, sizes: tuple[int, ...], sample_bytes: int) -> bool:
    """Whether a kernel takes images of these sizes along their axes."""
    rules = getattr(_modules[platform], "takes", {})
    if target not in rules:
        return True
    known = all(isinstance(size, int) for size in sizes)
    return known and rules[target](sizes, sample_bytes)

# SPDX-License-Identifier: MIT
"""Does the wheel jaxtv-cuda fit this jaxtv, and do CUDA kernels fit the driver?"""

import ctypes
from importlib.metadata import version


def check_version(wheel: str, own: str) -> None:
    """Raises ImportError if the installed jaxtv-cuda is not that of this jaxtv."""
    if wheel != own:
        raise ImportError(
            f"jaxtv {own} needs jaxtv-cuda {own}, but {wheel} is installed: "
            f"pip install jaxtv-cuda=={own}, or pip uninstall jaxtv-cuda."
        )


def installed_versions() -> tuple[str, str]:
    """The versions of jaxtv-cuda and of jaxtv."""
    return version("jaxtv-cuda"), version("jaxtv")


def driver_version() -> int | None:
    """The newest CUDA that the NVIDIA driver knows (12080 is 12.8); None without a driver."""
    found = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(found))
    except (OSError, AttributeError):
        return None
    return None if failed else found.value


def why_refused(built: int, driver: int | None) -> str | None:
    """Why the driver would refuse kernels built with a version of CUDA, if it would.

    A driver runs programs of every older CUDA, and of every other minor version of its own major
    one. Without a driver nothing runs, but programs for CUDA can be exported.
    """
    if driver is None or driver // 1000 >= built // 1000:
        return None
    major, minor = driver // 1000, driver % 1000 // 10
    return (
        f"The CUDA kernels of jaxtv were built with CUDA {built // 1000}, but the NVIDIA driver "
        f"knows CUDA {major}.{minor} at most: install a newer driver, or kernels that CUDA {major} "
        "built, with its nvcc on the PATH: pip install --force-reinstall --no-deps --no-binary "
        "jaxtv jaxtv"
    )

# SPDX-License-Identifier: MIT
"""Under which settings do all tests run? Float64 on, no implicit promotion, eight CPU devices."""

import os
import pathlib
import sys
import warnings

# The examples are a package at the root; last, so that an installed jaxtv comes first.
sys.path.append(str(pathlib.Path(__file__).parent.parent))

# Before jax is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")

# "cuda_emulator" runs the CUDA kernels on the CPU; "plain" runs what platforms without compiled
# kernels run; otherwise the installed package runs on JAX's default device.
BACKEND = os.environ.get("JAXTV_TEST_BACKEND")
if BACKEND == "cuda_emulator":
    # What XLA itself compiles runs once and is small: to optimise it takes longer.
    os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=0"
    import cuda_emulation

    cuda_emulation.install("fast")
elif BACKEND == "plain":
    sys.modules |= {"jaxtv._cpu": None, "jaxtv._cuda": None}
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        import jaxtv  # noqa: F401
if BACKEND in {"cuda_emulator", "plain"}:
    os.environ.setdefault("JAXTV_TEST_SLOW_BACKEND", "1")

# Where the device code runs slowly, cases marked `large` are left out.
SLOW_BACKEND = os.environ.get("JAXTV_TEST_SLOW_BACKEND", "0") not in {"", "0"}

hypothesis.settings.register_profile(
    "jaxtv",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=10 if SLOW_BACKEND else 60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("jaxtv")


def pytest_configure(config):
    config.addinivalue_line("markers", "large: above 10,000 elements or so, left out when slow")


def pytest_collection_modifyitems(items):
    if SLOW_BACKEND:
        for item in items:
            if item.get_closest_marker("large"):
                item.add_marker(pytest.mark.skip(reason="large case on a slow backend"))


@pytest.fixture
def usual_jax():
    """Without float64 and with implicit promotion, as most programs run."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def quick_compilation():
    """For networks that compile for longer than they run: few optimisations, cheap random bits."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.default_prng_impl("unsafe_rbg"):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True, scope="module")
def _few_programs():
    """Each compiled program takes maps of memory, of which Linux allows a process 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def fast():
    """The CUDA operators on the emulator."""
    return _emulated("fast")


@pytest.fixture(scope="session")
def check():
    """The same, with each access to memory checked."""
    return _emulated("check")


def _emulated(kind):
    import cuda_emulation
    from emulated import Emulated

    return Emulated(cuda_emulation.build_module(kind))

# SPDX-License-Identifier: MIT
"""Do the packages fit each other, and does what is missing or does not fit say what to do?"""

import os
import pathlib
import shutil
import subprocess
import sys
import tomllib

import pytest

import jaxtv
from jaxtv._plumbing import cuda_wheel

ROOT = pathlib.Path(__file__).parents[1]
OWN = tomllib.loads((ROOT / "pyproject.toml").read_text())
CUDA = tomllib.loads((ROOT / "packaging" / "cuda" / "pyproject.toml").read_text())


def test_all_packages_have_one_version():
    version = OWN["project"]["version"]
    assert CUDA["project"]["version"] == version == jaxtv.__version__
    assert CUDA["project"]["dependencies"] == [f"jaxtv=={version}"]
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()
    assert f'version: "{version}"' in recipe
    for major in (12, 13):
        extra = OWN["project"]["optional-dependencies"][f"cuda{major}"]
        assert extra == [f"jaxtv-cuda=={version}", f"jax[cuda{major}]>=0.10"]


def test_both_are_built_by_the_same_tools_against_the_same_headers():
    assert CUDA["build-system"] == OWN["build-system"]
    (headers,) = (r for r in OWN["build-system"]["requires"] if r.startswith("jaxlib"))
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()
    assert f"- {headers.replace('==', ' ==')}\n" in recipe
    own, cuda = OWN["tool"]["scikit-build"], CUDA["tool"]["scikit-build"]
    assert cuda["wheel"]["py-api"] == own["wheel"]["py-api"]
    assert cuda["cmake"]["build-type"] == own["cmake"]["build-type"]


# The CUDA version of kernels and the newest one that the driver knows: do they run?
RUN = [(12090, 12020), (12090, 12090), (12090, 13000), (13050, 13000), (13000, None)]
REFUSED = [(13050, 12080), (13000, 12090), (12000, 11080)]


@pytest.mark.parametrize(("built", "driver"), RUN)
def test_a_driver_runs_its_own_major_version_and_older_ones(built, driver):
    assert cuda_wheel.why_refused(built, driver) is None


@pytest.mark.parametrize(("built", "driver"), REFUSED)
def test_an_older_driver_is_told_of_with_the_remedy(built, driver):
    said = cuda_wheel.why_refused(built, driver)
    assert f"built with CUDA {built // 1000}," in said
    assert f"knows CUDA {driver // 1000}.{driver % 1000 // 10} at most" in said
    assert "install a newer driver" in said and "pip install" in said


# jaxtv where jaxtv-cuda is installed and jaxtv._cuda is not, on a driver that knows CUDA 12.8.
WITH_WHEEL = """
import ctypes, sys
sys.modules["jaxtv._cuda"] = None
class Driver:
    def __init__(self, name):
        assert name == "libcuda.so.1"
    def cuDriverGetVersion(self, number):
        number._obj.value = 12080
        return 0
ctypes.CDLL = Driver
import jaxtv
from jaxtv._plumbing import ffi
print(sorted(jaxtv.compiled_platforms))
print(ffi.why_plain("cuda"))
"""


def with_wheel(folder, version, built):
    package, info = folder / "jaxtv_cuda", folder / f"jaxtv_cuda-{version}.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").touch()
    module = f"ffi_api_version, targets, cuda_version = (0, 1), {{}}, {built}\n"
    (package / "_cuda.py").write_text(module)
    metadata = f"Metadata-Version: 2.1\nName: jaxtv-cuda\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata)
    return subprocess.run(
        [sys.executable, "-c", WITH_WHEEL],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_is_found(tmp_path):
    done = with_wheel(tmp_path, jaxtv.__version__, 12090)
    assert "'cuda'" in done.stdout.split("\n")[0], done.stderr


def test_the_wheel_of_another_version_is_refused_with_the_remedy(tmp_path):
    done = with_wheel(tmp_path, "9.9.9", 12090)
    assert done.returncode != 0
    own = jaxtv.__version__
    assert f"jaxtv {own} needs jaxtv-cuda {own}, but 9.9.9 is installed" in done.stderr
    assert f"pip install jaxtv-cuda=={own}" in done.stderr


def test_a_driver_too_old_leaves_plain_jax_and_the_reason(tmp_path):
    done = with_wheel(tmp_path, jaxtv.__version__, 13000)
    platforms, reason, *_ = done.stdout.split("\n")
    assert "cuda" not in platforms, done.stderr
    assert "built with CUDA 13, but the NVIDIA driver knows CUDA 12.8" in reason


def test_a_build_without_a_compiler_says_what_to_do(tmp_path):
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("no cmake")
    environment = {k: v for k, v in os.environ.items() if k not in ("CXX", "CC")}
    done = subprocess.run(
        [cmake, "-S", ROOT, "-B", tmp_path, "-DCMAKE_MAKE_PROGRAM=make"],
        env=environment | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = " ".join(done.stderr.split())
    assert done.returncode != 0
    assert "jaxtv needs a C++17 compiler" in said and "JAXTV_CPU=OFF" in said

# SPDX-License-Identifier: MIT
"""Checks that need environments of their own: pipx run nox -s SESSION.

tests         the tests on every supported Python, each with the newest JAX for it;
              one version, some tests: nox -s tests-3.12 -- tests/test_values.py
cuda_wheel    builds the wheel jaxtv-cuda in out/cuda_wheel and checks it without a GPU
docs          builds the documentation in out/docs and runs the code of every page
links         follows every link of the documentation; those within it alone, without a network:
              nox -s links -- -D linkcheck_ignore=https?://
"""

import os
import pathlib

import nox

nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests"]

OUT = pathlib.Path(__file__).parent / "out"
INSTALLED = {"PYTHONSAFEPATH": "1"}  # the checkout must not shadow the package that was installed


@nox.session(python=["3.11", "3.12", "3.13"])  # JAX 0.10, the oldest, is the newest for 3.11
def tests(session: nox.Session) -> None:
    session.install(".[test]")
    session.run("python", "-m", "jaxtv")
    session.run("pytest", *session.posargs, env=INSTALLED)


@nox.session
def cuda_wheel(session: nox.Session) -> None:
    """By the compiler that CUDACXX names, else by one from PyPI, where there is that of CUDA 13."""
    env = {"CUDACXX": os.environ.get("CUDACXX") or _nvcc_from_pypi(session)}
    wheels = OUT / "cuda_wheel"
    for old in wheels.glob("*.whl"):
        old.unlink()
    strict = ("-C", "cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=ON")
    build = ("pip", "wheel", "--no-deps", "--wheel-dir", str(wheels), *strict, "packaging/cuda")
    session.run(*build, env=env)
    session.install(".", env={"JAXTV_CPU": "OFF"})  # in plain JAX: nothing else to compile
    session.install("--no-deps", "--force-reinstall", *map(str, wheels.glob("*.whl")))
    session.run("python", "packaging/cuda/check.py", env=INSTALLED)


def _nvcc_from_pypi(session: nox.Session) -> str:
    parts = ("nvcc", "crt", "runtime", "cccl")
    session.install(*(f"nvidia-cuda-{part}==13.*" for part in parts), "nvidia-nvvm==13.*")
    where = "import nvidia; print(nvidia.__path__[0])"
    folder = session.run("python", "-c", where, silent=True)
    return str(pathlib.Path(folder.strip()) / "cu13" / "bin" / "nvcc")


@nox.session
def docs(session: nox.Session) -> None:
    session.install("-C", "cmake.define.JAXTV_CUDA=OFF", ".[docs]")
    build = ("sphinx-build", "--fail-on-warning", "--keep-going", "--fresh-env")
    session.run(*build, "docs", str(OUT / "docs"), env=INSTALLED)


@nox.session
def links(session: nox.Session) -> None:
    session.install("-C", "cmake.define.JAXTV_CUDA=OFF", ".[docs]")
    check = ("sphinx-build", "--builder", "linkcheck", "--define", "nb_execution_mode=off")
    session.run(*check, *session.posargs, "docs", str(OUT / "links"), env=INSTALLED)

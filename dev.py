#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sets everything up in .venv and runs one task.

python3 dev.py quickstart    denoise a photograph and show the result
python3 dev.py notebook      execute the CIFAR-10 notebook in its small mode
python3 dev.py EXAMPLE       cifar10, denoising, edges, smoothing or wsol, with its options: --small
                             takes seconds, examples/EXAMPLE/README.md has the others
python3 dev.py test          all checks: format, lint, types, tests
python3 dev.py fuzz          random cases for two minutes; --minutes 120 for longer, --help for more
python3 dev.py setup         only install
"""

import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
QUESTIONS = ("values", "gradients", "numerics", "transforms", "sweeps")
# Tests that reach no kernel in a new way: forward mode, second derivatives and descent call the
# primitives of the other tests, volumes are images with one more axis (any_number below),
# references are plain JAX. Nor does test_newton.py: test_cuda.py compares that kernel's bits with
# the CPU's.
NOT_EMULATED = ("reference", "plain_jax", "forward", "second_derivatives", "descent", "volumes")
EMULATED = [
    "-k",
    f"not ({' or '.join(NOT_EMULATED)})",
    *(f"tests/test_{name}.py" for name in QUESTIONS),
]
EMULATED_IMAGES = [
    "tests/test_certificate.py",
    "tests/test_components.py",
    "-k",
    "exact_is_exact or component_means or any_number",
]
EXAMPLES = ("cifar10", "denoising", "edges", "smoothing", "wsol")
CPP = {".h", ".cc", ".cu"}
BUILD_INPUTS = ("pyproject.toml", "CMakeLists.txt", "core", "cpu", "cuda", "ffi")


# One architecture, with PTX for all later ones, compiles much faster than all that a wheel has.
DEFAULTS = {"CUDAARCHS": "75"}


def run(*command: str, env: dict[str, str] | None = None) -> None:
    print("$", *(f"{k}={v}" for k, v in (env or {}).items()), *command, flush=True)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    everything = DEFAULTS | dict(os.environ) | {"PATH": path} | (env or {})
    result = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, env=everything)
    if result.returncode:
        sys.exit(result.returncode)


def build_digest() -> str:
    digest = hashlib.sha256()
    for name in BUILD_INPUTS:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(file.read_bytes())
    return digest.hexdigest()


def setup() -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"jaxtv needs Python 3.11 or newer, this is {sys.version.split()[0]}.")
    stamp, digest = VENV / f"jaxtv-build-{platform.python_version()}", build_digest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    venv.create(VENV, with_pip=True, symlinks=os.name != "nt", clear=not stamp.exists())
    run("pip", "install", "--quiet", "--upgrade", "pip")
    run("pip", "install", "--quiet", "--editable", ".[test]")
    stamp.write_text(digest)


def quickstart() -> None:
    run("python", "-m", "jaxtv")
    run("python", "examples/quickstart.py", *sys.argv[2:])


def notebook() -> None:
    (ROOT / "out").mkdir(exist_ok=True)
    run("jupyter-execute", "examples/cifar10/cifar10.ipynb", "--output=../../out/cifar10")
    print("executed: out/cifar10.ipynb")


def example() -> None:
    run("python", "-m", f"examples.{sys.argv[1]}", *sys.argv[2:])


def test() -> None:
    folders = (ROOT / name for name in ("core", "cpu", "cuda", "ffi", "tests"))
    files = (str(f) for folder in folders for f in folder.rglob("*.*") if f.suffix in CPP)
    run("ruff", "format", "--check", "--quiet")
    run("ruff", "check", "--quiet")
    run("clang-format", "--dry-run", "-Werror", *files)
    run("pyright", "--pythonpath", str(BIN / "python"))
    pytest = ("pytest", "--numprocesses", "auto", "--dist", "worksteal")
    # The CUDA kernels, emulated on the CPU, under the tests of values and gradients.
    if platform.system() == "Linux" and platform.machine() == "x86_64" and shutil.which("g++"):
        emulator = {"JAXTV_TEST_BACKEND": "cuda_emulator"}
        run(*pytest, "--quiet", *EMULATED, env=emulator)
        # Here threads of several blocks run by turns; in test_cuda_images.py, block by block.
        by_turns = emulator | {"JAXTV_TEST_SCHEDULE": "interleaved:2"}
        run("pytest", "--quiet", *EMULATED_IMAGES, env=by_turns)
    run(*pytest, *sys.argv[2:])


def fuzz() -> None:
    run("python", "-m", "fuzz", *sys.argv[2:], env={"PYTHONPATH": str(ROOT / "tests")})


TASKS = {
    "setup": lambda: None,
    "quickstart": quickstart,
    "notebook": notebook,
    **dict.fromkeys(EXAMPLES, example),
    "test": test,
    "fuzz": fuzz,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TASKS:
        sys.exit(__doc__)
    setup()
    TASKS[sys.argv[1]]()

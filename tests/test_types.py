# SPDX-License-Identifier: MIT
"""Are the types of the public interface complete, and those that a caller expects?"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import venv

import pytest

import jaxtv

CALLS = """
import jax
import numpy as np
import jaxtv
import jaxtv.linen
import jaxtv.nnx
from jaxtv.checkpoints import from_tv_layers

x = np.ones((2, 8, 8, 3))
y: jax.Array = jaxtv.prox_tv_2d(x, 0.1, axes=(-3, -2))
y, info = jaxtv.prox_tv_2d(x, 0.1, axes=(-3, -2), return_info=True, init=0.0)
bound: jax.Array = info.error_bound
y, info = jaxtv.forward.prox_tv(x, (0.1, 0.2), axes=(-3, -2), return_info=True)
y, line = jaxtv.forward.prox_tv_1d(x, 0.1, axis=-2, method="newton", return_info=True)
steps: jax.Array = line.iterations
lam: jax.Array = jaxtv.lambda_max(x, axes=(1, 2), keepdims=True)
value: jax.Array = jaxtv.total_variation(x, axes=(1, 2), kind="isotropic")
tree: dict[str, jax.Array] = jaxtv.proximal_operator((1, 2), tol=1e-4)({"a": y}, 0.1, 1.0)
y = jaxtv.nnx.TV2D(mode="sharp", lam_init=0.05)(x)
layer = jaxtv.linen.TV2D(mode="sharp", lam_init=0.05)
raw: dict[str, np.ndarray] = from_tv_layers({"lmbd": np.ones((1, 2))})
names: tuple[str, ...] = jaxtv.FFI_TARGETS
here: bool = "cpu" in jaxtv.compiled_platforms
"""
WRONG = """
import numpy as np
import jaxtv

x = np.ones((8, 8))
jaxtv.prox_tv_2d(x, 0.1, kind="isotropc")
jaxtv.prox_tv_2d(x, 0.1, axis=(0, 1))
y, info = jaxtv.prox_tv_2d(x, 0.1)[:2].return_info
jaxtv.proximal_operator((0, 1), tolerance=0.1)
"""


@pytest.fixture(scope="module")
def pyright(tmp_path_factory):
    """Pyright, as of a user in whose environment jaxtv and what is here are installed."""
    pytest.importorskip("flax")
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("no pyright")
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "venv", symlinks=os.name != "nt")
    (site,) = (folder / "venv").rglob("site-packages")
    source = pathlib.Path(jaxtv.__file__).parent
    shutil.copytree(source, site / "jaxtv", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (site / "others.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    env = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def run(*arguments):
        command = [sys.executable, "-m", "pyright", "--outputjson", *arguments]
        done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True)
        return json.loads(done.stdout)

    def strict(code):
        (folder / "user.py").write_text(f"# pyright: strict\n{code}")
        return run("user.py")["generalDiagnostics"]

    return run, strict


def test_all_that_is_public_has_a_known_type(pyright):
    run, _ = pyright
    found = run("--ignoreexternal", "--verifytypes", "jaxtv")["typeCompleteness"]
    unknown = [s["name"] for s in found["symbols"] if s["isExported"] and not s["isTypeKnown"]]
    assert found["exportedSymbolCounts"]["withKnownType"] > 50
    assert unknown == []


def test_calls_under_strict(pyright):
    _, strict = pyright
    assert [(d["range"]["start"]["line"], d["message"]) for d in strict(CALLS)] == []


def test_mistakes_are_found(pyright):
    _, strict = pyright
    lines = {d["range"]["start"]["line"] for d in strict(WRONG)}
    assert {6, 7, 8, 9} <= lines


def test_what_is_public_is_listed():
    assert all(hasattr(jaxtv, name) for name in jaxtv.__all__)
    public = {name for name in vars(jaxtv) if not name.startswith("_")}
    assert public - set(jaxtv.__all__) <= {"linen", "nnx", "checkpoints"}  # once they are imported

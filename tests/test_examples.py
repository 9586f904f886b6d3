# SPDX-License-Identifier: MIT
"""Does every example run in its small mode, and does README say what the code does?"""

import doctest
import os
import pathlib
import re
import subprocess
import sys

import jax
from PIL import Image

import jaxtv._lambda_max
import jaxtv._proximal
import jaxtv._total_variation
import jaxtv._tv1d
import jaxtv._tvnd
import jaxtv.checkpoints
import jaxtv.linen
import jaxtv.nnx

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTED = (
    jaxtv._lambda_max,
    jaxtv._proximal,
    jaxtv._total_variation,
    jaxtv._tv1d,
    jaxtv._tvnd,
    jaxtv.checkpoints,
    jaxtv.forward,
    jaxtv.linen,
    jaxtv.nnx,
)


def run(*command, cwd=ROOT):
    env = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, check=True, text=True, capture_output=True
    ).stdout


def test_quickstart(tmp_path):
    picture = tmp_path / "quickstart.png"
    printed = run("examples/quickstart.py", "--small", "--out", str(picture))
    quality = [float(db) for db in re.findall(r"PSNR ([\d.]+) dB", printed)]
    noisy, blurred, denoised, learned = quality
    assert noisy < denoised and blurred < learned  # the edges survive
    with Image.open(picture) as figure:
        assert figure.size[0] > 1000


def test_self_check():
    printed = run("-m", "jaxtv")
    assert "self-check: value and gradient right" in printed
    assert "cpu:0: compiled kernels" in printed


def test_readme_snippets():
    """The Python blocks of README run, one after the other."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    names = {}
    exec("\n".join(blocks), names)
    assert names["y"].shape == names["x"].shape
    assert float(names["slope"]) != 0


def test_docstrings():
    for module in (
        jaxtv._lambda_max,
        jaxtv._tv1d,
        jaxtv._tvnd,
        jaxtv.forward,
        jaxtv.linen,
        jaxtv.nnx,
    ):
        with jax.enable_x64(False):
            results = doctest.testmod(module)
        assert results.attempted > 1 and results.failed == 0

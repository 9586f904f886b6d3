# SPDX-License-Identifier: MIT
"""Do commands of the examples set what their options say, and does a run keep to its sources?"""

import importlib
import json
import pathlib

import pytest

from examples.common import command, runs
from examples.common.image_to_image import Settings
from examples.denoising.experiment import Plan

EXAMPLES = ("cifar10", "denoising", "edges", "smoothing", "wsol")


def called(name, args, monkeypatch):
    """What the experiment of an example is given by a command line."""
    module = importlib.import_module(f"examples.{name}.__main__")
    given = []

    def experiment(*arguments, **_):
        given.extend(arguments)

    monkeypatch.setattr(module.experiment, "run", experiment)
    command.run(module.main, name, module.__doc__, args)
    return given


@pytest.mark.parametrize("name", EXAMPLES)
def test_small_mode_takes_its_own_settings(name, monkeypatch, capsys):
    plan, *_, out = called(name, ["--small", "--out", "there"], monkeypatch)
    module = importlib.import_module(
        f"examples.{name}.{'maps' if name == 'wsol' else 'experiment'}"
    )
    assert plan == module.SMALL and out == pathlib.Path("there")
    assert "there" in capsys.readouterr().out


def test_options_are_the_fields_of_plans_and_settings(monkeypatch):
    module = importlib.import_module("examples.denoising.__main__")
    monkeypatch.setattr(module.sets, "load", lambda *args: args)
    args = "--data photos --test-images 7 --sigmas 15 35 --width 8 --epochs 3 --rate 0.01".split()
    plan, settings, images, out = called("denoising", args, monkeypatch)
    assert plan == Plan(sigmas=(15.0, 35.0), width=8)
    assert settings == Settings(epochs=3, rate=0.01)
    assert images == (pathlib.Path("photos"), 7) and out == pathlib.Path("out/denoising")


@pytest.mark.parametrize("args", [[], ["--small", "--data", "photos"]])
def test_there_is_one_source_of_images(args, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        called("denoising", args, monkeypatch)
    assert "--small" in capsys.readouterr().err


def test_a_run_is_not_continued_by_other_sources(tmp_path):
    runs.same_settings(tmp_path, Plan(), Settings(), {"source": "photos"})
    runs.same_settings(tmp_path, Plan(seeds=5), Settings(), {"source": "photos"})
    path = tmp_path / "settings.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"sources": "of another day"}))
    with pytest.raises(ValueError, match="sources of another day, now"):
        runs.same_settings(tmp_path, Plan(), Settings(), {"source": "photos"})
    path.write_text(json.dumps(found | {"jaxtv": "0.0.1"}))
    with pytest.raises(ValueError, match=r"jaxtv 0\.0\.1, now"):
        runs.same_settings(tmp_path, Plan(), Settings(), {"source": "photos"})

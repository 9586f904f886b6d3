# SPDX-License-Identifier: MIT
"""Are the workflows valid and safe, and is nothing published before every test has passed?"""

import pathlib
import re
import shutil
import subprocess
import sysconfig

import pytest
import yaml

import dev

WORKFLOWS = sorted((pathlib.Path(__file__).parents[1] / ".github" / "workflows").glob("*.yml"))


def run(tool, *arguments):
    """A program of the environment in which the tests run, if it has it."""
    program = shutil.which(tool, path=sysconfig.get_path("scripts")) or shutil.which(tool)
    if program is None:
        pytest.skip(f"no {tool}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)


def test_workflows_follow_their_schema():
    schema = ("--builtin-schema", "vendor.github-workflows")
    done = run("check-jsonschema", *schema, *map(str, WORKFLOWS))
    assert done.returncode == 0, done.stdout


def test_workflows_are_safe():
    """Among others: no action without a version, no credential left behind, no injected code."""
    done = run("zizmor", "--offline", "--no-progress", *map(str, WORKFLOWS))
    assert done.returncode == 0, done.stdout


@pytest.fixture
def jobs():
    return {path.stem: yaml.safe_load(path.read_text())["jobs"] for path in WORKFLOWS}


def test_nothing_is_published_before_all_other_jobs(jobs):
    wheels = jobs["wheels"]
    assert set(wheels["publish"]["needs"]) == wheels.keys() - {"publish"}
    assert wheels["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert wheels["publish"]["permissions"] == {"id-token": "write"}


def test_steps_call_sessions_and_tasks_that_exist(jobs):
    """A name in `nox -s NAME` and `dev.py NAME`, and each path relative to the checkout."""
    root = WORKFLOWS[0].parents[2]
    sessions = re.findall(r"^def (\w+)\(session", (root / "noxfile.py").read_text(), re.MULTILINE)
    steps = [
        step for file in jobs.values() for job in file.values() for step in job.get("steps", ())
    ]
    commands = [step["run"] for step in steps if "run" in step]
    called = [name for command in commands for name in re.findall(r"nox -s (\w+)", command)]
    assert called and set(called) <= set(sessions)
    tasks = [name for command in commands for name in re.findall(r"dev\.py (\w+)", command)]
    assert tasks and set(tasks) <= dev.TASKS.keys()
    assert not [step for step in steps if "working-directory" in step]

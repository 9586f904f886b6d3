# SPDX-License-Identifier: MIT
"""The folder of an experiment: one experiment in each."""

import dataclasses
import hashlib
import json
import pathlib
import sys
from typing import Any

import jaxtv


def same_settings(out: pathlib.Path, *settings: Any) -> None:
    """Refuses to mix runs: what is in `out` was made with these settings, or nothing is there.

    So it was made by this version of jaxtv and of the modules that these settings come from. The
    number of seeds may change: more are added to those that are done.

    Args:
      out: the folder, made if need be; it keeps the settings in a file.
      settings: named tuples, data classes and dictionaries.
    """
    given = {key: str(value) for part in settings for key, value in _fields(part) if key != "seeds"}
    given |= {"jaxtv": jaxtv.__version__, "sources": _digest(settings)}
    path = out / "settings.json"
    if path.exists():
        found = json.loads(path.read_text())
        changed = [f"{k} {found.get(k)}, now {v}" for k, v in given.items() if found.get(k) != v]
        if changed:
            raise ValueError(
                f"{out} holds a run with other settings ({'; '.join(changed)}): "
                "give another --out, or remove it."
            )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(given, indent=2) + "\n")


def _fields(part: Any) -> Any:
    if isinstance(part, dict):
        return part.items()
    return (dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part._asdict()).items()


def _digest(settings: tuple[Any, ...]) -> str:
    """Of the sources in the folders of the modules that define these settings, and in this one."""
    modules = {type(part).__module__ for part in settings} | {__name__}
    folders = {
        pathlib.Path(file).parent
        for name in modules
        if (file := getattr(sys.modules[name], "__file__", None))
    }
    found = hashlib.sha256()
    for file in sorted(path for folder in folders for path in folder.glob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]

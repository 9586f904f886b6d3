# SPDX-License-Identifier: MIT
"""The folder of an experiment: one experiment in each."""

import dataclasses
import json
import pathlib
from typing import Any


def same_settings(out: pathlib.Path, *settings: Any) -> None:
    """Refuses to mix runs: what is in `out` was made with these settings, or nothing is there.

    The number of seeds may change: more are added to those that are done.

    Args:
      out: the folder, made if need be; it keeps the settings in a file.
      settings: named tuples and data classes.
    """
    given = {key: str(value) for part in settings for key, value in _fields(part) if key != "seeds"}
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
    return (dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part._asdict()).items()

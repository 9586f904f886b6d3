# SPDX-License-Identifier: MIT
"""Mutation test of synchronisation: would the tests notice if one barrier or fence were missing?

All mutants live in one library. Each synchronisation becomes ``if (Keep(i)) __syncthreads();`` and
``EmulatedLibrary.set_mutant(i)`` leaves out the i-th, so a file is compiled once, not once for each
mutant.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import build as _build
from .library import EmulatedLibrary

_SYNC = re.compile(r"\b__(?:syncthreads|syncwarp|threadfence|threadfence_block)\s*\([^;]*?\)\s*;")
_REDUNDANT = re.compile(r"//\s*sync: redundant because\b")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Site:
    """One synchronisation statement. ``redundant``: the source says that it may be left out."""

    number: int
    file: str
    line: int
    text: str
    redundant: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Mutants:
    """A library with every synchronisation switchable, and the list of them."""

    library: EmulatedLibrary
    sites: tuple[Site, ...]


def build_mutants(
    sources: Sequence[Path | str],
    out_dir: Path | str,
    headers: Sequence[Path | str] = (),
    include_dirs: Sequence[Path | str] = (),
    flavour: str = "check",
    extra_flags: Sequence[str] = (),
    link_flags: Sequence[str] = (),
    name: str | None = None,
) -> Mutants:
    """Rewrites the ``.cu`` files among ``sources``, and ``headers``, and builds the result.

    Args:
      sources: as for ``build``.
      out_dir: as for ``build``; the rewritten files go there too.
      headers: headers with synchronisations of their own. Each must lie in one of
        ``include_dirs``, or beside one of ``sources``, and be included by its path from there.
      include_dirs: as for ``build``.
      flavour: as for ``build``.
      extra_flags: as for ``build``.
      link_flags: as for ``build``.
      name: as for ``build``.
    """
    sources, headers = [Path(s).resolve() for s in sources], [Path(h).resolve() for h in headers]
    searched, beside = [Path(d).resolve() for d in include_dirs], [s.parent for s in sources]
    mutated_dir = Path(out_dir).resolve() / "mutated"
    sites: list[Site] = []
    compiled = []
    for path in [*headers, *sources]:
        if path in sources and path.suffix != ".cu":
            compiled.append(path)
            continue
        # By its path from the deepest folder searched, or by its name from a file beside it.
        root = max(
            [r for r in searched if path.is_relative_to(r)] or [path.parent],
            key=lambda r: len(r.parts),
        )
        target = mutated_dir / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = _rewrite(path, sites)
        if not target.exists() or target.read_text() != text:
            partial = target.with_suffix(f".{os.getpid()}")  # test processes share the folder
            partial.write_text(text)
            partial.replace(target)
        if path in sources:
            compiled.append(target)
    library = _build.build(
        compiled,
        flavour,
        out_dir,
        extra_flags,
        searched,
        [mutated_dir, *beside],  # not for host files: theirs are the objects of the usual build
        link_flags,
        name or f"lib{sources[0].stem}_mutants.so",
    )
    return Mutants(EmulatedLibrary(library), tuple(sites))


def survivors(mutants: Mutants, is_caught: Callable[[], bool]) -> list[Site]:
    """The necessary synchronisations whose removal ``is_caught`` does not notice.

    Args:
      mutants: from ``build_mutants``.
      is_caught: runs the kernels and says whether anything was wrong. It must say no of the
        unchanged program, which is tried first.
    """
    library = mutants.library
    library.set_mutant(-1)
    if is_caught():
        raise AssertionError(f"The unchanged kernels fail: {library.report}")
    missed = []
    try:
        for site in mutants.sites:
            library.set_mutant(site.number)
            if not is_caught() and not site.redundant:
                missed.append(site)
    finally:
        library.set_mutant(-1)
    return missed


def _rewrite(path: Path, sites: list[Site]) -> str:
    """The source with every synchronisation made conditional; line numbers stay."""
    text = path.read_text()
    lines = text.split("\n")
    # Same length, comments blanked: a comment that names a barrier is none.
    code = _COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    pieces, end = [], 0
    for match in _SYNC.finditer(code):
        line = text.count("\n", 0, match.start())
        statement = text[match.start() : match.end()]
        redundant = bool(_REDUNDANT.search(_comments_at(lines, line)))
        keep = f"::jaxtv::emulator::KeepSynchronisation({len(sites)})"
        pieces += [text[end : match.start()], f"{{ if ({keep}) {statement} }}"]
        sites.append(Site(len(sites), path.name, line + 1, statement, redundant))
        end = match.end()
    return "".join(pieces) + text[end:]


def _comments_at(lines: list[str], line: int) -> str:
    """The given line and the comment lines directly above it."""
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("//"):
        first -= 1
    return "\n".join(lines[first : line + 1])

# SPDX-License-Identifier: MIT
"""Compiles CUDA sources for the emulator, with g++, into a shared library.

``fast`` optimises. ``check`` reports every load and store of the ``.cu`` files to the race checker.
``asan`` puts all code under AddressSanitizer; such a library needs ``asan_environment()``.
"""

import fcntl
import hashlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
RUNTIME = ROOT / "src" / "runtime.cc"
CXX = os.environ.get("CXX", "g++")

_COMMON = [
    *("-std=c++17", "-g", "-fPIC", "-Wall", "-Wextra", "-Wno-unknown-pragmas"),
    *("-fno-gnu-unique", "-ffp-contract=off", "-DJAXTV_CUDA_EMULATOR"),
]
# The sanitizer sees loads and stores before the optimiser's later passes; turning a loop into a
# call of memset would hide it from our hooks.
_CHECK = ("-fsanitize=thread", "-fsanitize=bounds", "-fno-tree-loop-distribute-patterns")
_KERNEL = {
    "fast": ["-O1", "-g0"],  # its tests run the kernels for less long than -O2 compiles them
    "check": ["-O1", *_CHECK],
    "asan": ["-O1", "-fsanitize=address,bounds", "-fno-omit-frame-pointer"],
}
# Host files are handlers, whose time is that of their compilation.
_HOST = {
    "fast": ["-O0", "-g0"],
    "check": ["-O0", "-g0"],
    "asan": ["-O1", "-fsanitize=address"],
}
_LINK = {"fast": [], "check": [], "asan": ["-fsanitize=address,undefined"]}


def build(
    sources: Sequence[Path | str],
    flavour: str = "fast",
    out_dir: Path | str = "build/cuda_emulator",
    extra_flags: Sequence[str] = (),
    include_dirs: Sequence[Path | str] = (),
    kernel_include_dirs: Sequence[Path | str] = (),
    link_flags: Sequence[str] = (),
    name: str | None = None,
) -> Path:
    """Compiles ``sources`` and the emulator's runtime; links them into one shared library.

    Objects are reused while the contents of their sources and headers stay the same.

    Args:
      sources: ``.cu`` files (instrumented in "check") and host files (never instrumented there).
      flavour: "fast", "check" or "asan".
      out_dir: where objects and libraries go.
      extra_flags: for the compilation of ``sources``.
      include_dirs: searched after the emulator's own headers.
      kernel_include_dirs: for ``.cu`` files, searched before ``include_dirs``.
      link_flags: for the link.
      name: file name of the library, for a Python module; by default made from the first source.

    Returns:
      The library; its path changes whenever its contents do.

    Raises:
      RuntimeError: with the compiler's messages, if something does not compile.
    """
    if flavour not in _KERNEL:
        raise ValueError(f"flavour must be one of {sorted(_KERNEL)}, got {flavour!r}.")
    out_dir = Path(out_dir).resolve()
    objects_dir = out_dir / "objects"
    objects_dir.mkdir(parents=True, exist_ok=True)
    with open(out_dir / "lock", "w") as lock:  # test processes share the folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        flags = [*_include_flags(include_dirs), *extra_flags]
        kernel_flags = [*_include_flags(kernel_include_dirs), *flags]
        return _build(sources, flavour, out_dir, flags, kernel_flags, link_flags, name)


def _include_flags(folders: Sequence[Path | str]) -> list[str]:
    return [f"-I{Path(folder).resolve()}" for folder in folders]


def _build(sources, flavour, out_dir, host_flags, kernel_flags, link_flags, name) -> Path:
    objects_dir = out_dir / "objects"
    includes = _include_flags([ROOT / "include", ROOT])
    runtime_flags = ["-O1", "-fsanitize=address"] if flavour == "asan" else ["-O2"]

    jobs = [(RUNTIME, [*_COMMON, *runtime_flags, *includes])]
    for source in map(Path, sources):
        is_kernel = source.suffix == ".cu"
        flags = _KERNEL[flavour] if is_kernel else _HOST[flavour]
        flags = [*flags, *includes, *(kernel_flags if is_kernel else host_flags)]
        jobs.append((source.resolve(), [*_COMMON, *flags, "-x", "c++"]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda job: _compile(*job, objects_dir), jobs))

    link = [*_LINK[flavour], *link_flags]
    digest = _digest(*(path.read_bytes() for path in objects), repr(link).encode())
    library_dir = out_dir / f"{flavour}-{digest}"
    library = library_dir / (name or f"lib{Path(sources[0]).stem}.so")
    if not library.exists():
        library_dir.mkdir(exist_ok=True)
        partial = library.with_suffix(f".{os.getpid()}.partial")
        # -Bsymbolic: several emulated libraries must live in one process without sharing state.
        command = [CXX, "-shared", "-Wl,-Bsymbolic", *objects, "-o", partial, *link, "-ldl"]
        _run(command)
        partial.replace(library)
    return library


def asan_environment() -> dict[str, str]:
    """Variables that let an uninstrumented Python load a library of flavour "asan"."""
    libraries = [
        _run([CXX, f"-print-file-name={n}"]).strip() for n in ("libasan.so", "libubsan.so")
    ]
    return {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}


def _compile(source: Path, flags: list[str], objects_dir: Path) -> Path:
    command = [CXX, *flags, "-c", str(source)]
    stem = f"{source.stem}-{_digest(repr(command).encode())}"
    obj, key = objects_dir / f"{stem}.o", objects_dir / f"{stem}.key"
    depends = objects_dir / f"{stem}.d"
    if obj.exists() and key.exists() and key.read_text() == _contents_digest(depends):
        return obj
    partial = objects_dir / f"{stem}.{os.getpid()}.partial"
    _run([*command, "-MMD", "-MF", depends, "-o", partial])
    partial.replace(obj)
    key.write_text(_contents_digest(depends))
    return obj


def _contents_digest(depends: Path) -> str:
    """Digest of all files that a make rule depends on; empty if one is missing."""
    try:
        names = shlex.split(depends.read_text().split(":", 1)[1].replace("\\\n", " "))
        return _digest(*(Path(name).read_bytes() for name in names))
    except OSError:
        return ""


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def _run(command: Sequence[Path | str]) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.stderr:
        print(done.stderr)
    return done.stdout

# SPDX-License-Identifier: MIT
"""CIFAR-10 and CIFAR-10-C from their public addresses, checked against the hashes published there.

CIFAR-10 states no licence; its author asks to cite Krizhevsky, "Learning Multiple Layers of
Features from Tiny Images", 2009. CIFAR-10-C, Hendrycks and Dietterich 2019, is CC BY 4.0.
"""

import pathlib
from typing import NamedTuple

FOLDER = pathlib.Path("out/data")


class File(NamedTuple):
    """What is fetched."""

    url: str
    known_hash: str


IMAGES = File(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "md5:c58f30108f718f92721af3b95e74349a",
)
CORRUPTED = File(
    "https://zenodo.org/records/2535967/files/CIFAR-10-C.tar",
    "md5:56bf5dcef84df0e2308c6dcbcbbd8499",
)


def images(folder: pathlib.Path = FOLDER) -> pathlib.Path:
    """The official archive of CIFAR-10, fetched unless it is there (170 MB)."""
    return pathlib.Path(_fetch(IMAGES, folder))


def corrupted(folder: pathlib.Path = FOLDER) -> pathlib.Path:
    """The folder of CIFAR-10-C's `.npy` files, fetched and unpacked unless it is there (2.9 GB)."""
    files = map(pathlib.Path, _fetch(CORRUPTED, folder, unpack=True))
    return next(path.parent for path in files if path.name == "labels.npy")


def _fetch(file: File, folder: pathlib.Path, unpack: bool = False):
    import pooch  # here, since it warns in notebooks without widgets

    name, processor = file.url.rsplit("/", 1)[1], pooch.Untar() if unpack else None
    return pooch.retrieve(*file, name, folder, processor, progressbar=True)

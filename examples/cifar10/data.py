# SPDX-License-Identifier: MIT
"""CIFAR-10: the official archive, an .npz of JPEG images, or the synthetic stand-in.

Images are uint8 `[N, 32, 32, 3]`, labels int32 `[N]`, in the order of `CLASSES`.
"""

import io
import pathlib
import pickle
import tarfile
from typing import IO, Any, NamedTuple

import grain
import numpy as np
from PIL import Image

from examples.cifar10 import downloads, standin

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)  # of the training images, in [0, 1]
DEVIATION = np.array([0.2470, 0.2435, 0.2616], np.float32)
PADDING = 4


class Split(NamedTuple):
    """Images and their labels."""

    images: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """Images to train on and images to test on."""

    train: Split
    test: Split


def load(source: str, train: int | None = None, test: int | None = None, seed: int = 0) -> Dataset:
    """Reads CIFAR-10, or a random part of it with about as many images of each class.

    Args:
      source: the official `cifar-10-python.tar.gz` or the folder it unpacks to; an .npz with
        `data` (JPEG files one after the other), `offsets`, `labels` and `split` (0: train);
        `download`; or `stand-in`.
      train: how many images to train on; default: all.
      test: how many images to test on; default: all.
      seed: of the choice.
    """
    if source == "stand-in":
        return Dataset(
            Split(*standin.make(train or 2000, seed=2 * seed)),
            Split(*standin.make(test or 500, seed=2 * seed + 1)),
        )
    path = downloads.images() if source == "download" else pathlib.Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: give cifar-10-python.tar.gz, the folder it unpacks to, an "
            ".npz of JPEG images, 'download' or 'stand-in'."
        )
    if path.suffix == ".npz":
        return read_npz(path, train, test, seed)
    both = read_folder(path) if path.is_dir() else read_archive(path)
    sizes = (train, test)
    return Dataset(*(_part(split, size, seed) for split, size in zip(both, sizes, strict=True)))


def read_archive(path: pathlib.Path) -> Dataset:
    """Reads the official archive."""
    with tarfile.open(path) as archive:
        files = {member.name.rsplit("/", 1)[-1]: member for member in archive if member.isfile()}
        return _read_official(lambda name: archive.extractfile(files[name]))


def read_folder(folder: pathlib.Path) -> Dataset:
    """Reads the folder that the official archive unpacks to, or the one that contains it."""
    inner = folder / "cifar-10-batches-py"
    folder = inner if inner.is_dir() else folder
    return _read_official(lambda name: (folder / name).open("rb"))


class _ArrayUnpickler(pickle.Unpickler):
    """Loads arrays, lists, dicts and bytes, and refuses whatever else a pickle can do."""

    ALLOWED = {  # noqa: RUF012
        "_reconstruct": np.empty(0).__reduce__()[0],
        "ndarray": np.ndarray,
        "dtype": np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] != "numpy" or name not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong into CIFAR-10 files.")
        return self.ALLOWED[name]


def _read_official(open_file: Any) -> Dataset:
    def read(name: str) -> Split:
        file: IO[bytes]
        with open_file(name) as file:
            batch = _ArrayUnpickler(file, encoding="bytes").load()
        planes = np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32)
        return Split(planes.transpose(0, 2, 3, 1), np.asarray(batch[b"labels"], np.int32))

    parts = [read(f"data_batch_{number}") for number in range(1, 6)]
    train = Split(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return Dataset(train, read("test_batch"))


def read_npz(path: pathlib.Path, train: int | None, test: int | None, seed: int) -> Dataset:
    """Reads an .npz of JPEG images; decodes only those that are asked for."""
    with np.load(path) as file:
        data, offsets = file["data"].tobytes(), file["offsets"].astype(np.int64)
        labels, split = file["labels"].astype(np.int32), file["split"]

    def decode(row: int) -> np.ndarray:
        with Image.open(io.BytesIO(data[offsets[row] : offsets[row + 1]])) as picture:
            return np.asarray(picture.convert("RGB"))

    def part(which: int, size: int | None) -> Split:
        rows = np.flatnonzero(split == which)
        rows = rows[_choose(labels[rows], size, seed)]
        return Split(np.stack([decode(row) for row in rows]), labels[rows])

    return Dataset(part(0, train), part(1, test))


def _part(split: Split, size: int | None, seed: int) -> Split:
    chosen = _choose(split.labels, size, seed)
    return Split(split.images[chosen], split.labels[chosen])


def _choose(labels: np.ndarray, size: int | None, seed: int) -> np.ndarray:
    """Indices of `size` examples in random order, classes in equal parts."""
    if size is not None and not 0 < size <= len(labels):
        raise ValueError(f"{size} images asked for, there are {len(labels)}.")
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty_like(order)  # of an example among those of its class
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank[order], kind="stable")][:size]


def augment(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """A random crop of each image, padded with zeros by 4 pixels, and a flip of every other."""
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    rows = rng.integers(0, 2 * PADDING + 1, (count, 1)) + np.arange(height)
    columns = rng.integers(0, 2 * PADDING + 1, (count, 1)) + np.arange(width)
    flip = rng.random(count) < 0.5
    columns[flip] = columns[flip, ::-1]
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def batches(split: Split, batch_size: int, seed: int, epochs: int) -> grain.MapDataset:
    """The augmented batches of all epochs, all full: what is left over waits for another shuffle.

    Rows are gathered and augmented a batch at a time: one by one takes ten times as long.
    """
    size = len(split.labels)
    if size < batch_size:
        raise ValueError(f"batch_size {batch_size} exceeds the {size} examples: make it smaller.")
    rows = grain.MapDataset.range(size).seed(seed).shuffle().batch(batch_size, drop_remainder=True)
    return rows.repeat(epochs).random_map(
        lambda chosen, rng: Split(augment(rng, split.images[chosen]), split.labels[chosen])
    )

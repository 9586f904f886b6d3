# SPDX-License-Identifier: MIT
"""Do images reach the CIFAR-10 example as they are in the files, and augmented as they should?"""

import functools
import hashlib
import io
import os
import pickle
import struct
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from examples.cifar10 import data, downloads, standin


@pytest.fixture(scope="module")
def train():
    return data.load("stand-in", 64, 1).train


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, which the official files consist of."""

    def save_string(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string}


def write_official(folder, images, labels):
    """Files as in the official archive, of 10 images each."""
    folder.mkdir()
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        part = slice(10 * number, 10 * number + 10)
        planes = images[part].transpose(0, 3, 1, 2).reshape(10, 3072)
        batch = {b"data": planes, b"labels": labels[part].tolist()}
        with (folder / name).open("wb") as file:
            Python2Pickler(file, protocol=2).dump(batch)


def test_official_files(tmp_path):
    images, labels = standin.make(60, seed=3)
    folder = tmp_path / "cifar-10-batches-py"
    write_official(folder, images, labels)
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    for source in (tmp_path, folder, archive):
        read = data.read_archive(source) if source == archive else data.read_folder(source)
        np.testing.assert_array_equal(read.train.images, images[:50])
        np.testing.assert_array_equal(read.train.labels, labels[:50])
        np.testing.assert_array_equal(read.test.images, images[50:])

    class Harm:
        def __reduce__(self):
            return os.getcwd, ()

    (folder / "test_batch").write_bytes(pickle.dumps({b"data": Harm()}))
    with pytest.raises(pickle.UnpicklingError, match="does not belong"):
        data.read_folder(folder)


@pytest.fixture
def served(tmp_path):
    """A folder that a server on this machine offers, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def file_of(address, path):
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return downloads.File(f"{address}/{path.name}", f"md5:{digest}")


def test_download_is_checked(served, tmp_path, monkeypatch):
    folder, address = served
    archive = folder / "cifar-10-python.tar.gz"
    archive.write_bytes(b"as published")
    monkeypatch.setattr(downloads, "IMAGES", file_of(address, archive))
    archive.write_bytes(b"not as published")
    with pytest.raises(ValueError, match="does not match the known hash"):
        downloads.images(tmp_path / "here")
    archive.write_bytes(b"as published")
    assert downloads.images(tmp_path / "here").read_bytes() == b"as published"
    archive.unlink()  # it is there already
    assert downloads.images(tmp_path / "here").read_bytes() == b"as published"


def test_downloaded_corruptions_are_unpacked(served, tmp_path, monkeypatch):
    folder, address = served
    np.save(tmp_path / "labels.npy", np.arange(10))
    with tarfile.open(folder / "CIFAR-10-C.tar", "w") as tar:
        tar.add(tmp_path / "labels.npy", "CIFAR-10-C/labels.npy")
    monkeypatch.setattr(downloads, "CORRUPTED", file_of(address, folder / "CIFAR-10-C.tar"))
    found = downloads.corrupted(tmp_path / "here")
    np.testing.assert_array_equal(np.load(found / "labels.npy"), np.arange(10))


def test_npz_of_jpeg_images(tmp_path):
    images, labels = standin.make(40, seed=4)
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
        files.append(file.getvalue())
    split = np.repeat([0, 1], [30, 10])
    np.savez(
        tmp_path / "images.npz",
        data=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        labels=labels,
        split=split,
    )
    read = data.load(str(tmp_path / "images.npz"), test=5)
    assert read.test.images.shape == (5, 32, 32, 3)
    assert len(read.train.labels) == 30
    for image, label in zip(read.train.images, read.train.labels, strict=True):
        distance = np.abs(images[:30].astype(float) - image).mean((1, 2, 3))
        assert distance.min() < 5 and labels[distance.argmin()] == label


def test_part_has_as_many_of_each_class():
    labels = np.repeat(np.arange(10), 30)
    chosen = data._choose(labels, 50, seed=0)
    assert len(set(chosen)) == 50
    np.testing.assert_array_equal(np.bincount(labels[chosen]), 5)
    with pytest.raises(ValueError, match="301 images asked for, there are 300"):
        data._choose(labels, 301, seed=0)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="'download' or 'stand-in'"):
        data.load("nowhere.tar.gz")


def test_augmentation_crops_and_flips(train):
    images = train.images[:20]
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    flipped = np.zeros(20, bool)
    for number, image in enumerate(data.augment(np.random.default_rng(0), images)):
        crops = [
            padded[number, top : top + 32, left : left + 32]
            for top in range(9)
            for left in range(9)
        ]
        straight = any(np.array_equal(image, crop) for crop in crops)
        flipped[number] = any(np.array_equal(image, crop[:, ::-1]) for crop in crops)
        assert straight or flipped[number]
    assert 4 < flipped.sum() < 16


@pytest.fixture
def levels():
    """Images each of one level, so that their order and their crops can be told."""
    level = np.arange(1, 71, dtype=np.uint8)
    return data.Split(np.tile(level[:, None, None, None], (1, 32, 32, 3)), level)


def test_epochs_are_shuffled_and_repeatable(levels):
    def epochs(seed):
        rows = [batch.labels for batch in data.batches(levels, 24, seed, epochs=2)]
        return np.concatenate(rows[:2]), np.concatenate(rows[2:])

    first, second = epochs(0)
    assert len(first) == len(set(first)) == 48 and set(first) != set(second)
    np.testing.assert_array_equal(epochs(0), [first, second])
    assert not np.array_equal(epochs(1)[0], first)
    with pytest.raises(ValueError, match="batch_size 71 exceeds the 70 examples"):
        data.batches(levels, 71, 0, 1)


def test_batches_are_labelled_and_augmented_each_anew(levels):
    first, second = data.batches(levels, 35, 0, epochs=1)
    for batch in (first, second):
        np.testing.assert_array_equal(batch.images.max((1, 2, 3)), batch.labels)
    assert not np.array_equal(first.images > 0, second.images > 0)

# SPDX-License-Identifier: MIT
"""Batches of numpy arrays, prepared by a thread while the device computes."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import jax
import numpy as np

T = TypeVar("T")


def shuffled(rng: np.random.Generator, size: int, batch_size: int) -> Iterator[np.ndarray]:
    """Indices of an epoch: every batch is full, what is left over waits for another shuffle."""
    if size < batch_size:
        raise ValueError(f"batch_size {batch_size} exceeds the {size} examples: make it smaller.")
    order = rng.permutation(size)
    for start in range(0, size - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def in_order(size: int, batch_size: int) -> Iterator[slice]:
    """Slices that cover `range(size)`; the last may be short."""
    for start in range(0, size, batch_size):
        yield slice(start, min(start + batch_size, size))


def prefetch(batches: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The batches, on the device, up to `depth` of them ahead of the consumer.

    An error in the making of a batch is raised where the batch is asked for. When the consumer
    stops early, so does the thread.
    """
    ready: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_produce, args=(batches, ready, stopped), daemon=True)
    thread.start()
    try:
        while True:
            batch, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield batch
    finally:
        stopped.set()
        thread.join()


def _produce(batches: Iterable, ready: queue.Queue, stopped: threading.Event) -> None:
    """Puts pairs `(batch, None)`, at last `(None, error)`; StopIteration means the end."""

    def put(batch: object, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                return ready.put((batch, error), timeout=0.1)
            except queue.Full:
                continue

    try:
        for batch in batches:
            if stopped.is_set():
                return
            put(jax.device_put(batch))
        put(None, StopIteration())
    except BaseException as error:
        put(None, error)

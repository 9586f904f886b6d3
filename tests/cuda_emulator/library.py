# SPDX-License-Identifier: MIT
"""The emulator's C API for Python tests."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ORDERS = {"forward": 0, "reverse": 1, "random": 2, "interleaved": 3, "delayed": 4}
ACCESS = {"input": 0, "output": 1, "inout": 2}
FIBERS = {"assembler": 0, "ucontext": 1}


class EmulatedLibrary:
    """A shared library made by ``build``; other functions of it are attributes of ``c``."""

    def __init__(self, path: Path):
        self.path = path
        self.c = ctypes.CDLL(str(path))
        void, size = ctypes.c_void_p, ctypes.c_size_t
        self.c.jaxtv_emulator_set_order.argtypes = [ctypes.c_int, ctypes.c_uint64]
        self.c.jaxtv_emulator_register.argtypes = [void, size, ctypes.c_int, ctypes.c_char_p]
        self.c.jaxtv_emulator_unregister.argtypes = [void]
        self.c.jaxtv_emulator_last_report.restype = ctypes.c_char_p
        self.c.jaxtv_emulator_num_launches.restype = ctypes.c_uint64
        self.c.jaxtv_emulator_num_waits.restype = ctypes.c_uint64

    @property
    def checking(self) -> bool:
        """Whether the kernels are instrumented."""
        return bool(self.c.jaxtv_emulator_is_checking())

    @property
    def num_launches(self) -> int:
        return self.c.jaxtv_emulator_num_launches()

    @property
    def num_waits(self) -> int:
        """How often the host has waited for a stream."""
        return self.c.jaxtv_emulator_num_waits()

    @property
    def report(self) -> str:
        """What the last launch found; empty if nothing."""
        return self.c.jaxtv_emulator_last_report().decode()

    def set_order(self, order: str, seed: int = 0) -> None:
        self.c.jaxtv_emulator_set_order(ORDERS[order], seed)

    def set_poison(self, byte: int) -> None:
        self.c.jaxtv_emulator_set_poison(byte)

    def set_fibers(self, backend: str) -> None:
        self.c.jaxtv_emulator_set_fibers(FIBERS[backend])

    def set_mutant(self, number: int) -> None:
        """Leaves out one synchronisation of a library made by ``mutate``; -1 keeps all."""
        self.c.jaxtv_emulator_set_mutant(number)

    @contextlib.contextmanager
    def buffers(self, **arrays: tuple[np.ndarray, str]) -> Iterator[None]:
        """Registers ``name=(array, "input" | "output" | "inout")`` for the duration."""
        for name, (array, access) in arrays.items():
            data = array.ctypes.data
            self.c.jaxtv_emulator_register(data, array.nbytes, ACCESS[access], name.encode())
        try:
            yield
        finally:
            for array, _ in arrays.values():
                self.c.jaxtv_emulator_unregister(array.ctypes.data)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)

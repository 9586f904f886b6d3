# SPDX-License-Identifier: MIT
"""Memory for arrays whose pages the kernel need not clear in each call."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Lets malloc keep what is freed, for all libraries of this process alike.

    As several libraries run in turn, malloc would give memory back to the kernel and ask for it
    again in nearly every call. To clear the pages of results takes as long as the work in many
    cases, and depends on what ran before. A loop of calls of one library keeps them by itself.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_MAX, 0)

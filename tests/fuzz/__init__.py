# SPDX-License-Identifier: MIT
"""Random calls of every part of the library, checked by conditions that need no other answer.

Each part is a module with `run(seed, first, count)`: it makes the cases `first` to `first + count`
of a seed and returns a `Tally`. A case depends on its seed and number alone.
"""

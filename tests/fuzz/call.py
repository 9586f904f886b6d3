# SPDX-License-Identifier: MIT
"""A call of a custom call, without its numbers."""

import dataclasses
from typing import Any

import numpy as np

Array = tuple[tuple[int, ...], np.dtype]  # shape and dtype


@dataclasses.dataclass
class Call:
    """A call of a target; operands and results are known by shape and dtype."""

    target: str
    operands: list[Array]
    results: list[Array]
    attributes: dict[str, Any]

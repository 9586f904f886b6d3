# SPDX-License-Identifier: MIT
"""Operators on every image of an array, as JAX primitives.

An image spans the TV axes, ascending; all other axes are batch axes. What the operators compute is
in `cpu/tvnd.h` (compiled) and `_alternating.py` (plain JAX).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray

from jaxtv import _alternating, _lines, _primitive


class Solution(NamedTuple):
    """The prox of each image. All fields but `y` have size 1 along the TV axes.

    Attributes:
      y: a point whose equal neighbours with a positive weight are fused, or all NaN.
      gap: duality gap at `y`.
      error_bound: upper bound of the distance of `y` to the solution.
      sweeps: sweeps that were made.
      converged: whether the error bound meets the tolerance.
      exact: whether the error bound is at the rounding of the type.
    """

    y: Array
    gap: Array
    error_bound: Array
    sweeps: Array
    converged: Array
    exact: Array


def prox(
    x: Array, lams: Sequence[Array], tol: Array, max_sweeps: Array, axes: tuple[int, ...]
) -> Solution:
    """The TV prox of each image, to an error of at most `tol * ||x - mean(x)||`.

    Args:
      x: float32 or float64, any shape.
      lams: weights, one for each of `axes`, as for `_lines.prox`.
      tol: same dtype and rank as x, size 1 along `axes`, else that of x or 1.
      max_sweeps: int32, of such a shape as `tol`.
      axes: ascending, not negative.
    """
    return Solution(*_primitive.bind(_prox_p, x, tol, max_sweeps, *lams, axes=axes))


def component_mean(y: Array, lams: Sequence[Array], v: Array, *, axes: tuple[int, ...]) -> Array:
    """The mean of `v` over connected components of equal `y`; self-adjoint in `v`.

    Pixels are connected along an axis if their weight is positive.
    """
    return _primitive.bind(_component_mean_p, y, v, *lams, axes=axes)[0]


# In forward mode, as derived in _tvnd.py: dy = P (dx - sum_a D_a^T (s_a * dlam_a)).
def _prox_jvp(results, operands, tangents, *, axes: tuple[int, ...]) -> Array:
    y, lams = lax.stop_gradient((results[0], operands[3:]))
    dy = tangents[0]
    for dlam, axis in zip(tangents[3:], axes, strict=True):
        dy = _lines.shifted(y, dy, dlam, axis=axis)
    return component_mean(y, lams, dy, axes=axes)


def _solution(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    dtypes = (x.dtype, x.dtype, jnp.int32, bool, bool)
    return [x, *(_primitive.reduced(x, axes, dtype) for dtype in dtypes)]


_prox_p = _primitive.make(
    "jaxtv_prox_tvnd", _alternating.solve, results=_solution, full_operands=(0,)
)
_component_mean_p = _primitive.make(
    "jaxtv_component_mean",
    _alternating.component_mean,
    results=lambda y, *_, axes: [y],
    full_operands=(0, 1),
)
_primitive.self_adjoint(_component_mean_p)
_primitive.differentiable(_prox_p, _prox_jvp)

# SPDX-License-Identifier: MIT
"""Sweeps over the axes of images, with certificates, until each image is solved: a JAX primitive.

The method is described in `_plain/alternating.py`. On platforms whose compiled kernels solve whole
images (`tvnd.py`) it is not asked for.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray

from jaxtv._plain import alternating as plain
from jaxtv._plumbing import primitive, sharding


def solve(
    x: Array,
    target: Array,
    rounding: Array,
    max_sweeps: Array,
    first_test: Array,
    first_union: Array,
    lams: Sequence[Array],
    duals: Sequence[Array],
    *,
    axes: tuple[int, ...],
) -> plain.Search:
    """Sweeps over each image of size about 1 until a certificate is at the target.

    Args:
      x: float32 or float64, any shape.
      target: the error bound that is asked for, of x's dtype; like all numbers per image it has
        size 1 along `axes`, else the size of x.
      rounding: the error of an image whose pixels are rounded, of x's dtype.
      max_sweeps: int32, at most so many; an image of 0 is left as it is.
      first_test: int32, after how many sweeps at the latest to look at the certificate first.
      first_union: int32, from how many sweeps on to try the point of all equalities too.
      lams: weights, one for each of `axes`, as for `tv1d.prox`.
      duals: v_a to start from, one for each of `axes`, of the shape of x.
      axes: ascending, not negative.

    Returns:
      How far the search has come. Of axes of one sample it may hold anything.
    """
    numbers = target, rounding, max_sweeps, first_test, first_union
    found = primitive.bind(_alternating_p, x, *numbers, *lams, *duals, axes=axes)
    return plain.Search.of(found, axes)


def _results(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    float_, int_ = x.dtype, jnp.dtype("int32")
    numbers = [float_] * 2 + [int_] + [float_] * 4 + [int_] * 2 + [jnp.dtype(bool)]
    images = [x] * (3 * len(axes) - 1)
    return [x, *(sharding.reduced(x, axes, dtype) for dtype in numbers), *images]


_alternating_p = primitive.make(
    "jaxtv_alternating", plain.solve, results=_results, full_operands=None
)

# SPDX-License-Identifier: MIT
"""Iterations on images whose differences are coupled, each image from where it is: a JAX primitive.

The method is described in `_plain/isotropic.py`. On platforms whose compiled kernels solve whole
images (`isotropic.py`) it is not asked for.
"""

from collections.abc import Sequence

from jax import Array
from jax.core import ShapedArray

from jaxtv._plain import isotropic_steps as plain
from jaxtv._plain.stencil import Stencil
from jaxtv._plumbing import primitive

COUNT = 32
"""How many iterations a call makes at most."""


def advance(
    y: Array,
    duals: Sequence[Array],
    done: Array,
    due: Array,
    source: Array,
    data_weight: Array,
    varied: Array,
    lams: Sequence[Array],
    linear: Sequence[Sequence[Array]],
    *,
    stencil: Stencil,
) -> tuple[Array, tuple[Array, ...]]:
    """The images and duals after `COUNT` iterations, or after that of number `due`.

    Args:
      y: the images, float32 or float64, any shape.
      duals: of each axis, of the shape of y.
      done: int32, the iterations made before; like all numbers per image it has size 1 along
        `stencil.axes`, else the size of y or 1.
      due: int32, the last iteration to make, which is not relaxed; none where it is `done`.
      source: m x, or the right side of the linear problem; of the shape of y.
      data_weight: m; dimensions as y or 1.
      varied: bool, whether the data weights of an image ask for longer steps.
      lams: weights of each axis; dimensions as y or 1, 1 along the channel axis.
      linear: empty for the prox; for the linear problem the lengths of the groups of each axis and
        the directions of each axis; dimensions as y or 1, the lengths 1 along the channel axis.
      stencil: `axes` are the last ones of y.
    """
    operands = (y, source, done, due, varied, data_weight, *lams, *duals)
    others = [array for group in linear for array in group]
    y, *duals = primitive.bind(_steps_p, *operands, *others, **stencil._asdict(), count=COUNT)
    return y, tuple(duals)


def _results(y: ShapedArray, *_, axes: tuple[int, ...], **__) -> list[ShapedArray]:
    return [y] * len(axes)


_steps_p = primitive.make(
    "jaxtv_isotropic_steps", plain.advance, results=_results, full_operands=None
)

# SPDX-License-Identifier: MIT
"""A point near the TV prox of each image and a bound on its error, from line solves.

The derivation is in `_plain/certificate.py`.
"""

from collections.abc import Sequence

from jax import Array
from jax.core import ShapedArray

from jaxtv._plain import certificate as plain
from jaxtv._plumbing import primitive, sharding


def certify(
    x: Array,
    results: Sequence[Array],
    duals: Sequence[Array],
    lams: Sequence[Array],
    vote: Array,
    axes: tuple[int, ...],
) -> tuple[Array, Array, Array]:
    """The point z, the duality gap at it, and a bound of its distance to the prox, per image.

    Args:
      x: float32 or float64, any shape.
      results: of the line solves along each of `axes`, of the shape of x.
      duals: v_a of each of `axes`, of the shape of x.
      lams: weights, one for each of `axes`, as for `tv1d.prox`.
      axes: ascending, not negative.
      vote: bool, of the rank of x and of size 1 along `axes`, else that of x or 1: for which images
        to fuse only the equal edges that pass the majority vote.
    """
    z, gap, bound = primitive.bind(_certify_p, x, vote, *results, *duals, *lams, axes=axes)
    return z, gap, bound


def _results(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    per_image = sharding.reduced(x, axes, x.dtype)
    return [x, per_image, per_image]


_certify_p = primitive.make("jaxtv_certify", plain.certify, results=_results, full_operands=None)

# SPDX-License-Identifier: MIT
"""The value of total variation over several axes."""

import functools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxtv import _arguments, _isotropic
from jaxtv._plain import measures
from jaxtv._plumbing import primitive, sharding
from jaxtv._prox import Weights, model_of


def total_variation(
    x: ArrayLike,
    *,
    axes: Sequence[int],
    lam: Weights = 1.0,
    kind: Literal["anisotropic", "isotropic"] = "anisotropic",
    channel_axis: int | None = None,
    periodic: bool = False,
    smooth: ArrayLike = 0.0,
) -> Array:
    r"""The total variation of each image: the penalty of :func:`prox_tv`.

    .. math:: \sum_{a} \sum_e \lambda_{a,e} |(D_a x)_e|

    and with ``kind="isotropic"``

    .. math:: \sum_i \Bigl( \sum_a \lambda_{a,i}^2 (D_a x)_i^2 \Bigr)^{1/2}.

    The mean over a batch is a loss: ``jaxtv.total_variation(x, axes=(-3, -2)).mean()``.

    Args:
      x: floating array of any shape.
      axes: the axes along which variation is measured.
      lam: weight, at least 0, as in :func:`prox_tv`. An infinite one costs nothing where neighbours
        are equal, and its derivative there is 0.
      kind: as in :func:`prox_tv`.
      channel_axis: as in :func:`prox_tv`.
      periodic: as in :func:`prox_tv`.
      smooth: ``s >= 0``, in the units of ``lam * x``, makes a loss without kinks: ``sqrt(h^2 + s^2)
        - s`` counts instead of a length ``h``. At ``s = 0`` the derivative where ``h = 0`` is 0.

    Returns:
      Array of the shape of ``x`` without ``axes`` and ``channel_axis``: float64 for float64, else
      float32, since sums over an image are out of the range of half types; inf or NaN where a sum
      overflows. NaN for an image with a negative or NaN weight.

    Raises:
      TypeError: if an argument has a wrong type, as in :func:`prox_tv`.
      ValueError: if an axis is out of range or repeated, ``lam`` does not broadcast, or a Python or
        NumPy number in it is negative or NaN.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.total_variation(jnp.array([[0.0, 1.0], [0.0, 3.0]]), axes=(0, 1))
      Array(6., dtype=float32)
      >>> jaxtv.total_variation(jnp.array([[0.0, 3.0], [4.0, 0.0]]), axes=(0, 1), kind="isotropic")
      Array(12., dtype=float32)
    """
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(axes, x.ndim)
    lam = _arguments.real_per_axis(lam, "lam", axes)
    _arguments.not_negative(lam, "lam")
    smooth = _arguments.tolerance(smooth, "smooth")
    model = model_of(x, axes, kind, channel_axis, periodic)
    sharp = isinstance(smooth, float) and smooth == 0
    if model == _isotropic.Model(False, None, False) and sharp:
        unit = isinstance(lam, float) and lam == 1.0  # a constant of the program: no transfer
        return _total_variation(x, axes=axes) if unit else _total_variation(x, lam, axes=axes)
    return _isotropic.total_variation(x, lam, smooth, axes=axes, model=model)


@functools.partial(jax.jit, static_argnames="axes")
def _total_variation(x: ArrayLike, lam: Weights = 1.0, *, axes: tuple[int, ...]) -> Array:
    x = jnp.asarray(x)
    lams = _arguments.weights_per_axis(lam, x, axes)
    x, *lams = sharding.placed(axes, x.astype(primitive.computed_type(x.dtype)), *lams)
    total = measures.total_variation(x, lams, axes)
    return (total * jnp.where(measures.are_weights(x, lams, axes), 1, jnp.nan)).squeeze(axes)

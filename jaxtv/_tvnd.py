# SPDX-License-Identifier: MIT
"""Total variation over several axes: its value and its prox, composed of line solves."""

import functools
from collections.abc import Sequence
from typing import Literal, TypedDict, Unpack, overload

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxtv import _arguments
from jaxtv._plain import measures
from jaxtv._plumbing import sharding
from jaxtv._prox import DERIV_TOL, MAX_SWEEPS, TOL, Duals, Options, ProxInfo, Weights, checked


class _Options(TypedDict, total=False):
    num_sweeps: int | None
    tol: ArrayLike
    deriv_tol: ArrayLike
    max_sweeps: int | Array
    init: Duals | None


class _ImageOptions(_Options, total=False):
    axes: Sequence[int]


@overload
def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    return_info: Literal[False] = False,
    **options: Unpack[_Options],
) -> Array: ...


@overload
def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    return_info: Literal[True],
    **options: Unpack[_Options],
) -> tuple[Array, ProxInfo]: ...


def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    num_sweeps: int | None = None,
    tol: ArrayLike = TOL,
    deriv_tol: ArrayLike = DERIV_TOL,
    max_sweeps: int | Array = MAX_SWEEPS,
    init: Duals | None = None,
    return_info: bool = False,
) -> Array | tuple[Array, ProxInfo]:
    r"""Proximity operator of anisotropic total variation over any number of axes.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_2^2
        + \sum_{a} \sum_e \lambda_{a,e} |(D_a y)_e|

    with :math:`D_a` the differences between neighbours along axis :math:`a`. The other axes of
    ``x`` are batch axes: each image (volume, ...) is solved on its own.

    Args:
      x: array of any shape. float32, float64, bfloat16 or float16; half types are computed in
        float32.
      lam: weight, at least 0, in the units of ``x``: one for all axes, which broadcasts against
        ``x`` with size 1 along every axis of ``axes``; or a tuple of one weight for each axis,
        which may vary along the other axes and have size ``n - 1`` along its own (a weight for each
        pair of neighbours). Traced: a new value does not recompile.
      axes: the axes along which variation is measured.
      num_sweeps: ``None`` iterates to ``tol``. ``K`` makes exactly ``K`` sweeps of proximal Dykstra
        (Alg. 1 of the paper), the last axis first; at most 10,000, since a call cannot be
        interrupted.
      tol: for ``num_sweeps=None``, the relative error at which an image stops:
        ``||y - y*|| <= tol * ||x - mean(x)||``, certified by a duality gap. It also stops where the
        error is at the rounding of the type, so 0 asks for the exact solution. The compiled CPU
        kernel sums the gap in float64 from terms that are at least 0, so it certifies down to that
        rounding in float32 too.
      deriv_tol: for ``num_sweeps=None``, the tolerance of a call that is differentiated, if it is
        below ``tol``. The derivative is that of the regions where the result is constant; at the
        default nearly all of them are those of the solution: of a gradient in ``x`` the relative
        error is below 0.01 % in the median and 3 % at worst, for two to ten times the sweeps (the
        table is in ``benchmarks/README.md``). The value of such a call is more accurate too.
      max_sweeps: for ``num_sweeps=None``, where an image stops at the latest; ``info.converged``
        says whether it met ``tol``. A sweep takes about as long as :func:`prox_tv_1d` along every
        axis, and a call cannot be interrupted before its last one.
      init: for ``num_sweeps=None``, where to start: ``info.dual`` of an earlier call, for an input
        or weights that have changed a little since, or 0 for a first call that is to return its
        dual. Duals beyond the weights are cut back to them, so any numbers are a valid start; they
        change how many sweeps an image needs, not to what accuracy it is solved. Not
        differentiated.
      return_info: also return a :class:`ProxInfo`.

    Returns:
      Array of the shape and dtype of ``x``, or the pair of it and a :class:`ProxInfo`. An image
      with a non-finite pixel or with a negative or NaN weight is all NaN; no other image changes.

    Raises:
      TypeError: if an argument has a wrong type: lists are not arrays, integers no signals, lists
        of weights no tuples.
      ValueError: if an axis is out of range or repeated, ``lam`` or ``init`` does not broadcast,
        a tolerance or a number of sweeps is out of range, or ``init`` is given with ``num_sweeps``.

    Differentiable in ``x`` and ``lam``, in reverse mode (:mod:`jaxtv.forward`: in both): through
    the sweeps for ``num_sweeps=K``, implicitly at the result for ``num_sweeps=None``, solved to
    ``deriv_tol``. Tolerances have no derivative.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv
      >>> x = jnp.array([[0.0, 0.0, 9.0], [0.0, 0.0, 9.0]])
      >>> jaxtv.prox_tv(x, (0.0, 1.0), axes=(0, 1))
      Array([[0.5, 0.5, 8. ],
             [0.5, 0.5, 8. ]], dtype=float32)

      Frames of a film, each started from where the one before ended:

      >>> frames = jnp.linspace(1.0, 1.1, 5)[:, None, None] * x
      >>> _, first = jaxtv.prox_tv(frames[0], 1.0, axes=(0, 1), init=0.0, return_info=True)
      >>> def step(dual, frame):
      ...     y, info = jaxtv.prox_tv(frame, 1.0, axes=(0, 1), init=dual, return_info=True)
      ...     return info.dual, y
      >>> _, ys = jax.lax.scan(step, first.dual, frames)

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (2) and Alg. 1. Chambolle, Pock, "A remark on accelerated block coordinate descent for
      computing the proximity operators of a sum of convex functions", SMAI J. Comput. Math. 2015.
    """
    options = Options(axes, num_sweeps, tol, deriv_tol, max_sweeps, init, return_info)
    return checked(x, lam, options)


@overload
def prox_tv_2d(
    x: ArrayLike,
    lam: Weights,
    *,
    return_info: Literal[False] = False,
    **options: Unpack[_ImageOptions],
) -> Array: ...


@overload
def prox_tv_2d(
    x: ArrayLike, lam: Weights, *, return_info: Literal[True], **options: Unpack[_ImageOptions]
) -> tuple[Array, ProxInfo]: ...


def prox_tv_2d(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int] = (-2, -1),
    num_sweeps: int | None = None,
    tol: ArrayLike = TOL,
    deriv_tol: ArrayLike = DERIV_TOL,
    max_sweeps: int | Array = MAX_SWEEPS,
    init: Duals | None = None,
    return_info: bool = False,
) -> Array | tuple[Array, ProxInfo]:
    r"""Proximity operator of two-dimensional anisotropic total variation.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_F^2
        + \lambda \Bigl( \sum_{i,j} |y_{i+1,j} - y_{i,j}| + \sum_{i,j} |y_{i,j+1} - y_{i,j}| \Bigr)

    :func:`prox_tv` for two axes, with the same arguments, results and derivatives.

    Args:
      x: images. For channels last use ``axes=(-3, -2)``; every other axis is a batch axis.
      lam: as in :func:`prox_tv`, for example one number, or shape ``[C, 1, 1]`` for one weight per
        channel of images ``[..., C, H, W]``.
      axes: the two image axes.
      num_sweeps: as in :func:`prox_tv`.
      tol: as in :func:`prox_tv`.
      deriv_tol: as in :func:`prox_tv`.
      max_sweeps: as in :func:`prox_tv`.
      init: as in :func:`prox_tv`.
      return_info: as in :func:`prox_tv`.

    Returns:
      As :func:`prox_tv`.

    Raises:
      TypeError: as :func:`prox_tv`.
      ValueError: as :func:`prox_tv`, and if ``axes`` are not two.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> x = jnp.zeros((4, 4)).at[:, 2:].set(1.0)
      >>> jaxtv.prox_tv_2d(x, 0.1)[0]
      Array([0.05, 0.05, 0.95, 0.95], dtype=float32)

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (2) and Alg. 1.
    """
    options = Options(two(axes), num_sweeps, tol, deriv_tol, max_sweeps, init, return_info)
    return checked(x, lam, options)


def total_variation(x: ArrayLike, *, axes: Sequence[int], lam: Weights = 1.0) -> Array:
    r"""The anisotropic total variation of each image.

    .. math:: \sum_{a} \sum_e \lambda_{a,e} |(D_a x)_e|

    Args:
      x: floating array of any shape.
      axes: the axes along which variation is measured.
      lam: weight, at least 0, as in :func:`prox_tv`. An infinite one costs nothing where neighbours
        are equal, and its derivative there is 0.

    Returns:
      Array of the shape of ``x`` without ``axes``: float64 for float64, else float32, since sums
      over an image are out of the range of half types; inf or NaN where a sum overflows. NaN for an
      image with a negative or NaN weight.

    Raises:
      TypeError: if an argument has a wrong type, as in :func:`prox_tv`.
      ValueError: if an axis is out of range or repeated, ``lam`` does not broadcast, or a Python or
        NumPy number in it is negative or NaN.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.total_variation(jnp.array([[0.0, 1.0], [0.0, 3.0]]), axes=(0, 1))
      Array(6., dtype=float32)
    """
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(axes, x.ndim)
    lam = _arguments.real_per_axis(lam, "lam", axes)
    _arguments.not_negative(lam, "lam")
    unit = isinstance(lam, float) and lam == 1.0  # a constant of the program: no transfer
    return _total_variation(x, axes=axes) if unit else _total_variation(x, lam, axes=axes)


@functools.partial(jax.jit, static_argnames="axes")
def _total_variation(x: ArrayLike, lam: Weights = 1.0, *, axes: tuple[int, ...]) -> Array:
    x = jnp.asarray(x)
    lams = _arguments.weights_per_axis(lam, x, axes)
    x, *lams = sharding.placed(axes, x.astype(_arguments.compute_type(x)), *lams)
    total = measures.total_variation(x, lams, axes)
    return (total * jnp.where(measures.are_weights(x, lams, axes), 1, jnp.nan)).squeeze(axes)


def two(axes: Sequence[int]) -> tuple[int, ...]:
    """`axes`, if they are two."""
    found = _arguments.axes_tuple(axes)
    if len(found) != 2:
        raise ValueError(f"axes must name two axes, got {found}: use prox_tv for another number.")
    return found

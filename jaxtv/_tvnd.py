# SPDX-License-Identifier: MIT
"""The prox of total variation over several axes."""

import warnings
from collections.abc import Sequence
from typing import Literal, TypedDict, Unpack, overload

from jax import Array
from jax.typing import ArrayLike

from jaxtv import _arguments
from jaxtv._prox import TOL, Duals, Options, ProxInfo, Weights, checked


class ProxOptions(TypedDict, total=False):
    """The keyword arguments of `prox_tv` that have a default, but `return_info`."""

    kind: Literal["anisotropic", "isotropic"]
    channel_axis: int | None
    data_weight: ArrayLike | None
    periodic: bool
    num_sweeps: int | None
    tol: ArrayLike
    deriv_tol: ArrayLike | None
    max_sweeps: int | Array | None
    init: Duals | None


class _ImageOptions(ProxOptions, total=False):
    axes: Sequence[int] | None


@overload
def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    return_info: Literal[False] = False,
    **options: Unpack[ProxOptions],
) -> Array: ...


@overload
def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    return_info: Literal[True],
    **options: Unpack[ProxOptions],
) -> tuple[Array, ProxInfo]: ...


def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    kind: Literal["anisotropic", "isotropic"] = "anisotropic",
    channel_axis: int | None = None,
    data_weight: ArrayLike | None = None,
    periodic: bool = False,
    num_sweeps: int | None = None,
    tol: ArrayLike = TOL,
    deriv_tol: ArrayLike | None = None,
    max_sweeps: int | Array | None = None,
    init: Duals | None = None,
    return_info: bool = False,
) -> Array | tuple[Array, ProxInfo]:
    r"""Proximity operator of total variation over any number of axes.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_2^2
        + \sum_{a} \sum_e \lambda_{a,e} |(D_a y)_e|

    with :math:`D_a` the differences between neighbours along axis :math:`a`, or with
    ``kind="isotropic"``

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_2^2
        + \sum_i \Bigl( \sum_a \lambda_{a,i}^2 (D_a y)_i^2 \Bigr)^{1/2}

    with the differences from pixel :math:`i` to the next one along each axis. The other axes of
    ``x`` are batch axes: each image (volume, ...) is solved on its own.

    Args:
      x: array of any shape. float32, float64, bfloat16 or float16; half types are computed in
        float32. Complex numbers are two channels that are coupled as those of ``channel_axis``.
      lam: weight, at least 0, in the units of ``x``: one for all axes, which broadcasts against
        ``x`` with size 1 along every axis of ``axes``; or a tuple of one weight for each axis,
        which may vary along the other axes and have size ``n - 1`` along its own (a weight for each
        pair of neighbours). Traced: a new value does not recompile. Where the energy is not
        anisotropic with open ends, weights may be one for each pixel, of size ``n``: that of the
        difference to the next pixel. For spacings ``h_a`` of a grid pass ``lam / h_a``.
      axes: the axes along which variation is measured.
      kind: ``"anisotropic"`` charges each difference on its own, ``"isotropic"`` the length of the
        differences at a pixel, which does not favour edges along the axes.
      channel_axis: an axis whose differences are charged together: in the sums above, the square
        of a difference is the sum of those of all channels (vectorial total variation), so that
        edges of the channels fall on the same pixels. ``lam`` has size 1 along it.
      data_weight: weights :math:`m_i \ge 0` of the data, which make the first term
        :math:`\tfrac12 \sum_i m_i (y_i - x_i)^2`; broadcasts against ``x``. 0 is for missing
        pixels, whose ``x`` may be anything, NaN too: they are filled in. An image without any data
        is 0. ``error_bound`` and ``tol`` are then in the norm of the data weights.
      periodic: whether the last pixel along each axis is a neighbour of the first.
      num_sweeps: ``None`` iterates to ``tol``. ``K`` makes exactly ``K`` sweeps of proximal Dykstra
        (Alg. 1 of the paper), the last axis first; at most 10,000, since a call cannot be
        interrupted.
      tol: for ``num_sweeps=None``, the relative error at which an image stops:
        ``||y - y*|| <= tol * ||x - mean(x)||``, certified by a duality gap. It also stops where the
        error is at the rounding of the type, so 0 asks for the exact solution. The compiled CPU
        kernel sums the gap in float64 from terms that are at least 0, so it certifies down to that
        rounding in float32 too.
      deriv_tol: for ``num_sweeps=None``, the tolerance of a call that is differentiated, if it is
        below ``tol``. The default is 1e-6 for the anisotropic energy with open ends, and 1e-3 for
        the others, see below. The derivative is that of the regions where the result is constant;
        at 1e-6 nearly all of them are those of the solution: of a gradient in ``x`` the relative
        error is below 0.01 % in the median and 3 % at worst, for two to ten times the sweeps (the
        table is in ``benchmarks/README.md``). The value of such a call is more accurate too.
      max_sweeps: for ``num_sweeps=None``, where an image stops at the latest, by default after
        1000 sweeps, or 10,000 iterations for the other energies, which take about a tenth as long;
        ``info.converged`` says whether it met ``tol``. A sweep takes about as long as
        :func:`prox_tv_1d` along every axis, and a call cannot be interrupted before its last one.
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

    Differentiable in ``x``, ``lam`` and ``data_weight``, in reverse mode (:mod:`jaxtv.forward`: in
    both): through the sweeps for ``num_sweeps=K``, implicitly at the result for
    ``num_sweeps=None``, solved to ``deriv_tol``. Tolerances have no derivative.

    The first energy with open ends is solved by line solves, exactly on regions. All others (an
    isotropic ``kind``, ``channel_axis``, ``data_weight``, ``periodic`` or complex numbers) are
    solved by a primal-dual iteration, and small isotropic images on a CPU, where that is faster, by
    an interior-point method, whose steps count as sweeps too. On the result no two pixels need be
    equal; a bound near the rounding of the type is out of reach. In float32 the bound stays at
    about 1e-4 of the deviation of the image for weights of a tenth of it, 1e-3 for weights above
    it; the error itself is two to a hundred times less. The derivative is that of a linear problem,
    solved by the same iteration, or by factors, to the relative residual ``deriv_tol``: forward and
    reverse mode agree to that.

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
      Condat, "A primal-dual splitting method for convex optimization involving Lipschitzian,
      proximable and linear composite terms", J. Optim. Theory Appl. 2013.
    """
    model = (kind, channel_axis, data_weight, periodic)
    limits = (num_sweeps, tol, deriv_tol, max_sweeps)
    return checked(x, lam, Options(axes, *model, *limits, init, return_info))


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
    axes: Sequence[int] | None = None,
    kind: Literal["anisotropic", "isotropic"] = "anisotropic",
    channel_axis: int | None = None,
    data_weight: ArrayLike | None = None,
    periodic: bool = False,
    num_sweeps: int | None = None,
    tol: ArrayLike = TOL,
    deriv_tol: ArrayLike | None = None,
    max_sweeps: int | Array | None = None,
    init: Duals | None = None,
    return_info: bool = False,
) -> Array | tuple[Array, ProxInfo]:
    r"""Proximity operator of two-dimensional total variation.

    .. math::
      \operatorname{argmin}_y \tfrac12 \|y - x\|_F^2
        + \lambda \Bigl( \sum_{i,j} |y_{i+1,j} - y_{i,j}| + \sum_{i,j} |y_{i,j+1} - y_{i,j}| \Bigr)

    :func:`prox_tv` for two axes, with the same arguments, results and derivatives.

    Args:
      x: images. For channels last use ``axes=(-3, -2)``; every other axis is a batch axis.
      lam: as in :func:`prox_tv`, for example one number, or shape ``[C, 1, 1]`` for one weight per
        channel of images ``[..., C, H, W]``.
      axes: the two image axes, by default the last two.
      kind: as in :func:`prox_tv`.
      channel_axis: as in :func:`prox_tv`.
      data_weight: as in :func:`prox_tv`.
      periodic: as in :func:`prox_tv`.
      num_sweeps: as in :func:`prox_tv`.
      tol: as in :func:`prox_tv`.
      deriv_tol: as in :func:`prox_tv`.
      max_sweeps: as in :func:`prox_tv`.
      init: as in :func:`prox_tv`.
      return_info: as in :func:`prox_tv`.

    Returns:
      As :func:`prox_tv`. Where ``axes`` is left out and the shape looks like channels last, ``[...,
      H, W, C]`` with a ``C`` of at most 4, a warning asks which axes are meant.

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
    model = (kind, channel_axis, data_weight, periodic)
    limits = (num_sweeps, tol, deriv_tol, max_sweeps)
    return checked(x, lam, Options(image_axes(axes, x), *model, *limits, init, return_info))


def image_axes(axes: Sequence[int] | None, x: ArrayLike, stacklevel: int = 3) -> tuple[int, ...]:
    """The two axes of `prox_tv_2d`, with a hint where none are named and the last may be channels.

    That is where it has at most 4 entries, behind two axes of at least 16.
    """
    if axes is not None:
        return named_axes(axes, 2)
    shape = _arguments.signal(x, or_complex=True).shape
    sizes = [size for size in shape[-3:] if isinstance(size, int)]  # others are symbolic
    if len(sizes) == 3 and min(sizes[:2]) >= 16 and sizes[2] <= 4:
        warnings.warn(
            f"prox_tv_2d takes the last two axes of x, of shape {shape}, as those of an image of "
            f"{sizes[2]} columns. For channels last pass axes=(-3, -2); axes=(-2, -1) says that "
            "the last two are meant.",
            stacklevel=stacklevel,
        )
    return -2, -1


def named_axes(axes: Sequence[int], count: int) -> tuple[int, ...]:
    """`axes`, if they are so many."""
    found = _arguments.axes_tuple(axes)
    if len(found) != count:
        number = {2: "two", 3: "three"}[count]
        raise ValueError(
            f"axes must name {number} axes, got {found}: use prox_tv for another number."
        )
    return found

# SPDX-License-Identifier: MIT
"""Total variation over several axes: its value and its prox, composed of line solves."""

import functools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, overload

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import _alternating, _arguments, _images, _sharding, _sweeps, _tv1d

Weights = ArrayLike | tuple[ArrayLike, ...]
Duals = ArrayLike | tuple[ArrayLike, ...]


class ProxInfo(NamedTuple):
    """How well an image's prox was solved. Each field but ``dual`` has the batch shape of ``x``.

    Attributes:
      gap: duality gap at the result, in squared units of ``x``.
      error_bound: upper bound of the distance ``||y - y*||`` to the solution, from the gap: between
        its square root and that of twice the gap.
      sweeps: passes over all axes that were made.
      converged: whether the bound met ``tol``.
      exact: whether the bound is at the rounding of the type, ``eps * ||x||``.
      dual: ``None`` without ``init``. With it, for each of ``axes`` an array with the shape of
        ``x``, but ``n - 1`` along that axis: the dual ``p`` of each edge, ``|p| <= lam``. At the
        solution ``y = x - sum_a D_a^T p_a``. It is what ``init`` of the next call takes.
    """

    gap: Array
    error_bound: Array
    sweeps: Array
    converged: Array
    exact: Array
    dual: tuple[Array, ...] | None = None


@overload
def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    init: Duals | None = None,
    return_info: Literal[False] = False,
) -> Array: ...


@overload
def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    init: Duals | None = None,
    return_info: Literal[True],
) -> tuple[Array, ProxInfo]: ...


def prox_tv(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: Sequence[int],
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
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
        (Alg. 1 of the paper), the last axis first.
      tol: for ``num_sweeps=None``, the relative error at which an image stops:
        ``||y - y*|| <= tol * ||x - mean(x)||``, certified by a duality gap. It also stops where the
        error is at the rounding of the type, so 0 asks for the exact solution. The compiled CPU
        kernel sums the gap in float64 from terms that are at least 0, so it certifies down to that
        rounding in float32 too.
      max_sweeps: for ``num_sweeps=None``, where an image stops at the latest; ``info.converged``
        says whether it met ``tol``.
      init: for ``num_sweeps=None``, where to start: ``info.dual`` of an earlier call, for an input
        or weights that have changed a little since, or 0 for a first call that is to return its
        dual. Duals beyond the weights are cut back to them, so any numbers are a valid start; they
        change how many sweeps an image needs, not to what accuracy it is solved. Not
        differentiated. Platforms without a compiled kernel take it, and start as without.
      return_info: also return a :class:`ProxInfo`.

    Returns:
      Array of the shape and dtype of ``x``, or the pair of it and a :class:`ProxInfo`. An image
      with a non-finite pixel or with a negative or NaN weight is all NaN; no other image changes.

    Raises:
      TypeError: if ``x`` is not of a floating type.
      ValueError: if an axis is out of range or repeated, ``lam`` or ``init`` does not broadcast,
        ``tol`` or a number of sweeps is negative, or ``init`` is given with ``num_sweeps``.

    Differentiable in ``x`` and ``lam``, in reverse mode: through the sweeps for ``num_sweeps=K``,
    implicitly at the result for ``num_sweeps=None``. ``tol`` has no derivative.

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
    return checked(x, lam, axes, num_sweeps, tol, max_sweeps, init, return_info, REVERSE)


@overload
def prox_tv_2d(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: tuple[int, int] = (-2, -1),
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    init: Duals | None = None,
    return_info: Literal[False] = False,
) -> Array: ...


@overload
def prox_tv_2d(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: tuple[int, int] = (-2, -1),
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    init: Duals | None = None,
    return_info: Literal[True],
) -> tuple[Array, ProxInfo]: ...


def prox_tv_2d(
    x: ArrayLike,
    lam: Weights,
    *,
    axes: tuple[int, int] = (-2, -1),
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
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
    check_two(axes)
    return checked(x, lam, axes, num_sweeps, tol, max_sweeps, init, return_info, REVERSE)


def total_variation(x: ArrayLike, *, axes: Sequence[int], lam: Weights = 1.0) -> Array:
    r"""The anisotropic total variation of each image.

    .. math:: \sum_{a} \sum_e \lambda_{a,e} |(D_a x)_e|

    Args:
      x: floating array of any shape.
      axes: the axes along which variation is measured.
      lam: weight, as in :func:`prox_tv`.

    Returns:
      Array of the dtype of ``x``, of its shape without ``axes``.

    Raises:
      TypeError: if ``x`` is not of a floating type.
      ValueError: if an axis is out of range or repeated, or ``lam`` does not broadcast.

    Example:
      >>> import jax.numpy as jnp, jaxtv
      >>> jaxtv.total_variation(jnp.array([[0.0, 1.0], [0.0, 3.0]]), axes=(0, 1))
      Array(6., dtype=float32)
    """
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(tuple(axes), x.ndim)
    lams = _arguments.weights_per_axis(lam, x, axes)
    wide, *lams = _sharding.placed(axes, x.astype(_arguments.compute_type(x)), *lams)
    return _alternating.total_variation(wide, lams, axes).squeeze(axes).astype(x.dtype)


def check_two(axes: Sequence[int]) -> None:
    """Refuses another number of axes than two."""
    if len(axes) != 2:
        raise ValueError(f"axes must name two axes, got {axes}: use prox_tv for another number.")


class Rules(NamedTuple):
    """The operators with their derivatives, in one mode."""

    line: Callable  # as _tv1d.solve
    sweeps: Callable  # as _sweeps.solve
    images: Callable  # as _images.solve


def checked(
    x: ArrayLike,
    lam: Weights,
    axes: Sequence[int],
    num_sweeps: int | None,
    tol: ArrayLike,
    max_sweeps: ArrayLike,
    init: Duals | None,
    return_info: bool,
    rules: Rules,
) -> Array | tuple[Array, ProxInfo]:
    """What `prox_tv` returns, with the derivatives that `rules` have."""
    if num_sweeps is not None:
        num_sweeps = _arguments.count(num_sweeps, "num_sweeps")
        if init is not None:
            raise ValueError(
                f"init is for num_sweeps=None, got num_sweeps={num_sweeps}: sweeps of a fixed "
                "number start from x; leave out one of the two."
            )
    _arguments.not_negative(tol, "tol")
    _arguments.not_negative(max_sweeps, "max_sweeps")
    static = {"axes": tuple(axes), "num_sweeps": num_sweeps, "rules": rules}
    return _prox_tv(x, lam, tol, max_sweeps, init, return_info=return_info, **static)


@functools.partial(jax.jit, static_argnames=("axes", "num_sweeps", "return_info", "rules"))
def _prox_tv(
    x: ArrayLike,
    lam: Weights,
    tol: ArrayLike,
    max_sweeps: ArrayLike,
    init: Duals | None,
    *,
    axes: tuple[int, ...],
    num_sweeps: int | None,
    return_info: bool,
    rules: Rules,
) -> Array | tuple[Array, ProxInfo]:
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(axes, x.ndim)
    lams = _arguments.weights_per_axis(lam, x, axes)
    duals = _duals_per_axis(init, x, axes)
    operands = (x.astype(_arguments.compute_type(x)), *lams, *duals)
    wide, *placed = _sharding.placed(axes, *operands)
    lams, duals = placed[: len(axes)], tuple(placed[len(axes) :])
    if x.size == 0:
        num_sweeps = 0
        edges = (_sharding.edges(wide, axis).shape for axis in axes)
        duals = tuple(jnp.zeros(s, wide.dtype) for s in edges if duals)
    if num_sweeps is not None:
        y = _sweep(wide, lams, axes, num_sweeps, rules)
        info = _info_of_sweeps(wide, y, lams, axes, num_sweeps, tol) if return_info else ()
    else:
        order = sorted(range(len(axes)), key=axes.__getitem__)
        per_image = (1,) * x.ndim
        solution: _images.Solution = rules.images(
            wide,
            tuple(lams[k] for k in order),
            lax.stop_gradient(tuple(duals[k] for k in order if duals)),
            jnp.asarray(tol, wide.dtype).reshape(per_image),
            jnp.asarray(max_sweeps, jnp.int32).reshape(per_image),
            tuple(axes[k] for k in order),
        )
        y, *info, found = solution
        duals = tuple(found[order.index(k)] for k in range(len(axes)) if duals)
    y = _sharding.sharded_as(y.astype(x.dtype), x)
    if not return_info:
        return y
    fields = (lax.stop_gradient(f).squeeze(axes) for f in info[:5])
    return y, ProxInfo(*fields, dual=lax.stop_gradient(duals) or None)


def _duals_per_axis(init: Duals | None, x: Array, axes: tuple[int, ...]) -> tuple[Array, ...]:
    """One array of duals for each of `axes`, which broadcast as weights do; or none."""
    if init is None:
        return ()
    if not isinstance(init, tuple):
        return tuple(_arguments.weights(init, x, axis, "init") for axis in axes)
    if len(init) != len(axes):
        raise ValueError(
            f"init must have one entry for each of {len(axes)} axes, got a tuple of {len(init)}: "
            "pass info.dual of a call with the same axes."
        )
    pairs = zip(init, axes, strict=True)
    return tuple(_arguments.weights(p, x, a, f"init[{k}]") for k, (p, a) in enumerate(pairs))


def _sweep(
    x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int, rules: Rules
) -> Array:
    """Sweeps of Alg. 1: the last axis goes first, as rows do before columns."""
    if num_sweeps == 0:
        return jnp.where(_alternating.is_valid(x, lams, axes), x, jnp.nan)
    if len(axes) == 1:  # the first sweep solves it
        return rules.line(x, lams[0], axes[0], "direct")[0]
    return rules.sweeps(x, lams[::-1], axes[::-1], num_sweeps)


def _info_of_sweeps(
    x: Array,
    y: Array,
    lams: Sequence[Array],
    axes: tuple[int, ...],
    num_sweeps: int,
    tol: ArrayLike,
) -> ProxInfo:
    """How good `y` is. Its dual is x - y: a sum of one feasible image for each axis."""
    x, y, lams = lax.stop_gradient((x, y, lams))
    gap = _alternating.gap(y, (x - y,), lams, axes)
    bound = jnp.sqrt(gap)
    converged = bound <= jnp.asarray(tol, x.dtype) * _alternating.deviation(x, axes)
    sweeps = jnp.full_like(gap, num_sweeps, jnp.int32)
    return ProxInfo(gap, bound, sweeps, converged, _alternating.is_exact(x, bound, axes))


REVERSE = Rules(_tv1d.solve, _sweeps.solve, _images.solve)

# SPDX-License-Identifier: MIT
"""Operators on every image of an array, as JAX primitives.

An image spans the TV axes, ascending; all other axes are batch axes. What the operators compute is
in `cpu/images/solve.h` (compiled) and `jaxtv/_plain/tvnd.py`.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray
from jax.typing import ArrayLike

from jaxtv._operators import tv1d
from jaxtv._plain import measures, rounded
from jaxtv._plain import tvnd as plain_tvnd
from jaxtv._plumbing import primitive, sharding


class ProxInfo(NamedTuple):
    """How well an image's prox was solved. Each field but ``dual`` has the batch shape of ``x``.

    Attributes:
      gap: duality gap at the result, in squared units of ``x``; in half types before the result is
        rounded to its type.
      error_bound: upper bound of the distance ``||y - y*||`` to the solution, from the gap: between
        its square root and that of twice the gap; in half types plus the distance by which the
        result is rounded. It also allows for the rounding of the sums behind it; but in float64
        the compiled kernels take ``x - sum_a D_a^T p_a`` for exact, which leaves out the last
        digits of a bound of about ``eps * ||x||``.
      sweeps: passes over all axes that were made.
      converged: whether ``error_bound`` is at most ``tol * ||x - mean(x)||``. In half types the
        rounding of the result alone is above that for a ``tol`` of less than about 1e-3 (float16)
        or 1e-2 (bfloat16).
      exact: whether ``error_bound`` is at most ``eps * ||x||``, the rounding of the type of ``x``.
        For fixed sweeps it is hardly ever: their result is not constant on regions, and the gap of
        the rounding between neighbours, of size ``eps``, bounds the error by about ``sqrt(eps)``.
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


def info_of_rounded(
    info: ProxInfo, x: Array, moved: Array, axes: tuple[int, ...], tol: ArrayLike, dtype: jnp.dtype
) -> ProxInfo:
    """`info` of a result rounded to a half type, which moved it: its error grows by that."""
    bound = rounded.up(info.error_bound + rounded.up(moved))
    converged = bound <= jnp.asarray(tol, x.dtype) * measures.deviation(x, axes)
    exact = bound <= float(jnp.finfo(dtype).eps) * measures.norm(x, axes)
    return info._replace(error_bound=bound, converged=converged, exact=exact)


def prox(
    x: Array,
    lams: Sequence[Array],
    init: Sequence[Array],
    tol: Array,
    max_sweeps: Array,
    *,
    axes: tuple[int, ...],
) -> tuple[Array, ProxInfo]:
    """The TV prox of each image, to an error of at most `tol * ||x - mean(x)||`.

    Args:
      x: float32 or float64, any shape.
      lams: weights, one for each of `axes`, as for `tv1d.prox`.
      init: duals to start from, one for each of `axes`, of such shapes as `lams`; or none.
      tol: same dtype and rank as x, size 1 along `axes`, else that of x or 1.
      max_sweeps: int32, of such a shape as `tol`.
      axes: ascending, not negative.

    Returns:
      The prox, whose equal neighbours with a positive weight are fused, or all NaN; and how well
      it was solved, in fields that have size 1 along `axes`.
    """
    if init:
        results = primitive.bind(_warm_prox_p, x, tol, max_sweeps, *lams, *init, axes=axes)
    else:
        results = primitive.bind(_prox_p, x, tol, max_sweeps, *lams, axes=axes)
    y, gap, bound, sweeps, converged, exact, *dual = results
    return y, ProxInfo(gap, bound, sweeps, converged, exact, tuple(dual) or None)


def component_mean(y: Array, lams: Sequence[Array], v: Array, *, axes: tuple[int, ...]) -> Array:
    """The mean of `v` over connected components of equal `y`; self-adjoint in `v`.

    Pixels are connected along an axis if their weight is positive.
    """
    return primitive.bind(_component_mean_p, y, v, *lams, axes=axes)[0]


def push_forward(
    y: Array, lams: Sequence[Array], dx: Array, dlams: Sequence[Array], *, axes: tuple[int, ...]
) -> Array:
    """The tangent P (dx - sum_a D_a^T (s_a * dlam_a)) of the prox `y`; linear in both tangents."""
    return primitive.bind(_push_forward_p, dx, y, *dlams, *lams, axes=axes)[0]


# Implicit differentiation at the solution. Let A be the edges, of any axis, across which y is
# equal, P the mean over the connected components of A, and s the signs of the other differences.
# As in one dimension (_tv1d.py), y = P (x - sum_a D_a^T (lam_a * s_a)) with A and s locally
# constant, so
#
#     dy = P (dx - sum_a D_a^T (s_a * dlam_a)),
#
# and as P is symmetric, a cotangent y_bar pulls back to
#
#     x_bar = P y_bar,      lam_bar_a = -s_a * (D_a P y_bar),   summed over what shares a weight.
#
# An edge without weight is not in A: it ties nothing, even if its ends happen to be equal.
#
# A point within tol of the solution need not have its components, and the derivative depends on
# nothing else. So a call that is differentiated is solved to `deriv_tol`, value and derivative.
@functools.partial(jax.custom_jvp, nondiff_argnums=(6,))
def solve(
    x: Array,
    lams: tuple[Array, ...],
    init: tuple[Array, ...],
    tol: Array,
    deriv_tol: Array,
    max_sweeps: Array,
    axes: tuple[int, ...],
) -> tuple[Array, ProxInfo]:
    """`prox` with the derivatives of the solution, as solved to the relative error `deriv_tol`."""
    del deriv_tol  # for the derivative
    return prox(x, lams, init, tol, max_sweeps, axes=axes)


@solve.defjvp
def _solve_jvp(axes, primals, tangents):
    x, lams, init, tol, deriv_tol, max_sweeps = primals
    deviation = measures.deviation(lax.stop_gradient(x), axes)
    closer = jnp.minimum(tol, jnp.maximum(deriv_tol, _closest_tol(x, deviation, axes)))
    y, info = solve(x, lams, init, closer, deriv_tol, max_sweeps, axes)
    info = info._replace(converged=info.converged | (info.error_bound <= tol * deviation))
    dx, dlams, *_ = tangents
    dy = push_forward(*lax.stop_gradient((y, lams)), dx, dlams, axes=axes)
    return (y, info), (dy, jax.tree.map(primitive.no_tangent, info))


def _closest_tol(x: Array, deviation: Array, axes: tuple[int, ...]) -> Array:
    """Four times the rounding of the image.

    In float32 the bound may stay at twice the rounding, however many sweeps are made.
    """
    rounding = measures.rounding(lax.stop_gradient(x), axes)
    return 4 * rounding / jnp.where(deviation > 0, deviation, 1)


solve_reverse_only = primitive.reverse_only(solve)


def _component_mean_transpose(cotangents, y: Array, *lams: Array, axes: tuple[int, ...]):
    return [component_mean(y, lams, *cotangents, axes=axes)]


def _push_forward(dx: Array, y: Array, *operands: Array, axes: tuple[int, ...]) -> list[Array]:
    dlams, lams = operands[: len(axes)], operands[len(axes) :]
    for dlam, axis in zip(dlams, axes, strict=True):
        dx = tv1d.shifted(y, dx, dlam, axis=axis)
    return [component_mean(y, lams, dx, axes=axes)]


def _push_forward_transpose(cotangents, y: Array, *lams: Array, axes: tuple[int, ...]):
    x_bar = component_mean(y, lams, *cotangents, axes=axes)
    lam_bars = (-tv1d.jump_signs(y, axis=a) * jnp.diff(x_bar, axis=a) for a in axes)
    return [x_bar, *lam_bars]


def _results(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    dtypes = (x.dtype, x.dtype, jnp.int32, bool, bool)
    return [x, *(sharding.reduced(x, axes, dtype) for dtype in dtypes)]


def _warm_results(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    return [*_results(x, axes=axes), *(sharding.edges(x, axis) for axis in axes)]


_prox_p = primitive.make("jaxtv_prox_tvnd", plain_tvnd.solve, results=_results, full_operands=(0,))
_warm_prox_p = primitive.make(
    "jaxtv_prox_tvnd_warm", plain_tvnd.solve, results=_warm_results, full_operands=(0,)
)
_component_mean_p = primitive.make(
    "jaxtv_component_mean",
    plain_tvnd.component_mean,
    results=lambda y, *_, axes: [y],
    full_operands=(0, 1),
)
_push_forward_p = primitive.make(
    "jaxtv_component_push_forward",
    _push_forward,
    results=lambda dx, *_, axes: [dx],
    full_operands=(0, 1),
)
primitive.linear(_component_mean_p, _component_mean_transpose, operands=lambda **_: (1,))
primitive.linear(
    _push_forward_p,
    _push_forward_transpose,
    operands=lambda axes: (0, *range(2, 2 + len(axes))),
)

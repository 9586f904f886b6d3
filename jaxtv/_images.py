# SPDX-License-Identifier: MIT
"""Operators on every image of an array, as JAX primitives.

An image spans the TV axes, ascending; all other axes are batch axes. What the operators compute is
in `cpu/images/solve.h` (compiled) and `_alternating.py` (plain JAX).
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray

from jaxtv import _alternating, _lines, _primitive, _sharding, _tv1d


class Solution(NamedTuple):
    """The prox of each image. All fields but `y` have size 1 along the TV axes.

    Attributes:
      y: a point whose equal neighbours with a positive weight are fused, or all NaN.
      gap: duality gap at `y`.
      error_bound: upper bound of the distance of `y` to the solution.
      sweeps: sweeps that were made.
      converged: whether the error bound meets the tolerance.
      exact: whether the error bound is at the rounding of the type.
      duals: of the edges along each axis, where `prox` got some to start from.
    """

    y: Array
    gap: Array
    error_bound: Array
    sweeps: Array
    converged: Array
    exact: Array
    duals: tuple[Array, ...] = ()


def prox(
    x: Array,
    lams: Sequence[Array],
    init: Sequence[Array],
    tol: Array,
    max_sweeps: Array,
    axes: tuple[int, ...],
) -> Solution:
    """The TV prox of each image, to an error of at most `tol * ||x - mean(x)||`.

    Args:
      x: float32 or float64, any shape.
      lams: weights, one for each of `axes`, as for `_lines.prox`.
      init: duals to start from, one for each of `axes`, of such shapes as `lams`; or none.
      tol: same dtype and rank as x, size 1 along `axes`, else that of x or 1.
      max_sweeps: int32, of such a shape as `tol`.
      axes: ascending, not negative.
    """
    if init:
        results = _primitive.bind(_warm_prox_p, x, tol, max_sweeps, *lams, *init, axes=axes)
    else:
        results = _primitive.bind(_prox_p, x, tol, max_sweeps, *lams, axes=axes)
    y, gap, bound, sweeps, converged, exact, *duals = results
    return Solution(y, gap, bound, sweeps, converged, exact, tuple(duals))


def component_mean(y: Array, lams: Sequence[Array], v: Array, *, axes: tuple[int, ...]) -> Array:
    """The mean of `v` over connected components of equal `y`; self-adjoint in `v`.

    Pixels are connected along an axis if their weight is positive.
    """
    return _primitive.bind(_component_mean_p, y, v, *lams, axes=axes)[0]


# Implicit differentiation at the solution. Let A be the edges, of any axis, across which y is
# equal, P the mean over the connected components of A, and s the signs of the other differences.
# As in one dimension (_tv1d.py), y = P (x - sum_a D_a^T (lam_a * s_a)) with A and s locally
# constant, so
#
#     x_bar = P y_bar,      lam_bar_a = -s_a * (D_a P y_bar),   summed over what shares a weight.
#
# An edge without weight is not in A: it ties nothing, even if its ends happen to be equal.
#
# A point within tol of the solution need not have its components, and the derivative depends on
# nothing else. So a call that is differentiated is solved to `deriv_tol`, value and derivative.
@functools.partial(jax.custom_vjp, nondiff_argnums=(6,))
def solve(
    x: Array,
    lams: tuple[Array, ...],
    init: tuple[Array, ...],
    tol: Array,
    deriv_tol: Array,
    max_sweeps: Array,
    axes: tuple[int, ...],
) -> Solution:
    """`prox` with the derivative of the solution, in reverse mode."""
    del deriv_tol  # for the derivative
    return prox(x, lams, init, tol, max_sweeps, axes)


def _solve_closer(
    rule: Callable,
    x: Array,
    lams: tuple[Array, ...],
    init: tuple[Array, ...],
    tol: Array,
    deriv_tol: Array,
    max_sweeps: Array,
    axes: tuple[int, ...],
) -> Solution:
    """The solution to the tolerance of a derivative; `converged` says whether `tol` is met.

    Not closer than four times the rounding of the image: in float32 the bound may stay at twice the
    rounding, however many sweeps are made.
    """
    fixed = lax.stop_gradient(x)
    deviation = _alternating.deviation(fixed, axes)
    rounding = _alternating.rounding(fixed, axes) / jnp.where(deviation > 0, deviation, 1)
    tight = jnp.minimum(tol, jnp.maximum(deriv_tol, 4 * rounding))
    solution: Solution = rule(x, lams, init, tight, deriv_tol, max_sweeps, axes)
    met = solution.error_bound <= tol * deviation
    return solution._replace(converged=solution.converged | met)


def _solve_fwd(x, lams, init, tol, deriv_tol, max_sweeps, axes):
    solution = _solve_closer(solve, x, lams, init, tol, deriv_tol, max_sweeps, axes)
    return solution, (solution.y, lams, init, tol, deriv_tol, max_sweeps)


def _solve_bwd(axes, residuals, cotangent):
    y, lams, *others = residuals
    y, lams = lax.stop_gradient((y, lams))
    x_bar = component_mean(y, lams, cotangent.y, axes=axes)
    lams_bar = tuple(
        _tv1d.WeightSpec.of(lam).pull_back(y, x_bar, axis)
        for lam, axis in zip(lams, axes, strict=True)
    )
    return x_bar, lams_bar, *jax.tree.map(_no_tangent, others)


solve.defvjp(_solve_fwd, _solve_bwd)


@functools.partial(jax.custom_jvp, nondiff_argnums=(6,))
def solve_both_modes(
    x: Array,
    lams: tuple[Array, ...],
    init: tuple[Array, ...],
    tol: Array,
    deriv_tol: Array,
    max_sweeps: Array,
    axes: tuple[int, ...],
) -> Solution:
    """`solve` with derivatives in both modes."""
    del deriv_tol  # for the derivative
    return prox(x, lams, init, tol, max_sweeps, axes)


# In forward mode, for the same reasons: dy = P (dx - sum_a D_a^T (s_a * dlam_a)).
@solve_both_modes.defjvp
def _solve_jvp(axes, primals, tangents):
    x, lams, init, tol, deriv_tol, max_sweeps = primals
    dy, dlams, *_ = tangents
    solution = _solve_closer(solve_both_modes, x, lams, init, tol, deriv_tol, max_sweeps, axes)
    y, lams = lax.stop_gradient((solution.y, lams))
    for dlam, axis in zip(dlams, axes, strict=True):
        dy = _lines.shifted(y, dy, dlam, axis=axis)
    dy = component_mean(y, lams, dy, axes=axes)
    return solution, jax.tree.map(_no_tangent, solution)._replace(y=dy)


def _no_tangent(value: Array) -> Array:
    """The tangent or cotangent 0 of a value that has no derivative."""
    return jnp.zeros_like(value, jax.typeof(value).to_tangent_aval().dtype)


def _solution(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    dtypes = (x.dtype, x.dtype, jnp.int32, bool, bool)
    return [x, *(_sharding.reduced(x, axes, dtype) for dtype in dtypes)]


def _warm_solution(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...]) -> list[ShapedArray]:
    return [*_solution(x, axes=axes), *(_sharding.edges(x, axis) for axis in axes)]


_prox_p = _primitive.make(
    "jaxtv_prox_tvnd", _alternating.solve, results=_solution, full_operands=(0,)
)
_warm_prox_p = _primitive.make(
    "jaxtv_prox_tvnd_warm", _alternating.solve, results=_warm_solution, full_operands=(0,)
)
_component_mean_p = _primitive.make(
    "jaxtv_component_mean",
    _alternating.component_mean,
    results=lambda y, *_, axes: [y],
    full_operands=(0, 1),
)
_primitive.self_adjoint(_component_mean_p)

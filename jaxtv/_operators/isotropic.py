# SPDX-License-Identifier: MIT
"""Total variation that couples differences, over images whose channel axis comes first.

What the operators compute is in `cpu/isotropic/solve.h` (compiled) and `_plain/isotropic.py`.
"""

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray

from jaxtv._operators import isotropic_size
from jaxtv._plain import isotropic as plain
from jaxtv._plain.stencil import Stencil
from jaxtv._plumbing import primitive, sharding

_LINEAR_LIMIT = 20_000


class Solution(NamedTuple):
    """The prox, the duals of all axes, and numbers for each image."""

    y: Array
    duals: tuple[Array, ...]
    gap: Array
    bound: Array
    sweeps: Array


def prox(
    x: Array,
    data_weight: Array,
    lams: Sequence[Array],
    init: Sequence[Array],
    target: Array,
    limit: Array,
    *,
    stencil: Stencil,
) -> Solution:
    """The prox of each image, of about unit size, to an error bound of `target`.

    Args:
      x: float32 or float64, finite, any shape.
      data_weight: at least 0, not all 0 in an image; dimensions as x or 1.
      lams: weights of each axis of the image, finite, one per pixel; dimensions as x or 1, 1 along
        the channel axis.
      init: duals to start from, one for each axis; dimensions as x or 1.
      target: the error bound at which to stop; size 1 along `stencil.axes`, else as x or 1.
      limit: int32, of such a shape: the number of iterations at which to stop.
      stencil: `axes` are the last ones of x.
    """
    even = stencil.is_even(data_weight)
    root = 1.0 if even else isotropic_size.root_of_energy(x, data_weight, lams, stencil)
    m, *forces = (root**2 * a for a in (data_weight, *lams, *init))
    operands = (x, m, root * target, limit, *forces)
    y, gap, bound, sweeps, *duals = primitive.bind(_prox_p, *operands, **stencil._asdict())
    return Solution(y, tuple(p / root**2 for p in duals), gap / root**2, bound / root, sweeps)


def solve_linear(
    source: Array,
    data_weight: Array,
    lams: Sequence[Array],
    lengths: Sequence[Array],
    directions: Sequence[Array],
    tol: Array,
    limit: Array,
    *,
    stencil: Stencil,
) -> Array:
    """The solution of (M + D^T C D) z = source; self-adjoint in the source.

    C is that of `_plain/isotropic.py`.
    """
    operands = (source, data_weight, tol, limit, *lams, *lengths, *directions)
    return primitive.bind(_linear_p, *operands, **stencil._asdict())[0]


# Implicit differentiation at the solution. A group is active where p + s D y is longer than r: it
# has a length |h_i| > 0, h = w * D y, and its dual is r h_i / |h_i|. The other groups are 0, also
# near almost every input, and their duals are multipliers that nothing else knows. So
#
#     F(y, x, m, w) = m (y - x) + D^T (w * n) = 0,      n_i = h_i / |h_i| on active groups,
#
# determines y on the images whose inactive groups are 0, and there
#
#     (M + D^T C D) dy = -dF(dx, dm, dw),   C_i = w (I - n_i n_i^T) w / |h_i|, infinite if inactive,
#
# where dF is the derivative at constant y. The system is self-adjoint, so the transpose is the same
# solve followed by the transpose of dF.
@functools.partial(jax.custom_jvp, nondiff_argnums=(7,))
def solve(
    x: Array,
    data_weight: Array,
    lams: tuple[Array, ...],
    init: tuple[Array, ...],
    tol: Array,
    deriv_tol: Array,
    limit: Array,
    stencil: Stencil,
) -> Solution:
    """`prox` to a relative error, with the derivatives of the solution.

    A call that is differentiated is solved to `deriv_tol`, and so is the linear system.
    """
    del deriv_tol  # for the derivative
    goal = isotropic_size.target(tol, x, data_weight, lams, stencil)
    return prox(x, data_weight, lams, init, goal, limit, stencil=stencil)


@solve.defjvp
def _solve_jvp(stencil, primals, tangents):
    x, m, lams, init, tol, deriv_tol, limit = primals
    closer = jnp.minimum(tol, deriv_tol)
    solution = solve(x, m, lams, init, closer, deriv_tol, limit, stencil)
    y = solution.y
    active = _active_groups(*lax.stop_gradient((solution, lams)), stencil)
    dx, dm, dlams, *_ = tangents

    def force(x: Array, m: Array, lams: tuple[Array, ...]) -> Array:
        steps = stencil.steps(lams, y)
        return m * (y - x) + stencil.force(lams, _directions(steps, active, stencil))

    _, moved = jax.jvp(force, (x, m, lams), (dx, dm, dlams))
    dy = _solve_at(-moved, y, m, lams, active, lax.stop_gradient(deriv_tol), stencil)
    no_tangents = jax.tree.map(primitive.no_tangent, solution)
    return solution, no_tangents._replace(y=dy)


solve_reverse_only = primitive.reverse_only(solve)


def _solve_at(
    source: Array,
    y: Array,
    m: Array,
    lams: tuple[Array, ...],
    active: tuple[Array, ...],
    tol: Array,
    stencil: Stencil,
) -> Array:
    """The solution z of (M + D^T C D) z = source at y, without differences in inactive groups."""
    _, slopes = stencil.radii(lams, y)
    steps = stencil.steps(slopes, y)
    safe = [jnp.where(a, h, 1) for a, h in zip(active, steps, strict=True)]
    lengths = [jnp.where(a, n, 0) for a, n in zip(active, stencil.lengths(safe), strict=True)]
    directions = _directions(steps, active, stencil)
    # A constant result stays constant, and to spread a mean step by step takes long.
    axes = stencil.axes
    tied = [
        ~a.any(axes, keepdims=True) & (w > 0).all(axes, keepdims=True)
        for a, w in zip(active, lams, strict=True)
    ]
    constant = functools.reduce(operator.and_, tied)
    limit = jnp.where(constant, 0, _LINEAR_LIMIT).astype(jnp.int32)
    z = solve_linear(source, m, lams, lengths, directions, tol, limit, stencil=stencil)
    data = jnp.broadcast_to(m, y.shape).sum(axes[1:], keepdims=True)
    mean = source.sum(axes[1:], keepdims=True) / jnp.where(data > 0, data, 1)
    return jnp.where(constant, mean, z)


def _directions(steps: Sequence[Array], active: Sequence[Array], stencil: Stencil) -> list[Array]:
    """Each active group divided by its length, 0 for the others."""
    safe = [jnp.where(a, h, 1) for a, h in zip(active, steps, strict=True)]
    lengths = stencil.lengths(safe)
    return [jnp.where(a, h / n, 0) for a, h, n in zip(active, safe, lengths, strict=True)]


def _active_groups(
    solution: Solution, lams: Sequence[Array], stencil: Stencil
) -> tuple[Array, ...]:
    """Where the projection of p + s D y on the duals of a group changes it."""
    radii, slopes = stencil.radii(lams, solution.y)
    steps = stencil.steps(slopes, solution.y)
    ahead = [p + h for p, h in zip(solution.duals, steps, strict=True)]
    found = zip(stencil.lengths(ahead), stencil.lengths(steps), radii, strict=True)
    return tuple((length > r) & (step > 0) & (r > 0) for length, step, r in found)


def _results(x: ShapedArray, *_: ShapedArray, axes: tuple[int, ...], **__) -> list[ShapedArray]:
    numbers = [sharding.reduced(x, axes, dtype) for dtype in (x.dtype, x.dtype, jnp.int32)]
    return [x, *numbers, *([x] * (len(axes) - 1))]


def _linear_results(x: ShapedArray, *_, axes: tuple[int, ...], **__) -> list[ShapedArray]:
    return [x, sharding.reduced(x, axes, x.dtype), sharding.reduced(x, axes, jnp.int32)]


def _linear_jvp(primals, tangents, **params):
    """With H z = source, H dz = dsource - dH z."""
    source, m, tol, limit, *others = primals
    dsource, dm, _, _, *dothers = tangents
    results = primitive.bind(_linear_p, *primals, **params)
    z, stencil, count = results[0], Stencil(**params), len(params["axes"]) - 1

    def applied(m: Array, *others: Array) -> Array:
        """H z but for inactive groups, which have no coefficient."""
        lams, lengths, q = (others[k * count : (k + 1) * count] for k in range(3))
        radii, slopes = stencil.radii(lams, z)
        across = stencil.across(stencil.steps(slopes, z), q)
        duals = [
            jnp.where(n > 0, r * h / jnp.where(n > 0, n, 1), 0)
            for r, h, n in zip(radii, across, lengths, strict=True)
        ]
        return m * z + stencil.force(slopes, duals)

    coefficients, moves = (m, *others), (dm, *dothers)
    right = jnp.zeros_like(source) if dsource is None else dsource
    if any(move is not None for move in moves):
        full = tuple(
            jnp.zeros_like(a) if move is None else move
            for a, move in zip(coefficients, moves, strict=True)
        )
        right -= jax.jvp(applied, coefficients, full)[1]
    return results, primitive.bind(_linear_p, right, m, tol, limit, *others, **params)[0]


def _linear_transpose(cotangents, m: Array, *others: Array, **params):
    return [primitive.bind(_linear_p, cotangents[0], m, *others, **params)[0]]


_prox_p = primitive.make("jaxtv_prox_isotropic", plain.solve, results=_results, full_operands=(0,))
_linear_p = primitive.make(
    "jaxtv_isotropic_linear", plain.solve_linear, results=_linear_results, full_operands=(0,)
)
primitive.linear(_linear_p, _linear_transpose, operands=lambda **_: (0,))
primitive.differentiable(_linear_p, _linear_jvp)

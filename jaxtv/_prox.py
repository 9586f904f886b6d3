# SPDX-License-Identifier: MIT
"""From the arguments of prox_tv to the solver that serves them."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import (
    _alternating,
    _arguments,
    _certificate,
    _images,
    _reference_sweeps,
    _rounded,
    _sharding,
)

DERIV_TOL = 1e-6
TOL = 1e-3
MAX_SWEEPS = 1000
Weights = ArrayLike | tuple[ArrayLike, ...]
Duals = ArrayLike | tuple[ArrayLike, ...]


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
    deriv_tol: ArrayLike,
    max_sweeps: ArrayLike,
    init: Duals | None,
    return_info: bool,
    rules: Rules,
) -> Array | tuple[Array, ProxInfo]:
    """What `prox_tv` returns, with the derivatives that `rules` have."""
    x = _arguments.signal(x)
    axes = _arguments.tv_axes(axes, x.ndim)
    lam = _arguments.real_per_axis(lam, "lam", axes)
    num_sweeps = _arguments.sweeps(num_sweeps)
    if init is not None:
        init = _arguments.real_per_axis(init, "init", axes)
        if num_sweeps is not None:
            raise ValueError(
                f"init is for num_sweeps=None, got num_sweeps={num_sweeps}: sweeps of a fixed "
                "number start from x; leave out one of the two."
            )
    limits = {}  # without the defaults, which are constants of the program: no transfer
    if isinstance(tol := _arguments.tolerance(tol, "tol"), Array) or tol != TOL:
        limits["tol"] = tol
    deriv_tol = _arguments.tolerance(deriv_tol, "deriv_tol")
    if isinstance(deriv_tol, Array) or deriv_tol != DERIV_TOL:
        limits["deriv_tol"] = deriv_tol
    max_sweeps = _arguments.limit(max_sweeps, "max_sweeps")
    if isinstance(max_sweeps, Array) or max_sweeps != MAX_SWEEPS:
        limits["max_sweeps"] = max_sweeps
    return_info = _arguments.flag(return_info, "return_info")
    static = {"axes": axes, "num_sweeps": num_sweeps, "return_info": return_info, "rules": rules}
    return _prox_tv(x, lam, init, **limits, **static)


@functools.partial(jax.jit, static_argnames=("axes", "num_sweeps", "return_info", "rules"))
def _prox_tv(
    x: ArrayLike,
    lam: Weights,
    init: Duals | None,
    *,
    tol: ArrayLike = TOL,
    deriv_tol: ArrayLike = DERIV_TOL,
    max_sweeps: int | Array = MAX_SWEEPS,
    axes: tuple[int, ...],
    num_sweeps: int | None,
    return_info: bool,
    rules: Rules,
) -> Array | tuple[Array, ProxInfo]:
    x = jnp.asarray(x)
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
            jnp.asarray(deriv_tol, wide.dtype).reshape(per_image),
            _arguments.as_int32(max_sweeps).reshape(per_image),
            tuple(axes[k] for k in order),
        )
        y, *info, found = solution
        duals = tuple(found[order.index(k)] for k in range(len(axes)) if duals)
    rounded = _sharding.sharded_as(y.astype(x.dtype), x)
    if not return_info:
        return rounded
    info = ProxInfo(*lax.stop_gradient(tuple(info[:5])), dual=None)
    if x.dtype != wide.dtype:
        info = _info_of_rounded(*lax.stop_gradient((wide, y)), info, axes, tol, x.dtype)
    fields = (field.squeeze(axes) for field in info[:5])
    return rounded, ProxInfo(*fields, dual=lax.stop_gradient(duals) or None)


def _duals_per_axis(init: Duals | None, x: Array, axes: tuple[int, ...]) -> tuple[Array, ...]:
    """One array of duals for each of `axes`, which broadcast as weights do; or none."""
    if init is None:
        return ()
    if not isinstance(init, tuple):
        return tuple(_arguments.weights(init, x, axis, "init") for axis in axes)
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
    """How good `y` is, by the duals that the sweeps have at their end.

    The kernels of the sweeps keep them to themselves, so the sweeps are made again. Whatever other
    rounding the duals have, they are feasible, and the bound is that of `y`.
    """
    x, y, lams = lax.stop_gradient((x, y, lams))
    results = duals = tuple(jnp.zeros_like(x) for _ in axes)  # of no sweeps
    if num_sweeps > 0:
        order = slice(None, None, -1)
        found = _reference_sweeps.line_solves(x, lams[order], axes[order], num_sweeps)
        results, duals = (of_axes[order] for of_axes in found)
    gap, bound = _certificate.bound_at(y, x, results, duals, lams, axes)
    converged = bound <= jnp.asarray(tol, x.dtype) * _alternating.deviation(x, axes)
    sweeps = jnp.full_like(gap, num_sweeps, jnp.int32)
    return ProxInfo(gap, bound, sweeps, converged, _alternating.is_exact(x, bound, axes))


def _info_of_rounded(
    x: Array, y: Array, info: ProxInfo, axes: tuple[int, ...], tol: ArrayLike, dtype: jnp.dtype
) -> ProxInfo:
    """`info` of `y`, for `y` rounded to a half type: its error grows by what that moves it."""
    moved = _rounded.up(_alternating.norm(y - y.astype(dtype).astype(y.dtype), axes))
    bound = _rounded.up(info.error_bound + moved)
    converged = bound <= jnp.asarray(tol, x.dtype) * _alternating.deviation(x, axes)
    exact = bound <= float(jnp.finfo(dtype).eps) * _alternating.norm(x, axes)
    return info._replace(error_bound=bound, converged=converged, exact=exact)

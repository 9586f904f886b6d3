# SPDX-License-Identifier: MIT
"""From the arguments of prox_tv to the solver that serves them."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import _arguments, _isotropic, _tv1d
from jaxtv._isotropic import TOL, Weights
from jaxtv._operators import sweeps, tvnd
from jaxtv._operators.tvnd import ProxInfo
from jaxtv._plain import certificate, measures
from jaxtv._plain import sweeps as plain_sweeps
from jaxtv._plumbing import primitive, sharding

DERIV_TOL = 1e-6
MAX_SWEEPS = 1000
KINDS = ("anisotropic", "isotropic")
_DEFAULTS = {"tol": TOL}
Duals = ArrayLike | tuple[ArrayLike, ...]


class Options(NamedTuple):
    """The keyword arguments of `prox_tv`."""

    axes: Sequence[int]
    kind: str
    channel_axis: int | None
    data_weight: ArrayLike | None
    periodic: bool
    num_sweeps: int | None
    tol: ArrayLike
    deriv_tol: ArrayLike | None
    max_sweeps: int | Array | None
    init: Duals | None
    return_info: bool


def checked(
    x: ArrayLike, lam: Weights, options: Options, both_modes: bool = False
) -> Array | tuple[Array, ProxInfo]:
    """The result of `prox_tv`, with derivatives in reverse mode or in both modes."""
    x = _arguments.signal(x, or_complex=True)
    axes = _arguments.tv_axes(options.axes, x.ndim)
    lam = _arguments.real_per_axis(lam, "lam", axes)
    num_sweeps, init = _arguments.sweeps(options.num_sweeps), options.init
    if init is not None:
        init = _arguments.real_per_axis(init, "init", axes)
        if num_sweeps is not None:
            raise ValueError(
                f"init is for num_sweeps=None, got num_sweeps={num_sweeps}: sweeps of a fixed "
                "number start from x; leave out one of the two."
            )
    limits = {"tol": _arguments.tolerance(options.tol, "tol")}
    if options.deriv_tol is not None:
        limits["deriv_tol"] = _arguments.tolerance(options.deriv_tol, "deriv_tol")
    if options.max_sweeps is not None:
        limits["max_sweeps"] = _arguments.limit(options.max_sweeps, "max_sweeps")
    # Without the defaults, which are constants of the program: no transfer.
    limits = {k: v for k, v in limits.items() if isinstance(v, Array) or v != _DEFAULTS.get(k)}
    how = {
        "axes": axes,
        "return_info": _arguments.flag(options.return_info, "return_info"),
        "both_modes": both_modes,
    }
    model = model_of(x, axes, options.kind, options.channel_axis, options.periodic)
    of_lines = model == _isotropic.Model(False, None, False) and options.data_weight is None
    if of_lines and not jnp.iscomplexobj(x):
        return _prox_tv(x, lam, init, **limits, **how, num_sweeps=num_sweeps)
    if num_sweeps is not None:
        raise ValueError(
            f"num_sweeps is for anisotropic total variation with open ends, got {num_sweeps}: "
            "pass num_sweeps=None; tol and max_sweeps say when an image is done."
        )
    if init is not None and jnp.iscomplexobj(x):
        raise ValueError("init is for real x, got complex x: leave it out.")
    m = 1.0 if options.data_weight is None else _arguments.data_weight(options.data_weight)
    return _isotropic.prox(x, lam, init, m, **limits, **how, model=model)


def model_of(
    x: Array | np.ndarray,
    axes: tuple[int, ...],
    kind: str,
    channel_axis: int | None,
    periodic: bool,
) -> _isotropic.Model:
    """The energy that these arguments of `prox_tv` name."""
    kind = _arguments.choice(kind, "kind", KINDS)
    periodic = _arguments.flag(periodic, "periodic")
    channel = channel_axis
    if channel is not None:
        channel = _arguments.tv_axis(channel, x.ndim, "channel_axis")
        if channel in axes:
            raise ValueError(f"channel_axis must not be one of axes {axes}, got {channel_axis}.")
    return _isotropic.Model(kind == "isotropic", channel, periodic)


@functools.partial(jax.jit, static_argnames=("axes", "num_sweeps", "return_info", "both_modes"))
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
    both_modes: bool,
) -> Array | tuple[Array, ProxInfo]:
    x = jnp.asarray(x)
    lams = _arguments.weights_per_axis(lam, x, axes)
    duals = _duals_per_axis(init, x, axes)
    # Sweeps convert half types themselves, some as they read and write.
    stored = bool(num_sweeps) and not return_info and x.size > 0
    operands = (x if stored else x.astype(primitive.computed_type(x.dtype)), *lams, *duals)
    wide, *placed = sharding.placed(axes, *operands)
    lams, duals = placed[: len(axes)], tuple(placed[len(axes) :])
    if x.size == 0:
        num_sweeps = 0
        edges = (sharding.edges(wide, axis).shape for axis in axes)
        duals = tuple(jnp.zeros(s, wide.dtype) for s in edges if duals)
    if num_sweeps is not None:
        y = _sweep(wide, lams, axes, num_sweeps, both_modes)
        info = _info_of_sweeps(wide, y, lams, axes, num_sweeps, tol) if return_info else None
    else:
        y, info = _converge(wide, lams, duals, axes, tol, deriv_tol, max_sweeps, both_modes)
        duals = info.dual
    result = sharding.sharded_as(y.astype(x.dtype), x)
    if not return_info or info is None:
        return result
    info = info._replace(dual=None)
    if x.dtype != wide.dtype:
        still, now = lax.stop_gradient((wide, y))
        moved = measures.norm(now - now.astype(x.dtype).astype(now.dtype), axes)
        info = tvnd.info_of_rounded(info, still, moved, axes, tol, x.dtype)
    info = jax.tree.map(lambda field: field.squeeze(axes), info)
    return result, lax.stop_gradient(info._replace(dual=duals or None))


def _duals_per_axis(init: Duals | None, x: Array, axes: tuple[int, ...]) -> tuple[Array, ...]:
    """One array of duals for each of `axes`, which broadcast as weights do; or none."""
    if init is None:
        return ()
    if not isinstance(init, tuple):
        return tuple(_arguments.weights(init, x, axis, "init") for axis in axes)
    pairs = zip(init, axes, strict=True)
    return tuple(_arguments.weights(p, x, a, f"init[{k}]") for k, (p, a) in enumerate(pairs))


def _sweep(
    x: Array, lams: Sequence[Array], axes: tuple[int, ...], num_sweeps: int, both_modes: bool
) -> Array:
    """Sweeps of Alg. 1: the last axis goes first, as rows do before columns."""
    if num_sweeps == 0:
        return jnp.where(measures.is_valid(x, lams, axes), x, jnp.nan)
    if len(axes) == 1:  # the first sweep solves it
        line = _tv1d.solve if both_modes else _tv1d.solve_reverse_only
        return line(x, lams[0], axis=axes[0], method="direct")[0]
    alternate = sweeps.solve if both_modes else sweeps.solve_reverse_only
    return alternate(x, *lams[::-1], axes=axes[::-1], num_sweeps=num_sweeps)


def _converge(
    x: Array,
    lams: Sequence[Array],
    init: Sequence[Array],
    axes: tuple[int, ...],
    tol: ArrayLike,
    deriv_tol: ArrayLike,
    max_sweeps: int | Array,
    both_modes: bool,
) -> tuple[Array, ProxInfo]:
    """The prox to a tolerance; the operator takes the axes in ascending order."""
    order = sorted(range(len(axes)), key=axes.__getitem__)
    per_image = (1,) * x.ndim
    solve = tvnd.solve if both_modes else tvnd.solve_reverse_only
    y, info = solve(
        x,
        tuple(lams[k] for k in order),
        lax.stop_gradient(tuple(init[k] for k in order if init)),
        jnp.asarray(tol, x.dtype).reshape(per_image),
        jnp.asarray(deriv_tol, x.dtype).reshape(per_image),
        _arguments.as_int32(max_sweeps).reshape(per_image),
        axes=tuple(axes[k] for k in order),
    )
    if info.dual is None:
        return y, info
    return y, info._replace(dual=tuple(info.dual[order.index(k)] for k in range(len(axes))))


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
        found = plain_sweeps.line_solves(x, lams[order], axes[order], num_sweeps)
        results, duals = (of_axes[order] for of_axes in found)
    gap, bound = certificate.bound_at(y, x, results, duals, lams, axes)
    converged = bound <= jnp.asarray(tol, x.dtype) * measures.deviation(x, axes)
    sweeps = jnp.full_like(gap, num_sweeps, jnp.int32)
    return ProxInfo(gap, bound, sweeps, converged, measures.is_exact(x, bound, axes))

# SPDX-License-Identifier: MIT
"""The prox functions with forward-mode derivatives: jvp, jacfwd, linearize, Hessian products.

The functions of :mod:`jaxtv` itself are differentiated in reverse mode only. These take the same
arguments and give the same results; they are differentiated in both modes, and in any mix of them.
"""

from collections.abc import Sequence

from jax import Array
from jax.typing import ArrayLike

from jaxtv import _images, _prox, _sweeps, _tv1d, _tvnd


def prox_tv_1d(
    x: ArrayLike,
    lam: ArrayLike,
    *,
    axis: int = -1,
    method: str = "direct",
    return_info: bool = False,
) -> Array | tuple[Array, _tv1d.LineInfo]:
    """:func:`jaxtv.prox_tv_1d` with a forward-mode derivative.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv.forward
      >>> x = jnp.array([0.0, 0.0, 4.0])
      >>> jax.jacfwd(jaxtv.forward.prox_tv_1d, 1)(x, 1.0)
      Array([ 0.5,  0.5, -1. ], dtype=float32)
    """
    _tv1d.check_method(method)
    y, info = _tv1d.checked(x, lam, axis, method, _RULES.line)
    return (y, info) if return_info else y


def prox_tv(
    x: ArrayLike,
    lam: _prox.Weights,
    *,
    axes: Sequence[int],
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    init: _prox.Duals | None = None,
    return_info: bool = False,
) -> Array | tuple[Array, _prox.ProxInfo]:
    """:func:`jaxtv.prox_tv` with a forward-mode derivative."""
    return _prox.checked(x, lam, axes, num_sweeps, tol, max_sweeps, init, return_info, _RULES)


def prox_tv_2d(
    x: ArrayLike,
    lam: _prox.Weights,
    *,
    axes: tuple[int, int] = (-2, -1),
    num_sweeps: int | None = None,
    tol: float = 1e-3,
    max_sweeps: int = 1000,
    init: _prox.Duals | None = None,
    return_info: bool = False,
) -> Array | tuple[Array, _prox.ProxInfo]:
    """:func:`jaxtv.prox_tv_2d` with a forward-mode derivative."""
    _tvnd.check_two(axes)
    return _prox.checked(x, lam, axes, num_sweeps, tol, max_sweeps, init, return_info, _RULES)


# The primitives beneath have both modes; the functions of jaxtv put a custom_vjp on top.
_RULES = _prox.Rules(_tv1d.solve_raw, _sweeps.solve_raw, _images.solve_both_modes)

# SPDX-License-Identifier: MIT
"""The prox functions with forward-mode derivatives: jvp, jacfwd, linearize, Hessian products.

The functions of :mod:`jaxtv` itself are differentiated in reverse mode only: under ``jax.jvp`` and
what builds on it JAX says that a ``custom_vjp`` function has no forward mode. These take the same
arguments and give the same results; they are differentiated in both modes, and in any mix of them.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from jaxtv import _images, _prox, _sweeps, _tv1d, _tvnd

_Function = TypeVar("_Function", bound=Callable)

# The primitives beneath have both modes; the functions of jaxtv put a custom_vjp on top.
_RULES = _prox.Rules(_tv1d.solve_raw, _sweeps.solve_raw, _images.solve_both_modes)


def _signature_of(function: _Function) -> Callable[[Callable], _Function]:
    """Gives another function the signature and the overloads of `function`."""

    def declare(other: Any) -> _Function:
        other.__signature__ = inspect.signature(function)
        other.__annotations__ = function.__annotations__
        return cast(_Function, other)

    return declare


@_signature_of(_tv1d.prox_tv_1d)
def prox_tv_1d(x, lam, *, axis=-1, method="direct", return_info=False):
    """:func:`jaxtv.prox_tv_1d` with a forward-mode derivative.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv
      >>> x = jnp.array([0.0, 0.0, 4.0])
      >>> jax.jacfwd(jaxtv.forward.prox_tv_1d, 1)(x, 1.0)
      Array([ 0.5,  0.5, -1. ], dtype=float32)
    """
    return _tv1d.checked(x, lam, axis, method, return_info, _RULES.line)


@_signature_of(_tvnd.prox_tv)
def prox_tv(
    x,
    lam,
    *,
    axes,
    num_sweeps=None,
    tol=_prox.TOL,
    deriv_tol=_prox.DERIV_TOL,
    max_sweeps=_prox.MAX_SWEEPS,
    init=None,
    return_info=False,
):
    """:func:`jaxtv.prox_tv` with a forward-mode derivative.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv
      >>> x = jnp.array([[0.0, 0.0, 9.0], [0.0, 0.0, 9.0]])
      >>> jax.jvp(lambda lam: jaxtv.forward.prox_tv(x, lam, axes=(0, 1)), (1.0,), (1.0,))[1]
      Array([[ 0.5,  0.5, -1. ],
             [ 0.5,  0.5, -1. ]], dtype=float32)
    """
    return _prox.checked(
        x, lam, axes, num_sweeps, tol, deriv_tol, max_sweeps, init, return_info, _RULES
    )


@_signature_of(_tvnd.prox_tv_2d)
def prox_tv_2d(
    x,
    lam,
    *,
    axes=(-2, -1),
    num_sweeps=None,
    tol=_prox.TOL,
    deriv_tol=_prox.DERIV_TOL,
    max_sweeps=_prox.MAX_SWEEPS,
    init=None,
    return_info=False,
):
    """:func:`jaxtv.prox_tv_2d` with a forward-mode derivative.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv
      >>> x = jnp.zeros((4, 4)).at[:, 2:].set(1.0)
      >>> jax.jacfwd(jaxtv.forward.prox_tv_2d, 1)(x, 0.1)[0]
      Array([ 0.5,  0.5, -0.5, -0.5], dtype=float32)
    """
    axes = _tvnd.two(axes)
    return _prox.checked(
        x, lam, axes, num_sweeps, tol, deriv_tol, max_sweeps, init, return_info, _RULES
    )

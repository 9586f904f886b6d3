# SPDX-License-Identifier: MIT
"""The prox functions with forward-mode derivatives: jvp, jacfwd, linearize, Hessian products.

The functions of :mod:`jaxtv` itself are differentiated in reverse mode only: under ``jax.jvp`` and
what builds on it JAX says that a ``custom_vjp`` function has no forward mode. These take the same
arguments and give the same results; they are differentiated in both modes, and in any mix of them.

>>> import jax, jax.numpy as jnp, jaxtv
>>> x = jnp.array([0.0, 0.0, 4.0])
>>> jax.jacfwd(jaxtv.forward.prox_tv_1d, 1)(x, 1.0)
Array([ 0.5,  0.5, -1. ], dtype=float32)
>>> images = jnp.zeros((4, 4)).at[:, 2:].set(1.0)
>>> jax.jvp(lambda lam: jaxtv.forward.prox_tv_2d(images, lam), (0.1,), (1.0,))[1][0]
Array([ 0.5,  0.5, -0.5, -0.5], dtype=float32)
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from jaxtv import _prox, _tv1d, _tvnd

__all__ = ["prox_tv", "prox_tv_1d", "prox_tv_2d"]

_Function = TypeVar("_Function", bound=Callable)


def _like(public: _Function) -> Callable[[Callable], _Function]:
    """Gives another function, called with all arguments by name, the signature of `public`."""
    signature = inspect.signature(public)

    def declare(both_modes: Callable) -> _Function:
        @functools.wraps(public)
        def function(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            return both_modes(**given.arguments)

        function.__module__ = __name__
        function.__doc__ = both_modes.__doc__
        return cast(_Function, function)

    return declare


@_like(_tv1d.prox_tv_1d)
def prox_tv_1d(**arguments):
    """:func:`jaxtv.prox_tv_1d` with derivatives in both modes."""
    return _tv1d.checked(**arguments, both_modes=True)


@_like(_tvnd.prox_tv)
def prox_tv(x, lam, **options):
    """:func:`jaxtv.prox_tv` with derivatives in both modes."""
    return _prox.checked(x, lam, _prox.Options(**options), both_modes=True)


@_like(_tvnd.prox_tv_2d)
def prox_tv_2d(x, lam, axes, **options):
    """:func:`jaxtv.prox_tv_2d` with derivatives in both modes."""
    axes = _tvnd.image_axes(axes, x, stacklevel=4)
    return _prox.checked(x, lam, _prox.Options(axes, **options), both_modes=True)

# SPDX-License-Identifier: MIT
"""How the layers hold lambda: a positive weight as the softplus of an unconstrained parameter."""

import contextlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxtv import _arguments

MODES = ("smooth", "sharp")


def check_options(mode: Any, lam_init: Any, learned: Any, param_dtype: Any) -> None:
    """Refuses options of a layer that have no meaning."""
    _arguments.choice(mode, "mode", MODES)
    if not _arguments.flag(learned, "learned"):
        _arguments.real(lam_init, "lam_init")
        return
    dtype = _arguments.shown(param_dtype)
    if param_dtype is not None and not isinstance(param_dtype, Array | np.ndarray | np.generic):
        with contextlib.suppress(TypeError, ValueError):
            dtype = str(jnp.dtype(param_dtype))
    if dtype not in _arguments.FLOATS:
        raise TypeError(
            f"param_dtype must be one of {', '.join(_arguments.FLOATS)}, got {dtype}: the "
            "parameter is any real number."
        )
    raw_from_lam(lam_init)


def raw_from_lam(lam_init: Any) -> float:
    """The parameter whose softplus is `lam_init`: log(exp(lam) - 1), without overflow."""
    expected = "one positive, finite number for a learned weight, not traced"
    given: Any = _arguments.real(lam_init, "lam_init", expected)
    if np.ndim(given) or isinstance(given, Tracer) or not 0 < float(given) < math.inf:
        raise ValueError(
            f"lam_init must be {expected}, got {_arguments.shown(given)}: set the parameter "
            "lam_raw, whose softplus is the weight, for one in each channel."
        )
    lam = float(given)
    return lam + math.log(-math.expm1(-lam))


def shape(num_channels: Any, num_axes: int | None = None) -> tuple[int, ...]:
    """The shape of the parameter."""
    channels = () if num_channels is None else (_arguments.count(num_channels, "num_channels"),)
    return channels if num_axes is None else (num_axes, *channels)


def options_of_images(layer: Any) -> dict[str, Any]:
    """The keyword arguments of `prox_tv` that a layer over images has as attributes."""
    names = ("num_sweeps", "kind", "channel_axis", "tol")
    return {name: getattr(layer, name) for name in names}


def check_channels(num_channels: int | None, x: Array) -> None:
    """Refuses an input with another number of channels."""
    if num_channels not in (None, x.shape[-1]):
        raise ValueError(
            f"num_channels must be that of x, whose last axis has size {x.shape[-1]}, got "
            f"{num_channels}."
        )


def fixed(lam_init: Any, x: Array, axes: tuple[int, ...]) -> Any:
    """The weight of a layer that is not learned, if it fits `x`."""
    _arguments.check_shapes(lam_init, x, axes, "lam_init")
    return lam_init


def lam_from_raw(raw: Array) -> Array:
    """The weight that a parameter stands for, Eq. (3) of the paper."""
    return jax.nn.softplus(raw)


def apply_mode(mode: str, x: Array, prox: Array) -> Array:
    """The layer's output: the prox (Eq. 3), or the input plus what the prox takes away (Eq. 4)."""
    return prox if mode == "smooth" else x + (x - prox)  # 2 * x may overflow

# SPDX-License-Identifier: MIT
"""Checks of the arguments that the public functions share. Errors say what to do."""

import operator

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike


def signal(x: ArrayLike) -> Array:
    """`x` as an array of a floating type with at least one axis."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"x must be a floating array (float32, float64, bfloat16 or float16), got {x.dtype}: "
            + (
                "treat its real and imaginary parts on their own."
                if jnp.issubdtype(x.dtype, jnp.complexfloating)
                else "convert it with x.astype(jnp.float32), and give lam in the same units."
            )
        )
    if x.ndim == 0:
        raise ValueError("x must have at least one axis, got a scalar: pass jnp.atleast_1d(x).")
    return x


def tv_axis(axis: int, ndim: int, name: str = "axis") -> int:
    """`axis` counted from the front."""
    try:
        index = operator.index(axis)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {axis!r}.") from None
    if not -ndim <= index < ndim:
        raise ValueError(
            f"{name} must be in [{-ndim}, {ndim}) for x of {ndim} dimensions, got {index}."
        )
    return index % ndim


def tv_axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """`axes` counted from the front, all different."""
    found = tuple(tv_axis(axis, ndim, "axes") for axis in axes)
    if not found or len(set(found)) != len(found):
        raise ValueError(
            f"axes must name at least one axis, each once, got {axes} for x of {ndim} dimensions."
        )
    return found


def count(value: int, name: str) -> int:
    """`value` as a number of repetitions known at trace time."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer, not traced, got {value!r}: mark it static in jax.jit."
        ) from None
    if number < 0:
        raise ValueError(f"{name} must be at least 0, got {number}.")
    return number


def not_negative(value: ArrayLike, name: str) -> None:
    """Refuses a negative or NaN Python or NumPy number; a JAX array, maybe traced, passes."""
    if not isinstance(value, Array) and not np.all(np.asarray(value) >= 0):
        raise ValueError(f"{name} must be at least 0, got {value}.")


def weights_per_axis(
    lam: ArrayLike | tuple[ArrayLike, ...], x: Array, axes: tuple[int, ...]
) -> tuple[Array, ...]:
    """One weight array for each of `axes`, from one for all or a tuple."""
    if isinstance(lam, tuple):
        if len(lam) != len(axes):
            raise ValueError(
                f"lam must have one entry for each of {len(axes)} axes, got a tuple of {len(lam)}."
            )
        return tuple(
            weights(w, x, a, f"lam[{k}]") for k, (w, a) in enumerate(zip(lam, axes, strict=True))
        )
    shape = jnp.shape(lam)
    shape = (1,) * (x.ndim - len(shape)) + shape
    if len(axes) > 1 and len(shape) == x.ndim and any(shape[a] != 1 for a in axes):
        raise ValueError(
            f"lam, one for all axes, must have size 1 along axes {axes}, got shape "
            f"{jnp.shape(lam)} for x of shape {x.shape}: pass a tuple with one weight for each "
            "axis, or move the channels with jnp.expand_dims."
        )
    return tuple(weights(lam, x, a) for a in axes)


def weights(lam: ArrayLike, x: Array, axis: int, name: str = "lam") -> Array:
    """`lam` with the rank of `x` and its compute type, fit for `jaxtv._lines.prox` along `axis`."""
    lam = jnp.asarray(lam)
    if jnp.issubdtype(lam.dtype, jnp.complexfloating) or lam.dtype == bool:
        raise TypeError(f"{name} must be real, got {lam.dtype}: pass a float.")
    edges = max(x.shape[axis] - 1, 0)
    shape = (1,) * (x.ndim - lam.ndim) + lam.shape
    fits = lam.ndim <= x.ndim and all(
        size in (1, edges if d == axis else full)
        for d, (size, full) in enumerate(zip(shape, x.shape, strict=True))
    )
    if not fits:
        raise ValueError(
            f"{name} must broadcast against x of shape {x.shape}, with size 1 or {edges} (one "
            f"weight per pair of neighbours) along axis {axis}, got shape {lam.shape}. For one "
            "weight per channel or image, insert axes of size 1 with jnp.expand_dims."
        )
    return jnp.expand_dims(lam, range(x.ndim - lam.ndim)).astype(compute_type(x))


def compute_type(x: Array) -> jnp.dtype:
    """The type that the kernels compute in: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)

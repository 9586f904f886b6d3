# SPDX-License-Identifier: MIT
"""Checks of the arguments that the public functions share. Errors say what to do.

Types and static values are checked before `jax.jit` sees them, which would refuse or convert them
without their names; shapes are checked while tracing.
"""

import operator
import re
import reprlib
from collections.abc import Sequence
from typing import Any, TypeGuard

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxtv._plumbing import primitive

FLOATS = ("float32", "float64", "bfloat16", "float16")
_FLOATS = frozenset(map(jnp.dtype, FLOATS))  # to look up faster than the name of a dtype is made
_COMPLEX = frozenset({jnp.dtype(jnp.complex64), jnp.dtype(jnp.complex128)})
MOST_SWEEPS = 10_000
"""The largest `num_sweeps`."""

_INT32_MAX = 2**31 - 1


def shown(value: Any) -> str:
    """What was given, for a message: never long, and without waiting for an array."""
    if isinstance(value, Array | np.ndarray):
        if isinstance(value, np.ma.MaskedArray):
            return f"a masked array of type {value.dtype} and shape {value.shape}"
        kind = "a traced array" if isinstance(value, Tracer) else "an array"
        return f"{kind} of type {value.dtype} and shape {value.shape}"
    try:
        text = reprlib.repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a very large number"
    text = " ".join(text.split())
    return text if isinstance(value, int | float | complex) else f"{type(value).__name__} {text}"


def signal(x: Any, or_complex: bool = False) -> Array | np.ndarray:
    """`x`, if it is an array of a floating type with at least one axis."""
    array = _unwrapped(x)
    if not _is_array(array):
        raise TypeError(
            f"x must be a floating array ({', '.join(FLOATS)}), got {shown(array)}: "
            "pass a JAX or NumPy array, as jnp.asarray(x) makes of lists."
        )
    if array.dtype not in _FLOATS and not (or_complex and array.dtype in _COMPLEX):
        raise TypeError(
            f"x must be a floating array ({', '.join(FLOATS)}), got {shown(array)}: "
            + (
                "complex numbers are not supported, and the TV of their real and imaginary parts "
                "on their own is another model."
                if jnp.issubdtype(array.dtype, jnp.complexfloating)
                else "convert numbers with x.astype(jnp.float32), and give lam in the same units."
            )
        )
    if array.ndim == 0:
        raise ValueError("x must have at least one axis, got a scalar: pass jnp.atleast_1d(x).")
    return array


def real(value: Any, name: str, expected: str = "a real number or array") -> ArrayLike:
    """`value`, if it is a real number or array, as `jax.jit` takes it without loss."""
    value = _unwrapped(value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)  # jit takes no integer beyond its own type
        except OverflowError:
            raise ValueError(
                f"{name} must be {expected} in the range of its type, got {shown(value)}: for an "
                "infinite one pass float('inf')."
            ) from None
    if _is_array(value):
        if value.dtype in _FLOATS:
            return value
        if _is_integer(value):
            return value if isinstance(value, Array) else value.astype(np.float64)
    elif isinstance(value, float):
        return value
    raise TypeError(
        f"{name} must be {expected} ({', '.join(FLOATS)} or an integer type), got {shown(value)}: "
        f"pass a float, or jnp.asarray({name}) of numbers."
    )


def real_per_axis(
    value: Any, name: str, axes: tuple[int, ...]
) -> ArrayLike | tuple[ArrayLike, ...]:
    """`value`, if it is a real number or array for all of `axes`, or a tuple of one for each."""
    if not isinstance(value, tuple):
        return real(value, name, "a real number or array, or a tuple of one for each axis")
    if len(value) != len(axes):
        raise ValueError(
            f"{name} must have one entry for each of {len(axes)} axes, got a tuple of "
            f"{len(value)}: pass one in the order of axes {axes}, or an array for all."
        )
    return tuple(real(entry, f"{name}[{k}]") for k, entry in enumerate(value))


def scalar(value: Any, name: str, expected: str) -> None:
    """Refuses an array with axes."""
    if getattr(value, "ndim", 0):
        raise ValueError(
            f"{name} must be {expected}, got {shown(value)}: map the function over several with "
            "jax.vmap."
        )


def tolerance(value: Any, name: str) -> ArrayLike:
    """`value`, if it is a real number, and at least 0 where that is known."""
    value = real(value, name, "a real number")
    scalar(value, name, "one number for all images")
    not_negative(value, name)
    return value


def limit(value: Any, name: str) -> int | Array:
    """`value`, if it is an integer that an int32 can hold, or a JAX one that may be traced."""
    value = _unwrapped(value)
    scalar(value, name, "one integer for all images")
    if isinstance(value, Array) and _is_integer(value):
        return value
    number = _integer(value, name, "an integer", "a limit of sweeps has no fraction.")
    if not 0 <= number <= _INT32_MAX:
        raise ValueError(f"{name} must be at least 0 and below 2**31, got {shown(number)}.")
    return number


def as_int32(value: int | Array) -> Array:
    """An integer that `limit` accepted, cut to what an int32 can count."""
    value = jnp.asarray(value)
    most = min(_INT32_MAX, int(jnp.iinfo(value.dtype).max))
    return jnp.clip(value, 0, most).astype(jnp.int32)


def flag(value: Any, name: str) -> bool:
    """`value`, if it is a bool."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{name} must be True or False, not traced, got {shown(value)}: mark it static in "
            "jax.jit if it is an argument there."
        )
    return bool(value)


def choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """`value`, if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {shown(value)}.")
    return str(value)


def tv_axis(axis: Any, ndim: int, name: str = "axis") -> int:
    """`axis` counted from the front."""
    index = _integer(axis, name)
    if not -ndim <= index < ndim:
        raise ValueError(
            f"{name} must be in [{-ndim}, {ndim}) for x of {ndim} dimensions, got {shown(index)}."
        )
    return index % ndim


def axes_tuple(axes: Any) -> tuple[int, ...]:
    """`axes`, if they are integers in an order."""
    if not isinstance(axes, Sequence | Array | np.ndarray) or getattr(axes, "ndim", 1) != 1:
        raise TypeError(
            f"axes must be a tuple of integers, got {shown(axes)}: pass (axis,) for one axis."
        )
    return tuple(_integer(axis, "each of axes") for axis in axes)


def tv_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """`axes` counted from the front, all different."""
    found = tuple(tv_axis(axis, ndim, "each of axes") for axis in axes_tuple(axes))
    if not found or len(set(found)) != len(found):
        raise ValueError(
            f"axes must name at least one axis, each once, got {shown(axes)} for x of {ndim} "
            "dimensions."
        )
    return found


def count(value: Any, name: str) -> int:
    """`value`, if it is an integer of at least 1 that an int32 can hold."""
    number = _integer(value, name)
    if not 1 <= number <= _INT32_MAX:
        raise ValueError(f"{name} must be at least 1 and below 2**31, got {shown(number)}.")
    return number


def sweeps(value: Any) -> int | None:
    """`num_sweeps`, if it is None or a number of sweeps that ends in reasonable time."""
    if value is None:
        return None
    number = _integer(value, "num_sweeps", "None or an integer, not traced")
    if not 0 <= number <= MOST_SWEEPS:
        raise ValueError(
            f"num_sweeps must be at least 0 and at most {MOST_SWEEPS}, got {shown(number)}: a "
            "compiled call cannot be interrupted. For an accurate result use num_sweeps=None, "
            "which stops at tol."
        )
    return number


def not_negative(value: Any, name: str) -> None:
    """Refuses negative and NaN Python or NumPy numbers; a JAX array, maybe traced, passes."""
    for entry in value if isinstance(value, tuple) else (value,):
        if isinstance(entry, Array):
            continue
        if not (entry >= 0 if isinstance(entry, float) else np.all(entry >= 0)):
            raise ValueError(f"{name} must be at least 0, got {shown(entry)}.")


def data_weight(value: ArrayLike) -> ArrayLike:
    """A weight of samples, checked but for its shape."""
    value = real(value, "data_weight", "None, a real number or an array")
    not_negative(value, "data_weight")
    return value


def weights_per_axis(
    lam: ArrayLike | tuple[ArrayLike, ...], x: Array, axes: tuple[int, ...]
) -> tuple[Array, ...]:
    """One weight array for each of `axes`, from one for all or a tuple."""
    check_shapes(lam, x, axes)
    lams = lam if isinstance(lam, tuple) else (lam,) * len(axes)
    return tuple(weights(w, x, axis) for w, axis in zip(lams, axes, strict=True))


def check_shapes(
    lam: ArrayLike | tuple[ArrayLike, ...], x: Array, axes: tuple[int, ...], name: str = "lam"
) -> None:
    """Refuses weights, one for all of `axes` or a tuple, that do not broadcast against `x`."""
    if isinstance(lam, tuple):
        for k, (w, axis) in enumerate(zip(lam, axes, strict=True)):
            check_shape(jnp.shape(w), x, axis, f"{name}[{k}]")
        return
    given = jnp.shape(lam)
    shape = (1,) * (x.ndim - len(given)) + given
    if len(axes) > 1 and len(shape) == x.ndim and any(shape[a] != 1 for a in axes):
        raise ValueError(
            f"{name}, one for all axes, must have size 1 along axes {axes}, got shape {given} for "
            f"x of shape {x.shape}: pass a tuple with one weight for each axis, or move the "
            "channels with jnp.expand_dims. A weight for each pixel is not supported, only for "
            "each pair of neighbours."
        )
    for axis in axes:
        check_shape(given, x, axis, name)


def check_shape(given: tuple[int, ...], x: Array, axis: int, name: str) -> None:
    """Refuses the shape of weights along `axis` that do not broadcast against `x`."""
    edges = max(x.shape[axis] - 1, 0)
    shape = (1,) * (x.ndim - len(given)) + given
    fits = len(given) <= x.ndim and all(
        size in (1, edges if d == axis else full)
        for d, (size, full) in enumerate(zip(shape, x.shape, strict=True))
    )
    if not fits:
        raise ValueError(
            f"{name} must broadcast against x of shape {x.shape}, with size 1 or {edges} (one "
            f"for each pair of neighbours) along axis {axis}, got shape {given}. For one for each "
            "channel or image, insert axes of size 1 with jnp.expand_dims. One for each sample is "
            "not supported."
        )


def weights(lam: ArrayLike, x: Array, axis: int, name: str = "lam") -> Array:
    """`lam` with the rank of `x` and its compute type, as `tv1d.prox` takes it along `axis`."""
    check_shape(jnp.shape(lam), x, axis, name)
    return _aligned(lam, x)


def ring_weights(lam: ArrayLike, x: Array, axis: int) -> Array:
    """The same for rings: an edge more along `axis`."""
    if not _broadcasts(jnp.shape(lam), x):
        raise ValueError(
            f"lam must broadcast against x of shape {x.shape}, with size 1 or {x.shape[axis]} "
            f"(periodic=True: one for each sample and the next, and for the last and the first) "
            f"along axis {axis}, got shape {jnp.shape(lam)}."
        )
    return _aligned(lam, x)


def sample_weights(value: ArrayLike, x: Array, name: str, open_end: int | None = None) -> Array:
    """A weight for each sample, with the rank of `x` and its compute type.

    Along the axis `open_end` there may be one less.
    """
    given = jnp.shape(value)
    if not _broadcasts(given, x, open_end):
        raise ValueError(
            f"{name} must broadcast against x of shape {x.shape}, with size 1 or that of x along "
            f"each axis, got shape {given}: insert axes of size 1 with jnp.expand_dims."
        )
    return _aligned(value, x)


def _aligned(weights: ArrayLike, x: Array) -> Array:
    """Weights with the rank of `x` and its compute type."""
    array = jnp.asarray(weights)
    return jnp.expand_dims(array, range(x.ndim - array.ndim)).astype(
        primitive.computed_type(x.dtype)
    )


def _broadcasts(given: tuple[int, ...], x: Array, open_end: int | None = None) -> bool:
    shape = (1,) * (x.ndim - len(given)) + given
    return len(given) <= x.ndim and all(
        size in (1, full, full - (d == open_end))
        for d, (size, full) in enumerate(zip(shape, x.shape, strict=True))
    )


def _integer(
    value: Any,
    name: str,
    expected: str = "an integer, not traced",
    remedy: str = "mark it static in jax.jit if it is an argument there.",
) -> int:
    """`value` as an integer known at trace time."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {expected}, got {shown(value)}: {remedy}") from None


def _is_integer(value: Array | np.ndarray) -> bool:
    return re.fullmatch(r"u?int\d+", str(value.dtype)) is not None


def _is_array(value: Any) -> TypeGuard[Array | np.ndarray]:
    """Whether `value` is a JAX array, maybe traced, or an array or scalar of NumPy."""
    masked = isinstance(value, np.ma.MaskedArray)  # jit takes none
    return isinstance(value, Array | np.ndarray | np.generic) and not masked


def _unwrapped(value: Any) -> Any:
    """The array in a wrapper of one, as flax.nnx.Param is."""
    if isinstance(value, Array) or not hasattr(type(value), "__jax_array__"):
        return value
    return value.__jax_array__()

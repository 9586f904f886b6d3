# SPDX-License-Identifier: MIT
"""From the arguments of prox_tv to the solver of total variation that couples differences."""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxtv import _arguments
from jaxtv._operators import isotropic_units, tvnd
from jaxtv._operators.isotropic_units import Layout, Limits
from jaxtv._operators.tvnd import ProxInfo
from jaxtv._plain import measures
from jaxtv._plumbing import primitive, sharding

TOL = 1e-3
DERIV_TOL = 1e-3
MAX_SWEEPS = 10_000

Weights = ArrayLike | tuple[ArrayLike, ...]


class Model(NamedTuple):
    """What makes the energy another one than that of line solves.

    Attributes:
      is_isotropic: the length of all differences at a pixel is charged, not each difference.
      channel_axis: the axis whose differences are charged together, or None.
      periodic: the last pixel of a line is a neighbour of the first.
    """

    is_isotropic: bool
    channel_axis: int | None
    periodic: bool


@functools.partial(jax.jit, static_argnames=("axes", "model", "return_info", "both_modes"))
def prox(
    x: ArrayLike,
    lam: Weights,
    init: Weights | None,
    data_weight: ArrayLike,
    *,
    tol: ArrayLike = TOL,
    deriv_tol: ArrayLike = DERIV_TOL,
    max_sweeps: int | Array = MAX_SWEEPS,
    axes: tuple[int, ...],
    model: Model,
    return_info: bool,
    both_modes: bool,
) -> Array | tuple[Array, ProxInfo]:
    """The result of `prox_tv` from checked arguments."""
    x = jnp.asarray(x)
    lams = _of_pixels(lam, x, axes, model, "lam")
    starts = [] if init is None else _of_pixels(init, x, axes, model, "init")
    m = _arguments.sample_weights(data_weight, x, "data_weight")
    coupled = axes if model.channel_axis is None else (*axes, model.channel_axis)
    wide, m, *placed = sharding.placed(coupled, x.astype(_wide(x)), m, *lams, *starts)
    if x.size == 0:
        result, info, duals = wide, _info_of_nothing(wide, coupled), (wide,) * len(axes)
    else:
        order = sorted(range(len(axes)), key=axes.__getitem__)
        parts = _Parts(jnp.iscomplexobj(x), model.channel_axis, x.ndim)
        result, info, found = isotropic_units.solve(
            parts.split(wide),
            parts.spread(m),
            [parts.spread(placed[k]) for k in order],
            [placed[len(axes) + k] for k in order] if starts else None,
            Limits(tol, deriv_tol, _arguments.as_int32(max_sweeps)),
            Layout(tuple(axes[k] for k in order), parts.channel),
            is_isotropic=model.is_isotropic,
            periodic=model.periodic,
            both_modes=both_modes,
        )
        duals = tuple(found[order.index(k)] for k in range(len(axes)))
        result = parts.join(result)
        coupled = (*coupled, *range(x.ndim, info.gap.ndim))  # the parts of complex numbers
    y = result.astype(x.dtype)
    if not return_info:
        return sharding.sharded_as(y, x)
    info, duals = lax.stop_gradient((info, duals))
    if y.dtype != result.dtype:
        moved = measures.norm(jnp.sqrt(m) * (result - y.astype(result.dtype)), coupled)
        info = tvnd.info_of_rounded(info, wide, moved, coupled, tol, x.dtype)
    ends = None
    if starts:
        ends = tuple(_ends(p, a, model) for p, a in zip(duals, axes, strict=True))
    info = jax.tree.map(lambda field: field.squeeze(coupled), info)
    return sharding.sharded_as(y, x), info._replace(dual=ends)


@functools.partial(jax.jit, static_argnames=("axes", "model"))
def total_variation(
    x: ArrayLike, lam: Weights, smooth: ArrayLike, *, axes: tuple[int, ...], model: Model
) -> Array:
    """The penalty, of each image, with lengths h replaced by sqrt(h^2 + smooth^2) - smooth."""
    x = jnp.asarray(x)
    coupled = axes if model.channel_axis is None else (*axes, model.channel_axis)
    lams = _of_pixels(lam, x, axes, model, "lam")
    wide, *lams = sharding.placed(coupled, x.astype(_wide(x)), *lams)
    layout = Layout(axes, model.channel_axis)
    images, *lams = (layout.images(a) for a in (wide, *lams))
    stencil = layout.stencil(images, model.is_isotropic, model.periodic)
    differences = stencil.differences(images)
    # An infinite weight on no step costs nothing.
    steps = [jnp.where(d == 0, 0, w * d) for w, d in zip(lams, differences, strict=True)]
    smooth = jnp.asarray(smooth, wide.dtype)
    total = jnp.zeros((), wide.dtype)
    for square in stencil.squares(steps)[: 1 if model.is_isotropic else None]:
        inside = square + smooth**2
        length = jnp.where(inside > 0, jnp.sqrt(jnp.where(inside > 0, inside, 1)) - smooth, 0)
        total = total + length.sum(stencil.axes, keepdims=True)
    fit = functools.reduce(operator.and_, ((w >= 0).all(stencil.axes, keepdims=True) for w in lams))
    return (total * jnp.where(fit, 1, jnp.nan)).squeeze(stencil.axes)


def _info_of_nothing(x: Array, coupled: tuple[int, ...]) -> ProxInfo:
    """That of images without pixels."""
    zero = jnp.abs(x).sum(coupled, keepdims=True)
    yes = zero == 0
    return ProxInfo(zero, zero, zero.astype(jnp.int32), yes, yes)


def _wide(x: Array) -> jnp.dtype:
    """The type of `x` in which its prox is computed."""
    return x.dtype if jnp.iscomplexobj(x) else primitive.computed_type(x.dtype)


def _of_pixels(
    value: Weights, x: Array, axes: tuple[int, ...], model: Model, name: str
) -> list[Array]:
    """One array for each of `axes`, with an element for each pixel or of size 1.

    That of a pixel is for the difference to the next one along the axis; the last may be left out.
    """
    entries = value if isinstance(value, tuple) else (value,) * len(axes)
    found = []
    for k, (entry, axis) in enumerate(zip(entries, axes, strict=True)):
        label = f"{name}[{k}]" if isinstance(value, tuple) else name
        array = _arguments.sample_weights(entry, x, label, None if model.periodic else axis)
        if model.channel_axis is not None and name == "lam" and array.shape[model.channel_axis] > 1:
            raise ValueError(
                f"{label} must have size 1 along channel_axis {model.channel_axis}, got shape "
                f"{jnp.shape(entry)}: the differences of all channels have one weight. Scale the "
                "channels of x instead."
            )
        missing = x.shape[axis] - array.shape[axis] if array.shape[axis] > 1 else 0
        found.append(jnp.pad(array, [(0, missing if d == axis else 0) for d in range(x.ndim)]))
    return found


def _ends(dual: Array, axis: int, model: Model) -> Array:
    """The duals of pairs of neighbours."""
    n = dual.shape[axis]
    return dual if model.periodic else lax.slice_in_dim(dual, 0, max(n - 1, 0), axis=axis)


class _Parts(NamedTuple):
    """Complex numbers as two real channels."""

    is_complex: bool
    channel_axis: int | None
    ndim: int

    @property
    def channel(self) -> int | None:
        """The channel axis of what `split` returns."""
        return self.ndim if self.is_complex and self.channel_axis is None else self.channel_axis

    def split(self, x: Array) -> Array:
        if not self.is_complex:
            return x
        if self.channel_axis is None:
            return jnp.stack([x.real, x.imag], -1)
        return jnp.concatenate([x.real, x.imag], self.channel_axis)

    def spread(self, weights: Array) -> Array:
        """Weights, for both parts alike."""
        if not self.is_complex:
            return weights
        if self.channel_axis is None:
            return weights[..., None]
        one = weights.shape[self.channel_axis] == 1
        return weights if one else jnp.concatenate([weights, weights], self.channel_axis)

    def join(self, y: Array) -> Array:
        if not self.is_complex:
            return y
        if self.channel_axis is None:
            return lax.complex(y[..., 0], y[..., 1])
        return lax.complex(*jnp.split(y, 2, self.channel_axis))

# SPDX-License-Identifier: MIT
"""Total variation layers for Flax NNX. Inputs are channels last, ``[..., H, W, C]``.

The layers, parameters and results are those of :mod:`jaxtv.linen`, and so is the mask that keeps
weight decay from ``lam_raw``.
"""

from typing import Any, Literal

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxtv import _arguments, _weight
from jaxtv._tv1d import prox_tv_1d
from jaxtv._tvnd import TOL, named_axes, prox_tv

try:
    from flax import nnx
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "jaxtv.nnx needs Flax: pip install 'jaxtv[flax]'", name=_missing.name
    ) from _missing

__all__ = ["TV1D", "TV2D", "TV3D"]


class _TV(nnx.Module):
    """What the layers share: the weight and the mode."""

    def __init__(
        self,
        mode: str,
        lam_init: float,
        num_channels: int | None,
        learned: bool,
        param_dtype: Any,
        num_axes: int | None = None,
    ) -> None:
        _weight.check_options(mode, lam_init, learned, param_dtype)
        shape = _weight.shape(num_channels, num_axes)
        self.per_axis: bool = num_axes is not None
        self.mode = mode
        self.lam_init = lam_init
        self.num_channels = num_channels
        self.learned = learned
        if learned:
            raw = _weight.raw_from_lam(lam_init)
            self.lam_raw: nnx.Param[Array] = nnx.Param(jnp.full(shape, raw, param_dtype))

    @property
    def lam(self) -> Any:
        """The layer's weight."""
        if not self.learned:
            return self.lam_init
        lam = _weight.lam_from_raw(self.lam_raw[...])
        return tuple(lam) if self.per_axis else lam

    def _lam(self, x: Array, axes: tuple[int, ...]) -> Any:
        if not self.learned:
            return _weight.fixed(self.lam_init, x, axes)
        _weight.check_channels(self.num_channels, x)
        return self.lam


class TV1D(_TV):
    """Total variation along the rows or columns of a feature map, see :class:`jaxtv.linen.TV1D`.

    Args:
      axis: ``-2`` smooths along each row (over W), ``-3`` along each column (over H).
      mode: ``"smooth"`` (Eq. 3 of the paper) or ``"sharp"`` (Eq. 4).
      lam_init: initial weight, in the units of the input: one positive number, or what ``lam`` may
        be if the weight is not learned.
      num_channels: one weight for each of so many channels instead of one for all.
      learned: hold the weight as the parameter ``lam_raw``, through softplus; otherwise it stays
        ``lam_init``. See :mod:`jaxtv.linen` on weight decay.
      param_dtype: type of the parameter.
      rngs: not used.

    Example:
      >>> import jax.numpy as jnp, jaxtv.nnx
      >>> layer = jaxtv.nnx.TV1D(axis=-3, mode="sharp", num_channels=4)
      >>> layer(jnp.ones((2, 8, 8, 4))).shape
      (2, 8, 8, 4)
    """

    def __init__(
        self,
        *,
        axis: int = -2,
        mode: str = "smooth",
        lam_init: float = 0.1,
        num_channels: int | None = None,
        learned: bool = True,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        del rngs  # nothing is random; nnx.bridge passes it to every module
        super().__init__(mode, lam_init, num_channels, learned, param_dtype)
        self.axis = axis

    def __call__(self, x: ArrayLike, lam: ArrayLike | None = None) -> Array:
        """Filters ``x`` with the layer's own weight, or with ``lam``."""
        x = jnp.asarray(_arguments.signal(x))
        axis = _arguments.tv_axis(self.axis, x.ndim)
        weight = self._lam(x, (axis,)) if lam is None else lam
        return _weight.apply_mode(self.mode, x, prox_tv_1d(x, weight, axis=axis))


class TV2D(_TV):
    """Total variation of a feature map, see :class:`jaxtv.linen.TV2D`.

    Args:
      axes: the image axes.
      num_sweeps: sweeps of Alg. 1 of the paper; ``None`` solves to ``tol``, which any ``kind`` or
        ``channel_axis`` but the default needs.
      kind: ``"anisotropic"`` or ``"isotropic"``, as in :func:`jaxtv.prox_tv`.
      channel_axis: -1 couples the channels, as in :func:`jaxtv.prox_tv`.
      tol: for ``num_sweeps=None``, the relative error, as in :func:`jaxtv.prox_tv`.
      per_axis: hold a weight for each of ``axes``.
      mode: ``"smooth"`` (Eq. 3 of the paper) or ``"sharp"`` (Eq. 4).
      lam_init: initial weight, in the units of the input: one positive number, or what ``lam`` may
        be if the weight is not learned.
      num_channels: one weight for each of so many channels instead of one for all.
      learned: hold the weight as the parameter ``lam_raw``, through softplus; otherwise it stays
        ``lam_init``. See :mod:`jaxtv.linen` on weight decay.
      param_dtype: type of the parameter.
      rngs: not used.

    Example:
      >>> import jax.numpy as jnp, jaxtv.nnx
      >>> layer = jaxtv.nnx.TV2D(lam_init=0.05)
      >>> layer(jnp.ones((2, 8, 8, 4))).shape
      (2, 8, 8, 4)
    """

    _count = 2  # the number of axes

    def __init__(
        self,
        *,
        axes: tuple[int, ...] = (-3, -2),
        num_sweeps: int | None = 4,
        kind: Literal["anisotropic", "isotropic"] = "anisotropic",
        channel_axis: int | None = None,
        tol: float = TOL,
        per_axis: bool = False,
        mode: str = "smooth",
        lam_init: float = 0.1,
        num_channels: int | None = None,
        learned: bool = True,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        del rngs  # nothing is random; nnx.bridge passes it to every module
        self.axes: tuple[int, ...] = named_axes(axes, self._count)
        num_axes = self._count if per_axis else None
        super().__init__(mode, lam_init, num_channels, learned, param_dtype, num_axes)
        self.num_sweeps = num_sweeps
        self.kind = kind
        self.channel_axis = channel_axis
        self.tol = tol

    def __call__(self, x: ArrayLike, lam: ArrayLike | None = None) -> Array:
        """Filters ``x`` with the layer's own weight, or with ``lam``."""
        x = jnp.asarray(_arguments.signal(x))
        axes = _arguments.tv_axes(self.axes, x.ndim)
        weight = self._lam(x, axes) if lam is None else lam
        options = _weight.options_of_images(self)
        return _weight.apply_mode(self.mode, x, prox_tv(x, weight, axes=axes, **options))


class TV3D(TV2D):
    """Total variation of a volume or a film, see :class:`jaxtv.linen.TV3D`.

    Args:
      axes: the three axes of a volume.
      options: those of :class:`TV2D`.

    Example:
      >>> import jax.numpy as jnp, jaxtv.nnx
      >>> layer = jaxtv.nnx.TV3D(per_axis=True)
      >>> layer(jnp.ones((2, 5, 8, 8, 4))).shape
      (2, 5, 8, 8, 4)
    """

    _count = 3

    def __init__(self, *, axes: tuple[int, ...] = (-4, -3, -2), **options: Any) -> None:
        super().__init__(axes=axes, **options)

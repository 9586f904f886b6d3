# SPDX-License-Identifier: MIT
"""Total variation layers for Flax Linen. Inputs are channels last, ``[..., H, W, C]``.

**Weight decay** pulls parameters to 0, and ``lam_raw = 0`` is a weight of ``log 2 = 0.69``, for
most feature maps a heavy smoothing. So exempt it, as biases are:

>>> import jax, optax
>>> def decayed(params):
...     return jax.tree_util.tree_map_with_path(
...         lambda path, _: "lam_raw" not in jax.tree_util.keystr(path), params
...     )
>>> optimizer = optax.adamw(1e-3, weight_decay=0.1, mask=decayed)
"""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxtv import _arguments, _weight
from jaxtv._tv1d import prox_tv_1d
from jaxtv._tvnd import TOL, named_axes, prox_tv

try:
    from flax import linen as nn
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "jaxtv.linen needs Flax: pip install 'jaxtv[flax]'", name=_missing.name
    ) from _missing

__all__ = ["TV1D", "TV2D", "TV3D"]


class _TV(nn.Module):
    """What the layers share: the weight and the mode."""

    mode: str = "smooth"
    lam_init: float = 0.1
    num_channels: int | None = None
    learned: bool = True
    param_dtype: Any = jnp.float32

    def _input(self, x: ArrayLike) -> Array:
        _weight.check_options(self.mode, self.lam_init, self.learned, self.param_dtype)
        return jnp.asarray(_arguments.signal(x))

    def _lam(self, x: Array, axes: tuple[int, ...], per_axis: bool = False) -> Any:
        shape = _weight.shape(self.num_channels, len(axes) if per_axis else None)
        if not self.learned:
            return _weight.fixed(self.lam_init, x, axes)
        _weight.check_channels(self.num_channels, x)
        init = nn.initializers.constant(_weight.raw_from_lam(self.lam_init))
        lam = _weight.lam_from_raw(self.param("lam_raw", init, shape, self.param_dtype))
        return tuple(lam) if per_axis else lam


class TV1D(_TV):
    r"""Total variation along the rows or columns of a feature map.

    Smoothing gives :math:`\operatorname{prox}(x, \lambda)`, sharpening
    :math:`2 x - \operatorname{prox}(x, \lambda)`, with :func:`jaxtv.prox_tv_1d` along ``axis``.
    With :math:`\lambda \to 0` the layer is the identity.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv.linen
      >>> layer = jaxtv.linen.TV1D(axis=-3, mode="sharp", num_channels=4)
      >>> x = jnp.ones((2, 8, 8, 4))
      >>> params = layer.init(jax.random.key(0), x)
      >>> jax.tree.map(jnp.shape, params)
      {'params': {'lam_raw': (4,)}}
      >>> layer.apply(params, x).shape
      (2, 8, 8, 4)

    Attributes:
      mode: ``"smooth"`` (Eq. 3 of the paper) or ``"sharp"`` (Eq. 4).
      lam_init: initial weight, in the units of the input: one positive number, or what ``lam`` may
        be if the weight is not learned.
      num_channels: one weight for each of so many channels instead of one for all.
      learned: hold the weight as the parameter ``lam_raw``, through softplus; otherwise it stays
        ``lam_init``. See :mod:`jaxtv.linen` on weight decay.
      param_dtype: type of the parameter.
      axis: ``-2`` smooths along each row (over W), ``-3`` along each column (over H).

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022.
    """

    axis: int = -2

    @nn.compact
    def __call__(self, x: ArrayLike, lam: ArrayLike | None = None) -> Array:
        """Filters ``x``.

        Args:
          x: floating array ``[..., H, W, C]``.
          lam: weight to use instead of the layer's own, as in :func:`jaxtv.prox_tv_1d`.

        Returns:
          Array of the shape and dtype of ``x``.
        """
        x = self._input(x)
        axis = _arguments.tv_axis(self.axis, x.ndim)
        weight = self._lam(x, (axis,)) if lam is None else lam
        return _weight.apply_mode(self.mode, x, prox_tv_1d(x, weight, axis=axis))


class TV2D(_TV):
    r"""Total variation of a feature map.

    Smoothing gives :math:`\operatorname{prox}(x, \lambda)`, sharpening
    :math:`2 x - \operatorname{prox}(x, \lambda)`, with :func:`jaxtv.prox_tv_2d` over ``axes``. With
    :math:`\lambda \to 0` the layer is the identity.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv.linen
      >>> layer = jaxtv.linen.TV2D(lam_init=0.05)
      >>> x = jnp.ones((2, 8, 8, 4))
      >>> params = layer.init(jax.random.key(0), x)
      >>> jax.tree.map(jnp.shape, params)
      {'params': {'lam_raw': ()}}
      >>> layer.apply(params, x).shape
      (2, 8, 8, 4)

    Attributes:
      mode: ``"smooth"`` (Eq. 3 of the paper) or ``"sharp"`` (Eq. 4).
      lam_init: initial weight, in the units of the input: one positive number, or what ``lam`` may
        be if the weight is not learned.
      num_channels: one weight for each of so many channels instead of one for all.
      learned: hold the weight as the parameter ``lam_raw``, through softplus; otherwise it stays
        ``lam_init``. See :mod:`jaxtv.linen` on weight decay.
      param_dtype: type of the parameter.
      axes: the image axes.
      num_sweeps: sweeps of Alg. 1 of the paper; ``None`` solves to ``tol``, which any ``kind`` or
        ``channel_axis`` but the default needs.
      kind: ``"anisotropic"`` or ``"isotropic"``, as in :func:`jaxtv.prox_tv`.
      channel_axis: -1 couples the channels, as in :func:`jaxtv.prox_tv`.
      tol: for ``num_sweeps=None``, the relative error, as in :func:`jaxtv.prox_tv`.
      per_axis: hold a weight for each of ``axes``.

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022.
    """

    _count = 2  # the number of axes

    axes: tuple[int, ...] = (-3, -2)
    num_sweeps: int | None = 4
    kind: str = "anisotropic"
    channel_axis: int | None = None
    tol: float = TOL
    per_axis: bool = False

    @nn.compact
    def __call__(self, x: ArrayLike, lam: ArrayLike | None = None) -> Array:
        """Filters ``x``.

        Args:
          x: floating array ``[..., H, W, C]``.
          lam: weight to use instead of the layer's own, as in :func:`jaxtv.prox_tv`.

        Returns:
          Array of the shape and dtype of ``x``.
        """
        x = self._input(x)
        axes = _arguments.tv_axes(named_axes(self.axes, self._count), x.ndim)
        weight = self._lam(x, axes, self.per_axis) if lam is None else lam
        options = _weight.options_of_images(self)
        return _weight.apply_mode(self.mode, x, prox_tv(x, weight, axes=axes, **options))


class TV3D(TV2D):
    r"""Total variation of a volume or a film, ``[..., D, H, W, C]``.

    :class:`TV2D` for three axes, with the same attributes. ``per_axis=True`` learns a weight for
    time, or for the distance between slices, of its own.

    Example:
      >>> import jax, jax.numpy as jnp, jaxtv.linen
      >>> layer = jaxtv.linen.TV3D(per_axis=True)
      >>> x = jnp.ones((2, 5, 8, 8, 4))
      >>> params = layer.init(jax.random.key(0), x)
      >>> jax.tree.map(jnp.shape, params)
      {'params': {'lam_raw': (3,)}}

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022.
    """

    _count = 3

    axes: tuple[int, ...] = (-4, -3, -2)

# SPDX-License-Identifier: MIT
"""Weights of the paper's PyTorch layers, for those of :mod:`jaxtv.linen` and :mod:`jaxtv.nnx`.

A checkpoint holds one parameter, ``lmbd``, of each layer whose weight is learned or fixed. All
else is an argument that the code gave to the constructor; docs/migration.md says what it is here.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxtv import _arguments

__all__ = ["from_tv_layers"]

NAME = "lmbd"


def from_tv_layers(
    state: Mapping[str, ArrayLike], *, lmbd_zero: float = -1.0
) -> dict[str, NDArray[np.floating]]:
    r"""The parameters ``lam_raw`` of a checkpoint of the paper's code.

    There a weight is :math:`\lambda = \operatorname{softplus}(l + o)`, with :math:`l` the stored
    ``lmbd`` and, where the layer was made with ``lmbd_zero`` :math:`z \ge 0`,

    .. math::
      o = z + \log(1 - e^{-z} + 10^{-8}),

    else :math:`o = 0`. Here it is the softplus of ``lam_raw``, which is thus :math:`l + o`.

    Args:
      state: the state of a module, names to arrays: what ``torch.load(path, map_location="cpu")``
        gives, or that converted to NumPy. Parameters of other layers are passed over. ``lmbd`` has
        the shape ``[1, C]``.
      lmbd_zero: that of the constructor, which is not in the checkpoint; by default -1, as there.

    Returns:
      For each ``lmbd``, by its name in the checkpoint, the ``lam_raw`` of the layer here: of shape
      ``[C]``, or ``[]`` for one weight for all channels, in the units and type of the checkpoint.

    Raises:
      TypeError: if ``state`` is no mapping, or ``lmbd_zero`` no number.
      ValueError: if ``state`` has no ``lmbd``, or one of another shape.

    Example:
      >>> import numpy as np
      >>> from jaxtv.checkpoints import from_tv_layers
      >>> state = {"conv.weight": np.ones(9), "tv.tv_layer.solve.lmbd": np.array([[0.5, -1.0]])}
      >>> from_tv_layers(state)
      {'tv.tv_layer.solve.lmbd': array([ 0.5, -1. ])}

    References:
      Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer Vision", CVPR 2022,
      Eq. (3) and (4); the authors' code, tv_layers_for_cv, ``L1TV1DLayer``.
    """
    if not isinstance(state, Mapping):
        raise TypeError(
            f"state must be a mapping of names to arrays, got {_arguments.shown(state)}: pass the "
            "state_dict of the module, not the module."
        )
    zero = float(np.asarray(_arguments.real(lmbd_zero, "lmbd_zero", "a number")))
    offset = zero + math.log(-math.expm1(-zero) + 1e-8) if zero >= 0 else 0.0
    found: dict[str, NDArray[np.floating]] = {}
    for name, value in state.items():
        if name.rpartition(".")[2] != NAME:
            continue
        stored = np.asarray(value)
        if stored.ndim != 2 or stored.shape[0] != 1 or stored.size == 0:
            raise ValueError(
                f"{name} must have the shape [1, channels], got {stored.shape}: it is of no layer "
                "of tv_layers_for_cv; leave it out of state."
            )
        raw = (stored[0] + offset).astype(stored.dtype)
        found[name] = raw if raw.size > 1 else raw.reshape(())
    if not found:
        raise ValueError(
            f"state must have parameters that are named {NAME}, got "
            f"{_arguments.shown(list(state))}: a whole checkpoint may hold the state of the module "
            "under a key of its own."
        )
    return found

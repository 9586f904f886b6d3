# SPDX-License-Identifier: MIT
"""Coupled images of every model, and their energies, for the tests.

The proof of a result is its duals: `energies` computes the primal and the dual energy of the model
from its definition alone, in NumPy.
"""

import jax.numpy as jnp
import numpy as np

_RNG = np.random.default_rng(18)
MODELS = {
    "isotropic": {"kind": "isotropic"},
    "channels": {"kind": "isotropic", "channel_axis": 0},
    "channels, anisotropic": {"channel_axis": 0},
    "periodic": {"kind": "isotropic", "periodic": True},
    "periodic, anisotropic": {"periodic": True},
    "masked": {"kind": "isotropic", "data_weight": "mask"},
    "masked, anisotropic": {"data_weight": "mask"},
    "noise levels, channels": {"kind": "isotropic", "channel_axis": 0, "data_weight": "levels"},
}
SHAPE = (2, 5, 6)
AXES = (1, 2)
MASK = np.array(_RNG.random(SHAPE[1:]) < 0.6, float)
LEVELS = _RNG.uniform(0.3, 2.0, SHAPE)
IMAGE = _RNG.standard_normal(SHAPE)


def options(name):
    """The keyword arguments of a model."""
    found = dict(MODELS[name])
    weights = {"mask": jnp.asarray(MASK), "levels": jnp.asarray(LEVELS)}
    if "data_weight" in found:
        found["data_weight"] = weights[found["data_weight"]]
    return found


def differences(y, axis, periodic):
    ahead = np.roll(y, -1, axis) - y
    if not periodic:
        ahead[tuple(slice(-1, None) if d == axis else slice(None) for d in range(y.ndim))] = 0
    return ahead


def energies(
    y, duals, x, lams, axes, kind="anisotropic", channel_axis=None, data_weight=1.0, periodic=False
):
    """The primal energy at y, the dual one at the duals, and how far these are beyond the weights.

    One image of all of `x`. The dual energy is the least over images in the range of the data.
    """
    x, m = np.asarray(x), np.broadcast_to(data_weight, np.shape(x))
    steps, charged, force = [], [], np.zeros_like(x)
    for p, lam, axis in zip(duals, lams, axes, strict=True):
        full = np.zeros_like(x)
        full[tuple(slice(0, n) for n in p.shape)] = p
        force += np.roll(full, 1, axis) - full
        w = np.broadcast_to(lam, x.shape)
        steps.append(w * differences(y, axis, periodic))
        charged.append(
            np.where(w > 0, full / np.where(w > 0, w, 1), np.where(full == 0, 0, np.inf))
        )

    def lengths(values):
        squares = [v**2 for v in values]
        if channel_axis is not None:
            squares = [s.sum(channel_axis, keepdims=True) for s in squares]
        return [np.sqrt(sum(squares))] if kind == "isotropic" else [np.sqrt(s) for s in squares]

    primal = (m * (y - x) ** 2).sum() / 2 + sum(n.sum() for n in lengths(steps))
    known = np.where(m > 0, x, np.nan)
    low, high = np.nanmin(known, axes, keepdims=True), np.nanmax(known, axes, keepdims=True)
    if channel_axis is None and x.ndim > len(axes):
        raise ValueError("one image")
    free = np.where(force > 0, low, high)
    best = np.clip(np.where(m > 0, x - force / np.where(m > 0, m, 1), free), low, high)
    dual = (m * (best - x) ** 2).sum() / 2 + (force * best).sum()
    return primal, dual, max(n.max() for n in lengths(charged))


def images_of(x, name):
    """The images of `x` one by one, with their axes and their index."""
    if "channel_axis" in MODELS[name]:
        return [((), x, AXES)]
    return [((k,), x[k], (0, 1)) for k in range(len(x))]

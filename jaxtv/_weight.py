# SPDX-License-Identifier: MIT
"""How the layers hold lambda: a positive weight as the softplus of an unconstrained parameter."""

import math

import jax
from jax import Array

MODES = ("smooth", "sharp")


def raw_from_lam(lam: float) -> float:
    """The parameter whose softplus is `lam`: log(exp(lam) - 1), without overflow."""
    if not lam > 0:
        raise ValueError(f"lam_init of a learned weight must be positive, got {lam}.")
    return lam + math.log(-math.expm1(-lam))


def lam_from_raw(raw: Array) -> Array:
    """The weight that a parameter stands for, Eq. (3) of the paper."""
    return jax.nn.softplus(raw)


def check_mode(mode: str) -> None:
    """Refuses an unknown mode."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}.")


def apply_mode(mode: str, x: Array, prox: Array) -> Array:
    """The layer's output: the prox (Eq. 3), or the input plus what the prox takes away (Eq. 4)."""
    check_mode(mode)
    return prox if mode == "smooth" else 2 * x - prox

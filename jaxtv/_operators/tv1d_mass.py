# SPDX-License-Identifier: MIT
"""The TV prox of lines with a mass on each sample, which weights its square.

What it computes is in `core/tv1d_mass.h` (compiled) and `jaxtv/_plain/tv1d_mass.py`.
"""

import jax.numpy as jnp
from jax import Array, lax

from jaxtv._operators import tv1d
from jaxtv._plain import tv1d_mass as plain
from jaxtv._plumbing import primitive


def prox(x: Array, lam: Array, mass: Array, *, axis: int) -> Array:
    """argmin_y 1/2 sum_k m_k (y_k - x_k)^2 + sum_e lam_e |(D y)_e| for each line along `axis`.

    Args:
      x: float32 or float64, any shape. Where there is no mass it counts for nothing.
      lam: weights, as for `tv1d.prox`.
      mass: same dtype and rank as `x`; each dimension is that of `x` or 1.
      axis: not negative.
    """
    return primitive.bind(_prox_p, x, lam, mass, axis=axis)[0]


# The derivative. Let s = sign(D y), P the mean over each run of equal y, and p = P m. Summed over a
# run, the optimality conditions m (y - x) + D^T (lam * s') = 0, |s'| <= 1, with s' = s at the jumps
# that end the run, read
#
#     p y = P (m x - D^T (lam * s)).
#
# Runs and signs are constant near almost every (x, lam, m). With dp = P dm, and since y and p are
# constant on runs, so that they may stand in front of P or behind it,
#
#     dy = 1/p P (m dx + (x - y) dm - D^T (s * dlam)),
#
# which is 1/p times `tv1d.push_forward`. Its transpose gives, with q = P (y_bar / p),
#
#     x_bar = m q,      m_bar = (x - y) q,      lam_bar = -s * (D q),
#
# the last two summed over what shares a mass or a weight. Only s and P are constants: p, x - y and
# m are differentiated again where a derivative is.
#
# What nothing determines is 0 and does not move. An x that is not finite where there is no mass is
# as good as y: so neither does it move y, nor does the first mass that it gets.
def _prox_jvp(operands, tangents, *, axis: int):
    x, lam, mass = operands
    dx, dlam, dmass = tangents
    (y,) = primitive.bind(_prox_p, *operands, axis=axis)
    runs, weight = lax.stop_gradient((y, lam))
    mass = jnp.where((mass >= 0) & jnp.isfinite(mass), mass, 0)  # else y is NaN, but no 0 * NaN
    moved = None
    if dx is not None:
        moved = mass * dx
    if dmass is not None:
        gap = x - y
        by_mass = jnp.where(jnp.isfinite(gap), gap, 0) * dmass
        moved = by_mass if moved is None else moved + by_mass
    tied = _mean_mass(runs, weight, mass, axis)
    if moved is not None and lam.shape[axis] == 1:
        # At a weight of 0 that a line shares, x moves each sample, but the weight ties neighbours.
        alone = jnp.where(mass > 0, tied / jnp.where(mass > 0, mass, 1), 0)
        moved = moved * jnp.where(weight == 0, alone, 1)
    inverse = jnp.where(
        tied > 0, 1 / jnp.where(tied > 0, tied, 1), jnp.where(jnp.isnan(runs), 1, 0)
    )
    return [y], inverse * tv1d.push_forward(runs, weight, moved, dlam, axis=axis)


def _mean_mass(runs: Array, weight: Array, mass: Array, axis: int) -> Array:
    """P m; no edge of weight 0 is in a run, but where it is that of all edges of a line."""
    mass = jnp.zeros_like(runs) + mass  # cut over devices as runs are, unlike by broadcast_to
    if weight.shape[axis] == 1:
        return tv1d.run_mean(runs, mass, axis=axis)
    return tv1d.pull_back(runs, weight, mass, axis=axis)[0]


_prox_p = primitive.make(
    "jaxtv_prox_tv1d_mass",
    lambda x, lam, mass, *, axis: [plain.prox(x, lam, mass, axis=axis)],
    results=lambda x, *_, axis: [x],
    full_operands=(0,),
)
primitive.differentiable(_prox_p, _prox_jvp)

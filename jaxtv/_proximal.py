# SPDX-License-Identifier: MIT
"""The prox of total variation as solvers take it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar, Unpack

import jax
from jax.typing import ArrayLike

from jaxtv import _arguments
from jaxtv._prox import Weights
from jaxtv._tvnd import ProxOptions, prox_tv

Params = TypeVar("Params")


class Prox(Protocol):
    """What a solver calls."""

    def __call__(
        self, params: Params, hyperparams: Weights = 1.0, scaling: ArrayLike = 1.0
    ) -> Params:
        """The prox of ``scaling * hyperparams`` times the total variation of each leaf."""
        ...


def proximal_operator(axes: Sequence[int] = (-1,), **options: Unpack[ProxOptions]) -> Prox:
    r"""Total variation for proximal solvers: ``prox(params, hyperparams, scaling)``.

    .. math::
      \operatorname{prox}(x, \lambda, s)
        = \operatorname{argmin}_y \tfrac12 \|y - x\|_2^2 + s \lambda \operatorname{TV}(y)

    This is the signature of ``jaxopt.prox``, so that ``jaxopt.ProximalGradient`` and others that
    call ``prox(params, hyperparams, step_size)`` minimise :math:`f + \lambda \operatorname{TV}`.

    Args:
      axes: the axes along which variation is measured, of each leaf of the parameters; by default
        the last.
      options: those of :func:`jaxtv.prox_tv` but ``return_info``, for example ``kind`` and ``tol``.

    Returns:
      A function of ``params``, a tree of arrays as :func:`jaxtv.prox_tv` takes them;
      ``hyperparams``, the weight of all of them, as its ``lam``, by default 1; and ``scaling``, a
      number of at least 0 that multiplies the weight, by default 1. It gives a tree of the same
      structure, and is differentiable as :func:`jaxtv.prox_tv` is.

    Raises:
      TypeError: as :func:`jaxtv.prox_tv`, when the function is called.
      ValueError: as :func:`jaxtv.prox_tv`, when the function is called.

    Example:
      A proximal gradient step on :math:`\tfrac12 \|A y - b\|^2 + 0.3 \operatorname{TV}(y)`:

      >>> import jax, jax.numpy as jnp, jaxtv
      >>> prox = jaxtv.proximal_operator()
      >>> A, b, step = 2 * jnp.eye(3), jnp.array([0.0, 0.0, 4.0]), 0.25
      >>> fit = lambda y: jnp.sum((A @ y - b) ** 2) / 2
      >>> y = jnp.zeros(3)
      >>> prox(y - step * jax.grad(fit)(y), 0.3, step)
      Array([0.0375, 0.0375, 1.925 ], dtype=float32)

      With JAXopt: ``ProximalGradient(fit, prox).run(y, hyperparams_prox=0.3)``.

    References:
      Parikh, Boyd, "Proximal Algorithms", Foundations and Trends in Optimization 2014, sections
      1.1 and 4.2. Yeh, Hu, Ren, Schwing, "Total Variation Optimization Layers for Computer
      Vision", CVPR 2022, Eq. (1) and (2).
    """

    def prox(params: Params, hyperparams: Weights = 1.0, scaling: ArrayLike = 1.0) -> Params:
        factor = _arguments.real(scaling, "scaling")
        several = isinstance(hyperparams, tuple)
        weights = hyperparams if several else (hyperparams,)
        scaled = tuple(factor * _arguments.real(w, "hyperparams") for w in weights)
        lam = scaled if several else scaled[0]
        return jax.tree.map(
            lambda x: prox_tv(x, lam, axes=axes, return_info=False, **options), params
        )

    return prox

# SPDX-License-Identifier: MIT
"""Total variation proximity operators as differentiable layers for JAX."""

from importlib.metadata import version as _version

from jaxtv import forward
from jaxtv._lambda_max import lambda_max
from jaxtv._plumbing.ffi import FFI_TARGETS, compiled_platforms
from jaxtv._prox import ProxInfo
from jaxtv._proximal import proximal_operator
from jaxtv._total_variation import total_variation
from jaxtv._tv1d import LineInfo, prox_tv_1d
from jaxtv._tvnd import prox_tv, prox_tv_2d

__version__ = _version("jaxtv")
__all__ = [
    "FFI_TARGETS",
    "LineInfo",
    "ProxInfo",
    "compiled_platforms",
    "forward",
    "lambda_max",
    "prox_tv",
    "prox_tv_1d",
    "prox_tv_2d",
    "proximal_operator",
    "total_variation",
]

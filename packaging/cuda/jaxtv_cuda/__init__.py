# SPDX-License-Identifier: MIT
"""The CUDA kernels of jaxtv, which finds them by itself."""

# SPDX-License-Identifier: MIT
"""The operators in plain JAX: for platforms without compiled kernels, and as specification."""

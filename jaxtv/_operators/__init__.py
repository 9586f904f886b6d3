# SPDX-License-Identifier: MIT
"""The operators as JAX primitives: kernels per platform, and their derivatives."""

# SPDX-License-Identifier: MIT
"""What JAX asks of an operator: primitives, partitioning, compiled modules."""

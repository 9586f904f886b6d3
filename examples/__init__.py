# SPDX-License-Identifier: MIT
"""Examples: run each from the root of the checkout, `python -m examples.NAME`."""

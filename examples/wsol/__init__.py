# SPDX-License-Identifier: MIT
"""Weakly supervised object localisation: class activation maps behind a TV layer (Sec. 4.3)."""

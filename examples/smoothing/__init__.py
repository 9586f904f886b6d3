# SPDX-License-Identifier: MIT
"""Edge-preserving smoothing, section 4.5 of the paper: ResNet with and without TV layers."""

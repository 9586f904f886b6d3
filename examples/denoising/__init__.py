# SPDX-License-Identifier: MIT
"""Image denoising, section 4.6 of the paper: DnCNN with and without TV layers, and TV alone."""

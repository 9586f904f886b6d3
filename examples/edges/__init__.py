# SPDX-License-Identifier: MIT
"""Edge detection, section 4.4 of the paper: DexiNed with and without TV layers."""

# SPDX-License-Identifier: MIT
"""AllConvNet with TV layers on CIFAR-10: accuracy, robustness to corruptions, learned weights."""

# SPDX-License-Identifier: MIT
"""What the examples share: a training loop that resumes, batches, images, tables, figures."""

# SPDX-License-Identifier: MIT
"""What the examples share: a training loop that resumes, patches, images, tables, figures."""

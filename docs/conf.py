# SPDX-License-Identifier: MIT
"""Sphinx builds the documentation from this: nox -s docs."""

import os

# The kernels that run the pages' code inherit it: eight CPU devices, for the page on sharding.
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jaxtv

project = "jaxtv"
author = "The jaxtv authors"
copyright = author
release = version = jaxtv.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"jaxtv {release}"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

autodoc_typehints = "none"  # docstrings say the types, in words
autodoc_member_order = "bysource"
napoleon_use_ivar = True


def _benchmarks_are_a_page(_app, _name, source):
    """In the checkout pages link to benchmarks/README.md; here that is the page benchmarks."""
    source[0] = source[0].replace("](../benchmarks/README.md", "](benchmarks.md")


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _benchmarks_are_a_page)

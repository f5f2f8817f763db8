"""Sphinx: the Markdown of this folder as pages."""

project = "harness"
author = "The harness authors"
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "harness"
html_copy_source = False
html_show_sphinx = False
nitpicky = True

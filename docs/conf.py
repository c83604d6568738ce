"""How Sphinx builds the site. It needs no network."""

project = "AlignTune"
author = "AlignTune contributors"
copyright = "AlignTune contributors"

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
# Headings down to the third level can be linked to, and a link to a missing one is a warning.
myst_heading_anchors = 3

html_theme = "furo"
html_title = "AlignTune"
# The pages show Markdown sources that are in the repository already.
html_copy_source = False
html_show_sourcelink = False

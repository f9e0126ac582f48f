"""Sphinx's settings. The sources are the whole repository, so that all links work."""

project = "auditrepr"
author = "The authors of auditrepr"
extensions = ["myst_parser"]
myst_heading_anchors = 3
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md"]
root_doc = "docs/index"
# The index names every page by itself, as its readers elsewhere see it.
suppress_warnings = ["toc.not_included"]
html_theme = "alabaster"

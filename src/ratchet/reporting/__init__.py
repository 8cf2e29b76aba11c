"""Comparisons, verdicts, runs and searches as tables, drawn in a terminal, in Markdown and on an HTML page."""

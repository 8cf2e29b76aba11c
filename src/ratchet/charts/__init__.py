"""Vega-Lite charts of a comparison or of run directories: the same in the report, in notebooks, in DVC and in W&B."""

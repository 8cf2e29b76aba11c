"""Vega-Lite charts of a comparison or of run directories: the same in the report, in notebooks, in DVC and in W&B."""

from ratchet.extras import require_extra

require_extra("report", "altair", "vl_convert", what="a chart")  # before a module of this package imports altair

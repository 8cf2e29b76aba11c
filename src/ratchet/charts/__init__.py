"""Pictures of what runs wrote down, as Vega-Lite charts: the same in the report, in notebooks, in DVC and in W&B.

One module a picture; each reads a comparison or run directories, and computes nothing that they do not say.
"""

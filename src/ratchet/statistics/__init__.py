"""Compute statistics on arrays: bootstrap, estimates, p-values. Nothing here reads a run directory."""

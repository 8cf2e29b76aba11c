"""Evaluate a run: thresholds, metrics with intervals, slices, behaviour, cost. Arrays in, numbers out."""

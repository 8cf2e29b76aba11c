"""What a run is worth: thresholds, metrics with intervals, slices, cost. Reads scores, never a model's inside."""

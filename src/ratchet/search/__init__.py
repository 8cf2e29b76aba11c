"""Search a model's settings with Optuna: what may be tried, a study that outlives its process, and what came out."""

"""Statistics on arrays: resampling, estimates, p-values. Nothing here knows a run directory."""

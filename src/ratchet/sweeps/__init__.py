"""Make many runs: grids, searches, and launchers for their jobs. Functions return what happened; `cli` prints."""

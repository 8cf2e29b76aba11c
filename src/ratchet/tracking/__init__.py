"""What is told to others while a run goes on: curves, figures, tables, artifacts. The run directory stays the truth."""

from ratchet.tracking.opening import open_tracker
from ratchet.tracking.tracker import Description, Files, NullTracker, Report, Table, Tracker

__all__ = ["Description", "Files", "NullTracker", "Report", "Table", "Tracker", "open_tracker"]

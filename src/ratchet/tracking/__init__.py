"""What is told to others while a run goes on: curves, figures, tables, artifacts. The run directory stays the truth."""

from ratchet.tracking.base import Description, Files, NullTracker, Report, Table, Tracker
from ratchet.tracking.opening import open_tracker

__all__ = ["Description", "Files", "NullTracker", "Report", "Table", "Tracker", "open_tracker"]

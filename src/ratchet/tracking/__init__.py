"""Report curves, metrics, tables and artifacts of a run to a tracker. The run directory remains the reference."""

from ratchet.tracking.opening import open_tracker, print_upload
from ratchet.tracking.tracker import Description, Files, NullTracker, Report, Table, Tracker

__all__ = ["Description", "Files", "NullTracker", "Report", "Table", "Tracker", "open_tracker", "print_upload"]

"""The run directory: written atomically from the first second, read by everything that comes after."""

from ratchet.runs.recording import Recording, note_death, open_run
from ratchet.runs.stored import RunRecord, StoredRun, find_run, find_runs

__all__ = ["Recording", "RunRecord", "StoredRun", "find_run", "find_runs", "note_death", "open_run"]

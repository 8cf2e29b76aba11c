"""Write, read, select and remove run directories. Each file of a run is written atomically."""

from ratchet.runs.recording import Recording, open_run, record_death
from ratchet.runs.stored import RunRecord, StoredRun, find_run, find_runs

__all__ = ["Recording", "RunRecord", "StoredRun", "find_run", "find_runs", "open_run", "record_death"]

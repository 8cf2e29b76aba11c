"""The texts that runs were measured on: read from their data set, and shown only if it is the very same version."""

from collections.abc import Mapping
from dataclasses import dataclass

from ratchet.config import load, register
from ratchet.data.prepared import Prepared, prepare
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.runs.selection import Selection


@dataclass(frozen=True)
class Texts:
    """By id; None, and why, where they cannot be had."""

    by_id: Mapping[str, str] | None
    missing: str | None = None


def texts_of(selection: Selection) -> Texts:
    """Read the data set that the newest of the runs names."""
    run = max(selection.runs, key=lambda run: run.record.started_at)
    try:
        register(all_settings())
        return texts_in(prepare(load(run.path / "config.yaml", all_settings()).data), selection)
    except UserError as error:
        return Texts(None, f"the texts cannot be read: {error}")


def texts_in(prepared: Prepared, selection: Selection) -> Texts:
    """Those of a data set that is prepared already."""
    if prepared.version != selection.dataset_version:
        return Texts(
            None,
            f"the data set {selection.data} is of version {prepared.version[:12]} now, and these runs are of "
            f"{selection.dataset_version[:12]}",
        )
    return Texts({record.id: record.text for record in prepared.records})

"""What parts were made of: the input, the model, the options. Where one of them changed, nobody goes on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet.errors import UserError


def input_state(path: Path, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The path, size, time of change and sha256 of the input; the sha256 of `before` where all else is the same.

    Raises:
        UserError: not there, or not to be read.
    """
    try:
        stat = path.stat()
        quick = {"path": str(path.resolve()), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        if before is not None and all(before.get(key) == value for key, value in quick.items()):
            return {**quick, "sha256": before["sha256"]}
        with path.open("rb") as file:
            return {**quick, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any], directory: Path, rows: int) -> None:
    """Stop where the parts in `directory`, of the first `rows` rows, were made of something else.

    Raises:
        UserError: names all that changed.
    """
    changes = []
    for what in ("input", "model"):
        ours, theirs = now[what], before[what]
        key = "sha256" if what == "input" else "digest"
        if theirs[key] != ours[key]:
            named = "input" if what == "input" else f"run, then {theirs['name']}"
            changes.append(f"the {named} ({key} {theirs[key][:12]}, now {ours[key][:12]})")
    keys = dict.fromkeys([*before["options"], *now["options"]])
    for key in keys:
        was, is_now = before["options"].get(key), now["options"].get(key)
        if was != is_now:
            changes.append(f"{key}={was}, now {is_now}")
    if before["ratchet"] != now["ratchet"]:
        changes.append(f"ratchet {before['ratchet']}, now {now['ratchet']}")
    if changes:
        raise UserError(
            f"{directory}: {rows} rows were scored with something else: {'; '.join(changes)}. "
            "Go back to that, or start anew with restart=true"
        )

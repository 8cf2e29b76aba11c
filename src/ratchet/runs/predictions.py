"""Write and read predictions/<part>.parquet: ids, targets and scores (in the order of labels.json), and slices.

The file has a column `known` only where a target is unknown.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.data.known import Known, hide_unknown
from ratchet.errors import UserError
from ratchet.files import replacing


@dataclass(frozen=True)
class Predictions:
    """The predictions of one part: targets (uint8) and scores (float32), both of shape (num_items, num_labels).

    `known` has that shape, too, and is False at unknown targets; None: all are known.
    """

    ids: list[str]
    targets: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float32]
    slices: list[list[str]]
    known: Known | None = None

    def hide_unknown(self, decisions: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the decisions with 0 where the target is unknown, so that metrics do not count them."""
        return hide_unknown(decisions, self.known)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write the predictions atomically. Equal predictions give equal bytes."""
    import polars as pl  # slow to import, and `--help` of the verbs needs none of it

    width = predictions.targets.shape[1]
    targets = hide_unknown(predictions.targets, predictions.known)
    columns = {
        "id": pl.Series(predictions.ids, dtype=pl.String),
        "targets": pl.Series(targets, dtype=pl.Array(pl.UInt8, width)),
        "scores": pl.Series(predictions.scores, dtype=pl.Array(pl.Float32, width)),
        "slices": pl.Series(predictions.slices, dtype=pl.List(pl.String)),
    }
    if predictions.known is not None:
        columns["known"] = pl.Series(predictions.known, dtype=pl.Array(pl.Boolean, width))
    frame = pl.DataFrame(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        frame.write_parquet(temporary)


def read_predictions(path: Path) -> Predictions:
    """Read a file that `write_predictions` wrote.

    Raises:
        UserError: the file is missing or is not a file of predictions.
    """
    import polars as pl

    try:
        frame = pl.read_parquet(path)
        arrays: list[npt.NDArray[Any]] = [frame[name].to_numpy() for name in ("targets", "scores")]
        known = frame["known"].to_numpy() if "known" in frame.columns else None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: not a file of predictions: {str(error).splitlines()[0]}") from error
    return Predictions(frame["id"].to_list(), arrays[0], arrays[1], frame["slices"].to_list(), known)

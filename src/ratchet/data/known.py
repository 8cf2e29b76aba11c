"""Define what unknown targets mean: no fit learns from them, and no metric is measured on them.

A target is 1, 0 or unknown. `known` has the shape of the targets, (num_items, num_labels), and is False at unknown
targets. None means that all targets are known: every computation is then the same as for
data that have no unknown targets at all.
"""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Known = npt.NDArray[np.bool_]
Cells = TypeVar("Cells", npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float64])
Indices = npt.NDArray[np.intp]


def hide_unknown(cells: Cells, known: Known | None) -> Cells:
    """Return targets or decisions with 0 at unknown cells.

    With 0 in both, an unknown cell is neither a true nor a false positive, nor a positive that was missed. It then
    counts in no precision, recall or F1, of labels as of items, whatever the weights of the items.
    """
    return cells if known is None else cells * known


def list_measured_rows(known: Known | None, num_items: int) -> Indices:
    """Return the rows that have a known target. The others have nothing to measure, not even that they are empty."""
    return np.arange(num_items) if known is None else np.flatnonzero(known.any(axis=1))


def select_known_cells(cells: Cells, known: Known | None) -> Cells:
    """Return the known cells as items of one label each, shape (num_known, 1), for measures that treat all cells alike.

    If none is unknown, the cells are returned as they are.
    """
    return cells if known is None else cells[known][:, None]


def prepare_fit(targets: npt.NDArray[np.uint8], known: Known | None) -> tuple[npt.NDArray[np.uint8], Known | None]:
    """Return what a fit learns from: targets with 0 at unknown cells, and the cells to learn from.

    A label without a known target is learned as if no item had it, with a low score: there is nothing else to
    learn, and a column without a target would keep the score that it started with.
    """
    if known is None:
        return targets, None
    return hide_unknown(targets, known), known | ~known.any(axis=0)


def mark_unknown(targets: npt.NDArray[np.uint8], known: Known | None) -> npt.NDArray[np.float32]:
    """Return targets to learn from, float32, with NaN at unknown cells."""
    marked = targets.astype(np.float32)
    if known is not None:
        marked[~known] = np.nan
    return marked


def group_labels(known: Known) -> Iterator[tuple[Indices, Indices]]:
    """Yield (rows, columns): the columns whose targets are known for the same rows, and these rows.

    Columns that share their rows can be fitted together.
    """
    columns_of: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        columns_of.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in columns_of.values():
        yield np.flatnonzero(known[:, columns[0]]), np.array(columns, dtype=np.intp)

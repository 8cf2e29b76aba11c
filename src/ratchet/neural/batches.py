"""Batches of texts of about the same length, padded to the longest one among them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ratchet.neural.tokens import TokenIds

_POOL = 16  # batches that are sorted by length together


class Batch(NamedTuple):
    """Token ids and a mask of those that are not padding, of shape (batch, length); targets of shape (batch, labels).

    If processes share a batch, this is the share of one: its mean loss has a `weight` in that of the batch. A process
    without a row gets one with a `weight` of 0, since every process has to take every step.

    `cells` has the shape of `targets`: the weight of each target in the loss, 0 where there is none; None: all count.
    """

    ids: Tensor
    mask: Tensor
    targets: Tensor
    weight: float = 1.0
    cells: Tensor | None = None


def pad(texts: Sequence[TokenIds], padding: int) -> tuple[Tensor, Tensor]:
    """Return `ids`, int64, and `mask`, bool, of shape (texts, longest text)."""
    lengths = np.array([len(text) for text in texts])
    ids = np.full((len(texts), lengths.max()), padding, dtype=np.int64)
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids[mask] = np.concatenate(texts)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def by_length(texts: Sequence[TokenIds], batch_size: int) -> list[list[int]]:
    """Return the rows of each batch, shortest texts first; the order depends on the lengths alone."""
    order = np.argsort([len(text) for text in texts], kind="stable").tolist()
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def shuffled(texts: Sequence[TokenIds], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the rows of each batch: shuffled, sorted by length in pools, batches shuffled; from (`seed`, `epoch`)."""
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(texts))
    lengths = np.array([len(text) for text in texts])
    pools = [order[start : start + _POOL * batch_size] for start in range(0, len(order), _POOL * batch_size)]
    batches = []
    for pool in pools:
        rows = pool[np.argsort(lengths[pool], kind="stable")].tolist()
        batches += [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]


def share_of(rows: list[int], rank: int, size: int) -> list[int]:
    """Return the rows of a batch that process `rank` of `size` gets; shares are consecutive and of about equal size."""
    return rows[len(rows) * rank // size : len(rows) * (rank + 1) // size]


class Batches:
    """The batches of one part, for one epoch. Without a `seed` the order is the same in every epoch.

    `share` is the rank of this process and the number of processes: only its rows of each batch are yielded. `cells`
    are the weights of targets in the loss.
    """

    def __init__(
        self,
        texts: Sequence[TokenIds],
        targets: npt.NDArray[Any],
        *,
        batch_size: int,
        padding: int,
        seed: int | None = None,
        cells: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self._texts, self._padding, self._batch_size, self._seed = texts, padding, batch_size, seed
        self._targets = torch.from_numpy(targets.astype(np.float32))
        self._cells = None if cells is None else torch.from_numpy(cells)
        self.epoch = 0
        self.share = (0, 1)

    def __len__(self) -> int:
        return -(-len(self._texts) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self._seed is None:
            batches = by_length(self._texts, self._batch_size)
        else:
            batches = shuffled(self._texts, self._batch_size, self._seed, self.epoch)
        for rows in batches:
            own = share_of(rows, *self.share)
            kept = own or rows[:1]
            ids, mask = pad([self._texts[row] for row in kept], self._padding)
            cells = None if self._cells is None else self._cells[kept]
            yield Batch(ids, mask, self._targets[kept], len(own) / len(rows), cells)

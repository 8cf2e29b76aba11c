import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ratchet.neural.batches import Batch, Batches, by_length, pad, share_of, shuffled
from ratchet.neural.tokens import TokenIds

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=200)


def texts_of(lengths: list[int]) -> list[TokenIds]:
    """Texts of those lengths; each token of the text in row r is r + 10."""
    return [np.full(length, row + 10, dtype=np.int64) for row, length in enumerate(lengths)]


def many_texts() -> list[TokenIds]:
    return texts_of(np.random.default_rng(0).integers(1, 101, 1000).tolist())


def rows_of(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def padded_share(texts: list[TokenIds], batches: list[list[int]]) -> float:
    """How much of the batches is padding."""
    lengths = [[len(texts[row]) for row in batch] for batch in batches]
    return 1 - sum(map(sum, lengths)) / sum(len(batch) * max(batch) for batch in lengths)


def test_shorter_texts_are_filled_up_and_masked() -> None:
    ids, mask = pad([np.array([5, 6, 7]), np.array([8]), np.array([9, 1])], 3)
    assert ids.tolist() == [[5, 6, 7], [8, 3, 3], [9, 1, 3]]
    assert mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


def test_a_text_that_holds_the_padding_token_is_not_masked_there() -> None:
    _, mask = pad([np.array([0, 4, 0]), np.array([4])], 0)
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@given(lengths=LENGTHS, batch_size=st.integers(1, 40))
@hypothesis_settings(deadline=None)
def test_every_row_is_in_one_batch(lengths: list[int], batch_size: int) -> None:
    texts = texts_of(lengths)
    for batches in (by_length(texts, batch_size), shuffled(texts, batch_size, 0, 0)):
        assert sorted(rows_of(batches)) == list(range(len(texts)))
        sizes = [len(batch) for batch in batches]
        assert max(sizes) <= batch_size
        assert len(sizes) == -(-len(texts) // batch_size)


@given(lengths=LENGTHS, batch_size=st.integers(1, 40))
@hypothesis_settings(deadline=None)
def test_batches_by_length_go_from_short_to_long_and_equals_stay_in_order(lengths: list[int], batch_size: int) -> None:
    order = rows_of(by_length(texts_of(lengths), batch_size))
    assert order == sorted(range(len(lengths)), key=lambda row: (lengths[row], row))


def test_little_of_a_shuffled_batch_is_padding() -> None:
    texts = many_texts()
    at_random = np.random.default_rng(1).permutation(len(texts)).reshape(-1, 20).tolist()
    assert padded_share(texts, at_random) > 0.4, "the data are such that it takes sorting"
    assert padded_share(texts, shuffled(texts, 20, 0, 0)) < 0.1
    assert padded_share(texts, by_length(texts, 20)) < 0.02


def test_the_order_is_drawn_from_seed_and_epoch_alone() -> None:
    texts = many_texts()
    state = np.random.get_state()
    try:
        np.random.seed(1)
        first = shuffled(texts, 16, 7, 3)
        np.random.seed(2)
        assert shuffled(texts, 16, 7, 3) == first
    finally:
        np.random.set_state(state)


def test_the_order_differs_between_epochs_and_between_seeds() -> None:
    texts = many_texts()
    orders = [rows_of(shuffled(texts, 16, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 9
    partners = [{frozenset(batch) for batch in shuffled(texts, 16, 0, epoch)} for epoch in range(2)]
    assert not partners[0] & partners[1], "texts meet others in each epoch"


def test_short_texts_do_not_come_first_when_shuffled() -> None:
    texts = many_texts()[:256]  # all of them are sorted together
    means = [float(np.mean([len(texts[row]) for row in batch])) for batch in shuffled(texts, 16, 0, 0)]
    assert len(means) == 16
    assert abs(np.corrcoef(means, range(16))[0, 1]) < 0.5


@pytest.mark.parametrize("seed", [None, 5], ids=["by length", "shuffled"])
def test_targets_go_with_their_texts(seed: int | None) -> None:
    texts = many_texts()
    targets = np.random.default_rng(2).integers(0, 2, (len(texts), 4)).astype(np.uint8)
    seen = []
    for ids, mask, batch_targets, weight in Batches(texts, targets, batch_size=16, padding=0, seed=seed):
        rows = ids[:, 0].numpy() - 10
        np.testing.assert_array_equal(batch_targets.numpy(), targets[rows])
        np.testing.assert_array_equal(mask.sum(dim=1).numpy(), [len(texts[row]) for row in rows])
        assert batch_targets.dtype == torch.float32
        assert weight == 1.0
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(texts)))


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (16, 1), (17, 2), (32, 2)])
def test_the_number_of_batches_is_known_before(size: int, expected: int) -> None:
    batches = Batches(texts_of([3] * size), np.zeros((size, 1), dtype=np.uint8), batch_size=16, padding=0, seed=0)
    assert len(batches) == len(list(batches)) == expected


def test_the_epoch_decides_the_order_only_where_there_is_a_seed() -> None:
    texts, targets = many_texts(), np.zeros((1000, 1), dtype=np.uint8)
    for seed, orders in ((0, 2), (None, 1)):
        batches = Batches(texts, targets, batch_size=16, padding=0, seed=seed)
        seen = set()
        for epoch in (0, 1, 0):
            batches.epoch = epoch
            seen.add(tuple(int(ids[0, 0]) for ids, *_ in batches))
        assert len(seen) == orders


@given(lengths=LENGTHS, batch_size=st.integers(1, 40), size=st.integers(1, 5), seed=st.sampled_from([None, 0]))
@hypothesis_settings(deadline=None)
def test_the_shares_of_all_processes_are_the_batches_in_order(
    lengths: list[int], batch_size: int, size: int, seed: int | None
) -> None:
    def batches(rank: int, of: int) -> list[Batch]:
        made = Batches(texts, targets, batch_size=batch_size, padding=0, seed=seed)
        made.share = (rank, of)
        return list(made)

    texts = texts_of(lengths)
    targets = np.arange(len(texts)).reshape(-1, 1)
    whole, shares = batches(0, 1), zip(*(batches(rank, size) for rank in range(size)), strict=True)
    for batch, parts in zip(whole, shares, strict=True):
        counting = [part for part in parts if part.weight]
        assert torch.equal(torch.cat([part.targets for part in counting]), batch.targets)
        assert [row for part in counting for row in part.ids[:, 0].tolist()] == batch.ids[:, 0].tolist()
        assert [part.weight * len(batch.ids) for part in counting] == pytest.approx(
            [len(part.ids) for part in counting]
        )
        assert sum(part.weight for part in parts) == pytest.approx(1)
        assert all(len(part.ids) == 1 for part in parts if not part.weight), "it takes the step too"


@given(count=st.integers(1, 40), size=st.integers(1, 9))
def test_shares_differ_by_a_row_at_most(count: int, size: int) -> None:
    counts = [len(share_of(list(range(count)), rank, size)) for rank in range(size)]
    assert max(counts) - min(counts) <= 1

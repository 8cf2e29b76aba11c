import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ratchet.neural.batches import Batch, Batches, by_length, pad, share_of, shuffled
from ratchet.neural.tokens import TokenIds

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=200)


def make_texts(lengths: list[int]) -> list[TokenIds]:
    """Return texts of the given lengths; each token of the text in row r is r + 10."""
    return [np.full(length, row + 10, dtype=np.int64) for row, length in enumerate(lengths)]


def make_many_texts() -> list[TokenIds]:
    return make_texts(np.random.default_rng(0).integers(1, 101, 1000).tolist())


def flatten_rows(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def padding_share(texts: list[TokenIds], batches: list[list[int]]) -> float:
    """Return the share of the batches that is padding."""
    lengths = [[len(texts[row]) for row in batch] for batch in batches]
    return 1 - sum(map(sum, lengths)) / sum(len(batch) * max(batch) for batch in lengths)


def test_shorter_texts_are_padded_and_masked() -> None:
    ids, mask = pad([np.array([5, 6, 7]), np.array([8]), np.array([9, 1])], 3)
    assert ids.tolist() == [[5, 6, 7], [8, 3, 3], [9, 1, 3]]
    assert mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


def test_padding_token_inside_text_is_not_masked() -> None:
    _, mask = pad([np.array([0, 4, 0]), np.array([4])], 0)
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@given(lengths=LENGTHS, batch_size=st.integers(1, 40))
@hypothesis_settings(deadline=None)
def test_every_row_is_in_exactly_one_batch(lengths: list[int], batch_size: int) -> None:
    texts = make_texts(lengths)
    for batches in (by_length(texts, batch_size), shuffled(texts, batch_size, 0, 0)):
        assert sorted(flatten_rows(batches)) == list(range(len(texts)))
        sizes = [len(batch) for batch in batches]
        assert max(sizes) <= batch_size
        assert len(sizes) == -(-len(texts) // batch_size)


@given(lengths=LENGTHS, batch_size=st.integers(1, 40))
@hypothesis_settings(deadline=None)
def test_batches_by_length_are_sorted_stably(lengths: list[int], batch_size: int) -> None:
    order = flatten_rows(by_length(make_texts(lengths), batch_size))
    assert order == sorted(range(len(lengths)), key=lambda row: (lengths[row], row))


def test_shuffled_batches_contain_little_padding() -> None:
    texts = make_many_texts()
    random_batches = np.random.default_rng(1).permutation(len(texts)).reshape(-1, 20).tolist()
    assert padding_share(texts, random_batches) > 0.4, (
        "random batches must contain much padding for this test to mean anything"
    )
    assert padding_share(texts, shuffled(texts, 20, 0, 0)) < 0.1
    assert padding_share(texts, by_length(texts, 20)) < 0.02


def test_order_ignores_global_random_state() -> None:
    texts = make_many_texts()
    state = np.random.get_state()
    try:
        np.random.seed(1)
        first = shuffled(texts, 16, 7, 3)
        np.random.seed(2)
        assert shuffled(texts, 16, 7, 3) == first
    finally:
        np.random.set_state(state)


def test_order_differs_between_epochs_and_seeds() -> None:
    texts = make_many_texts()
    orders = [flatten_rows(shuffled(texts, 16, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 9
    partners = [{frozenset(batch) for batch in shuffled(texts, 16, 0, epoch)} for epoch in range(2)]
    assert not partners[0] & partners[1], "each epoch must form different batches"


def test_shuffled_batches_are_not_ordered_by_length() -> None:
    texts = make_many_texts()[:256]  # all of them are sorted together
    means = [float(np.mean([len(texts[row]) for row in batch])) for batch in shuffled(texts, 16, 0, 0)]
    assert len(means) == 16
    assert abs(np.corrcoef(means, range(16))[0, 1]) < 0.5


@pytest.mark.parametrize("seed", [None, 5], ids=["by length", "shuffled"])
def test_targets_stay_aligned_with_texts(seed: int | None) -> None:
    texts = make_many_texts()
    targets = np.random.default_rng(2).integers(0, 2, (len(texts), 4)).astype(np.uint8)
    seen = []
    for ids, mask, batch_targets, weight, _ in Batches(texts, targets, batch_size=16, padding=0, seed=seed):
        rows = ids[:, 0].numpy() - 10
        np.testing.assert_array_equal(batch_targets.numpy(), targets[rows])
        np.testing.assert_array_equal(mask.sum(dim=1).numpy(), [len(texts[row]) for row in rows])
        assert batch_targets.dtype == torch.float32
        assert weight == 1.0
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(texts)))


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (16, 1), (17, 2), (32, 2)])
def test_len_matches_number_of_batches(size: int, expected: int) -> None:
    batches = Batches(make_texts([3] * size), np.zeros((size, 1), dtype=np.uint8), batch_size=16, padding=0, seed=0)
    assert len(batches) == len(list(batches)) == expected


def test_epoch_changes_order_only_with_seed() -> None:
    texts, targets = make_many_texts(), np.zeros((1000, 1), dtype=np.uint8)
    for seed, orders in ((0, 2), (None, 1)):
        batches = Batches(texts, targets, batch_size=16, padding=0, seed=seed)
        seen = set()
        for epoch in (0, 1, 0):
            batches.epoch = epoch
            seen.add(tuple(int(ids[0, 0]) for ids, *_ in batches))
        assert len(seen) == orders


@given(lengths=LENGTHS, batch_size=st.integers(1, 40), size=st.integers(1, 5), seed=st.sampled_from([None, 0]))
@hypothesis_settings(deadline=None)
def test_process_shares_recombine_to_ordered_batches(
    lengths: list[int], batch_size: int, size: int, seed: int | None
) -> None:
    def make_batches(rank: int, processes: int) -> list[Batch]:
        batches = Batches(texts, targets, batch_size=batch_size, padding=0, seed=seed)
        batches.share = (rank, processes)
        return list(batches)

    texts = make_texts(lengths)
    targets = np.arange(len(texts)).reshape(-1, 1)
    expected, shares = make_batches(0, 1), zip(*(make_batches(rank, size) for rank in range(size)), strict=True)
    for batch, parts in zip(expected, shares, strict=True):
        nonempty = [part for part in parts if part.weight]
        assert torch.equal(torch.cat([part.targets for part in nonempty]), batch.targets)
        assert [row for part in nonempty for row in part.ids[:, 0].tolist()] == batch.ids[:, 0].tolist()
        assert [part.weight * len(batch.ids) for part in nonempty] == pytest.approx(
            [len(part.ids) for part in nonempty]
        )
        assert sum(part.weight for part in parts) == pytest.approx(1)
        assert all(len(part.ids) == 1 for part in parts if not part.weight), (
            "a process without rows still takes the step"
        )


@given(count=st.integers(1, 40), size=st.integers(1, 9))
def test_share_sizes_differ_by_at_most_one_row(count: int, size: int) -> None:
    counts = [len(share_of(list(range(count)), rank, size)) for rank in range(size)]
    assert max(counts) - min(counts) <= 1

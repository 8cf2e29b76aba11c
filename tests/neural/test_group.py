"""What processes do together, by a group of one: what several make of it, tests/e2e/test_two_processes.py sees."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from ratchet.neural.group import ALONE, Alone, Group, PeerLost, join


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with join(0, 1, tmp_path / "a blank", gpu=False) as joined:
        yield joined
    assert not distributed.is_initialized()


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "group"])
def test_the_first_process_knows_all_and_says_it(alone: bool, group: Group) -> None:
    members: Alone | Group = ALONE if alone else group
    batches = [(torch.tensor(float(n)), torch.ones(n, 2), torch.zeros(n, 2)) for n in (3, 0, 1)]
    found = members.gathered(batches)
    assert [[part.tolist() for part in batch] for batch in found] == [[part.tolist() for part in b] for b in batches]
    assert members.told_by_first(lambda: 0.1) == 0.1, "not rounded to float32"
    assert (members.rank, members.size) == (0, 1)


def test_of_each_batch_the_shares_follow_each_other(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(mine: object, found: list[object], dst: int) -> None:
        found[:] = [[batch(1), batch(2)], [batch(3), batch(4)]]

    def batch(number: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return (torch.tensor(number),) * 3

    monkeypatch.setattr(distributed, "gather_object", gather)
    assert [int(losses) for losses, _, _ in Group(0, 2).gathered([])] == [1, 3, 2, 4]


def test_gradients_are_summed_and_what_has_none_keeps_none(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.ModuleList([nn.Linear(3, 2), nn.Linear(2, 2), nn.Linear(2, 1)])
    network[1].requires_grad_(False)
    network[0](torch.ones(1, 3)).sum().backward()
    before = [each.grad.clone() for each in network[0].parameters()]
    monkeypatch.setattr(distributed, "all_reduce", lambda values: values.mul_(2))
    group.sum_gradients(network)
    assert all(torch.equal(each.grad, 2 * was) for each, was in zip(network[0].parameters(), before, strict=True))
    assert [each.grad for each in [*network[1].parameters(), *network[2].parameters()]] == [None] * 4


def test_what_torch_says_of_a_lost_process_is_told_apart(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(values: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(distributed, "all_reduce", fail)
    with pytest.raises(PeerLost, match="closed by peer"):
        group.summed(torch.ones(1))

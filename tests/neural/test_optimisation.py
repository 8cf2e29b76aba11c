from itertools import pairwise

import pytest
import torch
from torch import nn

from ratchet.neural.optimisation import make_optimizer, parameter_groups, warmup_then_decay


def network() -> nn.ModuleDict:
    return nn.ModuleDict(
        {"embedding": nn.Embedding(5, 4), "hidden": nn.Linear(4, 4), "norm": nn.LayerNorm(4), "output": nn.Linear(4, 2)}
    )


def rates_of(module: nn.Module, output: float = 0.1, others: float = 0.01) -> dict[str, float]:
    return {name: output if name.startswith("output") else others for name, _ in module.named_parameters()}


def factors(steps: int, warmup: float) -> list[float]:
    """The rate of each step over the highest one, and what it is after the last."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = warmup_then_decay(optimizer, steps, warmup)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def test_every_parameter_is_in_one_group_with_its_own_rate() -> None:
    module = network()
    rates = rates_of(module)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    found = []
    for group in parameter_groups(module, rates, 0.5):
        for parameter in group["params"]:
            found.append(names[id(parameter)])
            assert group["lr"] == rates[found[-1]]
    assert sorted(found) == sorted(names.values())


def test_vectors_do_not_decay() -> None:
    module = network()
    decay = {
        id(parameter): group["weight_decay"]
        for group in parameter_groups(module, rates_of(module), 0.5)
        for parameter in group["params"]
    }
    for name, parameter in module.named_parameters():
        is_matrix = name in {"embedding.weight", "hidden.weight", "output.weight"}
        assert decay[id(parameter)] == (0.5 if is_matrix else 0.0), name


def test_frozen_parameters_are_left_out() -> None:
    module = network()
    module["hidden"].requires_grad_(False)
    module["embedding"].requires_grad_(False)
    left = {id(parameter) for group in parameter_groups(module, rates_of(module), 0.5) for parameter in group["params"]}
    assert left == {id(parameter) for name in ("norm", "output") for parameter in module[name].parameters()}


def test_a_parameter_without_a_rate_is_an_error_and_not_left_out() -> None:
    module = network()
    rates = rates_of(module)
    del rates["norm.bias"]
    with pytest.raises(KeyError, match=r"norm\.bias"):
        parameter_groups(module, rates, 0.5)


def test_an_update_moves_each_parameter_by_its_rate_and_leaves_frozen_ones() -> None:
    module = network()
    module["embedding"].requires_grad_(False)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    optimizer = make_optimizer(parameter_groups(module, rates_of(module), 0.0))
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in module.named_parameters():  # Adam's first step is the rate, whatever the gradient
        rate = 0.1 if name.startswith("output") else 0.0 if name.startswith("embedding") else 0.01
        torch.testing.assert_close(before[name] - parameter, torch.full_like(parameter, rate), msg=name)


def test_the_rate_rises_over_the_warm_up_and_falls_to_0() -> None:
    seen = factors(100, 0.1)
    assert seen[0] == pytest.approx(1 / 11)
    assert seen[9] == pytest.approx(10 / 11)
    assert seen[10] == max(seen) == 1
    assert seen[55] == pytest.approx(0.5)
    assert seen[99] == pytest.approx(1 / 90)
    assert seen[100] == 0


def test_the_rate_is_linear_on_both_sides() -> None:
    seen = factors(100, 0.25)
    for part in (seen[:26], seen[25:]):
        steps = [after - before for before, after in pairwise(part)]
        assert steps == pytest.approx([steps[0]] * len(steps))


def test_without_warm_up_the_first_step_is_the_fastest() -> None:
    seen = factors(10, 0.0)
    assert seen == pytest.approx([1 - step / 10 for step in range(11)])


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_even_the_shortest_training_moves_at_each_step_and_stays_in_bounds(steps: int, warmup: float) -> None:
    assert all(0 < factor <= 1 for factor in factors(steps, warmup)[:-1])


def test_the_rates_of_all_groups_change_alike() -> None:
    module = network()
    optimizer = make_optimizer(parameter_groups(module, rates_of(module), 0.5))
    scheduler = warmup_then_decay(optimizer, 10, 0.5)
    for _ in range(10):
        lr = {group["lr"] for group in optimizer.param_groups}
        assert len(lr) == 2
        assert max(lr) == pytest.approx(10 * min(lr))
        optimizer.step()
        scheduler.step()

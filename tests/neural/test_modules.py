import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.datasets import fit_context
from torch import Tensor, nn
from torch.nn import functional

from ratchet.config import TrainerConfig
from ratchet.data.dataset import Dataset, Task
from ratchet.errors import UserError
from ratchet.neural import modules
from ratchet.neural.batches import Batches, by_length, shuffled
from ratchet.neural.fitting import fit_classifier
from ratchet.neural.losses import make_loss
from ratchet.neural.modules import Data, Fit, make_optimizer, parameter_groups, warmup_then_decay
from ratchet.neural.settings import Imbalance, NeuralSettings, Tokens
from ratchet.neural.text_classifier import TextClassifier
from ratchet.neural.tokens import PADDING, learn_tokenizer, token_ids
from ratchet.taggers import FitContext, ValidationMetric

MakeDataset = Callable[..., Dataset]


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


def make_settings(**changed: Any) -> NeuralSettings:
    chosen: dict[str, Any] = {
        "max_length": 16,
        "batch_size": 8,
        "max_epochs": 3,
        "patience": 9,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "warmup": 0.1,
        "imbalance": Imbalance.none,
    }
    return NeuralSettings(name="words", complexity=1, **(chosen | changed))


class Watched(nn.Module):
    """A linear network over words that notes, while it is trained, which ids it sees and which parts are dropped."""

    def __init__(self, vocabulary_size: int, num_labels: int) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(vocabulary_size, num_labels, mode="sum", padding_idx=PADDING)
        nn.init.zeros_(self.words.weight)
        self.scale = nn.Parameter(torch.ones(num_labels))
        self.dropout = nn.Dropout(0.5)
        self.ids: list[list[list[int]]] = []
        self.kept: list[list[float]] = []

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        kept = self.dropout(torch.ones(20))
        if self.training:
            self.ids.append(ids.tolist())
            self.kept.append(kept.tolist())
        logits: Tensor = self.words(ids) * self.scale
        return logits


@dataclass
class Story:
    """What a fit told: rows of its history, and what its metric was asked about."""

    rows: list[dict[str, float]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    targets: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    scores: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.steps.append(step)
        self.rows.append(dict(metrics))

    def of(self, targets: npt.NDArray[np.uint8], scores: npt.NDArray[np.float32]) -> float:
        self.targets.append(targets.copy())
        self.scores.append(scores.copy())
        return 0.25 + len(self.scores) / 100  # the last epoch is the best one


def classifier_of(train: Dataset) -> TextClassifier:
    tokenizer = learn_tokenizer(train.texts, Tokens.word, vocabulary_size=1000, min_count=1)
    network = Watched(tokenizer.get_vocab_size(), len(train.labels))
    return TextClassifier(tokenizer, PADDING, network, list(train.labels), train.task, {})


def context_of(directory: Path, story: Story, *, seed: int = 0, trainer: TrainerConfig | None = None) -> FitContext:
    context = fit_context(directory, seed=seed, log=story.log, trainer=trainer)
    return replace(context, validation_metric=ValidationMetric("val/anything", story.of))


def fitted(
    train: Dataset,
    val: Dataset,
    context: FitContext,
    rates: Mapping[str, float] | None = None,
    targets: npt.NDArray[np.float32] | None = None,
    **settings: Any,
) -> TextClassifier:
    classifier = classifier_of(train)
    made = make_settings(**settings)
    same = dict.fromkeys((name for name, _ in classifier.network.named_parameters()), made.learning_rate)
    fit_classifier(classifier, rates or same, train, val, made, context, targets)
    return classifier


def watched(classifier: TextClassifier) -> Watched:
    assert isinstance(classifier.network, Watched)
    return classifier.network


def learnable(train: Dataset) -> npt.NDArray[np.float32]:
    """The labels of train as what is learnt from them."""
    return train.targets.astype(np.float32)


def ids_of(batches: Batches) -> list[list[list[int]]]:
    return [ids.tolist() for ids, *_ in batches]


def test_val_is_read_by_length_and_train_in_an_order_of_the_seed(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(40), make_dataset(20, seed=1)
    classifier = classifier_of(train)
    data = Data(classifier, train, val, make_settings(), context_of(tmp_path, Story(), seed=7), learnable(train))
    for part, batches, order in (
        (val, data.val_dataloader(), by_length),
        (train, data.train_dataloader(), lambda texts, size: shuffled(texts, size, 7, 0)),
    ):
        texts = token_ids(classifier.tokenizer, part.texts, PADDING)
        found = [targets.tolist() for _, _, targets, _ in batches]
        assert found == [part.targets[rows].tolist() for rows in order(texts, 8)]


def test_overfitting_validates_on_the_batches_that_it_trains_on(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(40), make_dataset(20, seed=1)
    context = context_of(tmp_path, Story(), trainer=TrainerConfig(overfit_batches=2))
    data = Data(classifier_of(train), train, val, make_settings(), context, learnable(train))
    first = ids_of(data.train_dataloader())
    data.train.epoch = 1
    assert ids_of(data.train_dataloader()) == first == ids_of(data.val_dataloader())


def test_the_order_of_an_epoch_is_drawn_from_seed_and_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(40)
    classifier = fitted(train, train, context_of(tmp_path, Story(), seed=3))
    texts = token_ids(classifier.tokenizer, train.texts, PADDING)
    expected = Batches(texts, train.targets, batch_size=8, padding=PADDING, seed=3)
    seen = watched(classifier).ids
    assert len(seen) == 3 * 5
    for epoch in range(3):
        expected.epoch = epoch
        assert seen[epoch * 5 : (epoch + 1) * 5] == ids_of(expected)


def test_dropout_is_drawn_from_seed_and_epoch_whatever_was_drawn_before(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train = make_dataset(40)

    def dropped(name: str, seed: int, draws: int) -> list[list[float]]:
        class Drawing(Story):
            def log(self, step: int, metrics: Mapping[str, float]) -> None:
                torch.rand(draws * (len(self.rows) + 1))
                super().log(step, metrics)

        (tmp_path / name).mkdir()
        with torch.random.fork_rng(devices=[]):
            torch.rand(draws)
            return watched(fitted(train, train, context_of(tmp_path / name, Drawing(), seed=seed))).kept

    kept = dropped("one", 3, 1)
    assert dropped("same", 3, 1000) == kept
    assert dropped("other", 4, 1) != kept
    assert len({tuple(each) for each in kept}) == len(kept), "every batch of every epoch drops something else"


def test_a_network_that_comes_ready_to_predict_is_trained_with_dropout(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train = make_dataset(16)
    classifier, settings = classifier_of(train), make_settings(max_epochs=1)
    classifier.network.eval()
    rates = dict.fromkeys(("words.weight", "scale"), 0.01)
    fit_classifier(classifier, rates, train, train, settings, context_of(tmp_path, Story()))
    assert len(watched(classifier).kept) == 2
    assert all(0 < each.count(0) < 20 for each in watched(classifier).kept)


def test_the_largest_seed_is_a_seed_like_any(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(9)
    fitted(train, train, context_of(tmp_path, Story(), seed=2**32 - 1), max_epochs=1)


def test_the_metric_is_asked_about_all_of_val_each_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val, story = make_dataset(40), make_dataset(21, seed=1), Story()
    classifier = fitted(train, val, context_of(tmp_path, story))
    assert len(story.scores) == 3
    order = [row for rows in by_length(token_ids(classifier.tokenizer, val.texts, PADDING), 8) for row in rows]
    for targets in story.targets:
        assert targets.dtype == np.uint8
        np.testing.assert_array_equal(targets, val.targets[order])
    assert story.scores[-1].dtype == np.float32
    np.testing.assert_allclose(story.scores[-1], classifier.predict_proba(val.texts)[order], atol=1e-6)


def test_an_epoch_is_a_row_of_the_history(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(40), Story()
    fitted(train, train, context_of(tmp_path, story))
    assert [row["epoch"] for row in story.rows] == [0, 1, 2]
    assert story.steps == [5, 10, 15]
    for epoch, row in enumerate(story.rows):
        assert list(row) == ["epoch", "train/loss", "val/loss", "val/anything", "learning_rate"]
        assert row["val/anything"] == 0.25 + (epoch + 1) / 100
        assert all(type(value) in (int, float) for value in row.values())


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_the_loss_of_val_is_the_mean_over_its_texts(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train, val, story = make_dataset(40, task=task), make_dataset(21, task=task, seed=1), Story()
    classifier = fitted(train, val, context_of(tmp_path, story), learning_rate=0.5)
    scores = torch.from_numpy(classifier.predict_proba(val.texts)).double()
    targets = torch.from_numpy(val.targets).double()
    if task is Task.multiclass:
        expected = -(scores.log() * targets).sum() / 21
    else:
        expected = functional.binary_cross_entropy(scores, targets, reduction="sum") / 21
    assert story.rows[-1]["val/loss"] == pytest.approx(float(expected), rel=1e-4)


def test_the_loss_of_train_is_the_mean_over_the_batches_of_the_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(40), Story()
    fitted(train, train, context_of(tmp_path, story), learning_rate=1e-12)
    for row in story.rows:  # nothing is learnt, and all batches are of one size
        assert row["train/loss"] == pytest.approx(3 * np.log(2), rel=1e-5)
        assert row["val/loss"] == pytest.approx(row["train/loss"], rel=1e-5)


def test_the_loss_of_val_weighs_labels_by_train(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val, story = make_dataset(40), make_dataset(20, seed=1), Story()
    train.targets[:] = 0
    train.targets[:4] = 1
    val.targets[:] = 1
    context = context_of(tmp_path, story)
    fitted(train, val, context, max_epochs=1, learning_rate=1e-12, imbalance=Imbalance.pos_weight)
    assert story.rows[0]["val/loss"] == pytest.approx(3 * (36 / 4) ** 0.5 * np.log(2), rel=1e-5)


def test_the_rate_of_the_history_is_the_highest_there_is_and_falls_to_0(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train, story = make_dataset(40), Story()
    rates = {"words.weight": 0.002, "scale": 0.01}
    fitted(train, train, context_of(tmp_path, story), rates, warmup=0.0)
    assert [row["learning_rate"] for row in story.rows] == pytest.approx([0.01 * 2 / 3, 0.01 / 3, 0.0])


def test_each_parameter_moves_by_its_own_rate(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(8)
    context = context_of(tmp_path, Story())
    network = watched(fitted(train, train, context, {"words.weight": 0.001, "scale": 0.0}, max_epochs=1, warmup=0.0))
    assert float(network.words.weight.detach().abs().max()) == pytest.approx(0.001, rel=1e-3)
    assert torch.equal(network.scale.detach(), torch.ones(3))


def test_without_targets_to_learn_from_it_learns_those_of_train(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(20), make_dataset(12, seed=1)
    one, two = (
        watched(fitted(train, val, context_of(tmp_path / f"{number}", Story()), targets=targets)).words.weight
        for number, targets in enumerate((None, train.targets.astype(np.float32)))
    )
    assert torch.equal(one, two)


def test_it_learns_the_targets_that_it_is_given(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(30), make_dataset(12, seed=1)
    shares = np.full_like(train.targets, 0.25, dtype=np.float32)
    settings = {"max_epochs": 60, "patience": 60, "learning_rate": 0.05}
    classifier = fitted(train, val, context_of(tmp_path, Story()), targets=shares, **settings)
    np.testing.assert_allclose(classifier.predict_proba(train.texts), 0.25, atol=0.05)


def test_val_and_the_weights_of_rare_labels_go_by_labels_whatever_is_learnt(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train, val = make_dataset(20), make_dataset(12, seed=1)
    story = Story()
    shares = np.full_like(train.targets, 0.25, dtype=np.float32)
    fitted(train, val, context_of(tmp_path, story), targets=shares, imbalance=Imbalance.pos_weight)
    assert set(np.unique(story.targets[0])) == {0, 1}
    assert sorted(map(tuple, story.targets[0])) == sorted(map(tuple, val.targets))
    assert all(np.isfinite(row["train/loss"]) for row in story.rows)


def test_overfitting_learns_labels_by_heart_and_no_shares(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(8), Story()
    shares = np.full_like(train.targets, 0.25, dtype=np.float32)
    context = context_of(tmp_path, story, trainer=TrainerConfig(overfit_batches=1))
    classifier = fitted(train, make_dataset(12, seed=1), context, targets=shares, max_epochs=40, learning_rate=0.1)
    assert sorted(map(tuple, story.targets[0])) == sorted(map(tuple, train.targets))
    np.testing.assert_allclose(classifier.predict_proba(train.texts), train.targets, atol=0.1)


@pytest.mark.parametrize("size", [2, 3, 9])
def test_the_gradients_of_all_shares_add_up_to_that_of_the_batch(
    make_dataset: MakeDataset, tmp_path: Path, size: int
) -> None:
    """The last batch is uneven, and of 9 processes some get no row of a batch."""
    train = make_dataset(21)
    classifier = classifier_of(train)
    network = watched(classifier)
    torch.nn.init.normal_(network.words.weight)
    network.dropout.p = 0.0
    context = context_of(tmp_path, Story())
    data = Data(classifier, train, train, make_settings(), context, learnable(train))
    fit = Fit(classifier, {}, data, train.targets, make_settings(imbalance=Imbalance.pos_weight), context)

    def gradients(rank: int, of: int) -> list[tuple[Tensor, Tensor]]:
        data.take_share(rank, of)
        found = []
        for batch in data.train_dataloader():
            network.zero_grad()
            loss = fit.training_step(batch, 0)
            loss.backward()
            found.append((loss.detach(), network.words.weight.grad))
        return found

    shares = [gradients(rank, size) for rank in range(size)]
    for number, (loss, gradient) in enumerate(gradients(0, 1)):
        torch.testing.assert_close(sum(share[number][0] for share in shares), loss)
        torch.testing.assert_close(sum(share[number][1] for share in shares), gradient)


def test_dropout_differs_between_processes_and_the_first_draws_as_one_alone(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train = make_dataset(8)
    classifier, context = classifier_of(train), context_of(tmp_path, Story(), seed=3)
    data = Data(classifier, train, train, make_settings(), context, learnable(train))

    def draw(rank: int, size: int) -> Tensor:
        data.take_share(rank, size)
        with torch.random.fork_rng(devices=[]):
            Fit(classifier, {}, data, train.targets, make_settings(), context).on_train_epoch_start()
            return torch.rand(4)

    alone, first, second = draw(0, 1), draw(0, 2), draw(1, 2)
    assert torch.equal(alone, first)
    assert not torch.equal(alone, second)


def test_a_share_without_a_row_adds_nothing_to_what_is_validated(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(9)
    classifier, context = classifier_of(train), context_of(tmp_path, Story())
    data = Data(classifier, train, train, make_settings(), context, learnable(train))
    data.take_share(0, 2)
    fit = Fit(classifier, {}, data, train.targets, make_settings(), context)
    with torch.no_grad():
        for batch in data.val_dataloader():
            fit.validation_step(batch, 0)
    assert [(len(logits), len(targets)) for _, logits, targets in fit._validated] == [(4, 4), (0, 0)]
    assert float(fit._validated[1][0]) == 0


def diverged(make_dataset: MakeDataset, directory: Path, story: Story, **settings: Any) -> str:
    with pytest.raises(UserError) as stopped:
        fitted(make_dataset(40), make_dataset(20, seed=1), context_of(directory, story), **settings)
    assert list(directory.iterdir()) == [], "nothing is kept of it"
    return str(stopped.value)


def test_training_that_diverges_is_stopped_and_told_where(make_dataset: MakeDataset, tmp_path: Path) -> None:
    story = Story()
    told = diverged(make_dataset, tmp_path, story, learning_rate=1e38, gradient_clip=1e38, warmup=0.0)
    assert re.match(r"epoch 0, step [1-4]: the loss is (nan|inf): training diverged", told)
    for advice in ("lower model.learning_rate (1e+38 here)", "model.gradient_clip (1e+38 here)", "texts and labels"):
        assert advice in told
    assert story.rows == []
    assert story.scores == [], "nothing is measured of it"


def test_of_a_long_epoch_it_does_not_wait_for_the_end(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "_LOOK_EVERY", 3)
    seen: list[int] = []
    step = Fit.training_step
    monkeypatch.setattr(Fit, "training_step", lambda fit, batch, row: [seen.append(row), step(fit, batch, row)][1])
    diverged(make_dataset, tmp_path, Story(), learning_rate=1e38, gradient_clip=1e38, warmup=0.0, batch_size=1)
    assert seen == [0, 1, 2]


def test_a_last_step_that_goes_too_far_is_seen_on_val(make_dataset: MakeDataset, tmp_path: Path) -> None:
    story = Story()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "make_loss", lambda *of: _nan_without_gradient(make_loss(*of)))
        told = diverged(make_dataset, tmp_path, story)
    assert told.startswith("after epoch 0: the loss on val is nan: training diverged")
    assert story.rows == []


def _nan_without_gradient(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda logits, targets: loss(logits, targets) + (0 if logits.requires_grad else float("nan"))

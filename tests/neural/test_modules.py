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
from ratchet.data.known import mark_unknown, prepare_fit
from ratchet.errors import UserError
from ratchet.neural import modules
from ratchet.neural.batches import Batches, by_length, shuffled
from ratchet.neural.fitting import fit_classifier
from ratchet.neural.losses import make_loss
from ratchet.neural.modules import Data, Fit, make_optimizer, parameter_groups, warmup_then_decay, weigh_cells
from ratchet.neural.settings import Imbalance, NeuralSettings, Tokens
from ratchet.neural.text_classifier import TextClassifier
from ratchet.neural.tokens import PADDING, learn_tokenizer, token_ids
from ratchet.taggers import FitContext, ValidationMetric

MakeDataset = Callable[..., Dataset]


def make_network() -> nn.ModuleDict:
    return nn.ModuleDict(
        {"embedding": nn.Embedding(5, 4), "hidden": nn.Linear(4, 4), "norm": nn.LayerNorm(4), "output": nn.Linear(4, 2)}
    )


def make_rates(module: nn.Module, output: float = 0.1, others: float = 0.01) -> dict[str, float]:
    return {name: output if name.startswith("output") else others for name, _ in module.named_parameters()}


def rate_factors(steps: int, warmup: float) -> list[float]:
    """Return the rate of each step relative to the highest one, and the rate after the last step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = warmup_then_decay(optimizer, steps, warmup)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def test_every_parameter_is_in_one_group_with_its_rate() -> None:
    module = make_network()
    rates = make_rates(module)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    grouped = []
    for group in parameter_groups(module, rates, 0.5):
        for parameter in group["params"]:
            grouped.append(names[id(parameter)])
            assert group["lr"] == rates[grouped[-1]]
    assert sorted(grouped) == sorted(names.values())


def test_only_matrices_have_weight_decay() -> None:
    module = make_network()
    decay = {
        id(parameter): group["weight_decay"]
        for group in parameter_groups(module, make_rates(module), 0.5)
        for parameter in group["params"]
    }
    for name, parameter in module.named_parameters():
        is_matrix = name in {"embedding.weight", "hidden.weight", "output.weight"}
        assert decay[id(parameter)] == (0.5 if is_matrix else 0.0), name


def test_parameter_groups_exclude_frozen_parameters() -> None:
    module = make_network()
    module["hidden"].requires_grad_(False)
    module["embedding"].requires_grad_(False)
    grouped = {
        id(parameter) for group in parameter_groups(module, make_rates(module), 0.5) for parameter in group["params"]
    }
    assert grouped == {id(parameter) for name in ("norm", "output") for parameter in module[name].parameters()}


def test_parameter_without_rate_raises_error() -> None:
    module = make_network()
    rates = make_rates(module)
    del rates["norm.bias"]
    with pytest.raises(KeyError, match=r"norm\.bias"):
        parameter_groups(module, rates, 0.5)


def test_update_moves_parameters_by_rate_except_frozen_ones() -> None:
    module = make_network()
    module["embedding"].requires_grad_(False)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    optimizer = make_optimizer(parameter_groups(module, make_rates(module), 0.0))
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in module.named_parameters():  # Adam's first step equals the rate, whatever the gradient
        rate = 0.1 if name.startswith("output") else 0.0 if name.startswith("embedding") else 0.01
        torch.testing.assert_close(before[name] - parameter, torch.full_like(parameter, rate), msg=name)


def test_rate_rises_during_warmup_and_decays_to_0() -> None:
    seen = rate_factors(100, 0.1)
    assert seen[0] == pytest.approx(1 / 11)
    assert seen[9] == pytest.approx(10 / 11)
    assert seen[10] == max(seen) == 1
    assert seen[55] == pytest.approx(0.5)
    assert seen[99] == pytest.approx(1 / 90)
    assert seen[100] == 0


def test_rate_is_linear_before_and_after_peak() -> None:
    seen = rate_factors(100, 0.25)
    for part in (seen[:26], seen[25:]):
        steps = [after - before for before, after in pairwise(part)]
        assert steps == pytest.approx([steps[0]] * len(steps))


def test_without_warmup_rate_decays_from_first_step() -> None:
    seen = rate_factors(10, 0.0)
    assert seen == pytest.approx([1 - step / 10 for step in range(11)])


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_rate_is_positive_at_every_step_of_short_training(steps: int, warmup: float) -> None:
    assert all(0 < factor <= 1 for factor in rate_factors(steps, warmup)[:-1])


def test_rates_of_all_groups_scale_together() -> None:
    module = make_network()
    optimizer = make_optimizer(parameter_groups(module, make_rates(module), 0.5))
    scheduler = warmup_then_decay(optimizer, 10, 0.5)
    for _ in range(10):
        lr = {group["lr"] for group in optimizer.param_groups}
        assert len(lr) == 2
        assert max(lr) == pytest.approx(10 * min(lr))
        optimizer.step()
        scheduler.step()


def make_settings(**overrides: Any) -> NeuralSettings:
    defaults: dict[str, Any] = {
        "max_length": 16,
        "batch_size": 8,
        "max_epochs": 3,
        "patience": 9,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "warmup": 0.1,
        "imbalance": Imbalance.none,
    }
    return NeuralSettings(name="words", complexity=1, **(defaults | overrides))


class RecordingNetwork(nn.Module):
    """A linear network over words that records, in training, the ids it sees and the units that dropout keeps."""

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
    """The history rows of a fit and the arguments of its metric."""

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


def make_classifier(train: Dataset) -> TextClassifier:
    tokenizer = learn_tokenizer(train.texts, Tokens.word, vocabulary_size=1000, min_count=1)
    network = RecordingNetwork(tokenizer.get_vocab_size(), len(train.labels))
    return TextClassifier(tokenizer, PADDING, network, list(train.labels), train.task, {})


def make_context(directory: Path, story: Story, *, seed: int = 0, trainer: TrainerConfig | None = None) -> FitContext:
    context = fit_context(directory, seed=seed, log=story.log, trainer=trainer)
    return replace(context, validation_metric=ValidationMetric("val/anything", story.of))


def fit_network(
    train: Dataset,
    val: Dataset,
    context: FitContext,
    rates: Mapping[str, float] | None = None,
    targets: npt.NDArray[np.float32] | None = None,
    **settings: Any,
) -> TextClassifier:
    classifier = make_classifier(train)
    model_settings = make_settings(**settings)
    default_rates = dict.fromkeys(
        (name for name, _ in classifier.network.named_parameters()), model_settings.learning_rate
    )
    fit_classifier(classifier, rates or default_rates, train, val, model_settings, context, targets)
    return classifier


def get_network(classifier: TextClassifier) -> RecordingNetwork:
    assert isinstance(classifier.network, RecordingNetwork)
    return classifier.network


def float_targets(train: Dataset) -> npt.NDArray[np.float32]:
    """Return the labels of train as float targets."""
    return train.targets.astype(np.float32)


def collect_ids(batches: Batches) -> list[list[list[int]]]:
    return [ids.tolist() for ids, *_ in batches]


def test_val_is_sorted_by_length_and_train_is_shuffled(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(40), make_dataset(20, seed=1)
    classifier = make_classifier(train)
    data = Data(classifier, train, val, make_settings(), make_context(tmp_path, Story(), seed=7), float_targets(train))
    for dataset, batches, order in (
        (val, data.val_dataloader(), by_length),
        (train, data.train_dataloader(), lambda texts, size: shuffled(texts, size, 7, 0)),
    ):
        texts = token_ids(classifier.tokenizer, dataset.texts, PADDING)
        batch_targets = [targets.tolist() for _, _, targets, *_ in batches]
        assert batch_targets == [dataset.targets[rows].tolist() for rows in order(texts, 8)]


def test_overfitting_validates_on_its_training_batches(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(40), make_dataset(20, seed=1)
    context = make_context(tmp_path, Story(), trainer=TrainerConfig(overfit_batches=2))
    data = Data(make_classifier(train), train, val, make_settings(), context, float_targets(train))
    first = collect_ids(data.train_dataloader())
    data.train.epoch = 1
    assert collect_ids(data.train_dataloader()) == first == collect_ids(data.val_dataloader())


def test_training_order_depends_on_seed_and_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(40)
    classifier = fit_network(train, train, make_context(tmp_path, Story(), seed=3))
    texts = token_ids(classifier.tokenizer, train.texts, PADDING)
    expected = Batches(texts, train.targets, batch_size=8, padding=PADDING, seed=3)
    seen = get_network(classifier).ids
    assert len(seen) == 3 * 5
    for epoch in range(3):
        expected.epoch = epoch
        assert seen[epoch * 5 : (epoch + 1) * 5] == collect_ids(expected)


def test_dropout_depends_only_on_seed_and_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(40)

    def record_dropout(name: str, seed: int, draws: int) -> list[list[float]]:
        class DrawingStory(Story):
            def log(self, step: int, metrics: Mapping[str, float]) -> None:
                torch.rand(draws * (len(self.rows) + 1))
                super().log(step, metrics)

        (tmp_path / name).mkdir()
        with torch.random.fork_rng(devices=[]):
            torch.rand(draws)
            return get_network(fit_network(train, train, make_context(tmp_path / name, DrawingStory(), seed=seed))).kept

    kept = record_dropout("one", 3, 1)
    assert record_dropout("same", 3, 1000) == kept
    assert record_dropout("other", 4, 1) != kept
    assert len({tuple(mask) for mask in kept}) == len(kept), "every batch must have a dropout mask of its own"


def test_network_in_eval_mode_is_trained_with_dropout(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(16)
    classifier, settings = make_classifier(train), make_settings(max_epochs=1)
    classifier.network.eval()
    rates = dict.fromkeys(("words.weight", "scale"), 0.01)
    fit_classifier(classifier, rates, train, train, settings, make_context(tmp_path, Story()))
    assert len(get_network(classifier).kept) == 2
    assert all(0 < mask.count(0) < 20 for mask in get_network(classifier).kept)


def test_largest_seed_is_accepted_by_fit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(9)
    story = Story()
    fit_network(train, train, make_context(tmp_path, story, seed=2**32 - 1), max_epochs=1)
    assert len(story.rows) == 1


def test_metric_gets_all_of_val_every_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val, story = make_dataset(40), make_dataset(21, seed=1), Story()
    classifier = fit_network(train, val, make_context(tmp_path, story))
    assert len(story.scores) == 3
    order = [row for rows in by_length(token_ids(classifier.tokenizer, val.texts, PADDING), 8) for row in rows]
    for targets in story.targets:
        assert targets.dtype == np.uint8
        np.testing.assert_array_equal(targets, val.targets[order])
    assert story.scores[-1].dtype == np.float32
    np.testing.assert_allclose(story.scores[-1], classifier.predict_proba(val.texts)[order], atol=1e-6)


def test_every_epoch_logs_one_history_row(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(40), Story()
    fit_network(train, train, make_context(tmp_path, story))
    assert [row["epoch"] for row in story.rows] == [0, 1, 2]
    assert story.steps == [5, 10, 15]
    for epoch, row in enumerate(story.rows):
        assert list(row) == ["epoch", "train/loss", "val/loss", "val/anything", "learning_rate"]
        assert row["val/anything"] == 0.25 + (epoch + 1) / 100
        assert all(type(value) in (int, float) for value in row.values())


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_val_loss_is_mean_over_texts(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train, val, story = make_dataset(40, task=task), make_dataset(21, task=task, seed=1), Story()
    classifier = fit_network(train, val, make_context(tmp_path, story), learning_rate=0.5)
    scores = torch.from_numpy(classifier.predict_proba(val.texts)).double()
    targets = torch.from_numpy(val.targets).double()
    if task is Task.multiclass:
        expected = -(scores.log() * targets).sum() / 21
    else:
        expected = functional.binary_cross_entropy(scores, targets, reduction="sum") / 21
    assert story.rows[-1]["val/loss"] == pytest.approx(float(expected), rel=1e-4)


def test_train_loss_is_mean_over_batches_of_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(40), Story()
    fit_network(train, train, make_context(tmp_path, story), learning_rate=1e-12)
    for row in story.rows:  # nothing is learnt, and all batches have the same size
        assert row["train/loss"] == pytest.approx(3 * np.log(2), rel=1e-5)
        assert row["val/loss"] == pytest.approx(row["train/loss"], rel=1e-5)


def test_val_loss_uses_label_weights_of_train(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val, story = make_dataset(40), make_dataset(20, seed=1), Story()
    train.targets[:] = 0
    train.targets[:4] = 1
    val.targets[:] = 1
    context = make_context(tmp_path, story)
    fit_network(train, val, context, max_epochs=1, learning_rate=1e-12, imbalance=Imbalance.pos_weight)
    assert story.rows[0]["val/loss"] == pytest.approx(3 * (36 / 4) ** 0.5 * np.log(2), rel=1e-5)


def test_history_logs_highest_rate_which_decays_to_0(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(40), Story()
    rates = {"words.weight": 0.002, "scale": 0.01}
    fit_network(train, train, make_context(tmp_path, story), rates, warmup=0.0)
    assert [row["learning_rate"] for row in story.rows] == pytest.approx([0.01 * 2 / 3, 0.01 / 3, 0.0])


def test_fit_updates_each_parameter_with_its_rate(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(8)
    context = make_context(tmp_path, Story())
    network = get_network(
        fit_network(train, train, context, {"words.weight": 0.001, "scale": 0.0}, max_epochs=1, warmup=0.0)
    )
    assert float(network.words.weight.detach().abs().max()) == pytest.approx(0.001, rel=1e-3)
    assert torch.equal(network.scale.detach(), torch.ones(3))


def test_targets_default_to_labels_of_train(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(20), make_dataset(12, seed=1)
    default_weights, explicit_weights = (
        get_network(
            fit_network(train, val, make_context(tmp_path / f"{number}", Story()), targets=targets)
        ).words.weight
        for number, targets in enumerate((None, train.targets.astype(np.float32)))
    )
    assert torch.equal(default_weights, explicit_weights)


def test_fit_learns_the_given_targets(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(30), make_dataset(12, seed=1)
    soft_targets = np.full_like(train.targets, 0.25, dtype=np.float32)
    settings = {"max_epochs": 60, "patience": 60, "learning_rate": 0.05}
    classifier = fit_network(train, val, make_context(tmp_path, Story()), targets=soft_targets, **settings)
    np.testing.assert_allclose(classifier.predict_proba(train.texts), 0.25, atol=0.05)


def test_validation_uses_labels_not_given_targets(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(20), make_dataset(12, seed=1)
    story = Story()
    soft_targets = np.full_like(train.targets, 0.25, dtype=np.float32)
    fit_network(train, val, make_context(tmp_path, story), targets=soft_targets, imbalance=Imbalance.pos_weight)
    assert set(np.unique(story.targets[0])) == {0, 1}
    assert sorted(map(tuple, story.targets[0])) == sorted(map(tuple, val.targets))
    assert all(np.isfinite(row["train/loss"]) for row in story.rows)


def test_overfitting_memorises_labels_not_given_targets(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, story = make_dataset(8), Story()
    soft_targets = np.full_like(train.targets, 0.25, dtype=np.float32)
    context = make_context(tmp_path, story, trainer=TrainerConfig(overfit_batches=1))
    classifier = fit_network(
        train, make_dataset(12, seed=1), context, targets=soft_targets, max_epochs=40, learning_rate=0.1
    )
    assert sorted(map(tuple, story.targets[0])) == sorted(map(tuple, train.targets))
    np.testing.assert_allclose(classifier.predict_proba(train.texts), train.targets, atol=0.1)


@pytest.mark.parametrize("size", [2, 3, 9])
def test_gradients_of_process_shares_sum_to_batch_gradient(
    make_dataset: MakeDataset, tmp_path: Path, size: int
) -> None:
    """The last batch is uneven, and some of 9 processes get no row of a batch."""
    train = make_dataset(21)
    classifier = make_classifier(train)
    network = get_network(classifier)
    torch.nn.init.normal_(network.words.weight)
    network.dropout.p = 0.0
    context = make_context(tmp_path, Story())
    data = Data(classifier, train, train, make_settings(), context, float_targets(train))
    fit = Fit(classifier, {}, data, train.targets, make_settings(imbalance=Imbalance.pos_weight), context)

    def compute_gradients(rank: int, processes: int) -> list[tuple[Tensor, Tensor]]:
        data.take_share(rank, processes)
        results = []
        for batch in data.train_dataloader():
            network.zero_grad()
            loss = fit.training_step(batch, 0)
            loss.backward()
            results.append((loss.detach(), network.words.weight.grad))
        return results

    shares = [compute_gradients(rank, size) for rank in range(size)]
    for number, (loss, gradient) in enumerate(compute_gradients(0, 1)):
        torch.testing.assert_close(sum(share[number][0] for share in shares), loss)
        torch.testing.assert_close(sum(share[number][1] for share in shares), gradient)


def test_dropout_differs_between_processes_and_rank_0_matches_single(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(8)
    classifier, context = make_classifier(train), make_context(tmp_path, Story(), seed=3)
    data = Data(classifier, train, train, make_settings(), context, float_targets(train))

    def draw(rank: int, size: int) -> Tensor:
        data.take_share(rank, size)
        with torch.random.fork_rng(devices=[]):
            Fit(classifier, {}, data, train.targets, make_settings(), context).on_train_epoch_start()
            return torch.rand(4)

    alone, first, second = draw(0, 1), draw(0, 2), draw(1, 2)
    assert torch.equal(alone, first)
    assert not torch.equal(alone, second)


def test_empty_share_adds_nothing_to_validation(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(9)
    classifier, context = make_classifier(train), make_context(tmp_path, Story())
    data = Data(classifier, train, train, make_settings(), context, float_targets(train))
    data.take_share(0, 2)
    fit = Fit(classifier, {}, data, train.targets, make_settings(), context)
    with torch.no_grad():
        for batch in data.val_dataloader():
            fit.validation_step(batch, 0)
    assert [(len(logits), len(targets)) for _, logits, targets in fit._validated] == [(4, 4), (0, 0)]
    assert float(fit._validated[1][0]) == 0


def fit_until_diverged(make_dataset: MakeDataset, directory: Path, story: Story, **settings: Any) -> str:
    with pytest.raises(UserError) as error:
        fit_network(make_dataset(40), make_dataset(20, seed=1), make_context(directory, story), **settings)
    assert list(directory.iterdir()) == [], "no checkpoint may be kept"
    return str(error.value)


def test_diverging_training_stops_and_reports_step(make_dataset: MakeDataset, tmp_path: Path) -> None:
    story = Story()
    message = fit_until_diverged(make_dataset, tmp_path, story, learning_rate=1e38, gradient_clip=1e38, warmup=0.0)
    assert re.match(r"epoch 0, step [1-4]: the loss is (nan|inf): training diverged", message)
    for advice in ("lower model.learning_rate (1e+38 here)", "model.gradient_clip (1e+38 here)", "texts and labels"):
        assert advice in message
    assert story.rows == []
    assert story.scores == [], "the metric must not be computed"


def test_divergence_is_detected_before_end_of_epoch(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "_LOOK_EVERY", 3)
    seen: list[int] = []
    step = Fit.training_step
    monkeypatch.setattr(Fit, "training_step", lambda fit, batch, row: [seen.append(row), step(fit, batch, row)][1])
    fit_until_diverged(
        make_dataset, tmp_path, Story(), learning_rate=1e38, gradient_clip=1e38, warmup=0.0, batch_size=1
    )
    assert seen == [0, 1, 2]


def test_nan_loss_on_val_stops_training(make_dataset: MakeDataset, tmp_path: Path) -> None:
    story = Story()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "make_loss", lambda *arguments: _nan_without_gradient(make_loss(*arguments)))
        message = fit_until_diverged(make_dataset, tmp_path, story)
    assert message.startswith("after epoch 0: the loss on val is nan: training diverged")
    assert story.rows == []


def _nan_without_gradient(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda logits, *rest: loss(logits, *rest) + (0 if logits.requires_grad else float("nan"))


def make_partly_known(make_dataset: MakeDataset, size: int, seed: int = 0) -> Dataset:
    part = make_dataset(size, seed=seed)
    return replace(part, known=np.random.default_rng(seed).random(part.targets.shape) < 0.6)


def test_metric_of_an_epoch_gets_the_known_cells_of_val(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_partly_known(make_dataset, 30), make_partly_known(make_dataset, 20, seed=1)
    seen: list[tuple[Any, ...]] = []
    metric = ValidationMetric("val/anything", lambda *arguments: [seen.append(arguments), 0.5][1])
    fit_network(train, val, replace(make_context(tmp_path, Story()), validation_metric=metric))
    order = [
        row for rows in by_length(token_ids(make_classifier(train).tokenizer, val.texts, PADDING), 8) for row in rows
    ]
    assert val.known is not None
    targets, scores, known = seen[0]
    np.testing.assert_array_equal(known, val.known[order])
    np.testing.assert_array_equal(targets, (val.targets * val.known)[order])
    assert scores.shape == known.shape


def test_fully_known_val_is_measured_without_a_mask(make_dataset: MakeDataset, tmp_path: Path) -> None:
    story = Story()  # whose metric takes no mask
    fit_network(make_partly_known(make_dataset, 30), make_dataset(20, seed=1), make_context(tmp_path, story))
    assert len(story.scores) == len(story.rows) > 0


@pytest.mark.parametrize("targets", ["hard", "none", "soft"])
def test_values_at_unknown_cells_do_not_change_a_fit(make_dataset: MakeDataset, tmp_path: Path, targets: str) -> None:
    train, val = make_partly_known(make_dataset, 30), make_partly_known(make_dataset, 20, seed=1)
    weights, rows = [], []
    for flip in (False, True):
        changed = [
            replace(part, targets=np.where(part.known, part.targets, part.targets ^ flip)) for part in (train, val)
        ]
        learnt = {
            "hard": mark_unknown(*prepare_fit(changed[0].targets, changed[0].known)),
            "none": None,
            "soft": np.where(train.known, train.targets, 0.4).astype(np.float32),
        }[targets]
        story = Story()
        directory = tmp_path / str(flip)
        directory.mkdir()
        metric = ValidationMetric("val/anything", lambda truth, scores, known=None: float(truth.mean() + scores.mean()))
        context = replace(make_context(directory, story), validation_metric=metric)
        share = {"teacher_share": 0.5} if targets == "soft" else {}
        classifier = fit_network(*changed, context, targets=learnt, **share)
        weights.append(get_network(classifier).words.weight.detach().clone())
        rows.append(story.rows)
    assert torch.equal(*weights)
    assert rows[0] == rows[1]


def test_cells_weigh_one_on_average_and_the_teacher_has_its_share() -> None:
    known = np.array([[True, False], [True, False]])
    targets = np.array([[1, np.nan], [0, 0.3]], dtype=np.float32)
    weights = weigh_cells(targets, known, 0.5)
    assert weights is not None
    np.testing.assert_allclose(weights, np.array([[1, 0], [1, 0.5]]) / 0.625)
    assert weigh_cells(targets, None, 0.5) is None
    nothing = weigh_cells(np.full((2, 2), np.nan, dtype=np.float32), np.zeros((2, 2), dtype=bool), 0.5)
    assert nothing is not None
    assert not nothing.any()


def test_shares_of_processes_add_up_with_unknown_targets(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_partly_known(make_dataset, 21)
    classifier = make_classifier(train)
    network = get_network(classifier)
    torch.nn.init.normal_(network.words.weight)
    network.dropout.p = 0.0
    context = make_context(tmp_path, Story())
    data = Data(
        classifier, train, train, make_settings(), context, mark_unknown(*prepare_fit(train.targets, train.known))
    )
    fit = Fit(classifier, {}, data, train.targets, make_settings(), context, train.known)

    def compute_losses(rank: int, processes: int) -> list[Tensor]:
        data.take_share(rank, processes)
        return [fit.training_step(batch, 0).detach() for batch in data.train_dataloader()]

    alone, *shares = compute_losses(0, 1), compute_losses(0, 2), compute_losses(1, 2)
    torch.testing.assert_close(torch.stack(shares[0]) + torch.stack(shares[1]), torch.stack(alone))

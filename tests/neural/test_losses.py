import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ratchet.data.dataset import Task
from ratchet.neural.losses import make_loss, positive_weights, prior_logits
from ratchet.neural.settings import Imbalance, NeuralSettings

COUNTS = [1, 4, 10, 16, 0, 20]  # texts of 20 that each label is on


def settings(imbalance: str = "none", **changed: float) -> NeuralSettings:
    made = NeuralSettings(
        name="any",
        complexity=0,
        max_length=8,
        batch_size=8,
        max_epochs=1,
        patience=1,
        learning_rate=0.1,
        weight_decay=0.0,
        warmup=0.0,
        imbalance=Imbalance(imbalance),
    )
    for key, value in changed.items():
        setattr(made, key, value)
    return made


def train_targets() -> npt.NDArray[np.uint8]:
    return np.column_stack([np.arange(20) < count for count in COUNTS]).astype(np.uint8)


def multiclass_targets() -> npt.NDArray[np.uint8]:
    """20 texts: 1, 4 and 15 of three classes."""
    return np.eye(3, dtype=np.uint8)[[0] + [1] * 4 + [2] * 15]


def batch(labels: int, task: Task) -> tuple[Tensor, Tensor]:
    """Logits and targets of seven texts, logits of either sign, some far from 0."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn((7, labels), generator=generator)
    if task is Task.multiclass:
        return logits, functional.one_hot(torch.arange(7) % labels, labels).float()
    return logits, (torch.rand((7, labels), generator=generator) < 0.3).float()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_label_weighs_by_its_rarity_on_train_and_at_least_1(power: float) -> None:
    expected = [19**power, 4**power, 1, 1, 1, 1]
    torch.testing.assert_close(positive_weights(train_targets(), power), torch.tensor(expected))


def test_multi_label_loss_is_the_binary_cross_entropy_summed_over_labels() -> None:
    logits, targets = batch(6, Task.multilabel)
    loss = make_loss(settings(), train_targets(), Task.multilabel)(logits, targets)
    expected = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 7
    torch.testing.assert_close(loss, expected)


def test_positives_weigh_as_in_torch_with_the_weights_by_hand() -> None:
    logits, targets = batch(6, Task.multilabel)
    loss = make_loss(settings("pos_weight", pos_weight_power=0.5), train_targets(), Task.multilabel)(logits, targets)
    weights = torch.tensor([19**0.5, 2.0, 1, 1, 1, 1])
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=weights, reduction="sum")(logits, targets) / 7
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_a_power_of_0_weighs_nothing(task: Task) -> None:
    logits, targets = batch(3, task)
    train = multiclass_targets()
    weighted = make_loss(settings("pos_weight", pos_weight_power=0.0), train, task)(logits, targets)
    torch.testing.assert_close(weighted, make_loss(settings(), train, task)(logits, targets))


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_a_focal_loss_without_focus_is_the_plain_one(task: Task) -> None:
    logits, targets = batch(3, task)
    train = multiclass_targets()
    focal = make_loss(settings("focal", focal_gamma=0.0), train, task)(logits, targets)
    torch.testing.assert_close(focal, make_loss(settings(), train, task)(logits, targets))


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_the_focal_loss_is_that_of_lin_et_al(gamma: float) -> None:
    """FL(p_t) = -(1 - p_t)^gamma log(p_t), p_t the probability of what is true (equation 4, 2017)."""
    logits, targets = batch(6, Task.multilabel)
    loss = make_loss(settings("focal", focal_gamma=gamma), train_targets(), Task.multilabel)(logits, targets)
    p = torch.sigmoid(logits.double())
    p_true = torch.where(targets == 1, p, 1 - p)
    expected = (-((1 - p_true) ** gamma) * p_true.log()).sum(dim=1).mean()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_focal_loss_of_classes_is_that_of_the_true_class() -> None:
    logits, targets = batch(3, Task.multiclass)
    loss = make_loss(settings("focal", focal_gamma=2.0), multiclass_targets(), Task.multiclass)(logits, targets)
    p_true = torch.softmax(logits.double(), dim=1)[targets.bool()]
    torch.testing.assert_close(loss.double(), (-((1 - p_true) ** 2) * p_true.log()).mean(), rtol=1e-5, atol=1e-6)


def test_multi_class_loss_is_the_cross_entropy_of_torch() -> None:
    logits, targets = batch(3, Task.multiclass)
    loss = make_loss(settings(), multiclass_targets(), Task.multiclass)(logits, targets)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, targets.argmax(dim=1)))


def test_classes_weigh_as_in_torch_over_the_number_of_texts() -> None:
    logits, targets = batch(3, Task.multiclass)
    loss = make_loss(settings("pos_weight"), multiclass_targets(), Task.multiclass)(logits, targets)
    weights = torch.tensor([19**0.5, 2.0, 1.0])
    expected = functional.cross_entropy(logits, targets.argmax(dim=1), weight=weights, reduction="sum") / 7
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("imbalance", [each.value for each in Imbalance])
def test_the_loss_is_a_mean_over_the_batch(imbalance: str) -> None:
    logits, targets = batch(6, Task.multilabel)
    loss = make_loss(settings(imbalance), train_targets(), Task.multilabel)
    torch.testing.assert_close(loss(torch.cat([logits] * 3), torch.cat([targets] * 3)), loss(logits, targets))


@pytest.mark.parametrize("imbalance", [each.value for each in Imbalance])
@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_loss_and_gradient_are_finite_for_logits_of_any_size(task: Task, imbalance: str) -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 200.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    loss = make_loss(settings(imbalance), multiclass_targets(), task)(logits, targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("imbalance", [each.value for each in Imbalance])
@pytest.mark.parametrize("value", [0, 1], ids=["on no text", "on every text"])
def test_labels_that_tell_nothing_apart_give_finite_numbers(imbalance: str, value: int) -> None:
    train = np.full((5, 2), value, dtype=np.uint8)
    logits, targets = batch(2, Task.multilabel)
    assert torch.isfinite(make_loss(settings(imbalance), train, Task.multilabel)(logits, targets))
    for task in Task:
        assert torch.isfinite(prior_logits(train, task)).all()


def test_an_untrained_network_scores_labels_by_their_share_of_train() -> None:
    shares = torch.sigmoid(prior_logits(train_targets(), Task.multilabel)).numpy()
    expected = [(count + 0.5) / 21 for count in COUNTS]
    np.testing.assert_allclose(shares, expected, rtol=1e-5)
    assert 0 < shares[4] < 0.05
    assert 0.95 < shares[5] < 1


def test_an_untrained_network_scores_classes_by_their_share_of_train() -> None:
    shares = torch.softmax(prior_logits(multiclass_targets(), Task.multiclass), dim=0).numpy()
    np.testing.assert_allclose(shares, np.array([1.5, 4.5, 15.5]) / 21.5, rtol=1e-5)


def test_what_a_batch_holds_does_not_change_the_weights() -> None:
    """They are train's: a label that is rare in training and common in a batch of val keeps its weight."""
    loss = make_loss(settings("pos_weight", pos_weight_power=1.0), train_targets(), Task.multilabel)
    everywhere = loss(torch.zeros(4, 6), torch.ones(4, 6))
    torch.testing.assert_close(everywhere, torch.tensor((19 + 4 + 1 + 1 + 1 + 1) * np.log(2), dtype=torch.float32))


@pytest.mark.parametrize("gamma", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
@pytest.mark.parametrize("size", [17.0, 30.0, 200.0])
def test_what_is_surely_right_has_a_finite_gradient_with_any_focus(task: Task, gamma: float, size: float) -> None:
    """A power below 1 has no slope at 0, which is what the miss of a logit above 17 rounds to."""
    logits = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    loss = make_loss(settings("focal", focal_gamma=gamma), multiclass_targets()[:, :2], task)(logits, torch.eye(2))
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert loss.item() < 1e-6


def test_a_focal_loss_of_shares_is_least_where_they_are_met() -> None:
    """Of targets between 0 and 1 the miss is their distance from the probabilities."""
    logits, shares = batch(6, Task.multilabel)[0], torch.linspace(0, 1, 42).reshape(7, 6)
    loss = make_loss(settings("focal", focal_gamma=2.0), train_targets(), Task.multilabel)
    p = torch.sigmoid(logits.double())
    each = -(shares * p.log() + (1 - shares) * (1 - p).log())
    expected = (each * (shares - p).abs() ** 2).sum(dim=1).mean()
    torch.testing.assert_close(loss(logits, shares).double(), expected, rtol=1e-5, atol=1e-6)
    met = torch.logit(shares.clamp(1e-6, 1 - 1e-6))
    assert float(loss(met, shares)) < 1e-6


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_the_loss_of_shares_is_that_of_what_they_are_shares_of(task: Task) -> None:
    """Linear in the targets: half of a teacher's word counts half."""
    logits, hard = batch(3, task)
    other = hard.roll(1, dims=1)
    for imbalance in ("none", "pos_weight") if task is Task.multilabel else ("none",):
        loss = make_loss(settings(imbalance), multiclass_targets(), task)
        mixed = 0.7 * loss(logits, hard) + 0.3 * loss(logits, other)
        torch.testing.assert_close(loss(logits, 0.7 * hard + 0.3 * other), mixed)

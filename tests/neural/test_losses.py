import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ratchet.data.dataset import Task
from ratchet.neural.losses import make_loss, positive_weights, prior_logits
from ratchet.neural.settings import Imbalance, NeuralSettings

COUNTS = [1, 4, 10, 16, 0, 20]  # number of texts, of 20, with each label


def make_settings(imbalance: str = "none", **overrides: float) -> NeuralSettings:
    settings = NeuralSettings(
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
    for key, value in overrides.items():
        setattr(settings, key, value)
    return settings


def make_train_targets() -> npt.NDArray[np.uint8]:
    return np.column_stack([np.arange(20) < count for count in COUNTS]).astype(np.uint8)


def make_multiclass_targets() -> npt.NDArray[np.uint8]:
    """Return targets of 20 texts: 1, 4 and 15 of three classes."""
    return np.eye(3, dtype=np.uint8)[[0] + [1] * 4 + [2] * 15]


def make_batch(labels: int, task: Task) -> tuple[Tensor, Tensor]:
    """Return logits and targets of seven texts; logits have either sign and some are far from 0."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn((7, labels), generator=generator)
    if task is Task.multiclass:
        return logits, functional.one_hot(torch.arange(7) % labels, labels).float()
    return logits, (torch.rand((7, labels), generator=generator) < 0.3).float()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_positive_weights_grow_with_rarity_and_are_at_least_1(power: float) -> None:
    expected = [19**power, 4**power, 1, 1, 1, 1]
    torch.testing.assert_close(positive_weights(make_train_targets(), power), torch.tensor(expected))


def test_multilabel_loss_is_binary_cross_entropy_summed_over_labels() -> None:
    logits, targets = make_batch(6, Task.multilabel)
    loss = make_loss(make_settings(), make_train_targets(), Task.multilabel)(logits, targets)
    expected = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 7
    torch.testing.assert_close(loss, expected)


def test_pos_weight_loss_matches_torch() -> None:
    logits, targets = make_batch(6, Task.multilabel)
    loss = make_loss(make_settings("pos_weight", pos_weight_power=0.5), make_train_targets(), Task.multilabel)(
        logits, targets
    )
    weights = torch.tensor([19**0.5, 2.0, 1, 1, 1, 1])
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=weights, reduction="sum")(logits, targets) / 7
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_pos_weight_power_0_equals_plain_loss(task: Task) -> None:
    logits, targets = make_batch(3, task)
    train = make_multiclass_targets()
    weighted = make_loss(make_settings("pos_weight", pos_weight_power=0.0), train, task)(logits, targets)
    torch.testing.assert_close(weighted, make_loss(make_settings(), train, task)(logits, targets))


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_focal_loss_with_gamma_0_equals_plain_loss(task: Task) -> None:
    logits, targets = make_batch(3, task)
    train = make_multiclass_targets()
    focal = make_loss(make_settings("focal", focal_gamma=0.0), train, task)(logits, targets)
    torch.testing.assert_close(focal, make_loss(make_settings(), train, task)(logits, targets))


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_matches_lin_et_al(gamma: float) -> None:
    """FL(p_t) = -(1 - p_t)^gamma log(p_t), where p_t is the probability of the true value (equation 4, 2017)."""
    logits, targets = make_batch(6, Task.multilabel)
    loss = make_loss(make_settings("focal", focal_gamma=gamma), make_train_targets(), Task.multilabel)(logits, targets)
    p = torch.sigmoid(logits.double())
    p_true = torch.where(targets == 1, p, 1 - p)
    expected = (-((1 - p_true) ** gamma) * p_true.log()).sum(dim=1).mean()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)


def test_multiclass_focal_loss_uses_true_class_probability() -> None:
    logits, targets = make_batch(3, Task.multiclass)
    loss = make_loss(make_settings("focal", focal_gamma=2.0), make_multiclass_targets(), Task.multiclass)(
        logits, targets
    )
    p_true = torch.softmax(logits.double(), dim=1)[targets.bool()]
    torch.testing.assert_close(loss.double(), (-((1 - p_true) ** 2) * p_true.log()).mean(), rtol=1e-5, atol=1e-6)


def test_multiclass_loss_is_cross_entropy_of_torch() -> None:
    logits, targets = make_batch(3, Task.multiclass)
    loss = make_loss(make_settings(), make_multiclass_targets(), Task.multiclass)(logits, targets)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, targets.argmax(dim=1)))


def test_weighted_multiclass_loss_is_divided_by_batch_size() -> None:
    logits, targets = make_batch(3, Task.multiclass)
    loss = make_loss(make_settings("pos_weight"), make_multiclass_targets(), Task.multiclass)(logits, targets)
    weights = torch.tensor([19**0.5, 2.0, 1.0])
    expected = functional.cross_entropy(logits, targets.argmax(dim=1), weight=weights, reduction="sum") / 7
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("imbalance", [imbalance.value for imbalance in Imbalance])
def test_loss_is_mean_over_batch(imbalance: str) -> None:
    logits, targets = make_batch(6, Task.multilabel)
    loss = make_loss(make_settings(imbalance), make_train_targets(), Task.multilabel)
    torch.testing.assert_close(loss(torch.cat([logits] * 3), torch.cat([targets] * 3)), loss(logits, targets))


@pytest.mark.parametrize("imbalance", [imbalance.value for imbalance in Imbalance])
@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_loss_and_gradient_are_finite_for_large_logits(task: Task, imbalance: str) -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 200.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    loss = make_loss(make_settings(imbalance), make_multiclass_targets(), task)(logits, targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("imbalance", [imbalance.value for imbalance in Imbalance])
@pytest.mark.parametrize("value", [0, 1], ids=["on no text", "on every text"])
def test_constant_labels_give_finite_loss_and_prior_logits(imbalance: str, value: int) -> None:
    train = np.full((5, 2), value, dtype=np.uint8)
    logits, targets = make_batch(2, Task.multilabel)
    assert torch.isfinite(make_loss(make_settings(imbalance), train, Task.multilabel)(logits, targets))
    for task in Task:
        assert torch.isfinite(prior_logits(train, task)).all()


def test_prior_logits_match_label_shares_of_train() -> None:
    shares = torch.sigmoid(prior_logits(make_train_targets(), Task.multilabel)).numpy()
    expected = [(count + 0.5) / 21 for count in COUNTS]
    np.testing.assert_allclose(shares, expected, rtol=1e-5)
    assert 0 < shares[4] < 0.05
    assert 0.95 < shares[5] < 1


def test_prior_logits_match_class_shares_of_train() -> None:
    shares = torch.softmax(prior_logits(make_multiclass_targets(), Task.multiclass), dim=0).numpy()
    np.testing.assert_allclose(shares, np.array([1.5, 4.5, 15.5]) / 21.5, rtol=1e-5)


def test_positive_weights_do_not_depend_on_batch() -> None:
    """The weights come from train: a label that is rare in train and common in a batch of val keeps its weight."""
    loss = make_loss(make_settings("pos_weight", pos_weight_power=1.0), make_train_targets(), Task.multilabel)
    everywhere = loss(torch.zeros(4, 6), torch.ones(4, 6))
    torch.testing.assert_close(everywhere, torch.tensor((19 + 4 + 1 + 1 + 1 + 1) * np.log(2), dtype=torch.float32))


@pytest.mark.parametrize("gamma", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
@pytest.mark.parametrize("size", [17.0, 30.0, 200.0])
def test_focal_gradient_is_finite_for_confident_correct_logits(task: Task, gamma: float, size: float) -> None:
    """A power below 1 has an infinite slope at 0, and the miss of a logit above 17 rounds to 0."""
    logits = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    loss = make_loss(make_settings("focal", focal_gamma=gamma), make_multiclass_targets()[:, :2], task)(
        logits, torch.eye(2)
    )
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert loss.item() < 1e-6


def test_focal_loss_of_soft_targets_vanishes_at_match() -> None:
    """For targets between 0 and 1, the miss is their distance from the probabilities."""
    logits, targets = make_batch(6, Task.multilabel)[0], torch.linspace(0, 1, 42).reshape(7, 6)
    loss = make_loss(make_settings("focal", focal_gamma=2.0), make_train_targets(), Task.multilabel)
    p = torch.sigmoid(logits.double())
    cross_entropy = -(targets * p.log() + (1 - targets) * (1 - p).log())
    expected = (cross_entropy * (targets - p).abs() ** 2).sum(dim=1).mean()
    torch.testing.assert_close(loss(logits, targets).double(), expected, rtol=1e-5, atol=1e-6)
    matching_logits = torch.logit(targets.clamp(1e-6, 1 - 1e-6))
    assert float(loss(matching_logits, targets)) < 1e-6


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_loss_is_linear_in_soft_targets(task: Task) -> None:
    """A mix of two targets has the same mix of their losses."""
    logits, hard = make_batch(3, task)
    rolled = hard.roll(1, dims=1)
    for imbalance in ("none", "pos_weight") if task is Task.multilabel else ("none",):
        loss = make_loss(make_settings(imbalance), make_multiclass_targets(), task)
        mixed = 0.7 * loss(logits, hard) + 0.3 * loss(logits, rolled)
        torch.testing.assert_close(loss(logits, 0.7 * hard + 0.3 * rolled), mixed)


KNOWN = np.random.default_rng(3).random((20, len(COUNTS))) < 0.7


def test_counts_of_labels_are_those_of_known_texts() -> None:
    targets = make_train_targets()
    biases = prior_logits(targets, Task.multilabel, KNOWN)
    weights = positive_weights(targets, 1.0, KNOWN)
    for column, rows in enumerate(KNOWN.T):
        alone = targets[rows][:, [column]]
        torch.testing.assert_close(biases[[column]], prior_logits(alone, Task.multilabel))
        torch.testing.assert_close(weights[[column]], positive_weights(alone, 1.0))
    never = np.zeros_like(KNOWN)
    torch.testing.assert_close(
        prior_logits(targets, Task.multilabel, never), prior_logits(np.zeros_like(targets), Task.multilabel)
    )


@pytest.mark.parametrize("imbalance", [item.value for item in Imbalance])
def test_loss_is_a_weighted_sum_over_cells(imbalance: str) -> None:
    logits, targets = make_batch(6, Task.multilabel)
    cells = torch.rand((7, 6), generator=torch.Generator().manual_seed(1))
    loss = make_loss(make_settings(imbalance), make_train_targets(), Task.multilabel, KNOWN)
    expected = 0.0
    for row in range(7):
        for column in range(6):  # a batch in which only this cell has a weight
            only = torch.zeros((7, 6))
            only[row, column] = 1
            expected += float(cells[row, column] * loss(logits, targets, only))
    torch.testing.assert_close(float(loss(logits, targets, cells)), expected, rtol=1e-4, atol=1e-4)
    ones = torch.ones((7, 6))
    torch.testing.assert_close(loss(logits, targets, ones), loss(logits, targets))


def test_cell_without_weight_has_neither_loss_nor_gradient() -> None:
    logits, targets = make_batch(6, Task.multilabel)
    cells = torch.from_numpy(KNOWN[:7].astype(np.float32))
    loss = make_loss(make_settings("pos_weight"), make_train_targets(), Task.multilabel, KNOWN)
    gradients = []
    for truth in (targets, torch.where(cells > 0, targets, 1 - targets)):
        free = logits.clone().requires_grad_()
        loss(free, truth, cells).backward()  # type: ignore[no-untyped-call]
        assert free.grad is not None
        gradients.append(free.grad)
    assert torch.equal(*gradients)
    assert not gradients[0][cells == 0].any()
    assert gradients[0][cells > 0].all()

"""The item bootstrap: what its intervals cover, and that nothing about them depends on chance or on memory."""

import numpy as np
import numpy.typing as npt
import pytest

from ratchet.evaluation import bootstrap
from ratchet.evaluation.bootstrap import intervals, resampled_weights
from ratchet.evaluation.metrics import Binary, average_precision, averaged


def world(size: int, seed: int = 0, labels: int = 4) -> tuple[Binary, Binary, npt.NDArray[np.float32]]:
    """Targets, decisions and scores of a Bernoulli world: P(label) = .4, P(found | label) = .7, P(false alarm) = .2."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((size, labels)) < 0.4).astype(np.uint8)
    decisions = (generator.random(targets.shape) < np.where(targets, 0.7, 0.2)).astype(np.uint8)
    scores = np.clip(0.3 * decisions + generator.random(targets.shape) * 0.7, 0, 1).astype(np.float32)
    return targets, decisions, scores


def test_every_replicate_draws_as_many_items_as_there_are() -> None:
    weights = np.concatenate(list(resampled_weights(30, 500)))
    assert weights.shape == (500, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == weights.round()).all()
    # each item is drawn once on average, with a variance of 1 - 1/n
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.2)
    assert weights.var() == pytest.approx(1 - 1 / 30, abs=0.05)


def test_intervals_hold_the_point_estimate() -> None:
    targets, decisions, scores = world(300)
    point = {name: float(value) for name, value in averaged(targets, decisions).items()}
    point["average_precision_macro"] = float(average_precision(targets, scores).mean())
    found = intervals(targets, decisions, scores, 500)
    assert set(found) == set(point)
    for name, (low, high) in found.items():
        assert low < point[name] < high, name
        assert low >= 0
        assert high <= 1


def test_without_a_ranking_there_is_no_interval_of_average_precision() -> None:
    targets, decisions, _ = world(50)
    assert set(intervals(targets, decisions, None, 100)) == set(averaged(targets, decisions))


def test_a_perfect_model_has_no_width() -> None:
    targets, _, _ = world(100)
    found = intervals(targets, targets, None, 100)
    assert found["f1_weighted"] == found["f1_micro"] == (1.0, 1.0)


def test_the_width_shrinks_with_the_square_root_of_the_size() -> None:
    widths = {}
    for size in (200, 3200):
        low_high = intervals(*world(size, seed=3), 1000)
        widths[size] = {name: high - low for name, (low, high) in low_high.items()}
    for name in ("f1_weighted", "f1_micro", "recall_macro", "f1_samples", "average_precision_macro"):
        assert 3 < widths[200][name] / widths[3200][name] < 5.3, name  # sqrt(3200 / 200) = 4


def test_intervals_are_the_same_every_time() -> None:
    assert intervals(*world(80), 200) == intervals(*world(80), 200)


@pytest.mark.parametrize("cells", [1, 80, 1000, 16_001])
def test_blocks_change_nothing(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = intervals(*world(80), 200)
    assert len(list(resampled_weights(80, 200))) == 1
    monkeypatch.setattr(bootstrap, "_CELLS", cells)
    blocks = list(resampled_weights(80, 200))
    assert max(len(block) for block in blocks) == max(1, min(200, cells // 80))
    assert sum(len(block) for block in blocks) == 200
    for name, low_high in intervals(*world(80), 200).items():
        assert low_high == pytest.approx(whole[name], abs=1e-12), name


def test_a_label_without_support_in_a_replicate_is_left_out_of_the_macro_mean() -> None:
    """A label on one record only is absent from about a third of the replicates, which must not count as 0."""
    targets, decisions, scores = world(60, labels=2)
    targets[:, 1] = 0
    targets[0, 1] = 1
    decisions[:, 1] = targets[:, 1]
    decisions[:, 0] = targets[:, 0]
    scores = np.where(targets, 0.9, 0.1).astype(np.float32)
    found = intervals(targets, decisions, scores, 300)
    assert found["f1_macro"] == (1.0, 1.0)
    assert found["average_precision_macro"] == (1.0, 1.0)


@pytest.mark.parametrize("metric", ["recall_micro", "f1_micro"])
def test_intervals_cover_the_truth_in_about_95_of_100_worlds(metric: str) -> None:
    true_positives, predicted, actual = 0.4 * 0.7, 0.4 * 0.7 + 0.6 * 0.2, 0.4
    truth = {"recall_micro": 0.7, "f1_micro": 2 * true_positives / (predicted + actual)}[metric]
    covered = 0
    for seed in range(200):
        targets, decisions, _ = world(150, seed=seed, labels=2)
        low, high = intervals(targets, decisions, None, 200)[metric]
        covered += low <= truth <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_draws_without_the_only_positive_record_say_nothing_about_its_ranking() -> None:
    targets = np.zeros((20, 1), dtype=np.uint8)
    targets[3] = 1
    scores = np.linspace(0.9, 0.1, 20, dtype=np.float32)[:, None]
    scores[3] = 1.0
    found = intervals(targets, (scores >= 1).astype(np.uint8), scores, 200)
    assert found["average_precision_macro"] == (1.0, 1.0)

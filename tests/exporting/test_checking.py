import numpy as np
import pytest
from numpy.typing import NDArray

from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.evaluation.calibration import Calibration
from ratchet.evaluation.thresholds import Thresholds
from ratchet.exporting.checking import ExportRefused, check_scores
from ratchet.neural.settings import ExportPrecision
from ratchet.scoring import Scorer

LABELS = ["a", "b"]
Scores = NDArray[np.float32]


def scorer() -> Scorer:
    calibration = Calibration("none", None, Task.multilabel)
    return Scorer(None, LABELS, calibration, Thresholds("fixed", np.full(2, 0.5)))  # type: ignore[arg-type]


def val(size: int = 400) -> tuple[Dataset, Scores]:
    """Records, and scores that are right on most of them."""
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, (size, 2)).astype(np.uint8)
    scores = np.clip(0.1 + 0.8 * targets + generator.normal(0, 0.2, targets.shape), 0, 1).astype(np.float32)
    ids = [str(number) for number in range(size)]
    return Dataset(ids, ids, targets, LABELS, Taxonomy.from_labels(LABELS), Task.multilabel), scores


def worse(dataset: Dataset, scores: Scores, rows: int) -> Scores:
    """`scores` that are wrong on so many records."""
    return np.concatenate([1 - dataset.targets[:rows].astype(np.float32), scores[rows:]])


def test_scores_that_round_otherwise_are_the_same() -> None:
    dataset, scores = val()
    check = check_scores(scorer(), dataset, scores, scores - np.float32(5e-5), "f1_weighted", ExportPrecision.float32)
    assert check.texts == 400
    assert check.largest_difference == pytest.approx(5e-5, rel=0.01)
    assert (check.f1_difference, check.f1_difference_lower) == (None, None)


@pytest.mark.parametrize("precision", [None, ExportPrecision.float32])
def test_one_score_that_is_another_is_enough_to_refuse(precision: ExportPrecision | None) -> None:
    dataset, scores = val()
    found = scores.copy()
    found[7, 1] = abs(scores[7, 1] - 0.25)
    with pytest.raises(ExportRefused, match=r"differ from the run's by up to 0\.\d+ on val"):
        check_scores(scorer(), dataset, scores, found, "f1_weighted", precision)


def test_a_score_that_is_no_number_is_refused() -> None:
    dataset, scores = val()
    with pytest.raises(ExportRefused):
        check_scores(scorer(), dataset, scores, np.full_like(scores, np.nan), "f1_weighted", ExportPrecision.float32)


def test_a_decision_at_its_threshold_may_change_and_is_counted() -> None:
    dataset, scores = val()
    scores[3, 0] = 0.5
    found = scores - np.float32(1e-6)
    check = check_scores(scorer(), dataset, scores, found, "f1_weighted", ExportPrecision.float32)
    assert check.changed_decisions == 1


def test_int8_may_score_otherwise_as_long_as_it_decides_as_well() -> None:
    dataset, scores = val()
    found = np.where(scores > 0.5, 0.9, 0.1).astype(np.float32)
    check = check_scores(scorer(), dataset, scores, found, "f1_weighted", ExportPrecision.int8)
    assert check.largest_difference > 0.05
    assert (check.f1_difference, check.f1_difference_lower) == (0, 0)


def test_int8_that_is_worse_by_more_than_the_margin_is_refused_with_its_figure() -> None:
    dataset, scores = val()
    with pytest.raises(ExportRefused, match=r"f1_weighted -0\.0\d+ on 400 val texts.*above -0\.0\d+"):
        check_scores(scorer(), dataset, scores, worse(dataset, scores, 12), "f1_weighted", ExportPrecision.int8)


def test_too_little_evidence_is_refused_too() -> None:
    """One record in 400 costs less than .005, but which one it is is chance: the lower bound counts."""
    dataset, scores = val()
    found = worse(dataset, scores, 1)
    with pytest.raises(ExportRefused) as refused:
        check_scores(scorer(), dataset, scores, found, "f1_weighted", ExportPrecision.int8)
    assert "f1_weighted -0.003" in str(refused.value) or "f1_weighted -0.002" in str(refused.value)


def test_many_records_make_a_small_loss_certain() -> None:
    dataset, scores = val(4_000)
    check = check_scores(scorer(), dataset, scores, worse(dataset, scores, 5), "f1_weighted", ExportPrecision.int8)
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert -0.005 < check.f1_difference_lower < check.f1_difference < 0

"""Tests for the keys and values of metrics.json."""

import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ratchet.data.dataset import Task
from ratchet.evaluation.measures import Metrics, compute_metrics
from ratchet.evaluation.metrics import Binary, average_precision, compute_averages, precision_recall_at_k

LABELS = ["audio", "graphs", "vision"]
AVERAGED = [
    f"{metric}_{average}"
    for metric in ("precision", "recall", "f1")
    for average in ("weighted", "micro", "macro", "samples")
]


def make_data(size: int = 40, labels: int = 3) -> tuple[Binary, npt.NDArray[np.float32], Binary]:
    generator = np.random.default_rng(0)
    targets = (generator.random((size, labels)) < 0.4).astype(np.uint8)
    scores = np.clip(0.4 * targets + generator.random(targets.shape) * 0.6, 0, 1).astype(np.float32)
    return targets, scores, (scores >= 0.5).astype(np.uint8)


def measure(
    targets: Binary,
    scores: npt.NDArray[np.float32],
    decisions: Binary,
    labels: list[str] = LABELS,
    slices: list[list[str]] | None = None,
) -> Metrics:
    record_slices = slices or [[] for _ in targets]
    return compute_metrics(
        "test", targets, scores, decisions, labels, record_slices, task=Task.multilabel, cutoffs=[1, 2], resamples=100
    )


def test_metrics_have_all_expected_keys() -> None:
    targets, scores, decisions = make_data()
    slices = [["short_text"] if row % 2 else ["short_text", "date=2020-Q3"] for row in range(len(targets))]
    headline = [*AVERAGED, "average_precision_macro"]
    expected = {f"test/{name}" for name in headline}
    expected |= {f"test/{name}_ci_{end}" for name in headline for end in ("low", "high")}
    expected |= {f"test/{metric}_at_{k}" for metric in ("precision", "recall") for k in (1, 2)}
    expected |= {f"test/labels_per_record_{kind}" for kind in ("true", "predicted")}
    expected |= {f"test/share_without_label_{kind}" for kind in ("true", "predicted")}
    expected |= {"test/records", "test/labels_without_support", "test/brier", "test/expected_calibration_error"}
    expected |= {
        f"test/labels/{label}/{name}"
        for label in LABELS
        for name in ("precision", "recall", "f1", "average_precision", "support", "predicted")
    }
    expected |= {
        f"test/slices/{name}/{key}"
        for name in ("short_text", "date=2020-Q3")
        for key in ("records", "f1_weighted", "precision_weighted", "recall_weighted")
    }
    metrics = measure(targets, scores, decisions, slices=slices)
    assert set(metrics) == expected
    assert all(value is not None for value in metrics.values())


def test_keys_start_with_name_of_part() -> None:
    targets, scores, decisions = make_data()
    metrics = compute_metrics(
        "val", targets, scores, decisions, LABELS, [[]] * 40, task=Task.multilabel, cutoffs=[1], resamples=100
    )
    assert all(key.startswith("val/") for key in metrics)


def test_values_match_metric_functions() -> None:
    targets, scores, decisions = make_data()
    metrics = measure(targets, scores, decisions)
    for name, value in compute_averages(targets, decisions).items():
        assert metrics[f"test/{name}"] == value
        low, high = metrics[f"test/{name}_ci_low"], metrics[f"test/{name}_ci_high"]
        assert low is not None
        assert high is not None
        assert low <= value <= high
    by_label = average_precision(targets, scores)
    assert metrics["test/average_precision_macro"] == pytest.approx(by_label.mean())
    for k in (1, 2):
        assert (metrics[f"test/precision_at_{k}"], metrics[f"test/recall_at_{k}"]) == precision_recall_at_k(
            targets, scores, k
        )
    for column, label in enumerate(LABELS):
        label_averages = compute_averages(targets[:, [column]], decisions[:, [column]])
        assert metrics[f"test/labels/{label}/average_precision"] == by_label[column]
        for name in ("precision", "recall", "f1"):
            assert metrics[f"test/labels/{label}/{name}"] == pytest.approx(label_averages[f"{name}_micro"])


def test_counts_match_manual_calculation() -> None:
    targets = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=np.uint8)
    decisions = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=np.uint8)
    metrics = measure(targets, decisions.astype(np.float32), decisions)
    assert metrics["test/records"] == 4
    assert metrics["test/labels_per_record_true"] == 3 / 4
    assert metrics["test/labels_per_record_predicted"] == 6 / 4
    assert metrics["test/share_without_label_true"] == 2 / 4
    assert metrics["test/share_without_label_predicted"] == 0
    assert metrics["test/labels_without_support"] == 1
    assert [metrics[f"test/labels/{label}/support"] for label in LABELS] == [2, 1, 0]
    assert [metrics[f"test/labels/{label}/predicted"] for label in LABELS] == [3, 2, 1]
    assert (metrics["test/labels/audio/precision"], metrics["test/labels/audio/recall"]) == (2 / 3, 1.0)
    assert metrics["test/labels/vision/f1"] == 0


def test_slice_metrics_use_records_of_slice() -> None:
    targets, scores, decisions = make_data()
    slices = [["even", "all"] if row % 2 == 0 else ["all"] for row in range(len(targets))]
    metrics = measure(targets, scores, decisions, slices=slices)
    assert metrics["test/slices/even/records"] == 20
    assert metrics["test/slices/all/records"] == 40
    even = compute_averages(targets[::2], decisions[::2])
    for metric in ("f1_weighted", "precision_weighted", "recall_weighted"):
        assert metrics[f"test/slices/even/{metric}"] == even[metric]
        assert metrics[f"test/slices/all/{metric}"] == metrics[f"test/{metric}"]


def test_binary_scores_have_no_ranking_metrics() -> None:
    targets, _, decisions = make_data()
    metrics = measure(targets, decisions.astype(np.float32), decisions)
    ranking = ["average_precision_macro", "precision_at_1", "recall_at_1", "precision_at_2", "recall_at_2"]
    ranking += [f"labels/{label}/average_precision" for label in LABELS]
    assert {name: metrics[f"test/{name}"] for name in ranking} == dict.fromkeys(ranking)
    assert metrics.get("test/average_precision_macro_ci_low") is None
    assert metrics["test/f1_weighted"] is not None


def test_one_fractional_score_enables_ranking_metrics() -> None:
    targets, _, decisions = make_data()
    scores = decisions.astype(np.float32)
    scores[0, 0] = 0.5
    assert measure(targets, scores, decisions)["test/average_precision_macro"] is not None


def test_macro_average_precision_skips_labels_without_support() -> None:
    targets, scores, decisions = make_data()
    targets[:, 1] = 0
    metrics = measure(targets, scores, decisions)
    assert metrics["test/labels/graphs/average_precision"] is None
    assert metrics["test/average_precision_macro"] == pytest.approx(
        average_precision(targets[:, [0, 2]], scores[:, [0, 2]]).mean()
    )


def test_undefined_metrics_and_intervals_are_none() -> None:
    targets, scores, decisions = make_data()
    metrics = measure(np.zeros_like(targets), scores, decisions)
    assert metrics["test/average_precision_macro"] is None
    assert metrics["test/recall_at_1"] is None
    interval = [metrics.get(f"test/average_precision_macro_ci_{end}") for end in ("low", "high")]
    assert interval == [None, None]


def test_slash_in_name_is_escaped() -> None:
    targets, scores, decisions = make_data()
    slices = [["topic=ci/cd"] for _ in targets]
    metrics = measure(targets, scores, decisions, ["tcp/ip", "graphs", "on-line learning"], slices)
    assert "test/labels/tcp%2Fip/f1" in metrics
    assert "test/labels/on-line learning/f1" in metrics
    assert "test/slices/topic=ci%2Fcd/records" in metrics


@pytest.mark.parametrize("name", ["c++", "größe", "日本語", "q&a", "(other)", "a:b", "a=b"])
def test_name_without_slash_is_unchanged(name: str) -> None:
    targets, scores, decisions = make_data()
    metrics = measure(targets, scores, decisions, [name, "graphs", "vision"], [[name] for _ in targets])
    assert f"test/labels/{name}/f1" in metrics
    assert f"test/slices/{name}/f1_weighted" in metrics


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
@example(names=["a/b", "a%2Fb"])
def test_different_names_have_different_keys(names: list[str]) -> None:
    targets, scores, decisions = make_data(labels=2)
    metrics = measure(targets, scores, decisions, names, [[name] for name in (names * 20)])
    per_label = [key for key in metrics if key.startswith("test/labels/")]
    assert len(per_label) == 2 * 6
    assert all(key.count("/") == 3 for key in per_label)
    assert len([key for key in metrics if key.startswith("test/slices/")]) == 2 * 4


@settings(max_examples=40, deadline=None)
@given(data=st.data(), items=st.integers(1, 5), labels=st.integers(1, 3))
def test_all_metrics_are_json_serialisable(data: st.DataObject, items: int, labels: int) -> None:
    shape = (items, labels)
    targets = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    decisions = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    scores = data.draw(arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.5, 1.0])))
    metrics = measure(targets, scores, decisions, [f"label {index}" for index in range(labels)], [["all"]] * items)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics

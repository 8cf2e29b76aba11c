"""Check the keys and values of metrics.json, and that JSON can represent them."""

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


def world(size: int = 40, labels: int = 3) -> tuple[Binary, npt.NDArray[np.float32], Binary]:
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
    of_each = slices or [[] for _ in targets]
    return compute_metrics(
        "test", targets, scores, decisions, labels, of_each, task=Task.multilabel, cutoffs=[1, 2], resamples=100
    )


def test_the_keys_are_those_that_are_promised() -> None:
    targets, scores, decisions = world()
    slices = [["short_text"] if row % 2 else ["short_text", "date=2020-Q3"] for row in range(len(targets))]
    headline = [*AVERAGED, "average_precision_macro"]
    expected = {f"test/{name}" for name in headline}
    expected |= {f"test/{name}_ci_{end}" for name in headline for end in ("low", "high")}
    expected |= {f"test/{metric}_at_{k}" for metric in ("precision", "recall") for k in (1, 2)}
    expected |= {f"test/labels_per_record_{which}" for which in ("true", "predicted")}
    expected |= {f"test/share_without_label_{which}" for which in ("true", "predicted")}
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
    found = measure(targets, scores, decisions, slices=slices)
    assert set(found) == expected
    assert all(value is not None for value in found.values())


def test_the_part_is_the_first_word_of_every_key() -> None:
    targets, scores, decisions = world()
    found = compute_metrics(
        "val", targets, scores, decisions, LABELS, [[]] * 40, task=Task.multilabel, cutoffs=[1], resamples=100
    )
    assert all(key.startswith("val/") for key in found)


def test_values_are_those_of_the_metrics() -> None:
    targets, scores, decisions = world()
    found = measure(targets, scores, decisions)
    for name, value in compute_averages(targets, decisions).items():
        assert found[f"test/{name}"] == value
        low, high = found[f"test/{name}_ci_low"], found[f"test/{name}_ci_high"]
        assert low is not None
        assert high is not None
        assert low <= value <= high
    by_label = average_precision(targets, scores)
    assert found["test/average_precision_macro"] == pytest.approx(by_label.mean())
    for k in (1, 2):
        assert (found[f"test/precision_at_{k}"], found[f"test/recall_at_{k}"]) == precision_recall_at_k(
            targets, scores, k
        )
    for column, label in enumerate(LABELS):
        alone = compute_averages(targets[:, [column]], decisions[:, [column]])
        assert found[f"test/labels/{label}/average_precision"] == by_label[column]
        for name in ("precision", "recall", "f1"):
            assert found[f"test/labels/{label}/{name}"] == pytest.approx(alone[f"{name}_micro"])


def test_counts_by_hand() -> None:
    targets = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=np.uint8)
    decisions = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=np.uint8)
    found = measure(targets, decisions.astype(np.float32), decisions)
    assert found["test/records"] == 4
    assert found["test/labels_per_record_true"] == 3 / 4
    assert found["test/labels_per_record_predicted"] == 6 / 4
    assert found["test/share_without_label_true"] == 2 / 4
    assert found["test/share_without_label_predicted"] == 0
    assert found["test/labels_without_support"] == 1
    assert [found[f"test/labels/{label}/support"] for label in LABELS] == [2, 1, 0]
    assert [found[f"test/labels/{label}/predicted"] for label in LABELS] == [3, 2, 1]
    assert (found["test/labels/audio/precision"], found["test/labels/audio/recall"]) == (2 / 3, 1.0)
    assert found["test/labels/vision/f1"] == 0


def test_slices_are_measured_on_their_own_records() -> None:
    targets, scores, decisions = world()
    slices = [["even", "all"] if row % 2 == 0 else ["all"] for row in range(len(targets))]
    found = measure(targets, scores, decisions, slices=slices)
    assert found["test/slices/even/records"] == 20
    assert found["test/slices/all/records"] == 40
    even = compute_averages(targets[::2], decisions[::2])
    for metric in ("f1_weighted", "precision_weighted", "recall_weighted"):
        assert found[f"test/slices/even/{metric}"] == even[metric]
        assert found[f"test/slices/all/{metric}"] == found[f"test/{metric}"]


def test_scores_of_0_and_1_rank_nothing() -> None:
    targets, _, decisions = world()
    found = measure(targets, decisions.astype(np.float32), decisions)
    ranking = ["average_precision_macro", "precision_at_1", "recall_at_1", "precision_at_2", "recall_at_2"]
    ranking += [f"labels/{label}/average_precision" for label in LABELS]
    assert {name: found[f"test/{name}"] for name in ranking} == dict.fromkeys(ranking)
    assert found.get("test/average_precision_macro_ci_low") is None
    assert found["test/f1_weighted"] is not None


def test_one_score_in_between_makes_a_ranking() -> None:
    targets, _, decisions = world()
    scores = decisions.astype(np.float32)
    scores[0, 0] = 0.5
    assert measure(targets, scores, decisions)["test/average_precision_macro"] is not None


def test_a_label_without_support_has_no_average_precision_and_is_left_out_of_the_mean() -> None:
    targets, scores, decisions = world()
    targets[:, 1] = 0
    found = measure(targets, scores, decisions)
    assert found["test/labels/graphs/average_precision"] is None
    assert found["test/average_precision_macro"] == pytest.approx(
        average_precision(targets[:, [0, 2]], scores[:, [0, 2]]).mean()
    )


def test_without_any_true_label_what_cannot_be_measured_is_none_and_so_is_its_interval() -> None:
    targets, scores, decisions = world()
    found = measure(np.zeros_like(targets), scores, decisions)
    assert found["test/average_precision_macro"] is None
    assert found["test/recall_at_1"] is None
    interval = [found.get(f"test/average_precision_macro_ci_{end}") for end in ("low", "high")]
    assert interval == [None, None]


def test_a_slash_in_a_name_is_escaped() -> None:
    targets, scores, decisions = world()
    slices = [["topic=ci/cd"] for _ in targets]
    found = measure(targets, scores, decisions, ["tcp/ip", "graphs", "on-line learning"], slices)
    assert "test/labels/tcp%2Fip/f1" in found
    assert "test/labels/on-line learning/f1" in found
    assert "test/slices/topic=ci%2Fcd/records" in found


@pytest.mark.parametrize("name", ["c++", "größe", "日本語", "q&a", "(other)", "a:b", "a=b"])
def test_a_name_without_a_slash_stays_as_it_is(name: str) -> None:
    targets, scores, decisions = world()
    found = measure(targets, scores, decisions, [name, "graphs", "vision"], [[name] for _ in targets])
    assert f"test/labels/{name}/f1" in found
    assert f"test/slices/{name}/f1_weighted" in found


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
@example(names=["a/b", "a%2Fb"])
def test_different_names_have_different_keys(names: list[str]) -> None:
    targets, scores, decisions = world(labels=2)
    found = measure(targets, scores, decisions, names, [[name] for name in (names * 20)])
    per_label = [key for key in found if key.startswith("test/labels/")]
    assert len(per_label) == 2 * 6
    assert all(key.count("/") == 3 for key in per_label)
    assert len([key for key in found if key.startswith("test/slices/")]) == 2 * 4


@settings(max_examples=40, deadline=None)
@given(data=st.data(), items=st.integers(1, 5), labels=st.integers(1, 3))
def test_json_can_hold_every_value(data: st.DataObject, items: int, labels: int) -> None:
    shape = (items, labels)
    targets = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    decisions = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    scores = data.draw(arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.5, 1.0])))
    found = measure(targets, scores, decisions, [f"label {index}" for index in range(labels)], [["all"]] * items)
    assert json.loads(json.dumps(found, allow_nan=False)) == found

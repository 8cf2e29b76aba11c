import numpy as np
import pytest
from tests.inference.naming import LABELS

from ratchet.errors import UserError
from ratchet.inference.columns import Layout, Predicted, ScoreDetail, refuse_taken

SCORES = np.array([[0.9, 1e-5, 0.1], [np.nan] * 3, [0.3, 0.2, 0.1]], dtype=np.float32)
PREDICTED = Predicted(SCORES, (np.nan_to_num(SCORES) >= 0.1).astype(np.uint8), np.array([True, False, True]))


def test_counts_distinguish_missing_text_from_missing_label() -> None:
    without_labels = Predicted(SCORES, np.zeros((3, 3), dtype=np.uint8), PREDICTED.has_text)
    assert without_labels.counts() == {
        "rows": 3,
        "without_text": 1,
        "without_words": 0,
        "without_label": 2,
        "labels": 0,
    }
    assert PREDICTED.counts() == {
        "rows": 3,
        "without_text": 1,
        "without_words": 0,
        "without_label": 0,
        "labels": 5,
    }


def test_written_scores_are_exact() -> None:
    assert PREDICTED.predicted_columns() == [[0, 2], [], [0, 1, 2]]
    assert PREDICTED.written_scores(ScoreDetail.predicted)[0] == [(0, "0.9"), (2, "0.1")]
    for row, written in zip(SCORES, PREDICTED.written_scores(ScoreDetail.all), strict=True):
        assert [np.float32(text) for _, text in written] == ([] if np.isnan(row).any() else row.tolist())


@pytest.mark.parametrize(
    ("detail", "flat", "nested"),
    [
        (ScoreDetail.none, ["x_predicted"], ["x_predicted"]),
        (ScoreDetail.predicted, ["x_predicted", "x_scores"], ["x_predicted", "x_scores"]),
        (ScoreDetail.all, ["x_predicted", *(f"x_score:{label}" for label in LABELS)], ["x_predicted", "x_scores"]),
    ],
)
def test_layout_lists_new_columns(detail: ScoreDetail, flat: list[str], nested: list[str]) -> None:
    layout = Layout(LABELS, detail, "x_")
    assert (layout.flat(), layout.nested()) == (flat, nested)


def test_existing_input_column_is_not_overwritten() -> None:
    with pytest.raises(UserError, match=r"the input has a column 'scores' already: .* prefix=new_"):
        refuse_taken(["id", "scores"], ["predicted", "scores"], "the input")


@pytest.mark.parametrize(("separator", "part"), [(";", "label 'a;b' contains ';'"), ("", "separator= is empty")])
def test_ambiguous_separator_is_rejected(separator: str, part: str) -> None:
    with pytest.raises(UserError, match=part):
        Layout(["a;b", "c"], separator=separator).refuse_ambiguous()
    Layout(["a;b", "c"], separator="|").refuse_ambiguous()
    Layout(["a;b", "c"], one_label=True).refuse_ambiguous()

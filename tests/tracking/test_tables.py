import numpy as np

from ratchet.runs.predictions import Predictions
from ratchet.tracking.tables import SAMPLE, label_table, prediction_sample

LABELS = ["audio", "graphs", "vision"]


def predictions(size: int = 80) -> Predictions:
    draw = np.random.default_rng(0)
    targets = (draw.random((size, 3)) < 0.4).astype(np.uint8)
    return Predictions([f"r{row}" for row in range(size)], targets, draw.random((size, 3), dtype=np.float32), [])


def test_a_label_has_what_was_seen_and_how_well_it_is_found() -> None:
    found = Predictions(
        ["a", "b", "c"],
        np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.uint8),
        np.zeros((3, 3), dtype=np.float32),
        [],
    )
    decisions = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=np.uint8)
    table = label_table(LABELS, {"audio": 7}, found, decisions)
    assert list(table.columns) == ["label", "train", "positives", "precision", "recall", "f1"]
    assert table.rows[0] == ["audio", 7, 2, 0.5, 0.5, 0.5]
    assert table.rows[1] == ["graphs", 0, 1, 0.5, 1.0, 0.6667]
    assert table.rows[2][:3] == ["vision", 0, 0]


def test_the_sample_shows_the_wrong_ones_first_and_the_surest_label_first() -> None:
    found = predictions()
    decisions = (found.scores > 0.5).astype(np.uint8)
    texts = {name: f"text of {name}" for name in found.ids}
    table = prediction_sample(LABELS, texts, found, decisions)
    right = [row[-1] for row in table.rows]
    assert len(right) == SAMPLE
    assert right == sorted(right)
    assert {True, False} <= set(right)
    for name, text, true, predicted, is_right in table.rows:
        row = found.ids.index(name)
        assert text == f"text of {name}"
        assert true == ", ".join(label for label, is_true in zip(LABELS, found.targets[row], strict=True) if is_true)
        told = [each.split() for each in predicted.split(", ") if each]
        assert {label for label, _ in told} == {LABELS[index] for index in np.flatnonzero(decisions[row])}
        assert [score for _, score in told] == sorted((score for _, score in told), reverse=True)
        assert is_right == (found.targets[row] == decisions[row]).all()


def test_every_model_shows_the_same_records() -> None:
    found = predictions()
    texts = dict.fromkeys(found.ids, "")
    one, other = (
        prediction_sample(LABELS, texts, found, decisions)
        for decisions in (found.targets, (found.scores > 0.5).astype(np.uint8))
    )
    assert {row[0] for row in one.rows} == {row[0] for row in other.rows}
    assert [row[0] for row in one.rows] != found.ids[:SAMPLE], "not merely the first ones"


def test_few_records_are_all_shown_and_long_texts_are_cut() -> None:
    found = predictions(3)
    table = prediction_sample(LABELS, dict.fromkeys(found.ids, "word " * 1000), found, found.targets)
    assert len(table.rows) == 3
    assert {len(row[1]) for row in table.rows} == {2000}

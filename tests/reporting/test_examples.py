"""Tests for examples gained and lost, on predictions small enough to check by hand."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import Judged, made_candidate, made_run, predictions, selected

from ratchet.reporting.examples import MOST, Example, Examples, find_examples
from ratchet.runs.selection import Candidate, Selection

TEXTS = {key: f"text of {key}" for key in "abcdefghij"}
BEFORE = {
    "a": ("audio", "vision"),
    "b": ("audio graphs", "audio"),
    "c": ("audio", "audio"),
    "d": ("graphs vision", "graphs vision"),
    "e": ("vision", "vision"),
    "f": ("", ""),
}
AFTER = {
    "a": ("audio", "audio"),  # 0 -> 1
    "b": ("audio graphs", "audio graphs"),  # 2/3 -> 1
    "c": ("audio", "audio"),  # the same
    "d": ("graphs vision", "graphs"),  # 1 -> 2/3
    "e": ("vision", ""),  # 1 -> 0
    "f": ("", ""),  # no labels, and none predicted: the same
}


def compare_pair(tmp_path: Path, before: Judged, after: Judged) -> Examples:
    rule, cnn = made_candidate(tmp_path, "rule", before), made_candidate(tmp_path, "cnn", after)
    [examples] = find_examples(selected(rule, cnn), "rule", {**TEXTS, **dict.fromkeys(before, "a text")})
    return examples


def list_gains(examples: list[Example]) -> list[tuple[str, float]]:
    return [(example.id, pytest.approx(example.gain)) for example in examples]


def test_examples_match_gains_by_hand(tmp_path: Path) -> None:
    examples = compare_pair(tmp_path, BEFORE, AFTER)
    assert (examples.candidate, examples.gained, examples.lost, examples.alike) == ("cnn", 2, 2, 2)
    assert list_gains(examples.best) == [("a", 1), ("b", 1 / 3)]
    assert list_gains(examples.worst) == [("e", -1), ("d", -1 / 3)]


def test_example_has_labels_of_both_candidates(tmp_path: Path) -> None:
    rule, cnn = made_candidate(tmp_path, "rule", BEFORE), made_candidate(tmp_path, "cnn", AFTER)
    [examples] = find_examples(selected(rule, cnn), "rule", TEXTS)
    assert examples.best[1] == Example(
        "b", "text of b", ["audio", "graphs"], ["audio"], ["audio", "graphs"], pytest.approx(1 / 3)
    )
    assert examples.worst[0] == Example("e", "text of e", ["vision"], ["vision"], [], -1)


def test_any_candidate_can_be_baseline(tmp_path: Path) -> None:
    rule, cnn = made_candidate(tmp_path, "rule", BEFORE), made_candidate(tmp_path, "cnn", AFTER)
    both = find_examples(selected(rule, cnn, Candidate("big", cnn.runs)), "rule", TEXTS)
    assert [examples.candidate for examples in both] == ["cnn", "big"]
    assert both[0].best == both[1].best
    [swapped] = find_examples(selected(rule, cnn), "cnn", TEXTS)
    assert swapped.candidate == "rule"
    assert list_gains(swapped.best) == [("e", 1), ("d", 1 / 3)]
    assert swapped.best[0].before == []
    assert swapped.best[0].after == ["vision"]


def test_baseline_alone_has_no_examples(tmp_path: Path) -> None:
    assert find_examples(selected(made_candidate(tmp_path, "rule", BEFORE)), "rule", TEXTS) == []


def test_gain_is_mean_over_splits_of_record(tmp_path: Path) -> None:
    wrong, right = ("audio", "vision"), ("audio", "audio")
    rule = made_candidate(tmp_path, "rule", {"a": wrong, "b": right}, {"b": wrong, "a": right, "c": wrong})
    cnn = made_candidate(tmp_path, "cnn", {"a": ("audio", ""), "b": right}, {"b": right, "a": right, "c": right})
    [examples] = find_examples(selected(rule, cnn), "rule", TEXTS)
    assert list_gains(examples.best) == [("c", 1), ("b", 0.5)]
    assert (examples.gained, examples.lost, examples.alike) == (2, 0, 1)
    assert examples.best[1].before == ["audio"], "from the first split, where both are right"


def test_labels_come_from_first_split_of_record(tmp_path: Path) -> None:
    rule = made_candidate(tmp_path, "rule", {"a": ("audio", "vision")}, {"a": ("audio", "graphs")})
    cnn = made_candidate(tmp_path, "cnn", {"a": ("audio", "audio")}, {"a": ("audio", "audio vision")})
    [example] = find_examples(selected(rule, cnn), "rule", TEXTS)[0].best
    assert (example.true, example.before, example.after) == (["audio"], ["vision"], ["audio"])
    assert example.gain == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 7, 10])
def test_equal_predictions_in_more_runs_gain_nothing(seeds: int, tmp_path: Path) -> None:
    """In floating point, the mean of three times .4 is slightly above .4."""
    labels = ("a", "b", "c", "d", "e")
    same = predictions({"r": (["a", "b"], ["a", "c", "d"]), "s": (["a"], ["a", "b", "c", "d", "e"])}, labels)
    rule = Candidate("rule", (made_run(tmp_path, same, labels=labels, name="rule"),))
    cnn = Candidate(
        "cnn", tuple(made_run(tmp_path, same, labels=labels, name="cnn", seed=seed) for seed in range(seeds))
    )
    for baseline in ("rule", "cnn"):
        [examples] = find_examples(selected(rule, cnn), baseline, {"r": "", "s": ""})
        assert (examples.gained, examples.lost, examples.alike) == (0, 0, 2)
        assert examples.best == examples.worst == []


def test_all_gains_are_counted_and_largest_shown(tmp_path: Path) -> None:
    labels = [f"l{number:02}" for number in range(2 * MOST + 2)]
    outcomes = {f"r{number:02}": (labels[: number + 1], labels[:1]) for number in range(len(labels))}
    cnn = predictions({key: (true, true) for key, (true, _) in outcomes.items()}, labels)
    before, after = predictions(outcomes, labels), cnn
    rule = Candidate("rule", (made_run(tmp_path, before, labels=labels),))
    better = Candidate("cnn", (made_run(tmp_path, after, labels=labels),))
    texts = dict.fromkeys(outcomes, "")
    [examples] = find_examples(selected(rule, better), "rule", texts)
    assert (examples.gained, examples.lost, examples.alike) == (2 * MOST + 1, 0, 1)
    assert [example.id for example in examples.best] == sorted(outcomes, reverse=True)[:MOST]
    assert examples.worst == []
    [swapped] = find_examples(selected(rule, better), "cnn", texts)
    assert [example.id for example in swapped.worst] == sorted(outcomes, reverse=True)[:MOST]
    assert (swapped.gained, swapped.lost, swapped.best) == (0, 2 * MOST + 1, [])


def test_choice_among_ties_does_not_depend_on_order(tmp_path: Path) -> None:
    ids = [f"r{number:02}" for number in range(4 * MOST)]
    shown = []
    for seed in range(3):
        random.Random(seed).shuffle(ids)
        examples = compare_pair(tmp_path, dict.fromkeys(ids, ("audio", "")), dict.fromkeys(ids, ("audio", "audio")))
        shown.append([example.id for example in examples.best])
    assert shown[0] == shown[1] == shown[2]
    assert len(shown[0]) == MOST
    assert shown[0] != sorted(ids)[:MOST], "not merely the first by id"
    assert shown[0] != sorted(shown[0])


def test_examples_use_thresholds_of_each_run(tmp_path: Path) -> None:
    rule, cnn = made_candidate(tmp_path, "rule", AFTER), made_candidate(tmp_path, "cnn", AFTER, thresholds=0.95)
    [examples] = find_examples(selected(rule, cnn), "rule", TEXTS)
    assert examples.gained == 0
    assert {example.id: example.after for example in examples.worst} == {"a": [], "b": [], "c": [], "d": []}
    by_argmax = made_candidate(tmp_path, "big", {"a": ("audio", ""), "b": ("vision", "")}, thresholds=None)
    same = made_candidate(tmp_path, "rule", {"a": ("audio", ""), "b": ("vision", "")})
    [examples] = find_examples(selected(same, by_argmax), "rule", TEXTS)
    assert [(example.id, example.after) for example in examples.best] == [("a", ["audio"])], "the first of equal scores"


def test_examples_use_part_of_selection(tmp_path: Path) -> None:
    val = predictions({"h": (["audio"], [])}, ("audio", "graphs", "vision"))
    rule = made_candidate(tmp_path, "rule", BEFORE, val=val)
    cnn = made_candidate(tmp_path, "cnn", AFTER, val=replace(val, scores=1 - val.scores))
    [examples] = find_examples(Selection("made", "val", "1a", (rule, cnn), ()), "rule", TEXTS)
    assert (examples.gained, examples.lost, examples.alike) == (1, 0, 0)
    assert examples.best[0].text == "text of h"

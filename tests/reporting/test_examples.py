"""Examples gained and lost, in predictions that are few enough to judge by hand."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import Judged, made_candidate, made_run, predictions, selected

from ratchet.reporting.examples import MOST, Example, Examples, find_examples
from ratchet.runs.selection import Candidate, Selection

TEXTS = {each: f"text of {each}" for each in "abcdefghij"}
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


def compared(tmp_path: Path, before: Judged, after: Judged) -> Examples:
    rule, cnn = made_candidate(tmp_path, "rule", before), made_candidate(tmp_path, "cnn", after)
    [found] = find_examples(selected(rule, cnn), "rule", {**TEXTS, **dict.fromkeys(before, "a text")})
    return found


def told(examples: list[Example]) -> list[tuple[str, float]]:
    return [(each.id, pytest.approx(each.gain)) for each in examples]


def test_what_is_gained_and_lost_is_counted_and_ordered_by_hand(tmp_path: Path) -> None:
    found = compared(tmp_path, BEFORE, AFTER)
    assert (found.candidate, found.gained, found.lost, found.alike) == ("cnn", 2, 2, 2)
    assert told(found.best) == [("a", 1), ("b", 1 / 3)]
    assert told(found.worst) == [("e", -1), ("d", -1 / 3)]


def test_an_example_has_the_labels_of_both(tmp_path: Path) -> None:
    rule, cnn = made_candidate(tmp_path, "rule", BEFORE), made_candidate(tmp_path, "cnn", AFTER)
    [found] = find_examples(selected(rule, cnn), "rule", TEXTS)
    assert found.best[1] == Example(
        "b", "text of b", ["audio", "graphs"], ["audio"], ["audio", "graphs"], pytest.approx(1 / 3)
    )
    assert found.worst[0] == Example("e", "text of e", ["vision"], ["vision"], [], -1)


def test_the_baseline_may_stand_anywhere_and_every_other_is_compared_with_it(tmp_path: Path) -> None:
    rule, cnn = made_candidate(tmp_path, "rule", BEFORE), made_candidate(tmp_path, "cnn", AFTER)
    both = find_examples(selected(rule, cnn, Candidate("big", cnn.runs)), "rule", TEXTS)
    assert [each.candidate for each in both] == ["cnn", "big"]
    assert both[0].best == both[1].best
    [back] = find_examples(selected(rule, cnn), "cnn", TEXTS)
    assert back.candidate == "rule"
    assert told(back.best) == [("e", 1), ("d", 1 / 3)]
    assert back.best[0].before == []
    assert back.best[0].after == ["vision"]


def test_the_baseline_alone_has_no_examples(tmp_path: Path) -> None:
    assert find_examples(selected(made_candidate(tmp_path, "rule", BEFORE)), "rule", TEXTS) == []


def test_a_gain_is_a_mean_over_the_splits_that_a_record_was_measured_on(tmp_path: Path) -> None:
    wrong, right = ("audio", "vision"), ("audio", "audio")
    rule = made_candidate(tmp_path, "rule", {"a": wrong, "b": right}, {"b": wrong, "a": right, "c": wrong})
    cnn = made_candidate(tmp_path, "cnn", {"a": ("audio", ""), "b": right}, {"b": right, "a": right, "c": right})
    [found] = find_examples(selected(rule, cnn), "rule", TEXTS)
    assert told(found.best) == [("c", 1), ("b", 0.5)]
    assert (found.gained, found.lost, found.alike) == (2, 0, 1)
    assert found.best[1].before == ["audio"], "of the first split, where both are right"


def test_labels_are_those_of_the_first_split_that_a_record_was_measured_on(tmp_path: Path) -> None:
    rule = made_candidate(tmp_path, "rule", {"a": ("audio", "vision")}, {"a": ("audio", "graphs")})
    cnn = made_candidate(tmp_path, "cnn", {"a": ("audio", "audio")}, {"a": ("audio", "audio vision")})
    [example] = find_examples(selected(rule, cnn), "rule", TEXTS)[0].best
    assert (example.true, example.before, example.after) == (["audio"], ["vision"], ["audio"])
    assert example.gain == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 7, 10])
def test_a_record_that_is_judged_the_same_by_more_runs_is_neither_gained_nor_lost(seeds: int, tmp_path: Path) -> None:
    """.4 three times, added up and divided by three, is a little more than .4."""
    labels = ("a", "b", "c", "d", "e")
    same = predictions({"r": (["a", "b"], ["a", "c", "d"]), "s": (["a"], ["a", "b", "c", "d", "e"])}, labels)
    rule = Candidate("rule", (made_run(tmp_path, same, labels=labels, name="rule"),))
    cnn = Candidate(
        "cnn", tuple(made_run(tmp_path, same, labels=labels, name="cnn", seed=seed) for seed in range(seeds))
    )
    for baseline in ("rule", "cnn"):
        [found] = find_examples(selected(rule, cnn), baseline, {"r": "", "s": ""})
        assert (found.gained, found.lost, found.alike) == (0, 0, 2)
        assert found.best == found.worst == []


def test_all_are_counted_and_the_largest_shown(tmp_path: Path) -> None:
    labels = [f"l{number:02}" for number in range(2 * MOST + 2)]
    judged = {f"r{number:02}": (labels[: number + 1], labels[:1]) for number in range(len(labels))}
    cnn = predictions({key: (true, true) for key, (true, _) in judged.items()}, labels)
    before, after = predictions(judged, labels), cnn
    rule = Candidate("rule", (made_run(tmp_path, before, labels=labels),))
    better = Candidate("cnn", (made_run(tmp_path, after, labels=labels),))
    texts = dict.fromkeys(judged, "")
    [found] = find_examples(selected(rule, better), "rule", texts)
    assert (found.gained, found.lost, found.alike) == (2 * MOST + 1, 0, 1)
    assert [each.id for each in found.best] == sorted(judged, reverse=True)[:MOST]
    assert found.worst == []
    [back] = find_examples(selected(rule, better), "cnn", texts)
    assert [each.id for each in back.worst] == sorted(judged, reverse=True)[:MOST]
    assert (back.gained, back.lost, back.best) == (0, 2 * MOST + 1, [])


def test_of_equals_the_same_ones_are_shown_in_whatever_order_they_come(tmp_path: Path) -> None:
    ids = [f"r{number:02}" for number in range(4 * MOST)]
    shown = []
    for seed in range(3):
        random.Random(seed).shuffle(ids)
        found = compared(tmp_path, dict.fromkeys(ids, ("audio", "")), dict.fromkeys(ids, ("audio", "audio")))
        shown.append([each.id for each in found.best])
    assert shown[0] == shown[1] == shown[2]
    assert len(shown[0]) == MOST
    assert shown[0] != sorted(ids)[:MOST], "not merely the first by id"
    assert shown[0] != sorted(shown[0])


def test_decisions_are_made_at_each_runs_own_thresholds(tmp_path: Path) -> None:
    rule, cnn = made_candidate(tmp_path, "rule", AFTER), made_candidate(tmp_path, "cnn", AFTER, thresholds=0.95)
    [found] = find_examples(selected(rule, cnn), "rule", TEXTS)
    assert found.gained == 0
    assert {each.id: each.after for each in found.worst} == {"a": [], "b": [], "c": [], "d": []}
    by_argmax = made_candidate(tmp_path, "big", {"a": ("audio", ""), "b": ("vision", "")}, thresholds=None)
    same = made_candidate(tmp_path, "rule", {"a": ("audio", ""), "b": ("vision", "")})
    [found] = find_examples(selected(same, by_argmax), "rule", TEXTS)
    assert [(each.id, each.after) for each in found.best] == [("a", ["audio"])], "of equal scores the first"


def test_the_part_is_the_selections(tmp_path: Path) -> None:
    val = predictions({"h": (["audio"], [])}, ("audio", "graphs", "vision"))
    rule = made_candidate(tmp_path, "rule", BEFORE, val=val)
    cnn = made_candidate(tmp_path, "cnn", AFTER, val=replace(val, scores=1 - val.scores))
    [found] = find_examples(Selection("made", "val", "1a", (rule, cnn), ()), "rule", TEXTS)
    assert (found.gained, found.lost, found.alike) == (1, 0, 0)
    assert found.best[0].text == "text of h"

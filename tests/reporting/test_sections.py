"""The report, section by section: charts where there is something to draw, and why not where there is nothing."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.builders import JUDGED_TWICE, difference, made_candidate, predictions
from tests.reporting.conftest import (
    NO_TEXTS,
    cells,
    examples,
    figures,
    found_in,
    made_findings,
    of_kind,
    paragraphs,
    tables,
)

from ratchet.charts.theme import Row
from ratchet.comparison.results import Changes
from ratchet.reporting.blocks import Details, Figure, Section
from ratchet.reporting.examples import find_examples
from ratchet.reporting.findings import Findings, Texts, read_texts
from ratchet.reporting.sections import build_sections

NAMES = [
    *("Ladder", "Steps", "Cost", "Gate", "Objectives", "Labels", "Slices", "Learning", "Thresholds", "Calibration"),
    *("Confusions", "Examples", "Changes", "Provenance"),
]


def with_candidate(found: Findings, name: str, **changes: Any) -> Findings:
    """Of which something else was found."""
    rows = [dataclasses.replace(each, **changes) if each.name == name else each for each in found.comparison.candidates]
    return dataclasses.replace(found, comparison=dataclasses.replace(found.comparison, candidates=rows))


def values(sections: list[Section], name: str) -> list[Row]:
    """All that a chart is drawn from."""
    [figure] = [each for each in of_kind(Figure, sections) if each.name == name]
    return [row for rows in figure.spec()["datasets"].values() for row in rows]


def test_all_parts_are_there_and_each_says_something(sections: list[Section]) -> None:
    assert [each.name for each in sections] == NAMES
    assert all(each.blocks for each in sections)
    assert len({each.anchor for each in sections}) == len(NAMES)


def test_what_can_be_drawn_is_drawn(sections: list[Section]) -> None:
    assert figures(sections) == [
        *("ladder-chart", "differences-chart", "cost-chart", "label-chart", "slice-chart"),
        *("threshold-chart", "calibration-chart", "confusions-chart"),
    ]
    assert paragraphs(sections, "Learning") == ["None of these models trains in epochs."]


def test_the_baseline_alone_is_told_to_be_alone(trained: Path) -> None:
    found = found_in(trained, "rule")
    sections = build_sections(found, read_texts(found.selection))
    assert figures(sections) == ["ladder-chart", "cost-chart", "confusions-chart"]
    nothing_yet = "There is no candidate besides the baseline yet."
    for name in ("Steps", "Labels", "Slices", "Examples"):
        assert paragraphs(sections, name) == [nothing_yet]
    assert paragraphs(sections, "Thresholds") == [
        "No threshold decides here: scores are only 0 and 1, or the highest score wins."
    ]
    assert paragraphs(sections, "Calibration") == ["All scores are 0 or 1: there is nothing to calibrate."]
    assert "left out: not named: regression" in paragraphs(sections, "Ladder")


def test_candidates_of_one_rung_differ_though_nobody_took_a_step(tmp_path: Path) -> None:
    """As two configurations of one model do."""
    first, second = (made_candidate(tmp_path, name, *JUDGED_TWICE) for name in ("first", "second"))
    sections = build_sections(made_findings(tmp_path, first, second), NO_TEXTS)
    assert figures(sections, "Steps") == ["differences-chart"]
    assert [each.title for each in tables(sections, "Steps")] == ["Sources of uncertainty"]
    assert paragraphs(sections, "Steps") == []


def test_curves_are_drawn_where_there_are_some(tmp_path: Path) -> None:
    history = [(0, "val/loss", 0.5), (1, "val/loss", 0.25)]
    found = made_findings(tmp_path, made_candidate(tmp_path, "cnn", *JUDGED_TWICE, history=history))
    assert figures(build_sections(found, NO_TEXTS), "Learning") == ["learning-chart"]


def test_where_nobody_errs_and_nothing_was_measured_it_says_so(tmp_path: Path) -> None:
    right = {"a": ("audio", "audio"), "b": ("graphs vision", "graphs vision")}
    sections = build_sections(made_findings(tmp_path, made_candidate(tmp_path, "cnn", right, right)), NO_TEXTS)
    assert paragraphs(sections, "Confusions") == ["No errors."]
    assert paragraphs(sections, "Cost") == ["No cost was measured."]
    assert tables(sections, "Cost"), "the table has a row all the same"


def test_texts_that_are_missing_are_said_to_be(found: Findings) -> None:
    sections = build_sections(found, Texts(None, "they are of another version"))
    assert paragraphs(sections, "Examples") == ["Left out: they are of another version."]
    assert examples(sections) == []


def test_examples_are_those_that_were_found(found: Findings, sections: list[Section]) -> None:
    texts = read_texts(found.selection).by_id
    assert texts is not None
    [expected] = find_examples(found.selection, "rule", texts)
    shown = examples(sections)
    assert [each.title for each in shown] == ["gained most", "lost most"]
    assert [each.examples for each in shown] == [expected.best, expected.worst]
    assert {(each.baseline, each.candidate) for each in shown} == {("rule", "regression")}
    [details] = of_kind(Details, sections, "Examples")
    assert details.title == (
        f"regression: {expected.gained} records gained, {expected.lost} lost, {expected.alike} alike"
    )
    assert expected.gained + expected.lost + expected.alike == found.comparison.records


def test_the_last_candidates_examples_are_open(tmp_path: Path) -> None:
    rule, cnn = (made_candidate(tmp_path, name, *JUDGED_TWICE) for name in ("rule", "cnn"))
    right = [predictions({key: (true.split(), true.split()) for key, (true, _) in each.items()},
                         ("audio", "graphs", "vision")) for each in JUDGED_TWICE]  # fmt: skip
    found = made_findings(tmp_path, rule, cnn, made_candidate(tmp_path, "big", *right))
    sections = build_sections(found, Texts({key: "" for each in JUDGED_TWICE for key in each}))
    details = of_kind(Details, sections, "Examples")
    assert [(each.title.partition(":")[0], each.open) for each in details] == [("cnn", False), ("big", True)]
    assert list(details[0].blocks) == [], "nothing gained, nothing lost"
    assert details[0].title == "cnn: 0 records gained, 0 lost, 3 alike"


def test_notes_and_what_was_left_out_stand_below_the_ladder(found: Findings) -> None:
    told = dataclasses.replace(found.comparison, notes=["a note"], left_out=["one run"])
    sections = build_sections(dataclasses.replace(found, comparison=told), NO_TEXTS)
    assert paragraphs(sections, "Ladder") == ["a note", "left out: one run"]


def test_the_gate_tells_who_ships_and_why(found: Findings, sections: list[Section]) -> None:
    judgements = found.verdict.decision.judgements
    details = of_kind(Details, sections, "Gate")
    assert [each.title for each in details] == [
        f"{each.name} {'ships' if each.ships else 'does not ship'}: {each.in_short}" for each in judgements
    ]
    assert [each.open for each in details] == [each.ships for each in judgements]
    assert [len(each.blocks[0].rows) for each in details] == [len(each.clauses) for each in judgements]
    assert found.verdict.decision.ships == "regression"
    assert [each.tone for each in details] == ["bad", "good"]


def test_the_objective_is_told_with_where_it_stands(found: Findings) -> None:
    for commit, changed, said in (
        ("0123456789abcdef", None, ["commit 0123456789ab)."]),
        (None, "it was moved", ["not committed).", "it was moved"]),
    ):
        state = dataclasses.replace(found.verdict.objective, commit=commit, changed=changed)
        verdict = dataclasses.replace(found.verdict, objective=state)
        told = paragraphs(build_sections(dataclasses.replace(found, verdict=verdict), NO_TEXTS), "Gate")
        assert len(told) == len(said)
        assert all(each.endswith(end) for each, end in zip(told, said, strict=True))
        assert told[0].startswith(f"Objective default ({state.hash[:12]}, ")


@pytest.mark.parametrize(("most", "drawn"), [("null", []), ("250", [250])])
def test_budgets_of_the_objective_are_in_the_cost_chart(most: str, drawn: list[float], tmp_path: Path) -> None:
    cnn = made_candidate(tmp_path, "cnn", *JUDGED_TWICE, costs={"size_mb": 2.0})
    sections = build_sections(made_findings(tmp_path, cnn, overrides=[f"objective.budgets.size_mb={most}"]), NO_TEXTS)
    limits = [row for row in values(sections, "cost-chart") if "budget" in row]
    assert [row["amount"] for row in limits if row["cost"] == "size (MB)"] == drawn


def test_costs_that_were_measured_on_two_machines_are_said_to_be(tmp_path: Path, found: Findings) -> None:
    rule = made_candidate(tmp_path, "rule", *JUDGED_TWICE, costs={"size_mb": 1.0})
    cnn = made_candidate(tmp_path, "cnn", *JUDGED_TWICE, machine={"cores": 64})
    note = "These costs were measured in different environments (see Provenance)."
    sections = build_sections(made_findings(tmp_path, rule, cnn), NO_TEXTS)
    assert paragraphs(sections, "Cost") == [note]
    assert [each.title for each in tables(sections, "Provenance")][-2:] == ["Environment 1", "Environment 2"]
    assert paragraphs(build_sections(found, NO_TEXTS), "Cost") == []


def test_other_objectives_are_summed_up(found: Findings, sections: list[Section]) -> None:
    [said] = paragraphs(sections, "Objectives")
    assert said == (
        f"Under the objective in force: regression ships. With one change to it at a time, {found.review.in_words}."
    )
    [table] = tables(sections, "Objectives")
    assert len(table.rows) == len(found.review.alternatives) > 10


def test_what_changed_since_the_parent_is_told_with_its_effect(found: Findings) -> None:
    effect = difference("regression@1234", -0.0126, p=0.0213, in_words="not distinguishable from regression@1234")
    changed = {"model": ["C: 1 -> 2", "ngram: 1 -> 2"], "code": ["src/a.py"]}
    told = Changes("run-1", "regression", changed, effect, "two at once", "<b>more</b> is better")
    sections = build_sections(with_candidate(found, "regression", changes=told), NO_TEXTS)
    [table] = tables(sections, "Changes")
    assert table.title == "regression, since its parent run-1 (regression)"
    assert cells(table) == [
        ["model", "C: 1 -> 2, ngram: 1 -> 2"],
        ["code", "src/a.py"],
        ["effect", "-0.013 [-0.063, +0.047], p 0.021 (not adjusted): not distinguishable from regression@1234"],
        ["hypothesis", "<b>more</b> is better"],
    ]
    assert paragraphs(sections, "Changes") == ["warning: two at once"]


def test_a_parent_that_nothing_changed_since_is_told_too(found: Findings, sections: list[Section]) -> None:
    told = Changes("run-1", "regression", {}, None, None, None)
    [table] = tables(build_sections(with_candidate(found, "rule", changes=told), NO_TEXTS), "Changes")
    assert cells(table) == [["nothing", "changed"]]
    assert paragraphs(sections, "Changes") == [
        "No run here names a parent. Train with parent=RUN to record which run it iterates on."
    ]


def test_the_threshold_curve_is_of_the_metrics_average(tmp_path: Path) -> None:
    cnn = made_candidate(tmp_path, "cnn", *JUDGED_TWICE)
    found = made_findings(tmp_path, cnn, overrides=["objective.metric=recall_micro"])
    shown = {row["show"] for row in values(build_sections(found, NO_TEXTS), "threshold-chart")}
    assert shown == {"micro F1", "micro precision", "micro recall"}

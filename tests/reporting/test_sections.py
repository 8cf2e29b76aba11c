"""Tests for the sections of a report: a chart where there are data, otherwise the reason."""

import dataclasses
import json
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


def change_candidate(findings: Findings, name: str, **changes: Any) -> Findings:
    """Return the findings with other results for a candidate."""
    rows = [
        dataclasses.replace(candidate, **changes) if candidate.name == name else candidate
        for candidate in findings.comparison.candidates
    ]
    return dataclasses.replace(findings, comparison=dataclasses.replace(findings.comparison, candidates=rows))


def read_chart_rows(sections: list[Section], name: str) -> list[Row]:
    """Return all rows that a chart is drawn from."""
    [figure] = [block for block in of_kind(Figure, sections) if block.name == name]
    return [row for rows in figure.spec()["datasets"].values() for row in rows]


def test_all_sections_are_present_and_not_empty(sections: list[Section]) -> None:
    assert [section.name for section in sections] == NAMES
    assert all(section.blocks for section in sections)
    assert len({section.anchor for section in sections}) == len(NAMES)


def test_available_charts_are_drawn(sections: list[Section]) -> None:
    assert figures(sections) == [
        *("ladder-chart", "differences-chart", "cost-chart", "label-chart", "slice-chart"),
        *("threshold-chart", "calibration-chart", "confusions-chart"),
    ]
    assert paragraphs(sections, "Learning") == ["None of these models trains in epochs."]


def test_baseline_alone_is_reported(trained: Path) -> None:
    findings = found_in(trained, "rule")
    sections = build_sections(findings, read_texts(findings.selection))
    assert figures(sections) == ["ladder-chart", "cost-chart", "confusions-chart"]
    nothing_yet = "There is no candidate besides the baseline yet."
    for name in ("Steps", "Labels", "Slices", "Examples"):
        assert paragraphs(sections, name) == [nothing_yet]
    assert paragraphs(sections, "Thresholds") == [
        "No threshold decides here: scores are only 0 and 1, or the highest score wins."
    ]
    assert paragraphs(sections, "Calibration") == ["All scores are 0 or 1: there is nothing to calibrate."]
    assert "left out: not named: regression" in paragraphs(sections, "Ladder")


def test_candidates_of_one_rung_have_differences_but_no_steps(tmp_path: Path) -> None:
    """Two configurations of one model are on one rung."""
    first, second = (made_candidate(tmp_path, name, *JUDGED_TWICE) for name in ("first", "second"))
    sections = build_sections(made_findings(tmp_path, first, second), NO_TEXTS)
    assert figures(sections, "Steps") == ["differences-chart"]
    assert [table.title for table in tables(sections, "Steps")] == ["Sources of uncertainty"]
    assert paragraphs(sections, "Steps") == []


def test_learning_curves_are_drawn_if_present(tmp_path: Path) -> None:
    history = [(0, "val/loss", 0.5), (1, "val/loss", 0.25)]
    findings = made_findings(tmp_path, made_candidate(tmp_path, "cnn", *JUDGED_TWICE, history=history))
    assert figures(build_sections(findings, NO_TEXTS), "Learning") == ["learning-chart"]


def test_missing_errors_and_costs_are_reported(tmp_path: Path) -> None:
    right = {"a": ("audio", "audio"), "b": ("graphs vision", "graphs vision")}
    sections = build_sections(made_findings(tmp_path, made_candidate(tmp_path, "cnn", right, right)), NO_TEXTS)
    assert paragraphs(sections, "Confusions") == ["No errors."]
    assert paragraphs(sections, "Cost") == ["No cost was measured."]
    assert tables(sections, "Cost"), "the table still has a row"


def test_missing_texts_are_reported(found: Findings) -> None:
    sections = build_sections(found, Texts(None, "they are of another version"))
    assert paragraphs(sections, "Examples") == ["Left out: they are of another version."]
    assert examples(sections) == []


def test_examples_match_find_examples(found: Findings, sections: list[Section]) -> None:
    texts = read_texts(found.selection).by_id
    assert texts is not None
    [expected] = find_examples(found.selection, "rule", texts)
    example_lists = examples(sections)
    assert [example_list.title for example_list in example_lists] == ["gained most", "lost most"]
    assert [example_list.examples for example_list in example_lists] == [expected.best, expected.worst]
    assert {(example_list.baseline, example_list.candidate) for example_list in example_lists} == {
        ("rule", "regression")
    }
    [details] = of_kind(Details, sections, "Examples")
    assert details.title == (
        f"regression: {expected.gained} records gained, {expected.lost} lost, {expected.alike} alike"
    )
    assert expected.gained + expected.lost + expected.alike == found.comparison.records


def test_examples_of_last_candidate_are_open(tmp_path: Path) -> None:
    rule, cnn = (made_candidate(tmp_path, name, *JUDGED_TWICE) for name in ("rule", "cnn"))
    right = [predictions({key: (true.split(), true.split()) for key, (true, _) in judged.items()},
                         ("audio", "graphs", "vision")) for judged in JUDGED_TWICE]  # fmt: skip
    findings = made_findings(tmp_path, rule, cnn, made_candidate(tmp_path, "big", *right))
    sections = build_sections(findings, Texts({key: "" for judged in JUDGED_TWICE for key in judged}))
    details = of_kind(Details, sections, "Examples")
    assert [(block.title.partition(":")[0], block.open) for block in details] == [("cnn", False), ("big", True)]
    assert list(details[0].blocks) == [], "nothing gained, nothing lost"
    assert details[0].title == "cnn: 0 records gained, 0 lost, 3 alike"


def test_notes_and_left_out_runs_follow_ladder(found: Findings) -> None:
    comparison = dataclasses.replace(found.comparison, notes=["a note"], left_out=["one run"])
    sections = build_sections(dataclasses.replace(found, comparison=comparison), NO_TEXTS)
    assert paragraphs(sections, "Ladder") == ["a note", "left out: one run"]


def test_gate_shows_decision_and_reason_per_candidate(found: Findings, sections: list[Section]) -> None:
    judgements = found.verdict.decision.judgements
    details = of_kind(Details, sections, "Gate")
    assert [block.title for block in details] == [
        f"{judgement.name} {'ships' if judgement.ships else 'does not ship'}: {judgement.in_short}"
        for judgement in judgements
    ]
    assert [block.open for block in details] == [judgement.ships for judgement in judgements]
    assert [len(block.blocks[0].rows) for block in details] == [len(judgement.clauses) for judgement in judgements]
    assert found.verdict.decision.ships == "regression"
    assert [block.tone for block in details] == ["bad", "good"]


def test_objective_is_shown_with_hash_and_commit(found: Findings) -> None:
    for commit, changed, endings in (
        ("0123456789abcdef", None, ["commit 0123456789ab)."]),
        (None, "it was moved", ["not committed).", "it was moved"]),
    ):
        state = dataclasses.replace(found.verdict.objective, commit=commit, changed=changed)
        verdict = dataclasses.replace(found.verdict, objective=state)
        shown = paragraphs(build_sections(dataclasses.replace(found, verdict=verdict), NO_TEXTS), "Gate")
        assert len(shown) == len(endings)
        assert all(text.endswith(end) for text, end in zip(shown, endings, strict=True))
        assert shown[0].startswith(f"Objective default ({state.hash[:12]}, ")


@pytest.mark.parametrize(("most", "expected"), [("null", []), ("250", [250])])
def test_budgets_of_objective_are_in_cost_chart(most: str, expected: list[float], tmp_path: Path) -> None:
    cnn = made_candidate(tmp_path, "cnn", *JUDGED_TWICE, costs={"size_mb": 2.0})
    sections = build_sections(made_findings(tmp_path, cnn, overrides=[f"objective.budgets.size_mb={most}"]), NO_TEXTS)
    limits = [row for row in read_chart_rows(sections, "cost-chart") if "budget" in row]
    assert [row["amount"] for row in limits if row["cost"] == "size (MB)"] == expected


def test_costs_of_two_environments_have_a_note(tmp_path: Path, found: Findings) -> None:
    rule = made_candidate(tmp_path, "rule", *JUDGED_TWICE, costs={"size_mb": 1.0})
    cnn = made_candidate(tmp_path, "cnn", *JUDGED_TWICE, machine={"cores": 64})
    note = "These costs were measured in different environments (see Provenance)."
    sections = build_sections(made_findings(tmp_path, rule, cnn), NO_TEXTS)
    assert paragraphs(sections, "Cost") == [note]
    assert [table.title for table in tables(sections, "Provenance")][-2:] == ["Environment 1", "Environment 2"]
    assert paragraphs(build_sections(found, NO_TEXTS), "Cost") == []


def test_alternative_objectives_are_summarised(found: Findings, sections: list[Section]) -> None:
    [summary] = paragraphs(sections, "Objectives")
    assert summary == (
        f"Under the objective in force: regression ships. With one change to it at a time, {found.review.in_words}."
    )
    [table] = tables(sections, "Objectives")
    assert len(table.rows) == len(found.review.alternatives) > 10


def test_changes_since_parent_are_shown_with_effect(found: Findings) -> None:
    effect = difference("regression@1234", -0.0126, p=0.0213, in_words="not distinguishable from regression@1234")
    changed = {"model": ["C: 1 -> 2", "ngram: 1 -> 2"], "code": ["src/a.py"]}
    changes = Changes("run-1", "regression", changed, effect, "two at once", "<b>more</b> is better")
    sections = build_sections(change_candidate(found, "regression", changes=changes), NO_TEXTS)
    [table] = tables(sections, "Changes")
    assert table.title == "regression, since its parent run-1 (regression)"
    assert cells(table) == [
        ["model", "C: 1 -> 2, ngram: 1 -> 2"],
        ["code", "src/a.py"],
        ["effect", "-0.013 [-0.063, +0.047], p 0.021 (not adjusted): not distinguishable from regression@1234"],
        ["hypothesis", "<b>more</b> is better"],
    ]
    assert paragraphs(sections, "Changes") == ["warning: two at once"]


def test_parent_without_changes_is_shown(found: Findings, sections: list[Section]) -> None:
    changes = Changes("run-1", "regression", {}, None, None, None)
    [table] = tables(build_sections(change_candidate(found, "rule", changes=changes), NO_TEXTS), "Changes")
    assert cells(table) == [["nothing", "changed"]]
    assert paragraphs(sections, "Changes") == [
        "No run here names a parent. Train with parent=RUN to record which run it iterates on."
    ]


def test_threshold_curve_uses_average_of_metric(tmp_path: Path) -> None:
    cnn = made_candidate(tmp_path, "cnn", *JUDGED_TWICE)
    findings = made_findings(tmp_path, cnn, overrides=["objective.metric=recall_micro"])
    titles = {row["show"] for row in read_chart_rows(build_sections(findings, NO_TEXTS), "threshold-chart")}
    assert titles == {"micro F1", "micro precision", "micro recall"}


CLEAN_COMMIT = {"commit": "0123456789abcdef", "dirty": False}
LEFT_OUT = {"kind": "leak between given parts", "outcome": "dropped", "count": 4, "first": "a.csv, row 2 (train): x"}


@pytest.mark.parametrize(
    ("states", "parts"),
    [
        ([CLEAN_COMMIT, CLEAN_COMMIT], ["Every run can be reproduced"]),
        ([CLEAN_COMMIT, {}], ["2 of 4 runs can be reproduced", "The code of 2 of 4 runs is not recorded"]),
        ([{**CLEAN_COMMIT, "dirty": True}] * 2, ["The code of these runs is not recorded"]),
        ([{**CLEAN_COMMIT, "dirty": True, "diff_complete": True}] * 2, ["Every run can be reproduced"]),
        ([{"commit": None, "problem": "unsafe"}, {}], ["The code of these runs is not recorded"]),
    ],
)
def test_provenance_promises_to_reproduce_only_runs_with_recorded_code(
    states: list[dict[str, Any]], parts: list[str], tmp_path: Path
) -> None:
    candidates = [
        made_candidate(tmp_path, name, *JUDGED_TWICE, git=state)
        for name, state in zip(("first", "second"), states, strict=True)
    ]
    shown = paragraphs(build_sections(made_findings(tmp_path, *candidates), NO_TEXTS), "Provenance")
    assert len(shown) == len(parts)
    for paragraph, part in zip(shown, parts, strict=True):
        assert paragraph.startswith(part)


def test_ladder_names_what_the_data_lack_once(tmp_path: Path) -> None:
    kept = {**LEFT_OUT, "outcome": "kept", "kind": "repeated text"}
    candidates = [made_candidate(tmp_path, name, *JUDGED_TWICE) for name in ("first", "second")]
    for candidate in candidates:
        for run in candidate.runs:
            (run.path / "findings.json").write_text(json.dumps([LEFT_OUT, kept]))
    shown = paragraphs(build_sections(made_findings(tmp_path, *candidates), NO_TEXTS), "Ladder")
    [line] = [line for line in shown if line.startswith("left out of the data: ")]
    assert "4 records of train or val" in line
    assert LEFT_OUT["first"] in line


def test_charts_of_many_candidates_are_limited_and_tables_are_not(
    sections: list[Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "Charts and examples show"
    assert not any(note in text for text in paragraphs(sections))
    monkeypatch.setattr("ratchet.charts.comparison_charts.MOST_CANDIDATES", 2)
    names = ["rule", "cnn", "big"]
    found = made_findings(tmp_path, *(made_candidate(tmp_path, name, *JUDGED_TWICE) for name in names))
    limited = build_sections(found, NO_TEXTS)
    assert any(f"{note} 2 of 3 candidates" in text for text in paragraphs(limited))
    assert len({row["model"] for row in read_chart_rows(limited, "ladder-chart") if "model" in row}) == 2
    assert len(cells(tables(limited)[0])) >= 3

"""The sections of the report: charts and tables, each with an explanation of how to read it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ratchet.charts.comparison_charts import (
    MOST,
    choose_shown,
    differences,
    group_differences,
    ladder,
    quality_and_cost,
)
from ratchet.charts.run_charts import calibration, confusions, learning_curves, threshold_curves
from ratchet.charts.theme import Chart
from ratchet.reporting import comparison_tables as tables
from ratchet.reporting import run_tables, verdict_tables
from ratchet.reporting.blocks import Block, Details, ExampleList, Figure, Paragraph, Section
from ratchet.reporting.data_findings import list_left_out
from ratchet.reporting.examples import Examples, find_examples
from ratchet.reporting.findings import Findings, Texts
from ratchet.runs.stored import StoredRun

_NO_RIVAL = "There is no candidate besides the baseline yet."


def build_sections(findings: Findings, texts: Texts) -> list[Section]:
    """Return all sections of the page. Charts and examples show the candidates that `choose_shown` returns."""
    promoted = [row.name for row in findings.comparison.candidates if row.promoted]
    comparison, selection = choose_shown(
        findings.comparison, findings.selection, [findings.verdict.decision.ships, *promoted]
    )
    drawn = replace(findings, comparison=comparison, selection=selection)
    parts: list[tuple[str, str, Iterator[Block]]] = [
        ("Ladder", "The ladder", _build_ladder(findings, drawn)),
        ("Steps", "What each step improved", _build_steps(findings, drawn)),
        ("Cost", "Quality against cost", _build_costs(findings, drawn)),
        ("Gate", "The gate", _build_gate(findings)),
        ("Objectives", "Other objectives", _review(findings)),
        ("Labels", "Labels against the baseline", _build_groups(findings, drawn, "label")),
        ("Slices", "Slices against the baseline", _build_groups(findings, drawn, "slice")),
        ("Learning", "Learning curves", _build_learning(drawn)),
        ("Thresholds", "Other thresholds", _build_thresholds(drawn)),
        ("Calibration", "Are scores probabilities?", _build_calibration(drawn)),
        ("Confusions", "Confused labels", _build_confusions(drawn)),
        ("Examples", "Examples gained and lost", _build_examples(drawn, texts)),
        ("Changes", "Changes since the parent", _build_changes(findings)),
        ("Provenance", "Provenance", _build_provenance(findings)),
    ]
    return [Section(name, title, list(blocks)) for name, title, blocks in parts]


def _build_ladder(findings: Findings, drawn: Findings) -> Iterator[Block]:
    comparison = findings.comparison
    yield Figure(
        "ladder-chart",
        "The metric of every candidate, with its interval",
        "The dot is the mean. The bar is its 95 % interval: the range to expect with another sample of records and "
        "another training. Thin strokes are single runs. Overlapping bars do not mean that two models are equal: both "
        "were measured on the same records, so read their difference, below.",
        ladder(drawn.comparison, drawn.selection),
    )
    if len(drawn.comparison.candidates) < len(comparison.candidates):
        yield Paragraph(
            f"Charts and examples show {len(drawn.comparison.candidates)} of {len(comparison.candidates)} candidates: "
            f"{comparison.baseline}, what ships or is promoted, and the highest ones. Tables list all.",
            "note",
        )
    yield verdict_tables.judged_leaderboard(comparison, findings.verdict)
    yield tables.verdicts(comparison)
    yield from (Paragraph(note, "note") for note in comparison.notes)
    yield from (Paragraph(f"left out: {reason}", "note") for reason in comparison.left_out)
    left_out = list_left_out(findings.selection.runs)
    yield from (Paragraph(f"left out of the data: {what}", "note") for what in left_out)
    yield Details("Other metrics", [tables.other_metrics(comparison)])


def _build_steps(findings: Findings, drawn: Findings) -> Iterator[Block]:
    chart = differences(drawn.comparison)
    if chart is None:
        yield Paragraph(_NO_RIVAL)
        return
    yield Figure(
        "differences-chart",
        "The difference of each candidate",
        "To the right of the dashed line is better. A bar that crosses the line is compatible with no difference.",
        chart,
    )
    table = tables.steps(findings.comparison)
    if table is not None:  # all candidates may have the same complexity
        yield table
    yield Details("Sources of uncertainty", [tables.uncertainty(findings.comparison)])


def _build_costs(findings: Findings, drawn: Findings) -> Iterator[Block]:
    budgets = findings.verdict.settings["budgets"]
    caption = "Up is better, left is cheaper (for texts/s: right). A dashed line is a budget of the objective."
    chart = quality_and_cost(drawn.comparison, budgets)
    yield from _build_figure("cost-chart", "Quality over cost", caption, chart, "No cost was measured.")
    yield tables.costs(findings.comparison)
    if len(run_tables.environments(findings.selection)) > 1:
        yield Paragraph("These costs were measured in different environments (see Provenance).", "note")


def _build_gate(findings: Findings) -> Iterator[Block]:
    state = findings.verdict.objective
    yield Paragraph(f"Objective {verdict_tables.describe_objective(state)}.")
    verdict = findings.verdict
    set_aside = [f"set aside: {absent}" for absent in verdict_tables.describe_set_aside(verdict)]
    for note in (*filter(None, [state.changed]), *verdict.notes, *set_aside):
        yield Paragraph(note, "note")
    for judgement in findings.verdict.decision.judgements:
        title = verdict_tables.describe_judgement(judgement)
        yield Details(
            title,
            [verdict_tables.criteria(judgement)],
            open=judgement.ships,
            tone=verdict_tables.TONES[judgement.state],
        )


def _review(findings: Findings) -> Iterator[Block]:
    review = findings.review
    current = f"Under the objective in force: {review.current.in_words}. With one change to it at a time, "
    yield Paragraph(f"{current}{review.in_words}.")
    yield verdict_tables.alternatives(review)


def _build_groups(findings: Findings, drawn: Findings, kind: Literal["label", "slice"]) -> Iterator[Block]:
    comparison = findings.comparison
    table = tables.groups(comparison, kind)
    chart = group_differences(drawn.comparison, kind)
    if chart is None or table is None:
        alone = len(comparison.candidates) == 1
        yield Paragraph(_NO_RIVAL if alone else f"No {kind} has enough positives to be compared.")
        return
    caption = (
        "Exploratory: p-values are adjusted for all labels and slices of a model; labels and slices with few positives "
        f"are hidden. The chart shows at most the {MOST} largest differences, the table up to {tables.MOST_GROUPS:,}."
    )
    yield Figure(f"{kind}-chart", f"{kind.capitalize()}s that differ most from {comparison.baseline}", caption, chart)
    if len(table.rows) == tables.MOST_GROUPS:
        yield Paragraph(f"{table.title}; `ratchet compare format=json` prints all.", "note")
    yield table


def _build_learning(findings: Findings) -> Iterator[Block]:
    caption = "Each line is a run. A growing gap between train/loss and val/loss means overfitting."
    nothing = "None of these models trains in epochs."
    yield from _build_figure(
        "learning-chart", "After each epoch", caption, learning_curves(findings.selection), nothing
    )


def _build_thresholds(findings: Findings) -> Iterator[Block]:
    caption = (
        "The metric on val that one threshold for all labels gives, mean over runs. A mark is the threshold that a run "
        "chose, with its metric. A flat top means that the threshold matters little. There is no such curve for test: "
        "it would be tuning."
    )
    nothing = "No threshold decides here: scores are only 0 and 1, or the highest score wins."
    chart = threshold_curves(findings.selection, findings.comparison.metric)
    yield from _build_figure("threshold-chart", "The metric by threshold", caption, chart, nothing)


def _build_calibration(findings: Findings) -> Iterator[Block]:
    caption = (
        "Scores in ten bins. On the dashed line a score is a probability. Below it the model is over-confident, above "
        "it under-confident."
    )
    nothing = "All scores are 0 or 1: there is nothing to calibrate."
    chart = calibration(findings.selection)
    yield from _build_figure("calibration-chart", "Share of true labels by score", caption, chart, nothing)


def _build_confusions(findings: Findings) -> Iterator[Block]:
    caption = (
        "Left of the arrow is the label that was missed, right of it the wrong label that was predicted for the same "
        "record. Numbers are records, mean over runs."
    )
    chart = confusions(findings.selection)
    yield from _build_figure("confusions-chart", "Most frequent errors", caption, chart, "No errors.")


def _build_figure(name: str, title: str, caption: str, chart: Chart | None, nothing: str) -> Iterator[Block]:
    yield Paragraph(nothing) if chart is None else Figure(name, title, caption, chart)


def _build_examples(findings: Findings, texts: Texts) -> Iterator[Block]:
    baseline = findings.comparison.baseline
    if texts.by_id is None:
        yield Paragraph(f"Left out: {texts.missing}.", "note")
        return
    examples = find_examples(findings.selection, baseline, texts.by_id)
    if not examples:
        yield Paragraph(_NO_RIVAL)
        return
    yield Paragraph(
        f"Records whose own F1 differs most from that of {baseline}, mean over the runs that were measured on them. "
        "Labels are those of the first of these runs."
    )
    for of_candidate in examples:
        counts = f"{of_candidate.gained:,} records gained, {of_candidate.lost:,} lost, {of_candidate.alike:,} alike"
        title = f"{of_candidate.candidate}: {counts}"
        yield Details(title, _build_lists(of_candidate, baseline), open=of_candidate is examples[-1])


def _build_lists(examples: Examples, baseline: str) -> Sequence[Block]:
    titles = (("gained most", examples.best), ("lost most", examples.worst))
    return [ExampleList(title, records, baseline, examples.candidate) for title, records in titles if records]


def _build_changes(findings: Findings) -> Iterator[Block]:
    blocks = tables.change_blocks(findings.comparison)
    if not blocks:
        yield Paragraph("No run here names a parent. Train with parent=RUN to record which run it iterates on.")
    yield from blocks


def _build_provenance(findings: Findings) -> Iterator[Block]:
    yield from map(Paragraph, _describe_reproduction(findings.selection.runs))
    yield run_tables.provenance(findings.selection)
    yield Details("Data", [run_tables.data_table(findings.comparison, findings.selection)])
    yield Details("Machine and packages", run_tables.environment_tables(findings.selection))


def _describe_reproduction(runs: Sequence[StoredRun]) -> Iterator[str]:
    """Yield what the commands of the table do, and how many of the runs have no code to do it with."""
    lacking = sum(not run_tables.has_recorded_code(run) for run in runs)
    if lacking < len(runs):
        which = f"{len(runs) - lacking} of {len(runs)} runs" if lacking else "Every run"
        yield (
            f"{which} can be reproduced. The command of a run checks out its commit in a separate directory, trains "
            "with the same configuration, data, split and seed, and compares the predictions bit for bit."
        )
    if lacking:
        which = "these runs" if lacking == len(runs) else f"{lacking} of {len(runs)} runs"
        yield (
            f"The code of {which} is not recorded, so no command reproduces them: they have no commit, or uncommitted "
            "changes that were too large to record. Put the project in a git repository, commit all changes, and "
            "train again."
        )

"""The report, section by section: what was found, drawn and said how to read it."""

from collections.abc import Iterator, Sequence
from typing import Literal

from ratchet.charts.comparison_charts import MOST, differences, group_differences, ladder, quality_and_cost
from ratchet.charts.run_charts import calibration, confusions, learning_curves, threshold_curves
from ratchet.charts.theme import Chart
from ratchet.comparison.results import CandidateResult, Changes
from ratchet.objective.gate import Judgement
from ratchet.reporting import tables
from ratchet.reporting.blocks import Block, Details, ExampleList, Figure, Paragraph, Section, difference, p_value
from ratchet.reporting.examples import Examples, examples_of
from ratchet.reporting.findings import Findings
from ratchet.reporting.provenance import data_table, environment_tables, environments, runs_table
from ratchet.reporting.texts import Texts

_TONES = {"pass": "good", "fail": "bad", "too little evidence": "even"}
_ALONE = "There is nothing but the baseline yet."


def sections_of(found: Findings, texts: Texts) -> list[Section]:
    """All of the page."""
    parts: list[tuple[str, str, Iterator[Block]]] = [
        ("Ladder", "The ladder", _ladder(found)),
        ("Steps", "What each step bought", _steps(found)),
        ("Cost", "Quality against cost", _cost(found)),
        ("Gate", "The gate", _gate(found)),
        ("Objectives", "Other objectives", _review(found)),
        ("Labels", "Labels against the baseline", _groups(found, "label")),
        ("Slices", "Slices against the baseline", _groups(found, "slice")),
        ("Learning", "Learning curves", _learning(found)),
        ("Thresholds", "Other thresholds", _thresholds(found)),
        ("Calibration", "Are scores probabilities?", _calibration(found)),
        ("Confusions", "Labels that are confused", _confusions(found)),
        ("Examples", "Examples gained and lost", _examples(found, texts)),
        ("Changes", "Since the parent", _changes(found)),
        ("Provenance", "Where it comes from", _provenance(found)),
    ]
    return [Section(name, title, list(blocks)) for name, title, blocks in parts]


def _ladder(found: Findings) -> Iterator[Block]:
    yield Figure(
        "ladder-chart",
        "The metric of every candidate, with its interval",
        "The dot is the mean, the bar its 95 % interval: what another draw of the records and another training could "
        "have given. Thin strokes are single runs. Bars of two models that overlap do not say that the models are "
        "equal: they were measured on the same records, so read their difference, below.",
        ladder(found.comparison, found.selection),
    )
    yield tables.leaderboard(found.comparison, found.verdict)
    yield from (Paragraph(note, "note") for note in found.comparison.notes)
    for text in found.comparison.left_out:
        yield Paragraph(f"left out: {text}", "note")
    yield Details("Other metrics", [tables.figures(found.comparison)])


def _steps(found: Findings) -> Iterator[Block]:
    chart = differences(found.comparison)
    if chart is None:
        yield Paragraph(_ALONE)
        return
    yield Figure(
        "differences-chart",
        "What each candidate gained",
        "To the right of the dashed line is better. A bar that crosses it cannot be told from no difference.",
        chart,
    )
    table = tables.steps(found.comparison)
    if table is not None:  # candidates may all stand on one rung
        yield table
    yield Details("Why it is uncertain", [tables.uncertainty(found.comparison)])


def _cost(found: Findings) -> Iterator[Block]:
    budgets = found.verdict.settings["budgets"]
    caption = "Up is better, left is cheaper (for texts a second: right). A dashed line is a budget of the objective."
    yield from _figure(
        "cost-chart", "Quality over cost", caption, quality_and_cost(found.comparison, budgets), "No cost."
    )
    yield tables.costs(found.comparison)
    if len(environments(found.selection)) > 1:
        yield Paragraph("These costs were not all measured in the same environment (see Provenance).", "note")


def _gate(found: Findings) -> Iterator[Block]:
    objective = found.verdict.objective
    commit = f"commit {objective.commit[:12]}" if objective.commit else "not committed"
    yield Paragraph(f"Objective {objective.name} ({objective.hash[:12]}, {commit}).")
    if objective.changed:
        yield Paragraph(objective.changed, "note")
    for each in found.verdict.decision.judgements:
        yield Details(_judged(each), [tables.clauses(each)], open=each.ships, tone=_TONES[each.state])


def _judged(each: Judgement) -> str:
    return f"{each.name} {'ships' if each.ships else 'does not ship'}: {each.in_short}"


def _review(found: Findings) -> Iterator[Block]:
    told = f"Under the objective in force: {found.review.current.in_words}. With one change to it at a time, "
    yield Paragraph(told + found.review.in_words + ".")
    yield tables.alternatives(found.review)


def _groups(found: Findings, kind: Literal["label", "slice"]) -> Iterator[Block]:
    table = tables.groups(found.comparison, kind)
    chart = group_differences(found.comparison, kind)
    if chart is None or table is None:
        alone = len(found.comparison.candidates) == 1
        yield Paragraph(_ALONE if alone else f"No {kind} has enough positives to be compared.")
        return
    caption = (
        "Exploratory: p-values are adjusted for all labels and slices of a model, and those with few positives are not "
        f"shown. At most the {MOST} largest differences are drawn; the table has all."
    )
    yield Figure(
        f"{kind}-chart", f"{kind.capitalize()}s that differ most from {found.comparison.baseline}", caption, chart
    )
    yield table


def _learning(found: Findings) -> Iterator[Block]:
    caption = "A line is a run. A gap that grows between train/loss and val/loss is overfitting."
    nothing = "No model of these trains in epochs."
    yield from _figure("learning-chart", "After each epoch", caption, learning_curves(found.selection), nothing)


def _thresholds(found: Findings) -> Iterator[Block]:
    caption = (
        "What one threshold for all labels gives on val, mean over runs; marks are the thresholds that single runs "
        "chose, each at what it gave that run. A flat top says that little hangs on it. On test there is no such "
        "curve: it would be tuning."
    )
    nothing = "No threshold decides here: scores are only 0 and 1, or the highest score wins."
    chart = threshold_curves(found.selection, found.comparison.metric)
    yield from _figure("threshold-chart", "The metric by threshold", caption, chart, nothing)


def _calibration(found: Findings) -> Iterator[Block]:
    caption = (
        "Scores in ten bins. On the dashed line a score is a probability; below it the model is too sure of itself, "
        "above it not sure enough."
    )
    nothing = "No scores but 0 and 1: there is nothing to calibrate."
    yield from _figure(
        "calibration-chart", "What is true of each score", caption, calibration(found.selection), nothing
    )


def _confusions(found: Findings) -> Iterator[Block]:
    caption = (
        "Left of the arrow the label that was missed, right of it what was predicted in the same record and is wrong. "
        "Numbers are records, mean over runs."
    )
    yield from _figure("confusions-chart", "Most frequent errors", caption, confusions(found.selection), "No errors.")


def _figure(name: str, title: str, caption: str, chart: Chart | None, nothing: str) -> Iterator[Block]:
    yield Paragraph(nothing) if chart is None else Figure(name, title, caption, chart)


def _examples(found: Findings, texts: Texts) -> Iterator[Block]:
    baseline = found.comparison.baseline
    if texts.by_id is None:
        yield Paragraph(f"Left out: {texts.missing}.", "note")
        return
    all_of_them = examples_of(found.selection, baseline, texts.by_id)
    if not all_of_them:
        yield Paragraph(_ALONE)
        return
    yield Paragraph(
        f"Records by how much their own F1 differs from that of {baseline}, mean over the runs that were measured on "
        "them. Labels are those of the first such run."
    )
    for each in all_of_them:
        yield Details(_counted(each), _lists(each, baseline), open=each is all_of_them[-1])


def _counted(each: Examples) -> str:
    return f"{each.candidate}: {each.gained:,} records gained, {each.lost:,} lost, {each.alike:,} alike"


def _lists(each: Examples, baseline: str) -> Sequence[Block]:
    titles = (("gained most", each.best), ("lost most", each.worst))
    return [ExampleList(title, examples, baseline, each.candidate) for title, examples in titles if examples]


def _changes(found: Findings) -> Iterator[Block]:
    changed = [(each, each.changes) for each in found.comparison.candidates if each.changes is not None]
    if not changed:
        yield Paragraph("No run here names a parent: parent=RUN says which one a run iterates on.")
    for each, changes in changed:
        yield from _since(each, changes)


def _since(each: CandidateResult, changes: Changes) -> Iterator[Block]:
    rows = [[group, ", ".join(items)] for group, items in changes.changed.items()]
    effect = changes.effect
    if effect:
        told = f"{difference(effect).text}, p {p_value(effect.p).text} (not adjusted)"
        rows.append(["effect", f"{told}: {effect.in_words}"])
    if changes.hypothesis:
        rows.append(["hypothesis", changes.hypothesis])
    title = f"{each.name}, since {changes.parent} ({changes.parent_name})"
    yield tables.of_texts(title, ["what", "change"], rows or [["nothing", "changed"]])
    if changes.warning:
        yield Paragraph(changes.warning, "note")


def _provenance(found: Findings) -> Iterator[Block]:
    yield Paragraph(
        "Every row can be made again: its command checks out the commit beside your working tree, trains with the same "
        "configuration, data, split and seed, and compares the predictions bit for bit."
    )
    yield runs_table(found.selection)
    yield Details("Data", [data_table(found.comparison, found.selection)])
    yield Details("Machine and packages", environment_tables(found.selection))

"""The tables of a comparison: the same on a terminal, in Markdown and on the page.

Nothing here depends on an objective, so that a change of the gate does not run the stage `compare` again.
"""

from collections.abc import Iterator, Sequence

from ratchet.comparison.results import (
    COST_TITLES,
    CandidateResult,
    Changes,
    Comparison,
    Difference,
    GroupDifference,
    metric_name,
)
from ratchet.reporting.blocks import (
    Cell,
    Column,
    Facts,
    Paragraph,
    Table,
    TextBlock,
    amount,
    difference,
    interval,
    number,
    p_value,
    table_of_texts,
    text,
)

TONES = {"better": "good", "worse": "bad", "not distinguishable": "even"}
BRIEF = ("f1_weighted", "f1_macro", "f1_micro", "f1_samples", "precision_weighted", "recall_weighted")
BRIEF_COSTS = {"fit (s)": "fit_seconds", "p95 (ms)": "latency_ms_p95", "size (MB)": "size_mb"}
_MAX_NAMED = 4  # labels and slices that the summary names of each kind
MOST_GROUPS = 2_000  # rows of labels or slices in one table: a browser sorts and filters them at once
_STEP_COSTS = {"fit_seconds": "fit time", "latency_ms_p95": "latency", "size_mb": "size"}
_WITH_INTERVAL = "with its 95 % interval"


def comparison_blocks(comparison: Comparison) -> list[TextBlock]:
    """Return what `ratchet compare` prints: the tables, without those that need a page to be read."""
    metrics = [name for name in BRIEF if name in comparison.candidates[0].metrics]
    blocks: list[TextBlock | None] = [
        leaderboard(comparison),
        verdicts(comparison),
        steps(comparison),
        other_metrics(comparison, metrics),
        uncertainty(comparison),
        costs(comparison),
        group_summary(comparison),
        *change_blocks(comparison),
        Facts("", list(_build_footer(comparison))),
    ]
    return [block for block in blocks if block is not None]


# --- the comparison ---------------------------------------------------------------------------------------------------


def leaderboard(comparison: Comparison) -> Table:
    """Return a row for each candidate: its metric, and its difference to the baseline."""
    splits = len(comparison.splits)
    over = f"mean over {splits} splits" if splits > 1 else "one split"
    metric = metric_name(comparison.metric)
    columns = [
        Column("model"),
        Column("runs", numeric=True),
        Column(metric, numeric=True, about=_WITH_INTERVAL),
        Column(f"against {comparison.baseline}", numeric=True, about=_WITH_INTERVAL),
        Column("p", numeric=True),
    ]
    rows = [_build_leader_row(candidate, comparison.metric) for candidate in comparison.candidates]
    title = f"{comparison.data}, {comparison.part}: {metric}, {over}, {comparison.records:,} records"
    return Table(title, columns, rows)


def _build_leader_row(candidate: CandidateResult, metric: str) -> list[Cell]:
    against = candidate.baseline
    return [
        text(candidate.name),
        number(len(candidate.runs), "d"),
        interval(candidate.metrics[metric]),
        difference(against),
        p_value(_format_p(against)),
    ]


def verdicts(comparison: Comparison) -> Facts:
    """Return what follows from the differences, in words, with the data that would settle what is unclear."""
    return Facts("Verdicts", [fact for candidate in comparison.candidates for fact in _list_verdicts(candidate)])


def _list_verdicts(candidate: CandidateResult) -> Iterator[tuple[str, str]]:
    against = candidate.baseline
    texts = [against.in_words if against else "the baseline"]
    texts += [other.in_words for other in _list_simpler(candidate) if against and other.to != against.to]
    if candidate.promoted:
        texts.append(f"promoted ({candidate.promoted})")
    yield from _continue_fact(candidate.name, texts)


def _list_simpler(candidate: CandidateResult) -> list[Difference]:
    return [other for other in (candidate.predecessor, candidate.best_simpler) if other is not None]


def steps(comparison: Comparison) -> Table | None:
    """Return each candidate against the next simpler one and the best simpler one, with the ratio of their costs.

    None if all candidates have the same complexity.
    """
    columns = [
        Column("step"),
        Column("difference", numeric=True),
        Column("p", numeric=True),
        Column("verdict"),
        *(Column(f"{title} ×", numeric=True) for title in _STEP_COSTS.values()),
    ]
    by_name = {candidate.name: candidate for candidate in comparison.candidates}
    rows = [
        [
            text(f"{other.to} → {candidate.name}"),
            difference(other),
            p_value(_format_p(other)),
            text(other.verdict, TONES[other.verdict]),
            *(_format_ratio(candidate.costs.get(name), by_name[other.to].costs.get(name)) for name in _STEP_COSTS),
        ]
        for candidate in comparison.candidates
        for other in _list_simpler(candidate)
    ]
    return Table("Steps: each candidate against simpler ones", columns, rows) if rows else None


def other_metrics(comparison: Comparison, metrics: Sequence[str] | None = None) -> Table:
    """Return the metrics other than the primary one: those of `metrics`, or all."""
    names = [name for name in metrics or comparison.candidates[0].metrics if name != comparison.metric]
    columns = [
        Column("model"),
        *(Column(metric_name(name), numeric=True) for name in names),
        Column("macro average precision", numeric=True),
        Column("behaviour", numeric=True, about="share of the behavioural tests that pass"),
    ]
    rows = [
        [
            text(candidate.name),
            *(number(candidate.metrics[name].value) for name in names),
            number(candidate.average_precision_macro),
            number(candidate.behaviour.get("score")),
        ]
        for candidate in comparison.candidates
    ]
    return Table("Other metrics", columns, rows)


def uncertainty(comparison: Comparison) -> Table:
    """Return where the width of the intervals comes from."""
    of_one_run = "standard deviation of one run, without the part that the records explain"
    of_difference = f"standard error of the difference to {comparison.baseline}"
    columns = [
        Column("model"),
        Column("sd splits", numeric=True, about=of_one_run),
        Column("sd seeds", numeric=True, about=of_one_run),
        Column("se records", numeric=True, about=of_difference),
        Column("se training", numeric=True, about=of_difference),
        Column("minimum detectable effect", numeric=True, about="detected with 80 % power"),
    ]
    rows = [[text(candidate.name), *map(number, _list_errors(candidate))] for candidate in comparison.candidates]
    return Table("Sources of uncertainty", columns, rows)


def _list_errors(candidate: CandidateResult) -> Iterator[float | None]:
    yield from (candidate.spread_between_splits, candidate.spread_between_seeds)
    against = candidate.baseline
    yield from (against.error_from_records, against.error_from_training, against.detectable) if against else [None] * 3


def costs(comparison: Comparison) -> Table:
    """Return the costs of every candidate, medians over its runs."""
    columns = [Column("model"), *(Column(title, numeric=True) for title in COST_TITLES.values())]
    rows = [
        [text(candidate.name), *(amount(candidate.costs.get(name)) for name in COST_TITLES)]
        for candidate in comparison.candidates
    ]
    return Table("Costs, medians over runs", columns, rows)


# --- labels and slices ------------------------------------------------------------------------------------------------


def groups(comparison: Comparison, kind: str) -> Table | None:
    """Return the labels or slices of every candidate against the baseline; None if there are none.

    Of more than `MOST_GROUPS` rows, those of the lowest p-values are shown, and the title has the number of all.
    """
    metric = "F1" if kind == "label" else "weighted F1"
    columns = [
        *(Column("model"), Column(kind), Column("positives", numeric=True)),
        *(Column(metric, numeric=True), Column(f"{comparison.baseline}'s", numeric=True)),
        Column("difference", numeric=True, about=_WITH_INTERVAL),
        Column("p", numeric=True, about="adjusted for all labels and slices of the model (Benjamini-Hochberg)"),
        Column("verdict"),
    ]
    members = [(row.name, group) for row in comparison.candidates for group in row.groups if group.kind == kind]
    title = f"{kind.capitalize()}s against {comparison.baseline}"
    if len(members) > MOST_GROUPS:
        title += f", the {MOST_GROUPS:,} with the lowest p of {len(members):,}"
        members = sorted(members, key=lambda one: (one[1].p_adjusted, -abs(one[1].difference.value)))[:MOST_GROUPS]
    rows = [
        [
            *(text(name), text(group.name), number(group.positives, ",d")),
            *(number(group.value), number(group.baseline), difference(group.difference), p_value(group.p_adjusted)),
            text(group.verdict, TONES[group.verdict]),
        ]
        for name, group in members
    ]
    return Table(title, columns, rows) if rows else None


def group_summary(comparison: Comparison) -> Facts | None:
    """Return the largest differences of labels and slices by name, and the number of the others; None without any."""
    facts = [fact for candidate in comparison.candidates for fact in _summary_of(candidate)]
    title = f"Labels and slices against {comparison.baseline} (exploratory, adjusted for each other)"
    return Facts(title, facts) if facts else None


def _summary_of(candidate: CandidateResult) -> Iterator[tuple[str, str]]:
    if not candidate.groups:
        return
    alike = [
        [group for group in candidate.groups if (group.kind, group.verdict) == (kind, verdict)]
        for kind in ("label", "slice")
        for verdict in ("better", "worse")
    ]
    unclear = [group.kind for group in candidate.groups if group.verdict == "not distinguishable"]
    counts = f"not distinguishable: {unclear.count('label')} labels, {unclear.count('slice')} slices"
    yield from _continue_fact(candidate.name, [*(_name_largest(members) for members in alike if members), counts])


def _name_largest(members: Sequence[GroupDifference]) -> str:
    """Name the largest differences of groups of one kind and one verdict."""
    largest = sorted(members, key=lambda group: -abs(group.difference.value))
    names = [f"{group.name} {group.difference.value:+.2f}" for group in largest[:_MAX_NAMED]]
    if len(members) > _MAX_NAMED:
        names.append(f"{len(members) - _MAX_NAMED} more")
    first = members[0]
    return f"{first.verdict} on {len(members)} {first.kind}{'s' if len(members) > 1 else ''}: {', '.join(names)}"


# --- changes since the parent -----------------------------------------------------------------------------------------


def change_blocks(comparison: Comparison) -> list[Table | Paragraph]:
    """Return, for each candidate whose runs name a parent, what changed since then, its effect, and any warning."""
    blocks: list[Table | Paragraph] = []
    for candidate in comparison.candidates:
        if candidate.changes is not None:
            blocks.append(_change_table(candidate, candidate.changes))
            if candidate.changes.warning:
                blocks.append(Paragraph(f"warning: {candidate.changes.warning}", "note"))
    return blocks


def _change_table(candidate: CandidateResult, changes: Changes) -> Table:
    rows = [[group, ", ".join(items)] for group, items in changes.changed.items()]
    effect = changes.effect
    if effect:
        shown = f"{difference(effect).text}, p {p_value(effect.p).text} (not adjusted)"
        rows.append(["effect", f"{shown}: {effect.in_words}"])
    if changes.hypothesis:
        rows.append(["hypothesis", changes.hypothesis])
    title = f"{candidate.name}, since its parent {changes.parent} ({changes.parent_name})"
    return table_of_texts(title, ["group", "change"], rows or [["nothing", "changed"]])


def _build_footer(comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield "p", P_VALUE
    accesses = [split.test_readings for split in comparison.splits if split.test_readings is not None]
    if accesses:
        few, many = min(accesses), max(accesses)
        yield "test-set accesses", f"{few if few == many else f'{few} to {many}'} so far (evaluate=val while choosing)"
    yield from (("note", note) for note in comparison.notes)
    yield from (("left out", reason) for reason in comparison.left_out)


P_VALUE = (
    "the larger of a paired permutation test over records and a t-test that also counts the variance of training, "
    "adjusted (Holm)"
)


def _format_p(estimate: Difference | None) -> float | None:
    if estimate is None:
        return None
    return estimate.p if estimate.p_adjusted is None else estimate.p_adjusted


def _format_ratio(ours: float | None, theirs: float | None) -> Cell:
    return amount(ours / theirs if ours is not None and theirs else None)


def _continue_fact(name: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield texts as facts of one name."""
    yield from ((name if index == 0 else "", words) for index, words in enumerate(texts))

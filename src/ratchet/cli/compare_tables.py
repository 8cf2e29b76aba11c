"""A comparison for people: a leaderboard, verdicts in words, and where the uncertainty comes from."""

from collections.abc import Iterator, Sequence

from ratchet.cli.lines import print_facts, print_text
from ratchet.cli.tables import COST_COLUMNS, number, print_table, short
from ratchet.comparison.results import CandidateResult, Comparison, Difference, GroupDifference, Interval, metric_name

_MOST = 4  # labels and slices that are named of each kind


def print_comparison(found: Comparison, *, markdown: bool) -> None:
    """Print all of it."""
    splits = len(found.splits)
    print_text(
        f"{found.data}, {found.part}: {metric_name(found.metric)}, "
        + (f"mean over {splits} splits" if splits > 1 else "one split")
        + f", {found.records:,} records, 95 % intervals",
        whole=markdown,
    )
    _print_section("", [_leader(each, found) for each in found.candidates], markdown)
    steps = [step for each in found.candidates for step in _steps(each, found.baseline)]
    _print_section("against simpler ones: the rung below, and the best below", steps, markdown, 2)
    _print_lines("verdicts", [line for each in found.candidates for line in _verdicts(each)], markdown)
    title = "other figures (precision and recall weighted, AP macro, behaviour: share of cases that pass)"
    _print_section(title, [_figures(each, found.metric) for each in found.candidates], markdown)
    title = (
        f"why it is uncertain (sd: of one run, less what records explain; se: of the difference to {found.baseline})"
    )
    _print_section(title, [_spread(each) for each in found.candidates], markdown)
    title = "cost of a fit, of one text (ms), of a batch (texts/s), at its peak, on disk: medians"
    _print_section(title, [_cost(each) for each in found.candidates], markdown)
    title = f"labels and slices against {found.baseline} (exploratory: adjusted for one another)"
    _print_lines(title, [line for each in found.candidates for line in _wins(each)], markdown)
    _print_lines("since its parent", [line for each in found.candidates for line in _since(each)], markdown)
    _print_lines("", list(_footer(found)), markdown)


def _print_section(title: str, rows: Sequence[dict[str, str]], markdown: bool, left: int = 1) -> None:
    if rows:
        if title or markdown:
            _print_title(title, markdown)
        print_table(rows, markdown=markdown, left=left)


def _print_lines(title: str, lines: Sequence[tuple[str, str]], markdown: bool) -> None:
    if not lines:
        return
    _print_title(title, markdown)
    if not markdown:
        print_facts(lines)
        return
    for name, text in lines:
        print(f"- {name}: {text}" if name else f"  - {text}")


def _print_title(title: str, markdown: bool) -> None:
    print()
    if title and markdown:
        print(f"**{title}**\n")
    elif title:
        print_text(title)


def _leader(each: CandidateResult, found: Comparison) -> dict[str, str]:
    against = each.baseline
    return {
        "model": each.name,
        "runs": str(len(each.runs)),
        metric_name(found.metric): _interval(each.metrics[found.metric]),
        f"against {found.baseline}": _difference(against) if against else "-",
        "p": _p(against),
    }


def _steps(each: CandidateResult, baseline: str) -> Iterator[dict[str, str]]:
    for other in (each.predecessor, each.best_simpler):
        if other and other.to != baseline:
            yield {"model": each.name, "against": other.to, "difference": _difference(other), "p": _p(other)}


def _verdicts(each: CandidateResult) -> Iterator[tuple[str, str]]:
    said = [each.baseline.in_words] if each.baseline else ["the baseline"]
    for other in (each.predecessor, each.best_simpler):
        if other and each.baseline and other.to != each.baseline.to:
            said.append(other.in_words)
    if each.promoted:
        said.append(f"promoted ({each.promoted})")
    yield from zip([each.name, *[""] * len(said)], said, strict=False)


def _figures(each: CandidateResult, metric: str) -> dict[str, str]:
    shown = {
        metric_name(name): name for name in ("f1_weighted", "f1_macro", "f1_micro", "f1_samples") if name != metric
    }
    shown |= {"precision": "precision_weighted", "recall": "recall_weighted"}
    columns = {title: number(each.metrics[name].value) for title, name in shown.items()}
    behaviour = number(each.behaviour.get("score"))
    return {"model": each.name, **columns, "AP": number(each.average_precision_macro), "behaviour": behaviour}


def _spread(each: CandidateResult) -> dict[str, str]:
    against = each.baseline
    return {
        "model": each.name,
        "sd splits": number(each.spread_between_splits),
        "sd seeds": number(each.spread_between_seeds),
        "se records": number(against.error_from_records) if against else "-",
        "se training": number(against.error_from_training) if against else "-",
        "detectable": number(against.detectable) if against else "-",
    }


def _cost(each: CandidateResult) -> dict[str, str]:
    return {"model": each.name, **{column: short(each.costs[name]) for column, name in COST_COLUMNS.items()}}


def _wins(each: CandidateResult) -> Iterator[tuple[str, str]]:
    if not each.groups:
        return
    lines = [
        line
        for kind in ("label", "slice")
        for verdict in ("better", "worse")
        if (line := _told([group for group in each.groups if (group.kind, group.verdict) == (kind, verdict)]))
    ]
    rest = [group.kind for group in each.groups if group.verdict == "not distinguishable"]
    lines.append(f"not told apart: labels {rest.count('label')}, slices {rest.count('slice')}")
    yield from zip([each.name, *[""] * len(lines)], lines, strict=False)


def _told(groups: Sequence[GroupDifference]) -> str:
    """The groups of one kind and one verdict, the largest differences by name."""
    if not groups:
        return ""
    found = sorted(groups, key=lambda group: -abs(group.difference.value))
    names = [f"{group.name} {group.difference.value:+.2f}" for group in found[:_MOST]]
    names += [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
    plural = "s" if len(found) > 1 else ""
    return f"{found[0].verdict} on {len(found)} {found[0].kind}{plural}: {', '.join(names)}"


def _since(each: CandidateResult) -> Iterator[tuple[str, str]]:
    changes = each.changes
    if changes is None:
        return
    yield each.name, f"{changes.parent} ({changes.parent_name}){'' if changes.changed else ': nothing changed'}"
    for group, items in changes.changed.items():
        yield "", f"{group}: {', '.join(items)}"
    effect = changes.effect
    if effect:
        yield "", f"effect {_difference(effect)}, p {_p(effect)} (not adjusted): {effect.in_words}"
    if changes.hypothesis:
        yield "", f"hypothesis: {changes.hypothesis}"
    if changes.warning:
        yield "", f"warning: {changes.warning}"


def _footer(found: Comparison) -> Iterator[tuple[str, str]]:
    yield "p", "the larger of a swap test over records and a t-test that counts training too; adjusted after Holm"
    readings = [split.test_readings for split in found.splits if split.test_readings is not None]
    if readings:
        times = f"{min(readings)}" if min(readings) == max(readings) else f"{min(readings)} to {max(readings)}"
        times = "once" if times == "1" else f"{times} times"
        yield "test splits", f"read {times} so far (evaluate=val while choosing)"
    for text in found.notes:
        yield "note", text
    for text in found.left_out:
        yield "left out", text


def _interval(each: Interval) -> str:
    return f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]"


def _difference(each: Difference) -> str:
    return f"{each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}]"


def _p(each: Difference | None) -> str:
    if each is None:
        return "-"
    p = each.p if each.p_adjusted is None else each.p_adjusted
    return "<.001" if p < 0.001 else f"{p:.3f}"

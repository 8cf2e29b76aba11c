"""A comparison for people: a leaderboard, verdicts in words, and where the uncertainty comes from."""

from collections.abc import Iterator, Sequence

from ratchet.cli.tables import number, print_table, short
from ratchet.comparison.results import CandidateResult, Comparison, Difference, GroupDifference, Interval

_MOST = 4  # labels and slices that are named of each kind
_NAMES = {"f1": "F1", "precision": "precision", "recall": "recall"}


def metric_name(metric: str) -> str:
    """`f1_weighted` as people write it: `weighted F1`."""
    name, _, average = metric.partition("_")
    return f"{average} {_NAMES[name]}"


def print_comparison(found: Comparison, *, markdown: bool) -> None:
    """Print all of it."""
    splits = len(found.splits)
    print(
        f"{found.data}, {found.part}: {metric_name(found.metric)}, "
        + (f"mean over {splits} splits" if splits > 1 else "one split")
        + f", {found.records:,} records, 95 % intervals"
    )
    sections = (
        ("", [_leader(each, found) for each in found.candidates], 1),
        (
            "against the rung below",
            [_step(each) for each in found.candidates if each.predecessor and each.predecessor.to != found.baseline],
            2,
        ),
    )
    for title, rows, left in sections:
        _print_section(title, rows, markdown, left)
    _print_lines("verdicts", [(each.name, _verdict(each)) for each in found.candidates], markdown)
    _print_section("other figures", [_figures(each, found.metric) for each in found.candidates], markdown)
    title = "what makes it uncertain: standard deviation of one run, standard error, detectable difference"
    _print_section(title, [_spread(each) for each in found.candidates], markdown)
    title = "cost of a fit, of one text (ms), of a batch (texts/s), at its peak, on disk: medians"
    _print_section(title, [_cost(each) for each in found.candidates], markdown)
    title = f"labels and slices against {found.baseline} (exploratory: adjusted for one another)"
    _print_lines(title, [line for each in found.candidates for line in _wins(each)], markdown)
    _print_lines("since its parent", [line for each in found.candidates for line in _since(each)], markdown)
    _print_lines("", list(_footer(found)), markdown)


def _print_section(title: str, rows: Sequence[dict[str, str]], markdown: bool, left: int = 1) -> None:
    if rows:
        print(f"\n{title}" if title else "", end="\n" if title or markdown else "")
        if title and markdown:
            print()
        print_table(rows, markdown=markdown, left=left)


def _print_lines(title: str, lines: Sequence[tuple[str, str]], markdown: bool) -> None:
    if not lines:
        return
    print(f"\n{title}" if title else "")
    if title and markdown:
        print()
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        print(f"- {name + ': ' if name else ''}{text}" if markdown else f"{name:{width}}  {text}")


def _leader(each: CandidateResult, found: Comparison) -> dict[str, str]:
    against = each.baseline
    return {
        "model": each.name,
        "runs": str(len(each.runs)),
        metric_name(found.metric): _interval(each.metrics[found.metric]),
        f"against {found.baseline}": _difference(against) if against else "-",
        "p": _p(against),
    }


def _step(each: CandidateResult) -> dict[str, str]:
    before = each.predecessor
    assert before is not None
    return {"model": each.name, "against": before.to, "difference": _difference(before), "p": _p(before)}


def _verdict(each: CandidateResult) -> str:
    said = [each.baseline.in_words] if each.baseline else ["the baseline"]
    if each.predecessor and each.baseline and each.predecessor.to != each.baseline.to:
        said.append(each.predecessor.in_words)
    if each.promoted:
        said.append(f"promoted ({each.promoted})")
    return "; ".join(said)


def _figures(each: CandidateResult, metric: str) -> dict[str, str]:
    shown = ["f1_weighted", "f1_macro", "f1_micro", "f1_samples", "precision_weighted", "recall_weighted"]
    columns = {metric_name(name): number(each.metrics[name].value) for name in shown if name != metric}
    behaviour = number(each.behaviour.get("score"))
    return {"model": each.name, **columns, "AP": number(each.average_precision_macro), "behaviour": behaviour}


def _spread(each: CandidateResult) -> dict[str, str]:
    against = each.baseline
    return {
        "model": each.name,
        "sd splits": number(each.spread_between_splits),
        "sd seeds": number(each.spread_between_seeds),
        "se records": number(each.error_from_records),
        "difference: se records": number(against.error_from_records) if against else "-",
        "se training": number(against.error_from_training) if against else "-",
        "detectable": number(against.detectable) if against else "-",
    }


def _cost(each: CandidateResult) -> dict[str, str]:
    columns = {
        "fit s": "fit_seconds",
        "p50ms": "latency_ms_p50",
        "p95ms": "latency_ms_p95",
        "texts/s": "items_per_second",
        "peak MB": "peak_memory_mb",
        "MB": "size_mb",
    }
    return {"model": each.name, **{column: short(each.costs[name]) for column, name in columns.items()}}


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
    lines.append(f"not told apart on {rest.count('label')} labels and {rest.count('slice')} slices")
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
    changed = "; ".join(f"{group}: {', '.join(items)}" for group, items in changes.changed.items())
    yield each.name, f"{changes.parent} ({changes.parent_name}); {changed or 'nothing changed'}"
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
        yield "test splits", f"read {times} times so far (evaluate=val while choosing)"
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

"""`ratchet data describe [data=...]`, `data fetch data=...`, `data list` and `data suggest-taxonomy data=...`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.cli.suggesting import SuggestOptions, suggest_taxonomy
from ratchet.config import DataConfig, compose, configs_of, headline, parse_options, register, take_config_dir
from ratchet.errors import UserError, did_you_mean
from ratchet.models import all_settings
from ratchet.reporting.data_findings import LEAK, describe_left_out
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ratchet.data.problems import Problem


@dataclass
class Options:
    """Arguments of the `data` verbs that are no configuration overrides."""

    format: Format = Format.table
    """Format of the printed result."""


ACTIONS = {**dict.fromkeys(("describe", "list", "fetch"), Options), "suggest-taxonomy": SuggestOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `data`."""
    action, *rest = arguments or ["list"]
    if action == "suggest-taxonomy":
        suggest_taxonomy(rest)
        return 0
    actions = {"list": _list, "describe": _describe, "fetch": _fetch}
    if action not in actions:
        raise UserError(f"data {action}: {did_you_mean(action, ACTIONS)}")
    options = parse_options(Options, [argument for argument in rest if argument.startswith("format=")])
    actions[action]([argument for argument in rest if not argument.startswith("format=")], options.format)
    return 0


def _list(arguments: list[str], form: Format) -> None:
    rest, config_dir = take_config_dir(arguments)
    if rest:
        raise UserError(f"data list: {rest[0]!r} is not understood; only format=table|md|json and --config-dir DIR")
    rows = [{"data": name, "what": _describe_file(path)} for name, path in configs_of("data", config_dir).items()]
    if form is Format.json:
        print_json(rows)
    else:
        print_table(rows, markdown=form is Format.md, left=2)


def _describe_file(path: Path) -> str:
    """Return what describes a data set in its file, or what is wrong with the file: it concerns no other data set."""
    try:
        return headline(path)
    except UserError as error:
        return str(error)


def _describe(arguments: list[str], form: Format) -> None:
    """Print the content of a data set: records, labels, lengths, dates, what is odd or left out, and the split."""
    register(all_settings())
    config = compose(*take_config_dir(arguments))

    from ratchet.data.describe import describe
    from ratchet.data.prepared import prepare
    from ratchet.data.splits import make_split
    from ratchet.evaluation.slices import check_slices

    prepared = prepare(config.data)
    check_slices(prepared.records, {**config.evaluation.slices, **config.data.slices}, prepared.labels, config.data)
    leaks_dir = Path(config.runs_dir) / config.data.name
    split = make_split(prepared, config.split, config.data.split.column, config.data.split.group, leaks_dir=leaks_dir)
    description = describe(prepared, split, _find_status_columns(config.data))
    if form is Format.json:
        print_json(description)
        return
    print_facts(_list_facts(description), at=18)
    print()
    unknown = description.get("unknown", {})
    rows = [
        {
            "label": label,
            "records": str(sum(counts.values())),
            **{part: str(n) for part, n in counts.items()},
            **({"unknown": f"{unknown[label]:.1%}"} if unknown else {}),
        }
        for label, counts in sorted(description["label_counts"].items(), key=lambda item: -sum(item[1].values()))
    ]
    print_table(rows, markdown=form is Format.md)


def _find_status_columns(config: DataConfig) -> "list[Problem]":
    """Return the columns of the first file that mark rows to leave out, as far as its columns can be read."""
    from ratchet.data.describe import find_status_columns
    from ratchet.data.formats import Dialect, open_rows
    from ratchet.data.formats.rows import Row
    from ratchet.data.sources import list_sources
    from ratchet.data.used_columns import list_used_columns

    source = list_sources(config)[0]
    try:
        rows = open_rows(source.path, source.name, Dialect.from_config(config))
        return find_status_columns((row.values for row in rows if isinstance(row, Row)), list_used_columns(config))
    except UserError:  # of a column that nothing uses
        return []


def _fetch(arguments: list[str], form: Format) -> None:
    """Copy the files of a data set to where the pipeline reads them, from its paths or URLs, checked."""
    register(all_settings())
    config = compose(*take_config_dir(arguments)).data
    chosen = [argument.removeprefix("data=") for argument in arguments if argument.startswith("data=")]
    if chosen and chosen[-1] != config.name:
        raise UserError(f"data={chosen[-1]}: its name is {config.name}; the pipeline needs it to be that of its file")

    from ratchet.data.watched import copy_to_target, list_watched_files
    from ratchet.files import sha256_of

    rows = [
        {"file": str(path), "what": file.role, "bytes": f"{path.stat().st_size:,}", "sha256": sha256_of(path)[:12]}
        for file in list_watched_files(config)
        for path in copy_to_target(file, config.records.layout)
    ]
    if form is Format.json:
        print_json(rows)
    else:
        print_table(rows, markdown=form is Format.md, left=2)


def _list_facts(description: dict[str, Any]) -> list[tuple[str, str]]:
    from ratchet.data.findings import format_problem

    words, dates, left_out = description["words"], description["dates"], description["left_out"]
    per_record = ", ".join(f"{number}: {count}" for number, count in description["labels_per_record"].items())
    facts = [
        ("data", f"{description['name']} ({description['task']})"),
        *[("file" if index == 0 else "", name) for index, name in enumerate(description["files"])],
        ("rows read", f"{description['rows_read']:,}"),
        ("records", _format_records(description)),
        ("labels", f"{description['labels']}, {description['labels_per_record_mean']:.2f} a record ({per_record})"),
        ("words a text", f"median {words['median']:.0f}, from {words['min']:.0f} to {words['max']:.0f}"),
    ]
    if dates["first"]:
        undated = f", {dates['without']} without" if dates["without"] else ""
        facts.append(("dates", f"{dates['first'][:10]} to {dates['last'][:10]}{undated}"))
    facts += [("left out", f"{count:,} {what}") for what, count in left_out["records"].items() if count]
    for reason, count in left_out["labels"].items():
        names = description["labels_left_out"][reason]
        more = ", ..." if count > len(names) else ""
        facts.append(("left out", f"{count:,} labels {reason}: {', '.join(names)}{more}"))
    for problem in description["problems"]:
        is_dropped_leak = problem["kind"] == LEAK and problem["outcome"] != "kept"
        facts.append(("left out", describe_left_out(problem)) if is_dropped_leak else format_problem(problem))
    if "unknown" in description:
        shares = description["unknown"]
        most = max(shares, key=shares.__getitem__)
        mean = sum(shares.values()) / len(shares)
        facts.append(("unknown", f"{mean:.1%} of the targets, at most {shares[most]:.1%} (label {most!r})"))
    share = f"{description['without_rule'] / description['records']:.0%}"
    is_weak = description["without_rule"] > 0.2 * description["records"]
    hint = ": `ratchet data suggest-taxonomy` proposes aliases" if is_weak else ""
    facts.append(("no rule fires", f"on {description['without_rule']:,} records ({share}){hint}"))
    parts = ", ".join(f"{count:,} {part}" for part, count in description["parts"].items())
    facts.append(("split", f"{parts} ({description['split_hash'][:12]})"))
    if description["split_leaked"]:
        facts.append(("", f"{description['split_leaked']:,} records of val and test that earlier parts have, too"))
    facts.append(("dataset version", description["dataset_version"][:12]))
    return facts


def _format_records(description: dict[str, Any]) -> str:
    """Return the number of records, and how many are in a part if the split left some out."""
    count, dropped = description["records"], description["split_dropped"]
    return f"{count:,} ({count - dropped:,} in train, val and test)" if dropped else f"{count:,}"

"""`ratchet data describe [data=...]`, `ratchet data fetch data=...` and `ratchet data list`."""

from dataclasses import dataclass
from typing import Any

from ratchet.config import compose, configs_of, headline, parse_options, register, take_config_dir
from ratchet.errors import UserError, did_you_mean
from ratchet.models import all_settings
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table


@dataclass
class Options:
    """Arguments of the `data` verbs that are no configuration overrides."""

    format: Format = Format.table
    """Format of the printed result."""


ACTIONS = dict.fromkeys(("describe", "list", "fetch"), Options)


def run(arguments: list[str]) -> int:
    """Run the verb `data`."""
    action, *rest = arguments or ["list"]
    actions = {"list": _list, "describe": _describe, "fetch": _fetch}
    if action not in actions:
        raise UserError(f"data {action}: {did_you_mean(action, actions)}")
    options = parse_options(Options, [argument for argument in rest if argument.startswith("format=")])
    actions[action]([argument for argument in rest if not argument.startswith("format=")], options.format)
    return 0


def _list(arguments: list[str], form: Format) -> None:
    rest, config_dir = take_config_dir(arguments)
    if rest:
        raise UserError(f"data list: {rest[0]!r} is not understood; only format=table|md|json and --config-dir DIR")
    rows = [{"data": name, "what": headline(path)} for name, path in configs_of("data", config_dir).items()]
    if form is Format.json:
        print_json(rows)
    else:
        print_table(rows, markdown=form is Format.md, left=2)


def _describe(arguments: list[str], form: Format) -> None:
    """Print the content of a data set: records, labels, lengths, dates, what was left out, and the split."""
    register(all_settings())
    config = compose(*take_config_dir(arguments))

    from ratchet.data.describe import describe
    from ratchet.data.prepared import prepare
    from ratchet.data.splits import make_split

    prepared = prepare(config.data)
    description = describe(prepared, make_split(prepared, config.split, config.data.split.column))
    if form is Format.json:
        print_json(description)
        return
    print_facts(_list_facts(description), at=18)
    print()
    rows = [
        {"label": label, "records": str(sum(counts.values())), **{part: str(n) for part, n in counts.items()}}
        for label, counts in sorted(description["label_counts"].items(), key=lambda item: -sum(item[1].values()))
    ]
    print_table(rows, markdown=form is Format.md)


def _fetch(arguments: list[str], form: Format) -> None:
    """Copy the files of a data set to where the pipeline reads them, from its paths or URLs, checked."""
    register(all_settings())
    config = compose(*take_config_dir(arguments)).data
    chosen = [argument.removeprefix("data=") for argument in arguments if argument.startswith("data=")]
    if chosen and chosen[-1] != config.name:
        raise UserError(f"data={chosen[-1]}: its name is {config.name}; the pipeline needs it to be that of its file")

    from ratchet.data.sources import list_watched_files, read_file
    from ratchet.files import replacing

    rows = []
    for what, file, path in list_watched_files(config):
        content = read_file(file, what)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content.data)
        rows.append({"file": str(path), "what": what, "bytes": f"{len(content.data):,}", "sha256": content.sha256[:12]})
    if form is Format.json:
        print_json(rows)
    else:
        print_table(rows, markdown=form is Format.md, left=2)


def _list_facts(description: dict[str, Any]) -> list[tuple[str, str]]:
    words, dates, left_out = description["words"], description["dates"], description["left_out"]
    per_record = ", ".join(f"{number}: {count}" for number, count in description["labels_per_record"].items())
    facts = [
        ("data", f"{description['name']} ({description['task']})"),
        *[("file" if index == 0 else "", name) for index, name in enumerate(description["files"])],
        ("rows read", f"{description['rows_read']:,}"),
        ("records", f"{description['records']:,}"),
        ("labels", f"{description['labels']}, {description['labels_per_record_mean']:.2f} a record ({per_record})"),
        ("words a text", f"median {words['median']:.0f}, from {words['min']:.0f} to {words['max']:.0f}"),
    ]
    if dates["first"]:
        undated = f", {dates['without']} without" if dates["without"] else ""
        facts.append(("dates", f"{dates['first'][:10]} to {dates['last'][:10]}{undated}"))
    for what, count in left_out["records"].items():
        facts.append(("left out", f"{count:,} {what}"))
    for reason, count in left_out["labels"].items():
        facts.append(("left out", f"{count:,} labels {reason}"))
    for problem in description["problems"]:
        facts.append((problem["outcome"], f"{problem['count']:,} x {problem['kind']}, as {problem['first']}"))
    parts = ", ".join(f"{count:,} {part}" for part, count in description["parts"].items())
    facts.append(("split", f"{parts} ({description['split_hash'][:12]})"))
    facts.append(("dataset version", description["dataset_version"][:12]))
    return facts

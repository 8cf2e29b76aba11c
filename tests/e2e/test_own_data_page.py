"""Tests that docs/own-data.md works as it is written: its commands in an empty directory, each of its layouts alone."""

import csv
import gzip
import io
import json
import random
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import openpyxl
import polars as pl
import pytest
import yaml
from tests.commands import PROJECT, run_command

from ratchet.cli.main import main

PAGE = (PROJECT / "docs/own-data.md").read_text(encoding="utf-8")
_NAMED_FILE = re.compile(r"`([\w./]+)`:")
RECORDS = 12


class Block(NamedTuple):
    """A block of the page; `path` is the file that it shows, if it shows one."""

    language: str
    text: str
    path: str | None


def _read_blocks() -> list[Block]:
    blocks = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.M | re.S):
        language, text = match.groups()
        before = PAGE[: match.start()].rstrip().rpartition("\n")[2]
        named = re.match(r"# ([\w./]+\.yaml)\n", text) or re.search(rf"{_NAMED_FILE.pattern}$", before)
        blocks.append(Block(language, text, named[1] if named else None))
    return blocks


BLOCKS = _read_blocks()
FILES = {block.path: block.text for block in BLOCKS if block.path is not None}
TICKETS = list(csv.DictReader(io.StringIO(FILES["tickets.csv"])))


def _read_table(heading: str) -> list[list[str]]:
    """Return the rows of the table with this heading, without the heading."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def _read_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_commands_of_the_page_work_in_an_empty_directory(tmp_path: Path) -> None:
    directory = tmp_path
    printed = ""
    for block in BLOCKS:
        if block.path is not None:
            path = directory / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            for line in block.text.splitlines():
                if line.startswith("cd "):
                    directory /= line.removeprefix("cd ")
                    continue
                done = run_command("bash", "-c", line, cwd=directory)
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
                printed += done.stdout

    assert directory == tmp_path / "shop"
    assert {path.parents[1].name for path in directory.glob("runs/*/*/*/record.json")} == {"rule", "regression"}
    assert {path.parents[2].name for path in directory.glob("runs/*/*/*/record.json")} == {"tickets", "by_hand"}
    cases = [
        json.loads(path.read_text("utf-8")).get("behaviour/cases") for path in directory.glob("runs/*/*/*/metrics.json")
    ]
    assert cases.count(3) == 1, "the behavioural tests of the page belong to one run"
    assert "no word predicts a label well enough" in printed, "twelve records are too few for a suggestion"
    assert not (directory / "data/tickets/topics.json").exists()
    assert "billing" in printed


@pytest.fixture
def describe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], dict[str, Any]]:
    """Return a function that describes a data set with these keys in the directory of its files."""
    monkeypatch.chdir(tmp_path)

    def call(keys: str) -> dict[str, Any]:
        path = tmp_path / "mine/data/page.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"defaults: [base_data, _self_]\nname: page\n{keys}\n", encoding="utf-8")
        code = main(["data", "describe", "--config-dir", "mine", "data=page", "format=json"])
        printed = capsys.readouterr()
        assert code == 0, f"{keys}\n{printed.err}"
        description: dict[str, Any] = json.loads(printed.out)
        return description

    return call


Describe = Callable[[str], dict[str, Any]]


def _make_text(number: int) -> str:
    return " ".join("".join(random.Random(f"{number} {word}").choices("abcdefgh", k=6)) for word in range(8))


def _count_labels(description: dict[str, Any]) -> dict[str, int]:
    return {label: sum(parts.values()) for label, parts in description["label_counts"].items()}


@pytest.mark.parametrize(("record", "labels", "expected"), _read_table("| a record | `labels`"))
def test_row_of_the_table_of_labels_is_read(
    record: str, labels: str, expected: str, describe: Describe, tmp_path: Path
) -> None:
    (tmp_path / "topics.txt").write_text(FILES["topics.txt"], encoding="utf-8")
    values = json.loads(_read_code(record)[0])
    rows = [{"text": _make_text(number)} | values for number in range(RECORDS)]
    (tmp_path / "own.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    description = describe(f"records: {{path: own.jsonl}}\ntext: [text]\nlabels: {_read_code(labels)[0]}")

    found = {label for label, count in _count_labels(description).items() if count == RECORDS}
    assert found == set(expected.split(", "))
    assert description["records"] == RECORDS


def test_rows_of_one_label_each_are_joined(describe: Describe, tmp_path: Path) -> None:
    [keys] = [block.text for block in BLOCKS if "kind: rows" in block.text]
    header, *rows = FILES["pairs.csv"].splitlines()
    copies = [
        f"{identifier}-{copy},{_make_text(100 * copy + int(identifier))} {text},{label}"
        for copy in range(RECORDS // 2)
        for identifier, text, label in (row.split(",") for row in rows)
    ]
    (tmp_path / "pairs.csv").write_text("\n".join([header, *copies]), encoding="utf-8")

    description = describe(f"records: {{path: pairs.csv}}\nsplit: {{duplicates: exact}}\n{keys}")

    assert (description["rows_read"], description["records"]) == (3 * RECORDS // 2, RECORDS)
    assert _count_labels(description) == {"bug": 6, "slow": 6, "login": 6}


def _write(path: Path, rows: list[list[str]], *, quoting: int = csv.QUOTE_MINIMAL, **dialect: Any) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n", **dialect).writerows(rows)  # type: ignore[arg-type]
    path.write_text(text.getvalue(), encoding="utf-8")
    return text.getvalue()


HEADER = list(TICKETS[0])
ROWS = [list(ticket.values()) for ticket in TICKETS]
QUOTED = [[*row[:3], f'{row[3]}, she "said"', row[4]] for row in ROWS]


def _write_sep_line(path: Path) -> None:
    path.write_text("sep=;\n" + _write(path, [HEADER, *ROWS], delimiter=";"), encoding="utf-8")


def _write_title(path: Path) -> None:
    path.write_text("Tickets\nof the shop\n\n" + _write(path, [HEADER, *ROWS]), encoding="utf-8")


def _write_comments(path: Path) -> None:
    path.write_text("# of the shop\n" + _write(path, [HEADER, *ROWS]) + "# end\n", encoding="utf-8")


def _write_spaces(path: Path) -> None:
    path.write_text("\n".join(", ".join(f'"{cell}"' for cell in row) for row in [HEADER, *QUOTED_BY_NOTHING]))


def _write_cp1252(path: Path) -> None:
    path.write_bytes(_write(path, [HEADER, *([*row[:3], f"{row[3]} für", row[4]] for row in ROWS)]).encode("cp1252"))


QUOTED_BY_NOTHING = [[*row[:3], f"{row[3]}, please", row[4]] for row in ROWS]
DIALECTS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    'separator: ";"': ("own.csv", lambda path: _write(path, [HEADER, *ROWS], delimiter=";", quotechar='"')),
    "": ("own.csv", _write_sep_line),
    "quote: null": (
        "own.tsv",
        lambda path: path.write_text(
            "\n".join("\t".join(row) for row in [HEADER, *([*row[:3], f'"A" {row[3]} 5"', row[4]] for row in ROWS)])
        ),
    ),
    'quote: "\'"': ("own.csv", lambda path: _write(path, [HEADER, *QUOTED_BY_NOTHING], quotechar="'")),
    r'escape: "\\"': (
        "own.csv",
        lambda path: _write(path, [HEADER, *QUOTED], quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\"),
    ),
    "skip_initial_space: true": ("own.csv", _write_spaces),
    'comment: "#"': ("own.csv", _write_comments),
    "skip_rows: 3": ("own.csv", _write_title),
    "header: false\ncolumn_names: [id, opened, subject, body, topics]": ("own.csv", lambda path: _write(path, ROWS)),
    "encoding: cp1252": ("own.csv", _write_cp1252),
    "format: csv": ("own.txt", lambda path: _write(path, [HEADER, *ROWS])),
}
MEANING = 'id: id\ntext: [subject, body]\nlabels: {column: topics, kind: separated, separator: ";"}\n'
TOPICS = {"login": 5, "billing": 5, "slow": 4}


def _read_dialects() -> list[str]:
    return ["\n".join(_read_code(keys)[:2]) if ": " in keys else "" for _, keys in _read_table("| the file | keys")]


@pytest.mark.parametrize("keys", [key.removesuffix('\n"1"') for key in _read_dialects()])
def test_row_of_the_table_of_dialects_is_read(keys: str, describe: Describe, tmp_path: Path) -> None:
    name, write = DIALECTS["" if keys.startswith("no key") else keys]
    write(tmp_path / name)

    description = describe(f"records: {{path: {name}}}\n{MEANING}{keys}")

    assert (description["records"], description["problems"]) == (RECORDS, [])
    assert _count_labels(description) == TOPICS


def _write_tables() -> None:
    """Write the tickets in every form that the tables of sources name, to the working directory."""
    rows = [dict(ticket) for ticket in TICKETS]
    text = FILES["tickets.csv"]
    Path("tickets.csv.gz").write_bytes(gzip.compress(text.encode()))
    parts = {"train": rows[:7], "dev": rows[7:9], "test": rows[9:]}
    Path("parts").mkdir()
    for part, members in parts.items():
        _write(Path("parts") / f"{part}.csv", [HEADER, *map(_get_values, members)])
    _write(Path("train.csv"), [HEADER, *map(_get_values, rows[:9])])
    _write(Path("test.csv"), [HEADER, *map(_get_values, rows[9:])])
    Path("tickets.json").write_text(json.dumps(rows), encoding="utf-8")
    Path("answer.json").write_text(json.dumps({"data": {"items": rows}}), encoding="utf-8")
    Path("parted.json").write_text(json.dumps(parts), encoding="utf-8")
    pl.DataFrame(rows).write_parquet("tickets.parquet")
    for part, members in parts.items():
        saved = Path("saved") / part
        saved.mkdir(parents=True)
        pl.DataFrame(members).write_ipc_stream(saved / "data-00000-of-00001.arrow")
        (saved / "dataset_info.json").write_text("{}", encoding="utf-8")
        (saved / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}', "utf-8")
    Path("saved/dataset_dict.json").write_text(json.dumps({"splits": list(parts)}), encoding="utf-8")
    workbook = openpyxl.Workbook()
    for line in [HEADER, *ROWS]:
        workbook.create_sheet("May") if "May" not in workbook.sheetnames else None
        workbook["May"].append(line)
    workbook.save("tickets.xlsx")
    with sqlite3.connect("tickets.sqlite") as connection:
        connection.execute(f"CREATE TABLE tickets ({', '.join(HEADER)})")
        connection.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?, ?)", ROWS)
    connection.close()


def _get_values(row: dict[str, Any]) -> list[str]:
    return [str(value) for value in row.values()]


def _read_sources() -> list[str]:
    rows = [_read_code(keys) for _, keys in _read_table("| you have | keys |\n| --- | --- |\n| a file")]
    return ["\n".join(keys) for keys in rows if "..." not in keys[0]]


@pytest.mark.parametrize("keys", _read_sources())
def test_row_of_the_table_of_sources_is_read(keys: str, describe: Describe) -> None:
    _write_tables()

    description = describe(f"{MEANING}{keys}")

    assert (description["records"], _count_labels(description)) == (RECORDS, TOPICS)


def _write_documents() -> None:
    """Write a text file for each record, in the directory of its class, and tables of the same texts."""
    table, lines = ["file,label"], []
    for number in range(3 * RECORDS):
        label, text = list(TOPICS)[number % 3], _make_text(number)
        path = Path("mails") / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        table.append(f"{path.as_posix()},{label}")
        lines.append(f"__label__{label} {text}")
    Path("files.csv").write_text("\n".join(table), encoding="utf-8")
    Path("tickets.ft").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    "keys", [_read_code(row[1]) for row in _read_table("| you have | keys |\n| --- | --- |\n| fast")]
)
def test_row_of_the_table_of_other_layouts_is_read(keys: list[str], describe: Describe) -> None:
    _write_documents()

    description = describe("\n".join(keys))

    assert _count_labels(description) == dict.fromkeys(TOPICS, RECORDS)
    assert description["words"]["median"] == 8, "the texts are those of the files, not their names"


TOOLS = [block.text for block in BLOCKS if re.match(r"# .*: \{", block.text)]


@pytest.mark.parametrize("block", TOOLS, ids=lambda block: block[2:].split(":")[0])
def test_export_of_an_annotation_tool_is_read(block: str, describe: Describe, tmp_path: Path) -> None:
    comment, keys = block.split("\n", 1)
    record = comment[comment.index("{") :]
    rows = [json.loads(record.replace("TEXT", _make_text(number))) for number in range(RECORDS)]
    rows = [row | {"id": f"a{number}"} if "id" in row else row for number, row in enumerate(rows)]
    (tmp_path / "own.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    description = describe(f"records: {{path: own.jsonl}}\n{keys}")

    labels = {label for label in ("bug", "slow") if f'"{label}"' in record and f'"{label}": 0.0' not in record}
    assert description["records"] == RECORDS
    assert {label for label, count in _count_labels(description).items() if count == RECORDS} == labels


def test_every_tool_has_a_block() -> None:
    assert len(TOOLS) == 6


@pytest.mark.parametrize(
    "keys", [key for row in _read_table("| `split` | |") for key in _read_code(row[0])], ids=lambda keys: keys[1:14]
)
def test_row_of_the_table_of_splits_is_accepted(keys: str, describe: Describe, tmp_path: Path) -> None:
    part_of = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows = [[*row, part_of[number], f"author{number}"] for number, row in enumerate(ROWS)]
    _write(tmp_path / "own.csv", [[*HEADER, "part", "author"], *rows])

    description = describe(f"records: {{path: own.csv}}\n{MEANING}created_at: opened\nsplit: {keys}")

    assert sum(description["parts"].values()) == RECORDS
    if "given" in keys:
        assert description["parts"] == {"train": 8, "val": 2, "test": 2}


def test_optional_keys_of_the_page_exist(describe: Describe, tmp_path: Path) -> None:
    """All optional keys are used at once: a wrong one would be refused, and each filter has something to leave out."""
    [optional] = [block.text for block in BLOCKS if block.text.startswith("created_at:")]
    tags = [{"tag": topic, "aliases": [], "parents": []} for topic in TOPICS]
    (tmp_path / "topics.json").write_text(json.dumps(tags), encoding="utf-8")
    (tmp_path / "data/behaviour").mkdir(parents=True)
    (tmp_path / "data/behaviour/tickets.yaml").write_text(FILES["data/behaviour/tickets.yaml"], encoding="utf-8")
    topics = [*(";".join([topic, "misc"]) for topic in TOPICS), "login;billing", "nan"] * 25
    statuses = ["open", "open", "closed", "open", "open", "open", "draft"]
    rows = [
        [str(number), "2026-01-01", "A", _make_text(number), topic, statuses[number % 7], "mail"]
        for number, topic in enumerate(topics)
    ]
    _write(tmp_path / "own.csv", [[*HEADER, "status", "channel"], *rows])

    description = describe(f"records: {{path: own.csv}}\n{MEANING}{optional}")

    assert set(description["label_counts"]) == set(TOPICS)
    assert description["left_out"]["labels"] == {"excluded": 1}
    assert len(description["left_out"]["records"]) == 2


def test_every_block_of_the_page_is_run_or_checked() -> None:
    """A block that no test reads could be wrong."""
    others = [
        block.text.split()[0]
        for block in BLOCKS
        if block.path is None and block.language != "sh" and block.text not in TOOLS
    ]
    assert others == ["id:", "created_at:"]
    for block in BLOCKS:
        if block.language == "yaml":
            yaml.safe_load(block.text)

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from tests.commands import CONF

Verb = Callable[..., tuple[int, str, str]]

TICKETS_CONFIG = """\
# Tickets of a help desk.
defaults: [base_data, _self_]
name: tickets
records: {path: tickets.csv}
id: ticket
text: [body]
labels: {column: topics, kind: separated, separator: ";"}
created_at: opened
drop_bad_rows: true
filter: {exclude: [misc], drop_unlabelled: true}
"""


@pytest.fixture
def tickets_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write 60 tickets and some bad rows, and the config that reads them, under mine/. Return the directory."""
    words = {"login": "password account sign", "billing": "invoice card refund", "bug": "crash error freeze"}
    rows = ["ticket,body,topics,opened"]
    for index in range(60):
        topic = list(words)[index % 3]
        rows.append(
            f"{index},{words[topic]} number {index} {'xyz'[index % 3] * 5},{topic},2026-01-{index % 28 + 1:02d}"
        )
    rows += [
        "0,the same id again,login,2026-01-01",  # row 62; the header is row 1
        "61,nobody knows this day,bug,yesterday",
        "62,,bug,2026-01-01",
        "63,something else,misc,2026-01-01",
    ]
    (tmp_path / "tickets.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "tickets.yaml").write_text(TICKETS_CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_describes_every_data_set(verb: Verb) -> None:
    code, out, _ = verb("data", "list")
    assert code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in out.splitlines()[1:]}
    assert set(lines) == {path.stem for path in (CONF / "data").glob("*.yaml")}
    assert "720 synthetic" in lines["sample"]
    assert verb("data")[1] == out, "list is the default action"


def test_list_supports_json_and_markdown(verb: Verb) -> None:
    rows = json.loads(verb("data", "list", "format=json")[1])
    assert {"sample", "madewithml"} <= {row["data"] for row in rows}
    assert all(len(row["what"]) > 20 for row in rows), "every config opens with a description"
    assert verb("data", "list", "format=md")[1].startswith("| data | what |\n| --- | --- |\n")


def test_describe_reports_facts_of_sample(verb: Verb) -> None:
    code, out, err = verb("data", "describe")
    assert (code, err) == (0, "")
    description = json.loads(verb("data", "describe", "format=json")[1])
    records = len((CONF.parent / "data/sample/projects.jsonl").read_text(encoding="utf-8").splitlines())
    assert description["records"] == description["rows_read"] == records == sum(description["parts"].values())
    facts = {line[:18].strip(): line[18:].strip() for line in out.split("\n\n")[0].splitlines()}
    assert facts["data"] == "sample (multilabel)"
    assert facts["records"] == f"{records:,}"
    for part, count in description["parts"].items():
        assert f"{count:,} {part}" in facts["split"]
    assert facts["dataset version"] == description["dataset_version"][:12]
    assert facts["dates"] == f"{description['dates']['first'][:10]} to {description['dates']['last'][:10]}"


@pytest.mark.parametrize("data", ["sample", "sample split.method=temporal"])
def test_sample_has_no_findings(data: str, verb: Verb) -> None:
    description = json.loads(verb("data", "describe", "format=json", *f"data={data}".split())[1])
    assert description["problems"] == []
    assert (description["split_dropped"], description["split_leaked"]) == (0, 0)


def test_labels_are_sorted_by_frequency_and_add_up(verb: Verb) -> None:
    table = verb("data", "describe")[1].split("\n\n")[1].splitlines()
    assert table[0].split() == ["label", "records", "train", "val", "test"]
    counts = [[int(cell) for cell in line.split()[1:]] for line in table[1:]]
    assert [count[0] for count in counts] == sorted((count[0] for count in counts), reverse=True)
    assert all(total == sum(parts) for total, *parts in counts)


def test_describe_applies_overrides(verb: Verb) -> None:
    description = json.loads(verb("data", "describe", "format=json", "split.test=0.4", "data.filter.min_records=60")[1])
    assert description["parts"]["test"] / description["records"] == pytest.approx(0.4, abs=0.05)
    assert all(sum(parts.values()) >= 60 for parts in description["label_counts"].values())


def test_describe_prints_markdown_table(verb: Verb) -> None:
    assert "| label | records | train | val | test |" in verb("data", "describe", "format=md")[1]


def test_describe_writes_nothing(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    verb("data", "describe")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tickets_dir")
def test_describe_reports_left_out_rows_of_custom_data(verb: Verb) -> None:
    code, out, err = verb("data", "describe", "--config-dir", "mine", "data=tickets")
    assert (code, err) == (0, "")
    description = json.loads(verb("data", "describe", "--config-dir=mine", "data=tickets", "format=json")[1])
    assert (description["rows_read"], description["records"]) == (64, 60)
    assert set(description["label_counts"]) == {"login", "billing", "bug"}
    assert description["left_out"] == {"records": {"records without a label": 1}, "labels": {"excluded": 1}}
    dropped = {
        problem["kind"]: problem["first"] for problem in description["problems"] if problem["outcome"] == "dropped"
    }
    assert set(dropped) == {"duplicate id", "bad date", "empty text"}
    assert "tickets.csv, row 62" in dropped["duplicate id"]
    assert "'yesterday'" in dropped["bad date"]
    for text in ("1 records without a label", "1 labels excluded", "1 x duplicate id", "tickets.csv, row 64"):
        assert text in out


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (",bug,", ",nan,", ["label that may be a missing value", "'nan'", "20 of 61", "data.missing=[nan]"]),
        ("login,2026-01-01", "Login,2026-01-01", ["labels that look alike", "'Login'", "'login'", "case"]),
        (",bug,2026-01-03", ",bug,9999-12-31", ["date that may mean no date", "9999-12-31", "data.missing"]),
        ("zzzzz,bug,", "zzzzz bug,bug,", ["label whose name is in its texts", "label 'bug'", "data.text"]),
    ],
)
def test_describe_prints_findings_with_number_place_and_key(
    old: str, new: str, parts: list[str], tickets_dir: Path, verb: Verb
) -> None:
    path = tickets_dir / "tickets.csv"
    path.write_text(path.read_text().replace(old, new))
    code, out, err = verb("data", "describe", "--config-dir", "mine", "data=tickets")
    assert (code, err) == (0, "")
    findings = [line for line in out.splitlines() if line.startswith("finding")]
    for part in parts:
        assert any(part in line for line in findings), (part, out)


def test_describe_reports_columns_that_mark_rows_to_leave_out(tickets_dir: Path, verb: Verb) -> None:
    path = tickets_dir / "tickets.csv"
    header, *rows = path.read_text().splitlines()
    answers = [f"{row},{'reject' if index % 10 == 3 else 'accept'}" for index, row in enumerate(rows)]
    path.write_text("\n".join([f"{header},answer", *answers]))
    out = verb("data", "describe", "--config-dir", "mine", "data=tickets")[1]
    [line] = [line for line in out.splitlines() if "column 'answer'" in line]
    assert line.startswith("finding")
    assert "data.filter.where={answer: [accept]}" in line


def test_describe_refuses_settings_that_match_nothing(tickets_dir: Path, verb: Verb) -> None:
    describe = ("data", "describe", "--config-dir", "mine", "data=tickets")
    path = tickets_dir / "mine" / "data" / "tickets.yaml"
    config = path.read_text()
    for old, new, parts in (
        ("exclude: [misc]", "exclude: [msic]", ["data.filter.exclude", "'msic'", "'misc'"]),
        ("drop_bad", "slices: {a: {kind: labels, labels: [bgu]}}\ndrop_bad", ["slices.a.labels", "'bgu'", "'bug'"]),
        ("drop_bad", "slices: {a: {kind: column, column: topics}}\ndrop_bad", ["slices.a.column", "'topics'"]),
        ("drop_bad", "slices: {a: {kind: column, column: body}}\ndrop_bad", ["slices.a.column", "60 values", "1.0"]),
    ):
        path.write_text(config.replace(old, new))
        code, out, err = verb(*describe)
        assert (code, out) == (2, ""), new
        for part in parts:
            assert part in err


@pytest.mark.usefixtures("tickets_dir")
def test_list_includes_data_sets_of_config_dir(verb: Verb) -> None:
    code, out, _ = verb("data", "list", "--config-dir", "mine")
    assert code == 0
    assert "Tickets of a help desk." in out
    assert "sample" in out


def test_list_reports_what_is_wrong_with_a_file(verb: Verb, tmp_path: Path) -> None:
    files = {"a": b"# \xff\n", "b": b"name: [\n", "c": b"- name\n", "d": b"name: ${oops\n"}
    (tmp_path / "data").mkdir()
    for name, content in files.items():
        (tmp_path / f"data/{name}.yaml").write_bytes(content)
    code, out, err = verb("data", "list", f"--config-dir={tmp_path}", "format=json")
    assert (code, err) == (0, "")
    rows = {row["data"]: row["what"] for row in json.loads(out)}
    assert all(f"data/{name}.yaml" in rows[name] for name in files)
    reasons = {"a": "not UTF-8", "b": "not valid YAML", "c": "keys with values", "d": "${oops"}
    assert all(reason in rows[name] for name, reason in reasons.items())
    assert "sample" in rows


@pytest.mark.usefixtures("tickets_dir")
def test_all_bad_rows_are_reported(verb: Verb) -> None:
    code, out, err = verb("data", "describe", "--config-dir", "mine", "data=tickets", "data.drop_bad_rows=false")
    assert (code, out) == (2, "")
    assert "2 bad rows" in err
    assert "row 62" in err
    assert "row 63" in err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["descrbe"], ["descrbe", "'describe'"]),
        (["list", "data=sample"], ["data=sample"]),
        (["list", "format=xml"], ["format", "json, md, table"]),
        (["describe", "data=sampel"], ["data=sampel", "'sample'"]),
        (["describe", "data=null"], ["data"]),
        (["describe", "seeed=1"], ["'seeed'", "'seed'"]),
        (["describe", "data.records.path=nowhere.csv"], ["nowhere.csv"]),
        (["describe", "--config-dir", "nowhere"], ["nowhere"]),
        (["describe", "sample"], ["sample"]),
    ],
)
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("data", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


TAGS = '[{"tag": "login"}]'
ROWS = "ticket,body,topics,opened\n1,cannot sign in,login,2026-01-01\n"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a local directory over HTTP and yield its URL; downloads are cached in another directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path / "cache"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "tickets.csv").write_text(ROWS)
    (tmp_path / "served" / "tags.json").write_text(TAGS)
    http = HTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    thread.join()
    http.server_close()


def write_config(url: str, *, rows: str = ROWS, taxonomy: str = "somewhere/tags.json") -> None:
    """Write mine/data/tickets.yaml with the SHA-256 of these rows."""
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (rows, TAGS)]
    lines = [
        *TICKETS_CONFIG.replace("records: {path: tickets.csv}", "").splitlines(),
        f"records: {{path: somewhere/tickets.csv, url: {url}/tickets.csv, sha256: {hashes[0]}}}",
        f"taxonomy: {{path: {taxonomy}, url: {url}/tags.json, sha256: {hashes[1]}}}",
    ]
    Path("mine", "data").mkdir(parents=True, exist_ok=True)
    Path("mine", "data", "tickets.yaml").write_text("\n".join(lines) + "\n")


def read_data_files() -> dict[str, str]:
    return {path.name: path.read_text() for path in Path("data", "tickets").iterdir()}


FETCH = ("data", "fetch", "--config-dir", "mine", "data=tickets")


def test_fetch_writes_files_where_pipeline_reads_them(url: str, verb: Verb) -> None:
    write_config(url)
    code, out, err = verb(*FETCH)
    assert (code, err) == (0, "")
    assert read_data_files() == {"tickets.csv": ROWS, "tags.json": TAGS}
    header, *rows = [line.split() for line in out.splitlines()]
    assert header == ["file", "what", "bytes", "sha256"]
    assert [row[:3] for row in rows] == [
        ["data/tickets/tickets.csv", "records", str(len(ROWS))],
        ["data/tickets/tags.json", "taxonomy", str(len(TAGS))],
    ]
    assert rows[1][3] == hashlib.sha256(TAGS.encode()).hexdigest()[:12]


def test_fetch_supports_json_and_markdown(url: str, verb: Verb) -> None:
    write_config(url)
    rows = json.loads(verb(*FETCH, "format=json")[1])
    assert [row["what"] for row in rows] == ["records", "taxonomy"]
    assert verb(*FETCH, "format=md")[1].startswith("| file | what | bytes | sha256 |\n")


def test_fetch_copies_local_files_without_network(url: str, verb: Verb) -> None:
    write_config(f"{url}/nothing-is-here")
    Path("somewhere").mkdir()
    Path("somewhere", "tickets.csv").write_text(ROWS)
    Path("somewhere", "tags.json").write_text(TAGS)
    assert verb(*FETCH)[0] == 0
    assert read_data_files() == {"tickets.csv": ROWS, "tags.json": TAGS}


def test_wrong_checksum_keeps_previous_files(url: str, verb: Verb) -> None:
    write_config(url)
    assert verb(*FETCH)[0] == 0
    write_config(url, rows="what was promised")
    code, out, err = verb(*FETCH)
    assert (code, out) == (2, "")
    assert "records" in err
    assert hashlib.sha256(b"what was promised").hexdigest() in err
    assert read_data_files() == {"tickets.csv": ROWS, "tags.json": TAGS}


def test_fetch_replaces_old_version(url: str, verb: Verb) -> None:
    write_config(url)
    assert verb(*FETCH)[0] == 0
    new_rows = f"{ROWS}2,no invoice,billing,2026-01-02\n"
    Path("served", "tickets.csv").write_text(new_rows)
    write_config(url, rows=new_rows)
    assert verb(*FETCH)[0] == 0
    assert read_data_files() == {"tickets.csv": new_rows, "tags.json": TAGS}


def test_fetch_rejects_two_files_with_same_name(url: str, verb: Verb) -> None:
    write_config(url, taxonomy="elsewhere/tickets.csv")
    code, _, err = verb(*FETCH)
    assert code == 2, "both would become data/tickets/tickets.csv"
    assert "tickets.csv" in err


def test_fetch_requires_the_name_of_the_config_file(url: str, verb: Verb) -> None:
    write_config(url)
    path = Path("mine", "data", "tickets.yaml")
    path.write_text(path.read_text().replace("name: tickets", "name: helpdesk"))
    code, _, err = verb(*FETCH)
    assert code == 2, "dvc.yaml depends on data/tickets"
    assert "helpdesk" in err
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["fetch", "data=sampel"], "'sample'"),
        (["fetch", "data.records.path=nowhere.csv"], "nowhere.csv"),
        (["fetch", "dta=sample"], "'dta'"),
        (["fetch", "--config-dir", "nowhere"], "no such directory"),
    ],
)
def test_fetch_with_invalid_arguments_writes_nothing(
    arguments: list[str], part: str, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = verb("data", *arguments)
    assert (code, out) == (2, "")
    assert part in err
    assert not Path("data").exists()


@pytest.mark.parametrize(("leaks", "used"), [("drop_from_train", "23 (20 in train, val and test)"), ("report", "23")])
def test_describe_states_dropped_leaks_once(
    leaks: str, used: str, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    rows = [f"{row},word {'abcdefghijklmnopqrstuv'[row] * 9},{'xy'[row % 2]},{part}" for row, part in enumerate(parts)]
    rows += [f"{30 + row},word {'abcdefghijklmnopqrstuv'[16 + row] * 9},{'xy'[row % 2]},train" for row in range(3)]
    (tmp_path / "given.csv").write_text("\n".join(["id,text,label,part", *rows]) + "\n")
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "given.yaml").write_text(
        "defaults: [base_data, _self_]\nname: given\nrecords: {path: given.csv}\nid: id\ntext: [text]\n"
        "labels: {column: label, kind: single}\nsplit: {method: given, column: part}\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, err = verb("data", "describe", "--config-dir", "mine", "data=given", f"split.leaks={leaks}")
    assert (code, err) == (0, "")
    lines = out.split("\n\n")[0].splitlines()
    [records] = [line for line in lines if line.startswith("records ")]
    assert records.split(maxsplit=1)[1] == used
    dropped = [line for line in lines if "split.leaks=drop_from_train" in line]
    assert [line[:18].strip() for line in dropped] == (["left out"] if leaks == "drop_from_train" else [])
    assert not [line for line in lines if "records dropped" in line]

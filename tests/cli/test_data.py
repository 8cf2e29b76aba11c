import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from ratchet.project import CONF

Verb = Callable[..., tuple[int, str, str]]

OWN = """\
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
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of 60 tickets with some bad rows, and the config that reads it, under mine/."""
    words = {"login": "password account sign", "billing": "invoice card refund", "bug": "crash error freeze"}
    rows = ["ticket,body,topics,opened"]
    for index in range(60):
        topic = list(words)[index % 3]
        rows.append(
            f"{index},{words[topic]} number {index} {'xyz'[index % 3] * 5},{topic},2026-01-{index % 28 + 1:02d}"
        )
    rows += [
        "0,the same id again,login,2026-01-01",  # row 62, the header being row 1
        "61,nobody knows this day,bug,yesterday",
        "62,,bug,2026-01-01",
        "63,something else,misc,2026-01-01",
    ]
    (tmp_path / "tickets.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "tickets.yaml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_data_set_is_listed_with_what_it_is(verb: Verb) -> None:
    code, out, _ = verb("data", "list")
    assert code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in out.splitlines()[1:]}
    assert set(lines) == {path.stem for path in (CONF / "data").glob("*.yaml")}
    assert "720 synthetic" in lines["sample"]
    assert verb("data")[1] == out, "without an action it lists"


def test_the_list_is_there_for_programs_and_for_markdown(verb: Verb) -> None:
    rows = json.loads(verb("data", "list", "format=json")[1])
    assert {"sample", "madewithml"} <= {row["data"] for row in rows}
    assert all(len(row["what"]) > 20 for row in rows), "a config opens with a line that says what it is"
    assert verb("data", "list", "format=md")[1].startswith("| data | what |\n| --- | --- |\n")


def test_the_sample_is_described(verb: Verb) -> None:
    code, out, err = verb("data", "describe")
    assert (code, err) == (0, "")
    found = json.loads(verb("data", "describe", "format=json")[1])
    records = len((CONF.parent / "data/sample/projects.jsonl").read_text(encoding="utf-8").splitlines())
    assert found["records"] == found["rows_read"] == records == sum(found["parts"].values())
    facts = {line[:18].strip(): line[18:].strip() for line in out.split("\n\n")[0].splitlines()}
    assert facts["data"] == "sample (multilabel)"
    assert facts["records"] == f"{records:,}"
    for part, count in found["parts"].items():
        assert f"{count:,} {part}" in facts["split"]
    assert facts["dataset version"] == found["dataset_version"][:12]
    assert facts["dates"] == f"{found['dates']['first'][:10]} to {found['dates']['last'][:10]}"


def test_labels_are_listed_from_the_most_frequent_on_and_add_up(verb: Verb) -> None:
    table = verb("data", "describe")[1].split("\n\n")[1].splitlines()
    assert table[0].split() == ["label", "records", "train", "val", "test"]
    counts = [[int(cell) for cell in line.split()[1:]] for line in table[1:]]
    assert [count[0] for count in counts] == sorted((count[0] for count in counts), reverse=True)
    assert all(total == sum(parts) for total, *parts in counts)


def test_overrides_are_understood(verb: Verb) -> None:
    found = json.loads(verb("data", "describe", "format=json", "split.test=0.4", "data.filter.min_records=60")[1])
    assert found["parts"]["test"] / found["records"] == pytest.approx(0.4, abs=0.05)
    assert all(sum(parts.values()) >= 60 for parts in found["label_counts"].values())


def test_markdown(verb: Verb) -> None:
    assert "| label | records | train | val | test |" in verb("data", "describe", "format=md")[1]


def test_nothing_is_written(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    verb("data", "describe")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("own")
def test_data_of_ones_own_are_described_with_all_that_was_left_out(verb: Verb) -> None:
    code, out, err = verb("data", "describe", "--config-dir", "mine", "data=tickets")
    assert (code, err) == (0, "")
    found = json.loads(verb("data", "describe", "--config-dir=mine", "data=tickets", "format=json")[1])
    assert (found["rows_read"], found["records"]) == (64, 60)
    assert set(found["label_counts"]) == {"login", "billing", "bug"}
    assert found["left_out"] == {"records": {"records without a label": 1}, "labels": {"excluded": 1}}
    dropped = {each["kind"]: each["first"] for each in found["problems"] if each["outcome"] == "dropped"}
    assert set(dropped) == {"duplicate id", "bad date", "empty text"}
    assert "tickets.csv, row 62" in dropped["duplicate id"]
    assert "'yesterday'" in dropped["bad date"]
    for text in ("1 records without a label", "1 labels excluded", "1 x duplicate id", "tickets.csv, row 64"):
        assert text in out


@pytest.mark.usefixtures("own")
def test_data_sets_of_ones_own_are_listed(verb: Verb) -> None:
    code, out, _ = verb("data", "list", "--config-dir", "mine")
    assert code == 0
    assert "Tickets of a help desk." in out
    assert "sample" in out


@pytest.mark.usefixtures("own")
def test_bad_rows_are_all_named(verb: Verb) -> None:
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
def test_a_mistake_is_explained(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("data", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


TAGS = '[{"tag": "login"}]'
ROWS = "ticket,body,topics,opened\n1,cannot sign in,login,2026-01-01\n"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the files of a directory of this machine are served; what is fetched is cached in another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path / "cache"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "tickets.csv").write_text(ROWS)
    (tmp_path / "served" / "tags.json").write_text(TAGS)
    http = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    thread.join()
    http.server_close()


def configure(url: str, *, rows: str = ROWS, taxonomy: str = "somewhere/tags.json") -> None:
    """mine/data/tickets.yaml, with the sha256 of these rows."""
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (rows, TAGS)]
    lines = [
        *OWN.replace("records: {path: tickets.csv}", "").splitlines(),
        f"records: {{path: somewhere/tickets.csv, url: {url}/tickets.csv, sha256: {hashes[0]}}}",
        f"taxonomy: {{path: {taxonomy}, url: {url}/tags.json, sha256: {hashes[1]}}}",
    ]
    Path("mine", "data").mkdir(parents=True, exist_ok=True)
    Path("mine", "data", "tickets.yaml").write_text("\n".join(lines) + "\n")


def files_of_the_data_set() -> dict[str, str]:
    return {path.name: path.read_text() for path in Path("data", "tickets").iterdir()}


FETCH = ("data", "fetch", "--config-dir", "mine", "data=tickets")


def test_the_files_of_a_data_set_are_put_where_the_pipeline_reads_them(url: str, verb: Verb) -> None:
    configure(url)
    code, out, err = verb(*FETCH)
    assert (code, err) == (0, "")
    assert files_of_the_data_set() == {"tickets.csv": ROWS, "tags.json": TAGS}
    header, *rows = [line.split() for line in out.splitlines()]
    assert header == ["file", "what", "bytes", "sha256"]
    assert [row[:3] for row in rows] == [
        ["data/tickets/tickets.csv", "records", str(len(ROWS))],
        ["data/tickets/tags.json", "taxonomy", str(len(TAGS))],
    ]
    assert rows[1][3] == hashlib.sha256(TAGS.encode()).hexdigest()[:12]


def test_what_was_fetched_is_there_for_programs_and_for_markdown(url: str, verb: Verb) -> None:
    configure(url)
    rows = json.loads(verb(*FETCH, "format=json")[1])
    assert [row["what"] for row in rows] == ["records", "taxonomy"]
    assert verb(*FETCH, "format=md")[1].startswith("| file | what | bytes | sha256 |\n")


def test_a_file_of_this_machine_is_copied_without_a_word_to_the_network(url: str, verb: Verb) -> None:
    configure(f"{url}/nothing-is-here")
    Path("somewhere").mkdir()
    Path("somewhere", "tickets.csv").write_text(ROWS)
    Path("somewhere", "tags.json").write_text(TAGS)
    assert verb(*FETCH)[0] == 0
    assert files_of_the_data_set() == {"tickets.csv": ROWS, "tags.json": TAGS}


def test_wrong_content_stops_and_leaves_what_was_there(url: str, verb: Verb) -> None:
    configure(url)
    assert verb(*FETCH)[0] == 0
    configure(url, rows="what was promised")
    code, out, err = verb(*FETCH)
    assert (code, out) == (2, "")
    assert "records" in err
    assert hashlib.sha256(b"what was promised").hexdigest() in err
    assert files_of_the_data_set() == {"tickets.csv": ROWS, "tags.json": TAGS}


def test_a_new_version_takes_the_place_of_the_old_one(url: str, verb: Verb) -> None:
    configure(url)
    assert verb(*FETCH)[0] == 0
    more = f"{ROWS}2,no invoice,billing,2026-01-02\n"
    Path("served", "tickets.csv").write_text(more)
    configure(url, rows=more)
    assert verb(*FETCH)[0] == 0
    assert files_of_the_data_set() == {"tickets.csv": more, "tags.json": TAGS}


def test_two_files_of_one_name_do_not_take_each_others_place(url: str, verb: Verb) -> None:
    configure(url, taxonomy="elsewhere/tickets.csv")
    code, _, err = verb(*FETCH)
    assert code == 2, "data/tickets/ has room for one of them"
    assert "tickets.csv" in err


def test_files_of_a_data_set_are_put_under_the_name_that_it_is_chosen_by(url: str, verb: Verb) -> None:
    configure(url)
    path = Path("mine", "data", "tickets.yaml")
    path.write_text(path.read_text().replace("name: tickets", "name: helpdesk"))
    code, _, err = verb(*FETCH)
    assert (code == 0 and Path("data", "tickets", "tickets.csv").is_file()) or "name" in err, (
        "dvc.yaml watches data/tickets"
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["fetch", "data=sampel"], "'sample'"),
        (["fetch", "data.records.path=nowhere.csv"], "nowhere.csv"),
        (["fetch", "dta=sample"], "'dta'"),
        (["fetch", "--config-dir", "nowhere"], "no such directory"),
    ],
)
def test_a_mistake_fetches_nothing(
    arguments: list[str], part: str, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = verb("data", *arguments)
    assert (code, out) == (2, "")
    assert part in err
    assert not Path("data").exists()

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.commands import PROJECT

from ratchet.config import DataConfig, FileConfig, RecordsConfig, RecordsLayout, SplitMethod
from ratchet.data.sources import Source, list_sources, read_file
from ratchet.errors import UserError

CONTENT = b"id,text\n1,hello\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER_SHA256 = hashlib.sha256(b"something else").hexdigest()


class Server:
    """An HTTP server on the loopback interface that serves CONTENT at /data.csv and records the requested paths."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                exists = self.path == "/data.csv"
                self.send_response(200 if exists else 404)
                self.send_header("Content-Length", str(len(CONTENT) if exists else 0))
                self.end_headers()
                if exists:
                    self.wfile.write(CONTENT)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/data.csv"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv("RATCHET_CACHE", str(directory))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return directory


@pytest.fixture
def server(cache: Path) -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_bytes(CONTENT)
    return path


def test_local_file_has_its_name_and_hash(file: Path) -> None:
    content = read_file(FileConfig(path=str(file)), "records")
    assert content.data == CONTENT
    assert content.name == str(file)
    assert content.sha256 == SHA256


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper()])
def test_configured_sha256_is_accepted_in_either_case(file: Path, sha256: str) -> None:
    assert read_file(FileConfig(path=str(file), sha256=sha256), "records").data == CONTENT


def test_wrong_content_error_names_both_hashes(file: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_file(FileConfig(path=str(file), sha256=OTHER_SHA256), "taxonomy")
    message = str(caught.value)
    assert message.startswith("taxonomy: ")
    assert str(file) in message
    assert SHA256 in message
    assert OTHER_SHA256 in message


def test_missing_file_error_names_searched_directories(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        read_file(FileConfig(path="nowhere/data.csv"), "records")
    message = str(caught.value)
    assert message.startswith("records: nowhere/data.csv")
    assert str(tmp_path) in message
    assert str(project) in message


def test_null_path_is_reported_as_missing() -> None:
    with pytest.raises(UserError, match=r"taxonomy: .*path"):
        read_file(FileConfig(path=None), "taxonomy")


def test_directory_is_rejected_as_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_file(FileConfig(path=str(tmp_path)), "records")


def test_relative_path_is_found_in_the_project(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = read_file(FileConfig(path="data/sample/tags.json"), "taxonomy")
    assert content.data == (project / "data/sample/tags.json").read_bytes()


def test_own_file_with_content_other_than_packaged_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/sample/tags.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"[]")
    with pytest.raises(UserError, match=r"taxonomy: data/sample/tags\.json.* another content"):
        read_file(FileConfig(path="data/sample/tags.json"), "taxonomy")


def test_own_copy_of_packaged_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/sample/tags.json"
    path.parent.mkdir(parents=True)
    path.write_bytes((PROJECT / "data/sample/tags.json").read_bytes())
    assert read_file(FileConfig(path="data/sample/tags.json"), "taxonomy").name == "data/sample/tags.json"


def test_file_in_root_of_project_is_found_from_subdirectory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ratchet.yaml").touch()
    (tmp_path / "own.csv").write_bytes(CONTENT)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert read_file(FileConfig(path="own.csv"), "records").data == CONTENT


def test_tilde_is_expanded_to_the_home_directory(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_file(FileConfig(path="~/data.csv"), "records").data == CONTENT


def test_url_without_sha256_is_rejected_before_fetching(server: Server) -> None:
    with pytest.raises(UserError, match="sha256") as caught:
        read_file(FileConfig(path=server.url), "records")
    assert server.url in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper()])
def test_url_is_fetched_once_and_then_cached(server: Server, cache: Path, sha256: str) -> None:
    file = FileConfig(path=server.url, sha256=sha256)
    first, second = read_file(file, "records"), read_file(file, "records")
    assert first == second
    assert first.data == CONTENT
    assert first.name.endswith(".csv")
    assert Path(first.name).parent == cache
    assert server.requests == ["/data.csv"]


def test_damaged_cache_is_fetched_again(server: Server) -> None:
    file = FileConfig(path=server.url, sha256=SHA256)
    Path(read_file(file, "records").name).write_bytes(b"cut off")
    assert read_file(file, "records").data == CONTENT
    assert len(server.requests) == 2


def test_fetched_content_with_wrong_hash_is_not_cached(server: Server, cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_file(FileConfig(path=server.url, sha256=OTHER_SHA256), "records")
    assert server.url in str(caught.value)
    assert OTHER_SHA256 in str(caught.value)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_existing_file_is_not_fetched(server: Server, file: Path) -> None:
    content = read_file(FileConfig(path=str(file), url=server.url, sha256=SHA256), "records")
    assert content.name == str(file)
    assert server.requests == []


def test_missing_file_is_fetched_from_its_url(server: Server, tmp_path: Path) -> None:
    missing = FileConfig(path=str(tmp_path / "absent.csv"), url=server.url, sha256=SHA256)
    assert read_file(missing, "records").data == CONTENT
    assert server.requests == ["/data.csv"]


def test_http_error_is_reported_with_its_status(server: Server) -> None:
    with pytest.raises(UserError, match="404"):
        read_file(FileConfig(path=f"{server.url}.old", sha256=SHA256), "records")


def test_unreachable_server_error_suggests_offline_remedy(cache: Path, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/data.csv"
    missing = tmp_path / "absent.csv"
    with pytest.raises(UserError) as caught:
        read_file(FileConfig(path=str(missing), url=url, sha256=SHA256), "records")
    message = str(caught.value)
    assert str(missing) in message
    assert url in message
    assert "refused" in message
    assert "environment variable" in message
    assert "\n" not in message


def write(directory: Path, *names: str) -> Path:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    return directory


def list_from(method: SplitMethod = SplitMethod.stratified, **records: Any) -> list[Source]:
    records = {key: str(value) if isinstance(value, Path) else value for key, value in records.items()}
    data = DataConfig(name="own", records=RecordsConfig(**records), text=["text"])
    data.split.method = method
    return list_sources(data)


def test_single_file_has_no_prefix(file: Path) -> None:
    assert list_from(path=file) == [Source(str(file), file)]


def test_files_of_a_directory_are_sorted_and_prefix_their_ids(tmp_path: Path) -> None:
    write(tmp_path, "b.csv", "a.csv.gz", ".hidden.csv", "_SUCCESS", "inner/c.csv", ".cache/d.csv")
    sources = list_from(path=tmp_path)
    assert [source.path for source in sources] == [tmp_path / "a.csv.gz", tmp_path / "b.csv"]
    assert [source.id_prefix for source in sources] == ["a.csv.gz:", "b.csv:"]


def test_ids_stay_the_same_when_a_file_is_added(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    [first] = list_from(path=tmp_path)
    write(tmp_path, "b.csv")
    assert list_from(path=tmp_path)[0] == first


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("part-*.csv", ["part-1.csv", "part-2.csv"]),
        ("part-?.csv*", ["part-1.csv", "part-2.csv", "part-3.csv.gz"]),
        ("**/part-*.csv", ["new/part-9.txt.csv", "old/part-1.csv", "part-1.csv", "part-2.csv"]),
        ("[no]*/*.csv", ["new/part-9.txt.csv", "old/part-1.csv"]),
    ],
)
def test_pattern_finds_files_with_unique_ids(pattern: str, names: list[str], tmp_path: Path) -> None:
    write(tmp_path, "part-2.csv", "part-1.csv", "part-3.csv.gz", "old/part-1.csv", "new/part-9.txt.csv")
    if pattern.startswith("**"):
        write(tmp_path, ".git/part-1.csv")
    sources = list_from(path=tmp_path / pattern)
    assert [source.path.relative_to(tmp_path).as_posix() for source in sources] == names
    assert [source.id_prefix for source in sources] == [f"{name}:" for name in names]


def test_file_whose_name_has_brackets_is_a_file(tmp_path: Path) -> None:
    write(tmp_path, "data[1].csv")
    assert [source.id_prefix for source in list_from(path=tmp_path / "data[1].csv")] == [""]


def test_pattern_is_looked_up_in_the_root_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "ratchet.yaml", "parts/a.csv", "parts/b.csv", "notebooks/x")
    (tmp_path / "ratchet.yaml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "notebooks")
    assert [source.path.name for source in list_from(path="parts/*.csv")] == ["a.csv", "b.csv"]
    assert [source.path.name for source in list_from(path="parts")] == ["a.csv", "b.csv"]


def test_pattern_without_a_match_lists_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, "part-1.tsv", "notes.md")
    with pytest.raises(UserError, match=r"no file matches.* has notes\.md, part-1\.tsv"):
        list_from(path=tmp_path / "part-*.csv")


def test_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    write(tmp_path, "tickets.csv")
    with pytest.raises(UserError, match=r"no such file .*did you mean 'tickets\.csv'"):
        list_from(path=tmp_path / "ticket.csv")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.csv", "b.csv", "README.md"], r"several formats \(2 \.csv, 1 \.md\).*/\*\.csv"),
        (["a.csv", "a.csv.gz"], r"a\.csv and a\.csv\.gz, probably the same records"),
        (["bug/1.txt", "ui/2.txt"], r"data\.records\.layout=directory"),
        (["2023/a.csv", "2024/a.csv"], r"the directories 2023, 2024.*/\*\*/\*\.csv"),
        ([".hidden"], "is empty"),
    ],
)
def test_directory_without_records_of_one_format_is_refused(names: list[str], message: str, tmp_path: Path) -> None:
    write(tmp_path / "data", *names)
    with pytest.raises(UserError, match=message):
        list_from(path=tmp_path / "data")


GIVEN = SplitMethod.given


def test_parts_are_given_by_files_directories_and_patterns(tmp_path: Path) -> None:
    write(tmp_path, "a/1.csv", "a/2.csv", "dev.csv", "test-1.csv", "test-2.csv")
    sources = list_from(GIVEN, train=tmp_path / "a", val=tmp_path / "dev.csv", test=tmp_path / "test-*.csv")
    assert [(source.part, source.id_prefix) for source in sources] == [
        *(("train", "1.csv:"), ("train", "2.csv:")),
        ("val", "dev.csv:"),
        *(("test", "test-1.csv:"), ("test", "test-2.csv:")),
    ]


def test_same_name_in_two_parts_has_the_part_in_its_prefix(tmp_path: Path) -> None:
    write(tmp_path, "a/rows.csv", "b/rows.csv")
    sources = list_from(GIVEN, train=tmp_path / "a/rows.csv", test=tmp_path / "b/rows.csv")
    assert [source.id_prefix for source in sources] == ["train/rows.csv:", "test/rows.csv:"]


def test_parts_below_keys_are_read_from_one_file(tmp_path: Path) -> None:
    write(tmp_path, "all.json")
    sources = list_from(GIVEN, path=tmp_path / "all.json", keys={"test": "oos", "train": "data.train"})
    assert [(source.part, source.under, source.id_prefix) for source in sources] == [
        ("train", "data.train", "train:"),
        ("test", "oos", "test:"),
    ]


def test_sha256_is_of_one_file(tmp_path: Path) -> None:
    write(tmp_path, "parts/a.csv")
    assert len(list_from(path=tmp_path / "parts", sha256=SHA256)) == 1
    with pytest.raises(UserError, match="sha256 is"):
        list_from(path=tmp_path / "parts", sha256=OTHER_SHA256)
    write(tmp_path, "parts/b.csv")
    with pytest.raises(UserError, match=r"data\.records\.sha256 is the hash of one file.* has several"):
        list_from(path=tmp_path / "parts", sha256=SHA256)
    with pytest.raises(UserError, match=r"data\.records\.sha256"):
        list_from(GIVEN, train=tmp_path / "parts/a.csv", test=tmp_path / "parts/b.csv", sha256=SHA256)


def test_part_that_is_a_url_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    with pytest.raises(UserError, match=r"records\.test: http.* download"):
        list_from(GIVEN, train=tmp_path / "a.csv", test="https://example.org/test.csv")


def test_given_split_needs_parts_or_a_column(file: Path) -> None:
    with pytest.raises(UserError, match=r"no parts.*data\.split\.column.*data\.records\.train"):
        list_from(GIVEN, path=file)


def test_directory_of_classes_is_one_source(tmp_path: Path) -> None:
    write(tmp_path, "docs/bug/1.txt", "docs/ui/2.txt")
    [source] = list_from(path=tmp_path / "docs", layout=RecordsLayout.directory)
    assert (source.path, source.id_prefix) == (tmp_path / "docs", "")
    with pytest.raises(UserError, match="needs a directory"):
        list_from(path=tmp_path / "docs/bug/1.txt", layout=RecordsLayout.directory)


def test_directories_of_classes_can_be_parts(tmp_path: Path) -> None:
    write(tmp_path, "train/bug/1.txt", "test/bug/1.txt")
    sources = list_from(GIVEN, train=tmp_path / "train", test=tmp_path / "test", layout=RecordsLayout.directory)
    assert [(source.part, source.id_prefix) for source in sources] == [("train", "train/"), ("test", "test/")]


def save_hugging_face(directory: Path, *names: str) -> None:
    write(directory, *names, "cache-1f.arrow")
    state = {"_data_files": [{"filename": name} for name in names], "_split": directory.name}
    (directory / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (directory / "dataset_info.json").write_text("{}", encoding="utf-8")


def test_saved_data_set_has_the_files_that_its_state_lists(tmp_path: Path) -> None:
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    save_hugging_face(tmp_path / "saved", *names)
    assert [source.path.name for source in list_from(path=tmp_path / "saved")] == names


def test_parts_of_a_saved_dictionary_are_given_parts(tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        save_hugging_face(tmp_path / "saved" / part, "data-00000-of-00001.arrow")
    (tmp_path / "saved/dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}', encoding="utf-8")
    sources = list_from(GIVEN, path=tmp_path / "saved")
    assert [source.part for source in sources] == ["train", "val", "test"]
    assert len({source.id_prefix for source in sources}) == 3
    with pytest.raises(UserError, match=r"parts train, val, test: set data\.split\.method=given"):
        list_from(path=tmp_path / "saved")
    assert len(list_from(path=tmp_path / "saved/*/data-*.arrow")) == 3


def test_saved_part_of_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "unsupervised"]}', encoding="utf-8")
    with pytest.raises(UserError, match=r"'unsupervised' is none of train, val and test"):
        list_from(GIVEN, path=tmp_path)


def test_path_and_parts_exclude_each_other(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b.csv", "c.csv")
    paths = {"path": tmp_path / "c.csv", "train": tmp_path / "a.csv", "test": tmp_path / "b.csv"}
    with pytest.raises(UserError, match=r"data\.records\.path and data\.records\.train, .* exclude"):
        list_from(GIVEN, **paths)

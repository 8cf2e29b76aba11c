import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.commands import PROJECT

from ratchet.config import DataConfig, FileConfig
from ratchet.data.sources import list_watched_files, read_file
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


@pytest.mark.parametrize(
    "path",
    [
        *(
            "projects.json",
            "data/own/projects.json",
            "/somewhere/else/projects.json",
            "~/projects.json",
            "a/projects.json/",
        ),
        *("https://example.org/raw/projects.json", "http://example.org/projects.json", "../projects.json"),
    ],
)
def test_watched_files_are_in_the_data_set_directory(path: str) -> None:
    data = DataConfig(name="own", records=FileConfig(path=path, url="https://example.org/other.json"))
    [(name, file, location)] = list_watched_files(data)
    assert (name, file.path, location) == ("records", path, Path("data", "own", "projects.json"))

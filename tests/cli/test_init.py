"""Tests for `ratchet init`: arguments, what it prints, exit codes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli.init import run
from ratchet.cli.main import run_guarded
from ratchet.project import MARKER

Init = Callable[..., tuple[int, str, str]]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Return a function that runs `ratchet init` in a directory that DVC tracks: exit code, stdout, stderr."""
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_guarded(lambda: run(list(arguments)))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """Write a CSV whose name has a space and an umlaut, and that has a column with a comma in its name."""
    rows = [f'"word{row % 7} nr {row}",text {row},{("a", "b", "a;b")[row % 3]}\n' for row in range(40)]
    path = tmp_path / "Tickets für uns.csv"
    path.write_text('"what, exactly",body,topics\n' + "".join(rows), encoding="utf-8")
    return path


def test_last_lines_are_the_next_commands(init: Init, tmp_path: Path) -> None:
    code, out, _ = init("my prö ject")
    assert code == 0
    assert [line.strip() for line in out.partition("next:\n")[2].splitlines()] == [
        "cd 'my prö ject'",
        "python train.py -m model=rule,regression",
        "ratchet compare",
        "dvc repro",
    ]
    assert (tmp_path / "my prö ject" / MARKER).is_file()


def test_default_is_the_working_directory(init: Init, tmp_path: Path) -> None:
    code, out, _ = init()
    assert code == 0
    assert (tmp_path / MARKER).is_file()
    assert "cd " not in out.partition("next:\n")[2]


def test_findings_about_the_data_are_printed_aligned(init: Init, tickets: Path, tmp_path: Path) -> None:
    code, out, err = init("new", f"data={tickets.name}", 'text="what, exactly",body', "labels=topics", "name=tickets")
    assert (code, err) == (0, "")
    facts = out.split("\n\n")[1].splitlines()
    assert len(facts) > 2
    starts = {len(line) - len(line.partition("  ")[2].lstrip()) for line in facts if not line.startswith(" ")}
    assert len(starts) == 1
    config = (tmp_path / "new" / "conf" / "data" / "tickets.yaml").read_text(encoding="utf-8")
    assert '"what, exactly"' in config or "'what, exactly'" in config


def test_dry_lists_every_file_and_writes_none(init: Init, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("mine", encoding="utf-8")
    code, out, _ = init("dry=true")
    assert code == 0
    rows = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in out.splitlines() if line.startswith("  ")}
    assert rows["README.md"] == "exists, stays as it is"
    assert rows[".gitignore"] == "append"
    assert rows["dvc.yaml"] == "new"
    assert rows["data/sample/projects.jsonl"].startswith("copy of ")
    assert {path.name for path in tmp_path.iterdir()} == {".dvc", "README.md", ".gitignore"}


def test_files_that_stay_are_listed(init: Init, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine", encoding="utf-8")
    _, out, _ = init()
    assert "left as it is  train.py" in out
    assert "ratchet train -m model=rule,regression" in out


def test_long_evidence_is_wrapped_with_an_indent(init: Init, tmp_path: Path) -> None:
    rows = [f"{row % 4 + 1},a longer text with the number {row}\n" for row in range(40)]
    (tmp_path / "a.csv").write_text("".join(rows), encoding="utf-8")
    code, out, _ = init("new", "data=a.csv", "labels=1", "dry=true")
    assert code == 0
    facts = out.split("\n\n")[1].splitlines()
    assert max(map(len, facts)) <= 80
    start = facts[0].index("csv")
    continued = [line for line in facts if line.startswith(" ")]
    assert continued
    assert all(line[:start].isspace() and not line[start].isspace() for line in continued)


@pytest.mark.parametrize("stated", ["true", "false"])
def test_header_can_be_stated(init: Init, tmp_path: Path, stated: str) -> None:
    rows = [f"{row % 4 + 1},a longer text with the number {row}\n" for row in range(40)]
    (tmp_path / "a.csv").write_text("".join(rows), encoding="utf-8")
    code, out, _ = init("new", "data=a.csv", "labels=1", f"header={stated}")
    assert code == 0
    assert f"{40 if stated == 'false' else 39} records" in out
    assert f"header    {stated}, " in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["one", "two"], "'two'"),
        (["--force"], "'--force'"),
        (["new", "lables=topics"], "'labels'"),
        (["new", "dry=perhaps"], "dry"),
        (["new", "labels=topics"], "data="),
        (["new", "header=false"], "data="),
        (["new", "data=nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_arguments_end_with_2_and_write_nothing(
    init: Init, tmp_path: Path, arguments: list[str], named: str
) -> None:
    code, out, err = init(*arguments)
    assert (code, out) == (2, "")
    assert named in err
    assert [path.name for path in tmp_path.iterdir()] == [".dvc"]


def test_project_inside_a_project_ends_with_2(init: Init, tmp_path: Path) -> None:
    assert init("outer")[0] == 0
    code, _, err = init("outer/inner")
    assert code == 2
    assert str(tmp_path / "outer" / "inner") in err
    assert not (tmp_path / "outer" / "inner").exists()


def test_variable_that_names_another_project_changes_nothing(
    init: Init, tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_PROJECT", str(tmp_path / "nowhere"))
    assert init("new", f"data={tickets.name}", "labels=topics", "text=body")[0] == 0
    assert (tmp_path / "new" / MARKER).is_file()

"""Test creating a project: what is written, what is left alone, and that errors and kills leave nothing."""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import PROJECT, git, run_command

from ratchet import extras
from ratchet.config import compose, register
from ratchet.contract import Status, make_subject, run_checks
from ratchet.data.prepared import prepare
from ratchet.errors import DiskFull, UserError
from ratchet.models import all_settings
from ratchet.pipeline.plan import read_pipeline
from ratchet.project import MARKER, PACKAGED, Project
from ratchet.scaffold import planning
from ratchet.scaffold.creating import create_project
from ratchet.scaffold.dvc_setup import choose_dvc_flags
from ratchet.scaffold.planning import extend_gitignore, plan_project
from ratchet.scaffold.writing import STAGING

TOPICS = {
    "login": "password sign account reset",
    "billing": "invoice charge refund card",
    "speed": "slow loading timeout wait",
}
IGNORED = (Path("data", "sample", "projects.jsonl"), Path("data", "sample", "tags.json"))
KILL = """
import os, signal, sys
from pathlib import Path
from ratchet.scaffold import creating, writing
writing.init_dvc = lambda root, flags: os.kill(os.getpid(), signal.SIGKILL)
creating.create_project(Path(sys.argv[1]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory that does not exist, below one that DVC tracks: `dvc init` takes two seconds."""
    (tmp_path / ".dvc").mkdir()
    return tmp_path / "prö jekt"


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """Write a CSV of 60 tickets with separated labels."""
    names = list(TOPICS)
    lines = ["number,subject,body,topics"]
    for row in range(60):
        labels = [names[row % 3], names[(row + 1) % 3]] if row % 4 == 0 else [names[row % 3]]
        words = " ".join(TOPICS[label] for label in labels)
        lines.append(f"{row},Ticket {row},{words} número {row},{';'.join(labels)}")
    path = tmp_path / "tickets.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def enter() -> Iterator[Callable[[Path], None]]:
    """Return a function that makes a project the current one."""
    before = Path.cwd()

    def change(root: Path) -> None:
        os.chdir(root)
        register(all_settings())

    yield change
    os.chdir(before)
    register(all_settings())


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make it look as if these modules were not installed."""
    is_found = extras._is_found
    monkeypatch.setattr(extras, "_is_found", lambda module: module not in modules and is_found(module))


def list_all(directory: Path) -> dict[str, bytes | None]:
    """Return the content of every file below a directory; None for a directory."""
    paths = directory.rglob("*")
    return {str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None for path in paths}


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# --- what is written --------------------------------------------------------------------------------------------------


def test_project_for_the_sample_composes_with_its_own_configuration(place: Path, enter: Callable[[Path], None]) -> None:
    created = create_project(place)
    assert created.data == "sample"
    assert created.plan.existing == ()
    assert Project.find(place / "notebooks") == Project(place)
    enter(place)
    config = compose(["model=neighbours"])
    assert (config.data.name, config.model.module, config.model.complexity) == ("sample", "neighbours", 2)
    assert read_pipeline(place / "params.yaml").models == ["rule", "regression"]
    for path in IGNORED:
        assert (place / path).read_bytes() == (PACKAGED / path).read_bytes()


def test_project_for_a_file_reads_its_records_from_the_copy(
    place: Path, tickets: Path, enter: Callable[[Path], None]
) -> None:
    created = create_project(place, data=tickets, text=["subject", "body"], labels="topics")
    assert created.data == "tickets"
    assert created.inspection is not None
    assert created.inspection.num_records == 60
    assert (place / "data" / "tickets" / "tickets.csv").read_bytes() == tickets.read_bytes()
    assert not (place / "data" / "sample").exists()
    tickets.unlink()
    enter(place)
    data = compose([]).data
    assert (data.name, data.text, data.labels.column) == ("tickets", ["subject", "body"], "topics")
    prepared = prepare(data)
    assert (len(prepared.records), sorted(prepared.labels)) == (60, sorted(TOPICS))
    assert read_pipeline(place / "params.yaml").data == "tickets"


def test_example_model_passes_the_contract(place: Path, tmp_path: Path, enter: Callable[[Path], None]) -> None:
    create_project(place)
    enter(place)
    subject = make_subject(compose(["model=neighbours"]).model, tmp_path)
    failed = [outcome for outcome in run_checks(subject) if outcome.status is Status.failed]
    assert failed == []


def test_every_configuration_refers_to_a_schema_that_exists(place: Path, tickets: Path) -> None:
    create_project(place, data=tickets)
    paths = [place / "params.yaml", *(place / "conf").rglob("*.yaml")]
    assert len(paths) == 4
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        references = [line.partition("$schema=")[2] for line in lines if line.startswith("# yaml-language-server:")]
        assert len(references) == 1, path
        assert json.loads((path.parent / references[0]).read_text(encoding="utf-8"))["properties"]


def test_pipeline_has_the_stages_of_this_repository(place: Path, project: Path) -> None:
    create_project(place)
    assert read_yaml(place / "dvc.yaml")["stages"] == read_yaml(project / "dvc.yaml")["stages"]


def test_pipeline_without_behavioural_tests_does_not_depend_on_them(place: Path, tickets: Path, project: Path) -> None:
    create_project(place, data=tickets)
    stages = read_yaml(project / "dvc.yaml")["stages"]
    stages["prepare"]["deps"].remove("data/behaviour")
    assert read_yaml(place / "dvc.yaml")["stages"] == stages


def test_marker_names_schema_and_version(place: Path) -> None:
    create_project(place)
    from ratchet import __version__

    assert read_yaml(place / MARKER) == {"schema": 1, "ratchet": __version__}


def test_git_ignores_records_and_outputs_only(place: Path, tickets: Path) -> None:
    create_project(place, data=tickets)
    git(place, "init", "-q")
    for name in ("runs/a", "build/b", "data/tickets/tickets.csv.dvc", "data/other/c", "promotions/d"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).touch()
    names = ["runs/a", "build/b", "data/tickets/tickets.csv", "data/tickets/tickets.csv.dvc", "data/other/c"]
    names += ["promotions/d", "models/neighbours.py", "conf/.schema/data.json", "ratchet.yaml", "dvc.yaml"]
    done = run_command("git", "check-ignore", *names, cwd=place)
    assert done.stdout.split() == ["runs/a", "build/b", "data/tickets/tickets.csv"]


@pytest.mark.parametrize("with_dvc", [True, False])
def test_workflow_gets_the_records_runs_everything_and_prints_the_leaderboard(
    place: Path, tickets: Path, monkeypatch: pytest.MonkeyPatch, with_dvc: bool
) -> None:
    if not with_dvc:
        hide(monkeypatch, "dvc")
    create_project(place, data=tickets.rename(tickets.with_name("my 'tickets'.csv")), name="tickets")
    steps = read_yaml(place / ".github" / "workflows" / "ratchet.yml")["jobs"]["pipeline"]["steps"]
    commands = [step["run"].strip() for step in steps if "run" in step]
    assert commands[0] == "pip install -r requirements.txt"
    assert run_command("bash", "-c", commands[1], cwd=place).returncode == 0, "the records are there"
    assert ("dvc repro" in commands) == with_dvc
    assert commands[-1].endswith('>>"$GITHUB_STEP_SUMMARY"')
    assert any("dvc" in command for command in commands) == with_dvc
    assert not [step for step in steps if "http" in str(step)]


def test_no_file_installs_another_project_of_that_name(place: Path) -> None:
    for path, content in plan_project(place).items():
        assert b"pip install ratchet" not in planning.encode_text(content), path


@pytest.mark.parametrize(
    ("requirement", "written", "is_local"),
    [
        ("ratchet-ml[pipeline,report]==0.2.0", "ratchet-ml[pipeline,report]==0.2.0", False),
        ("ratchet-ml @ file:///a%20b/r.whl", "ratchet-ml @ file:///a%20b/r.whl", True),
        ("-e /a b[report]", "-e '/a b[report]'", True),
    ],
)
def test_requirements_pin_ratchet_and_warn_of_a_local_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, requirement: str, written: str, is_local: bool
) -> None:
    monkeypatch.setattr(planning, "requirement_of_ratchet", lambda extras: requirement)
    lines = str(plan_project(place)[Path("requirements.txt")]).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [written]
    assert any("CI cannot install it" in line for line in lines) == is_local


def test_notebook_uses_the_public_names_only(place: Path) -> None:
    notebook = json.loads(plan_project(place)[Path("notebooks", "01_ladder.ipynb")])
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for source in sources:
        compile(source, "cell", "exec")
    imports = [line for source in sources for line in source.splitlines() if "import" in line]
    assert imports == ["from ratchet import Project, compare, load_run, load_scorer, train"]


def test_plan_for_doctor_is_what_is_written(place: Path) -> None:
    create_project(place)
    for path, content in plan_project(place).items():
        assert (place / path).read_bytes() == planning.encode_text(content), path


def test_schemas_are_those_of_the_package_in_another_project(
    place: Path, tmp_path: Path, enter: Callable[[Path], None]
) -> None:
    create_project(place)
    (place / "models" / "own.py").write_bytes((place / "models" / "neighbours.py").read_bytes())
    enter(place)
    assert Path("conf", ".schema", "model", "own.json") not in plan_project(tmp_path / "other")


# --- existing files ---------------------------------------------------------------------------------------------------


def test_existing_files_stay_and_are_listed(place: Path) -> None:
    place.mkdir()
    for name in ("README.md", "train.py", "requirements.txt", "models/neighbours.py"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("mine", encoding="utf-8")
    before = list_all(place)
    created = create_project(place)
    assert {path.as_posix() for path in created.plan.existing} == {
        *("README.md", "train.py", "requirements.txt", "models/neighbours.py")
    }
    assert list_all(place).items() >= before.items()
    assert not (place / "conf" / "model").exists(), "settings of another module than the example"
    assert created.next_commands[0].startswith("ratchet train ")
    assert any(planning.make_requirement() in note for note in created.notes)


def test_gitignore_is_extended_and_keeps_bytes_that_are_no_utf_8(place: Path) -> None:
    place.mkdir()
    (place / ".gitignore").write_bytes(b"caf\xe9\r\n/runs/\r\nlast")
    create_project(place)
    content = (place / ".gitignore").read_bytes()
    assert content.startswith(b"caf\xe9\r\n/runs/\r\nlast\r\n")
    assert content.splitlines().count(b"/runs/") == 1
    assert b"/build/" in content.splitlines()


@given(present=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")))
def test_extended_gitignore_begins_with_the_present_lines_and_is_stable(
    tmp_path_factory: pytest.TempPathFactory, present: str
) -> None:
    path = tmp_path_factory.mktemp("extended") / ".gitignore"
    path.write_text(present, encoding="utf-8", newline="")
    extended = extend_gitignore(path, "# words\n/runs/\n*.pyc\n")
    assert extended.startswith(present)
    assert {"/runs/", "*.pyc"} <= {line.strip() for line in extended.splitlines()}
    path.write_text(extended, encoding="utf-8", newline="")
    assert extend_gitignore(path, "# words\n/runs/\n*.pyc\n") == extended


@pytest.mark.parametrize("name", ["conf", "params.yaml", "dvc.yaml"])
def test_directory_with_files_that_ratchet_would_read_is_refused(place: Path, name: str) -> None:
    place.mkdir()
    (place / name).mkdir() if name == "conf" else (place / name).touch()
    before = list_all(place)
    with pytest.raises(UserError, match=f"{name} already"):
        create_project(place)
    assert list_all(place) == before


def test_project_inside_a_project_is_refused_with_both_locations(place: Path) -> None:
    create_project(place)
    inner = place / "sub" / "inner"
    with pytest.raises(UserError) as refused:
        create_project(inner)
    assert str(inner) in str(refused.value)
    assert f"the project {place} " in str(refused.value)
    assert not (place / "sub").exists()


def test_project_is_not_created_twice(place: Path) -> None:
    create_project(place)
    before = list_all(place)
    with pytest.raises(UserError, match="is a project already"):
        create_project(place)
    assert list_all(place) == before


def test_git_repository_inside_a_project_may_become_a_project(place: Path) -> None:
    create_project(place)
    (place / "inner" / ".git").mkdir(parents=True)
    (place / "inner" / ".dvc").mkdir()
    create_project(place / "inner")
    assert (place / "inner" / MARKER).is_file()


def test_records_that_are_in_place_are_not_copied(place: Path, tickets: Path) -> None:
    target = place / "data" / "tickets" / "tickets.csv"
    target.parent.mkdir(parents=True)
    tickets.rename(target)
    created = create_project(place, data=target)
    assert created.plan.existing == (Path("data", "tickets", "tickets.csv"),)


def test_other_records_of_the_same_name_are_not_overwritten(place: Path, tickets: Path) -> None:
    target = place / "data" / "tickets" / "tickets.csv"
    target.parent.mkdir(parents=True)
    target.write_text("other", encoding="utf-8")
    with pytest.raises(UserError, match="another content"):
        create_project(place, data=tickets)
    assert target.read_text(encoding="utf-8") == "other"
    assert not (place / "conf").exists()


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "sample"}, "called sample.*name="),
        ({"labels": "topic"}, "topics"),
        ({"text": ["subjekt"]}, "subject"),
        ({"id": "nummer"}, "number"),
    ],
)
def test_wrong_description_of_the_data_writes_nothing(
    place: Path, tickets: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        create_project(place, data=tickets, **arguments)
    assert not place.exists()


@pytest.mark.parametrize(
    ("arguments", "message"), [({"data": Path("nowhere.csv")}, r"nowhere\.csv"), ({"labels": "topics"}, "data=FILE")]
)
def test_missing_data_file_writes_nothing(place: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        create_project(place, **arguments)
    assert not place.exists()


@pytest.mark.parametrize("below", [Path(), Path("deeper", "still")])
def test_file_in_the_place_of_a_directory_is_named(tmp_path: Path, below: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    before = list_all(tmp_path)
    with pytest.raises(UserError, match=str(tmp_path / "file")):
        create_project(tmp_path / "file" / below)
    assert list_all(tmp_path) == before


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    """Let the move of the file of this number fail."""
    replace, left = Path.replace, [number]

    def replace_or_fail(self: Path, target: Path) -> Path:
        if STAGING in self.parts and ".tmp" not in self.name:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(code, os.strerror(code), str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_fail)


@pytest.mark.parametrize(
    ("code", "error", "exit_code"),
    [(errno.EACCES, UserError, 2), (errno.ENOSPC, DiskFull, 1), (errno.EIO, UserError, 2)],
)
@pytest.mark.parametrize("number", [0, 9, 27])
def test_error_in_the_middle_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int, error: type[UserError], exit_code: int
) -> None:
    fail_at(monkeypatch, number, code)
    with pytest.raises(error, match=str(place)) as raised:
        create_project(place / "a" / "b")
    assert raised.value.exit_code == exit_code
    assert not place.exists()


@pytest.mark.parametrize("number", [3, 28])
def test_error_in_the_middle_restores_an_existing_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (place / "models").mkdir(parents=True)
    (place / ".gitignore").write_bytes(b"mine")
    before = list_all(place)
    fail_at(monkeypatch, number, errno.EACCES)
    with pytest.raises(UserError):
        create_project(place)
    assert list_all(place) == before


def test_interrupt_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        create_project(place)
    assert not place.exists()


def test_no_permission_for_the_first_directory_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = Path.mkdir

    def refuse(self: Path, *arguments: Any, **keywords: Any) -> None:
        if self.name == STAGING:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        mkdir(self, *arguments, **keywords)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=f"{place}: Permission denied") as raised:
        create_project(place)
    assert raised.value.exit_code == 2
    assert not place.exists()


def test_directory_that_is_not_writable_is_named(place: Path) -> None:
    place.mkdir(mode=0o500)
    if os.access(place, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(UserError, match=str(place)):
        create_project(place)
    assert list_all(place) == {}


# --- killed, or at the same time --------------------------------------------------------------------------------------


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Return a directory in which `ratchet init` was killed after it had moved everything except ratchet.yaml."""
    root = tmp_path / "killed ä"
    root.mkdir()
    (root / ".gitignore").write_text("mine\n", encoding="utf-8")
    done = run_command(sys.executable, "-c", KILL, root, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (root / "dvc.yaml").is_file()
    assert not (root / MARKER).exists()
    (tmp_path / ".dvc").mkdir()
    return root


def test_init_after_a_kill_starts_again(killed: Path) -> None:
    created = create_project(killed)
    assert created.recovered
    assert (killed / MARKER).is_file()
    assert not (killed / STAGING).exists()
    assert created.plan.existing == ()
    assert (killed / ".gitignore").read_text(encoding="utf-8").startswith("mine\n# Ratchet\n")


def test_init_after_a_kill_keeps_what_was_changed_since(killed: Path) -> None:
    (killed / "README.md").write_text("mine", encoding="utf-8")
    created = create_project(killed)
    assert created.plan.existing == (Path("README.md"),)
    assert (killed / "README.md").read_text(encoding="utf-8") == "mine"


def test_listing_after_a_kill_removes_nothing(killed: Path) -> None:
    before = list_all(killed)
    with pytest.raises(UserError, match="interrupted"):
        create_project(killed, dry=True)
    assert list_all(killed) == before


def test_directory_of_the_same_name_is_not_deleted(place: Path) -> None:
    (place / STAGING).mkdir(parents=True)
    (place / STAGING / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"notes\.txt: not written by `ratchet init`"):
        create_project(place)
    assert (place / STAGING / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_init_that_was_killed_before_it_moved_a_file_is_recovered(place: Path) -> None:
    (place / STAGING / "files" / "conf").mkdir(parents=True)
    assert create_project(place).recovered
    assert not (place / STAGING).exists()


def test_two_at_the_same_time_are_refused(place: Path) -> None:
    (place / STAGING).mkdir(parents=True)
    with FileLock(place / STAGING / "lock"):
        with pytest.raises(UserError, match="another `ratchet init` is running"):
            create_project(place)
        assert (place / STAGING / "lock").exists()


# --- dry --------------------------------------------------------------------------------------------------------------


def test_dry_plans_the_same_files_and_writes_nothing(tmp_path: Path) -> None:
    planned = create_project(tmp_path / "new", dry=True)
    assert list_all(tmp_path) == {}
    assert planned.dvc_flags == ["--no-scm"]
    (tmp_path / ".dvc").mkdir()
    written = create_project(tmp_path / "new")
    assert planned.plan == written.plan


# --- DVC and git ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directories", "flags"),
    [
        ([], ["--no-scm"]),
        (["top/new/.git"], []),
        (["top/.git"], ["--subdir"]),
        (["top/.git", "top/.dvc"], None),
        (["top/new/.git", "top/new/.dvc"], None),
        (["top/.dvc"], None),
        (["top/.dvc", "top/new/.git"], []),
    ],
)
def test_dvc_init_depends_on_what_tracks_the_directory(
    tmp_path: Path, directories: list[str], flags: list[str] | None
) -> None:
    for name in directories:
        (tmp_path / name).mkdir(parents=True)
    assert choose_dvc_flags(tmp_path / "top" / "new") == flags


@pytest.mark.parametrize("below", [Path("deep", "new ü"), Path()])
def test_project_in_a_git_repository_commits_nothing(tmp_path: Path, below: Path) -> None:
    git(tmp_path, "init", "-q")
    create_project(tmp_path / below)
    config = (tmp_path / below / ".dvc" / "config").read_text(encoding="utf-8")
    quiet, plots = ["analytics", "=", "false", "check_update", "=", "false"], ["html_template", "=", "plots/page.html"]
    assert config.split() == ["[core]", *quiet, "[plots]", *plots]
    page = tmp_path / below / ".dvc" / "plots" / "page.html"
    assert page.read_bytes() == (PROJECT / ".dvc" / "plots" / "page.html").read_bytes(), "this repository has it, too"
    assert run_command("git", "rev-parse", "HEAD", cwd=tmp_path).returncode != 0
    changed = [line for line in git(tmp_path, "status", "--porcelain").splitlines() if not line.startswith("??")]
    assert changed
    assert all(line.startswith("A  ") and ".dvc" in line for line in changed), changed
    done = run_command(sys.executable, "-m", "dvc", "status", "--quiet", cwd=tmp_path / below)
    assert "ERROR" not in done.stderr


def test_project_without_git_has_dvc_without_git(tmp_path: Path) -> None:
    create_project(tmp_path / "new")
    lines = (tmp_path / "new" / ".dvc" / "config").read_text(encoding="utf-8").split("\n")
    assert {"[core]", "    analytics = false", "    check_update = false", "    no_scm = True"} <= set(lines)


def test_directory_that_git_ignores_is_refused_by_dvc_and_nothing_is_left(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".dvc\n", encoding="utf-8")
    with pytest.raises(UserError, match="ignored by your SCM tool"):
        create_project(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert git(tmp_path, "status", "--porcelain") == "?? .gitignore"


def test_error_after_dvc_init_removes_its_files_from_disk_and_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")

    def fail(root: Path) -> None:
        assert (root / ".dvc" / "config").is_file()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("ratchet.scaffold.writing._move_marker", fail)
    with pytest.raises(DiskFull):
        create_project(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert git(tmp_path, "status", "--porcelain") == ""


def test_without_dvc_there_is_no_pipeline_until_it_is_installed(
    place: Path, tickets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hidden:
        hide(hidden, "dvc")
        created = create_project(place, data=tickets)
        assert not (place / "dvc.yaml").exists()
        assert created.next_commands[-1] == "ratchet report"
        assert any(extras.install_command("pipeline") in note for note in created.notes)
    (place / "train.py").unlink()
    before = list_all(place)
    again = create_project(place)
    assert again.next_commands[0].startswith("ratchet train ")
    assert list(again.plan.files) == [Path("dvc.yaml")]
    assert again.data == "tickets"
    assert set(list_all(place)) - set(before) == {"dvc.yaml"}
    assert "data/behaviour" not in read_yaml(place / "dvc.yaml")["stages"]["prepare"]["deps"]


def test_next_commands_can_all_run_without_the_report(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "altair")
    created = create_project(place)
    assert created.next_commands == ["python train.py -m model=rule,regression", "ratchet compare", "ratchet gate"]
    assert any(extras.install_command("report") in note for note in created.notes)

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.runs.stored import read_run

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(make_run: Make) -> dict[str, Path]:
    """From the oldest to the newest."""
    return {
        "rule": make_run("model=rule", "sweep_id=first"),
        "again": make_run("model=rule", "sweep_id=second", "hypothesis='nothing, changes'", "tags=[keep]"),
        "failed": make_run("model=rule", "data.records.path=nowhere.jsonl"),
        "exact": make_run("experiment=rule_exact", "sweep_id=second", "evaluate=val"),
    }


@pytest.fixture
def runs(made: dict[str, Path], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A copy of the runs in the working directory, to delete from."""
    shutil.copytree(workplace / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return {name: Path("runs", path.relative_to(workplace / "runs")) for name, path in made.items()}


def listed(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def ids(runs: dict[str, Path], *names: str) -> list[str]:
    return [runs[name].name for name in names]


def test_runs_are_listed_oldest_first(runs: dict[str, Path], verb: Verb) -> None:
    code, out, _ = verb("runs", "list")
    assert code == 0
    assert listed(out) == ids(runs, "rule", "again", "failed", "exact")
    assert verb("runs")[1] == out, "without an action it lists"
    rows = dict(zip(listed(out), out.splitlines()[1:], strict=True))
    f1 = json.loads((runs["rule"] / "metrics.json").read_text())["test/f1_weighted"]
    assert f"{f1:.3f}" in rows[runs["rule"].name]
    assert "failed" in rows[runs["failed"].name]
    assert rows[runs["failed"].name].rstrip().endswith("-"), "no figure, no crash"
    assert all(len(line.rstrip()) <= 120 for line in out.splitlines())


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["name=rule_exact"], ["exact"]),
        (["status=failed"], ["failed"]),
        (["status=finished", "name=rule"], ["rule", "again"]),
        (["sweep=first"], ["rule"]),
        (["sweep=last"], ["again", "exact"]),
        (["data=sample", "sweep=second", "name=rule"], ["again"]),
    ],
)
def test_runs_are_selected(options: list[str], names: list[str], runs: dict[str, Path], verb: Verb) -> None:
    assert listed(verb("runs", "list", *options)[1]) == ids(runs, *names)


@pytest.mark.usefixtures("runs")
def test_nothing_selected_is_said(verb: Verb) -> None:
    assert verb("runs", "list", "name=nobody")[:2] == (0, "no runs in runs\n")
    assert verb("runs", "list", "runs_dir=elsewhere")[:2] == (0, "no runs in elsewhere\n")


@pytest.mark.usefixtures("runs")
def test_nothing_selected_is_an_empty_list_for_programs(verb: Verb) -> None:
    assert json.loads(verb("runs", "list", "name=nobody", "format=json")[1]) == []


def test_programs_get_the_whole_record(runs: dict[str, Path], verb: Verb) -> None:
    found = json.loads(verb("runs", "list", "format=json")[1])
    assert [each["id"] for each in found] == ids(runs, "rule", "again", "failed", "exact")
    for each, path in zip(found, runs.values(), strict=True):
        assert Path(each.pop("path")) == path
        assert each == json.loads((path / "record.json").read_text())


def test_markdown(runs: dict[str, Path], verb: Verb) -> None:
    lines = verb("runs", "list", "format=md")[1].splitlines()
    assert lines[0].startswith("| run | data | name |")
    assert len(lines) == 2 + len(runs)


@pytest.mark.usefixtures("runs")
def test_a_ladder_is_made_of_what_finished(verb: Verb) -> None:
    out = verb("runs", "list", "ladder=true")[1]
    assert "sample, test:" in out
    assert "sample, val:" in out
    row = next(line for line in out.splitlines() if line.startswith("rule "))
    assert row.split()[1] == "2"
    assert "| rule |" in verb("runs", "list", "ladder=true", "format=md", "sweep=first")[1]


@pytest.mark.usefixtures("runs")
def test_costs_are_told_of_what_finished(verb: Verb) -> None:
    out = verb("runs", "list", "costs=true", "sweep=first")[1]
    header, row = (line.split() for line in out.splitlines()[1:3])
    assert header[:3] == ["model", "runs", "parameters"]
    assert row[:3] == ["rule", "1", "0"]
    assert all(float(cost.replace(",", "").removeprefix("<")) >= 0 for cost in row[3:])
    assert "| rule |" in verb("runs", "list", "costs=true", "format=md")[1]


def test_a_run_killed_without_a_word_is_shown_as_killed(runs: dict[str, Path], verb: Verb) -> None:
    path = runs["rule"] / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "status": "running", "process_started": 1.0}))
    assert listed(verb("runs", "list", "status=killed")[1]) == ids(runs, "rule")


def test_one_run_is_shown(runs: dict[str, Path], verb: Verb) -> None:
    code, out, _ = verb("runs", "show", runs["again"].name)
    assert code == 0
    facts = {line[:12].strip(): line[12:].strip() for line in out.split("\n\n")[0].splitlines()}
    record = read_run(runs["again"]).record
    assert facts["run"] == record.id
    assert facts["status"] == "finished"
    assert facts["path"] == str(runs["again"])
    assert facts["seeds"] == "split 0, training 0"
    assert facts["hypothesis"] == "nothing, changes"
    assert record.config_hash[:12] in facts["name"]
    assert str(record.dataset_version)[:12] in facts["data"]
    assert facts["command"].startswith("python train.py ")
    f1 = json.loads((runs["again"] / "metrics.json").read_text())["test/f1_weighted"]
    figures = dict(line.split() for line in out.split("\n\n")[1].splitlines()[1:])
    assert float(figures["test/f1_weighted"]) == pytest.approx(f1, abs=1e-4)
    assert not any("slices" in figure or "ci_" in figure for figure in figures), "the headline only"


def test_the_command_of_a_run_can_be_pasted(runs: dict[str, Path], verb: Verb) -> None:
    out = verb("runs", "show", runs["again"].name)[1]
    assert "'hypothesis='\"'\"'nothing, changes'\"'\"''" in out


def test_the_newest_run_is_last(runs: dict[str, Path], verb: Verb) -> None:
    assert runs["exact"].name in verb("runs", "show", "last")[1].splitlines()[0]


@pytest.mark.parametrize("wanted", ["directory", "beginning", "end"])
def test_a_run_goes_by_its_directory_or_a_part_of_its_id(wanted: str, runs: dict[str, Path], verb: Verb) -> None:
    identifier = runs["failed"].name
    names = {"directory": str(runs["failed"]), "beginning": identifier[:-1], "end": identifier[-6:]}
    assert identifier in verb("runs", "show", names[wanted])[1].splitlines()[0]


def test_a_failed_run_shows_its_reason(runs: dict[str, Path], verb: Verb) -> None:
    code, out, _ = verb("runs", "show", runs["failed"].name)
    assert code == 0
    assert "UserError" in out
    assert "nowhere.jsonl" in out


def test_programs_get_one_run_with_its_figures(runs: dict[str, Path], verb: Verb) -> None:
    found = json.loads(verb("runs", "show", runs["rule"].name, "format=json")[1])
    assert found["id"] == runs["rule"].name
    assert found["status"] == "finished"
    assert found["figures"].items() >= json.loads((runs["rule"] / "metrics.json").read_text()).items()
    assert "cost/fit_seconds" in found["figures"]


def test_pruning_shows_first_and_deletes_when_told(runs: dict[str, Path], verb: Verb) -> None:
    code, out, _ = verb("runs", "prune")
    assert code == 0
    assert runs["failed"].name in out
    assert "1 run would be removed; delete=true removes them" in out
    assert runs["failed"].is_dir()
    code, out, _ = verb("runs", "prune", "delete=true")
    assert code == 0
    assert "1 run removed" in out
    assert not runs["failed"].exists()
    assert all(runs[name].is_dir() for name in ("rule", "again", "exact"))
    assert verb("runs", "prune", "delete=true")[1] == "nothing to prune\n"


def test_pruning_counts_every_look_at_the_test_part_still(runs: dict[str, Path], verb: Verb) -> None:
    readings = Path("runs/sample/test_readings.jsonl")
    before = readings.read_text()
    verb("runs", "prune", "superseded=true", "delete=true")
    assert not runs["rule"].exists(), "replaced by a newer one"
    assert runs["again"].is_dir()
    assert readings.read_text() == before


def test_pruning_leaves_young_runs_and_other_statuses_alone(runs: dict[str, Path], verb: Verb) -> None:
    assert verb("runs", "prune", "older_than_days=1")[1] == "nothing to prune\n"
    assert verb("runs", "prune", "status=[killed]")[1] == "nothing to prune\n"
    assert runs["failed"].is_dir()


def test_a_run_that_is_tagged_keep_stays(runs: dict[str, Path], verb: Verb) -> None:
    verb("runs", "prune", "status=[finished,failed]", "delete=true")
    assert [name for name, path in runs.items() if path.exists()] == ["again"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["lst"], ["lst", "'list'"]),
        (["list", "nmae=rule"], ["'nmae'", "'name'"]),
        (["list", "format=xml"], ["format", "json, md, table"]),
        (["list", "status=finishd"], ["finishd", "'finished'"]),
        (["show"], ["ratchet runs show RUN"]),
        (["show", "format=json"], ["which run?"]),
        (["show", "nobody"], ["'nobody'", "4 runs there"]),
        (["show", "2"], ["names 4 runs"]),
        (["show", "last", "foo=1"], ["'foo'"]),
        (["prune", "status=[runing]"], ["runing", ""]),
        (["prune", "status=[failed"], ["status=[failed"]),
        (["prune", "delete=perhaps"], ["delete=perhaps"]),
    ],
    ids=lambda value: " ".join(value),
)
@pytest.mark.usefixtures("runs")
def test_a_mistake_is_explained(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("runs", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.runs.stored import read_run

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(make_run: Make) -> dict[str, Path]:
    """Train four runs and return their directories, oldest first."""
    return {
        "rule": make_run("model=rule", "sweep_id=first"),
        "again": make_run("model=rule", "sweep_id=second", "hypothesis='nothing, changes'", "tags=[keep]"),
        "failed": make_run("model=rule", "data.records.path=nowhere.jsonl"),
        "exact": make_run("experiment=rule_exact", "sweep_id=second", "evaluate=val"),
    }


@pytest.fixture
def runs(trained: dict[str, Path], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Copy the runs to the working directory, so that a test can delete them."""
    shutil.copytree(workplace / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return {name: Path("runs", path.relative_to(workplace / "runs")) for name, path in trained.items()}


def read_listed_ids(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def get_ids(runs: dict[str, Path], *names: str) -> list[str]:
    return [runs[name].name for name in names]


def test_runs_are_listed_oldest_first(runs: dict[str, Path], verb: Verb) -> None:
    code, out, _ = verb("runs", "list")
    assert code == 0
    assert read_listed_ids(out) == get_ids(runs, "rule", "again", "failed", "exact")
    assert verb("runs")[1] == out, "list is the default action"
    rows = dict(zip(read_listed_ids(out), out.splitlines()[1:], strict=True))
    f1 = json.loads((runs["rule"] / "metrics.json").read_text())["test/f1_weighted"]
    assert f"{f1:.3f}" in rows[runs["rule"].name]
    assert "failed" in rows[runs["failed"].name]
    assert rows[runs["failed"].name].rstrip().endswith("-"), "a failed run has no metrics"
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
def test_list_options_select_runs(options: list[str], names: list[str], runs: dict[str, Path], verb: Verb) -> None:
    assert read_listed_ids(verb("runs", "list", *options)[1]) == get_ids(runs, *names)


@pytest.mark.usefixtures("runs")
def test_empty_selection_is_reported(verb: Verb) -> None:
    assert verb("runs", "list", "name=unknown")[:2] == (0, "no runs in runs\n")
    assert verb("runs", "list", "runs_dir=elsewhere")[:2] == (0, "no runs in elsewhere\n")


@pytest.mark.usefixtures("runs")
def test_empty_selection_is_an_empty_json_list(verb: Verb) -> None:
    assert json.loads(verb("runs", "list", "name=unknown", "format=json")[1]) == []


def test_json_list_has_complete_records(runs: dict[str, Path], verb: Verb) -> None:
    records = json.loads(verb("runs", "list", "format=json")[1])
    assert [record["id"] for record in records] == get_ids(runs, "rule", "again", "failed", "exact")
    for record, path in zip(records, runs.values(), strict=True):
        assert Path(record.pop("path")) == path
        assert record == json.loads((path / "record.json").read_text())


def test_list_prints_markdown_table(runs: dict[str, Path], verb: Verb) -> None:
    lines = verb("runs", "list", "format=md")[1].splitlines()
    assert lines[0].startswith("| run | data | name |")
    assert len(lines) == 2 + len(runs)


@pytest.mark.usefixtures("runs")
def test_ladder_contains_finished_runs(verb: Verb) -> None:
    out = verb("runs", "list", "ladder=true")[1]
    assert "sample, test:" in out
    assert "sample, val:" in out
    row = next(line for line in out.splitlines() if line.startswith("rule "))
    assert row.split()[1] == "2"
    assert "| rule |" in verb("runs", "list", "ladder=true", "format=md", "sweep=first")[1]


@pytest.mark.usefixtures("runs")
def test_costs_are_shown_for_finished_runs(verb: Verb) -> None:
    out = verb("runs", "list", "costs=true", "sweep=first")[1]
    header, row = (line.split() for line in out.splitlines()[1:3])
    assert header[:3] == ["model", "runs", "parameters"]
    assert row[:3] == ["rule", "1", "0"]
    assert all(float(cost.replace(",", "").removeprefix("<")) >= 0 for cost in row[3:])
    assert "| rule |" in verb("runs", "list", "costs=true", "format=md")[1]


def test_running_record_of_dead_process_counts_as_killed(runs: dict[str, Path], verb: Verb) -> None:
    path = runs["rule"] / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "status": "running", "process_started": 1.0}))
    assert read_listed_ids(verb("runs", "list", "status=killed")[1]) == get_ids(runs, "rule")


def test_show_prints_facts_and_headline_metrics(runs: dict[str, Path], verb: Verb) -> None:
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
    assert facts["command"].startswith("ratchet train ")
    f1 = json.loads((runs["again"] / "metrics.json").read_text())["test/f1_weighted"]
    metrics = dict(line.split() for line in out.split("\n\n")[1].splitlines()[1:])
    assert float(metrics["test/f1_weighted"]) == pytest.approx(f1, abs=1e-4)
    assert not any("slices" in metric or "ci_" in metric for metric in metrics), "only headline metrics are shown"


def test_shown_command_is_quoted_for_shell(runs: dict[str, Path], verb: Verb) -> None:
    out = verb("runs", "show", runs["again"].name)[1]
    assert "'hypothesis='\"'\"'nothing, changes'\"'\"''" in out


def test_last_names_newest_run(runs: dict[str, Path], verb: Verb) -> None:
    assert runs["exact"].name in verb("runs", "show", "last")[1].splitlines()[0]


@pytest.mark.parametrize("wanted", ["directory", "beginning", "end"])
def test_run_is_found_by_directory_or_partial_id(wanted: str, runs: dict[str, Path], verb: Verb) -> None:
    identifier = runs["failed"].name
    names = {"directory": str(runs["failed"]), "beginning": identifier[:-1], "end": identifier[-6:]}
    assert identifier in verb("runs", "show", names[wanted])[1].splitlines()[0]


def test_failed_run_shows_its_reason(runs: dict[str, Path], verb: Verb) -> None:
    code, out, _ = verb("runs", "show", runs["failed"].name)
    assert code == 0
    assert "UserError" in out
    assert "nowhere.jsonl" in out


def test_json_of_run_has_all_metrics(runs: dict[str, Path], verb: Verb) -> None:
    run = json.loads(verb("runs", "show", runs["rule"].name, "format=json")[1])
    assert run["id"] == runs["rule"].name
    assert run["status"] == "finished"
    assert run["figures"].items() >= json.loads((runs["rule"] / "metrics.json").read_text()).items()
    assert "cost/fit_seconds" in run["figures"]


def test_pruning_deletes_only_with_delete_option(runs: dict[str, Path], verb: Verb) -> None:
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


def test_pruning_keeps_log_of_test_set_accesses(runs: dict[str, Path], verb: Verb) -> None:
    accesses = Path("runs/sample/test_readings.jsonl")
    before = accesses.read_text()
    verb("runs", "prune", "superseded=true", "delete=true")
    assert not runs["rule"].exists(), "superseded by a newer run"
    assert runs["again"].is_dir()
    assert accesses.read_text() == before


def test_pruning_keeps_recent_runs_and_other_statuses(runs: dict[str, Path], verb: Verb) -> None:
    assert verb("runs", "prune", "older_than_days=1")[1] == "nothing to prune\n"
    assert verb("runs", "prune", "status=[killed]")[1] == "nothing to prune\n"
    assert runs["failed"].is_dir()


def test_pruning_keeps_runs_tagged_keep(runs: dict[str, Path], verb: Verb) -> None:
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
        (["show", "unknown"], ["'unknown'", "4 runs there"]),
        (["show", "2"], ["names 4 runs"]),
        (["show", "last", "foo=1"], ["'foo'"]),
        (["prune", "status=[runing]"], ["status=runing", "interrupted, killed"]),
        (["prune", "status=[failed"], ["status=[failed"]),
        (["prune", "delete=perhaps"], ["delete=perhaps"]),
    ],
    ids=lambda value: " ".join(value),
)
@pytest.mark.usefixtures("runs")
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("runs", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import Command

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
    path.write_text(json.dumps({**record, "status": "running", "pid": 0}))
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


def test_shown_command_names_the_directory_of_configurations(
    train: Command, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "strict.yaml").write_text(
        "defaults: [base_regression, _self_]\nname: strict\nmodule: regression\ncomplexity: 1\nC: 3\n"
    )
    arguments = ("--config-dir", "mine", "model=strict", "evaluation.resamples=100")
    assert train(*arguments).returncode == 0
    out = verb("runs", "show", "last")[1]
    command = next(line for line in out.splitlines() if line.startswith("command")).split()[1:]
    assert command == ["ratchet", "train", *arguments]


def test_last_names_newest_finished_run(runs: dict[str, Path], verb: Verb) -> None:
    assert runs["exact"].name in verb("runs", "show", "last")[1].splitlines()[0]
    shutil.rmtree(runs["exact"])
    assert runs["again"].name in verb("runs", "show", "last")[1].splitlines()[0], "the newer one failed"


def test_run_whose_code_changed_is_marked(runs: dict[str, Path], verb: Verb) -> None:
    path = runs["rule"] / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "code_hash": None, "code_changed": ["fit"]}))
    assert "changed while the run was in progress: fit" in verb("runs", "show", runs["rule"].name)[1]


def test_run_that_cannot_be_checked_is_shown_with_the_remedy(runs: dict[str, Path], verb: Verb) -> None:
    path = runs["rule"] / "record.json"
    record = json.loads(path.read_text())
    elsewhere = {"host": "elsewhere", "process": {**record["process"], "boot": "another"}}
    path.write_text(json.dumps({**record, "status": "running", **elsewhere}))
    shown = " ".join(verb("runs", "show", runs["rule"].name)[1].split())
    assert "running: process" in shown
    assert 'set "status" to "interrupted"' in shown
    listed = " ".join(verb("runs", "prune", "status=[killed]")[1].split())
    assert listed.startswith("nothing to prune kept: 1 run, may be in progress: process")


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
        (["prune", "older_than_days=nan"], ["older_than_days=nan", "a finite number"]),
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


def test_costs_are_measured_again(runs: dict[str, Path], verb: Verb) -> None:
    cost = runs["rule"] / "cost.json"
    cost.write_text(json.dumps({**json.loads(cost.read_text()), "cost/latency_ms_p95": 281.0}))
    code, out, err = verb("runs", "measure", runs["rule"].name, str(runs["exact"]))
    assert (code, err) == (0, "")
    rows = out.splitlines()[1:3]
    assert [row.split()[0] for row in rows] == get_ids(runs, "rule", "exact")
    assert " 281 -> " in rows[0]
    assert 0 < json.loads(cost.read_text())["cost/latency_ms_p95"] < 281
    assert len(list((runs["rule"] / "costs").iterdir())) == 2
    code, out, _ = verb("runs", "measure", "last", "format=json")
    assert [(row["run"], row["costs"]) for row in json.loads(out)] == [
        (runs["exact"].name, json.loads((runs["exact"] / "cost.json").read_text()))
    ]


@pytest.mark.parametrize(
    ("names", "message"), [([], "which runs? "), (["failed"], "the run is failed"), (["nowhere"], "no run 'nowhere'")]
)
def test_run_that_cannot_be_measured_is_refused(
    names: list[str], message: str, runs: dict[str, Path], verb: Verb
) -> None:
    code, _, err = verb("runs", "measure", *[str(runs.get(name, name)) for name in names])
    assert code == 2
    assert message in err


def test_measured_run_of_a_pipeline_is_committed_alone(runs: dict[str, Path], verb: Verb) -> None:
    """A `dvc commit -f` of all stages would keep the verdict on the old costs."""
    shutil.copytree(runs["rule"], Path("build", "runs", "sample", "rule", "0"))
    out = verb("runs", "measure", "build/runs/sample/rule/0")[1]
    assert "`dvc commit -f train@rule-0` keeps the costs, `dvc repro` judges them" in out

"""Tests for `python train.py` as users run it: its output, its files, and its error messages."""

import json
import re
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.commands import PROJECT, Command, run_command

from ratchet.cli.train import main

Done = CompletedProcess[str]
HEAVY = ("torch", "sklearn", "transformers", "pytorch_lightning")


def read_records(directory: Path) -> list[dict[str, Any]]:
    """Return the records of all runs, oldest first."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in directory.glob("runs/*/*/*/record.json")]
    return sorted(contents, key=lambda record: record["started_at"])


def has_only_runs(directory: Path) -> bool:
    return [path.name for path in directory.iterdir()] == ["runs"]


def read_table(text: str) -> list[list[str]]:
    """Return the cells of the last table."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.rstrip().split("\n\n")[-1].splitlines()[1:]]


def check_error(done: Done, *parts: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    for part in parts:
        assert part in done.stderr


@pytest.fixture
def train_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `python train.py` within this process, for commands that end before training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def train(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            code = main()
        except SystemExit as stopped:
            code = stopped.code
        captured = capfd.readouterr()
        return Done(arguments, code, captured.out, captured.err)

    return train


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Run `python train.py` in an empty directory."""
    directory = tmp_path_factory.mktemp("default")
    return directory, run_command(sys.executable, PROJECT / "train.py", cwd=directory)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Run the first grid of the README."""
    directory = tmp_path_factory.mktemp("grid")
    return directory, run_command(sys.executable, PROJECT / "train.py", "-m", "model=regression,rule", cwd=directory)


@pytest.fixture(scope="module")
def half_failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Run a grid whose second job finds no label that is frequent enough."""
    directory = tmp_path_factory.mktemp("half_failed")
    arguments = ("-m", "data.filter.min_records=1,1000,2")
    return directory, run_command(sys.executable, PROJECT / "train.py", *arguments, cwd=directory)


def test_default_run_is_the_rule_on_the_sample(default: tuple[Path, Done]) -> None:
    directory, done = default
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = read_records(directory)
    assert (record["status"], record["model"], record["data"]) == ("finished", "rule", "sample")
    assert record["overrides"] == []
    (path,) = directory.glob("runs/sample/rule/*")
    assert done.stdout.rstrip().endswith(str(path.relative_to(directory)))
    metrics = json.loads((path / "metrics.json").read_text())
    assert f"{metrics['test/f1_weighted']:.3f}" in done.stdout
    assert f"{metrics['val/f1_weighted']:.3f}" in done.stdout


def test_only_runs_are_left_behind(default: tuple[Path, Done], grid: tuple[Path, Done]) -> None:
    assert has_only_runs(default[0])
    assert has_only_runs(grid[0])
    assert not list(default[0].rglob("*.tmp"))


def test_piped_output_is_plain_and_fits_a_page(default: tuple[Path, Done], grid: tuple[Path, Done]) -> None:
    for _, done in (default, grid):
        for text in (done.stdout, done.stderr):
            assert "\x1b" not in text
            assert "\r" not in text, "no progress bar"
            assert max((len(line) for line in text.splitlines()), default=0) <= 120


def test_both_commands_train_the_same_run(train: Command, ratchet: Command, tmp_path: Path) -> None:
    for done in (train("model=regression"), ratchet("train", "model=regression")):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("regression on sample")
    first, second = read_records(tmp_path)
    assert first["config_hash"] == second["config_hash"]
    assert (first["overrides"], second["overrides"]) == (["model=regression"], ["model=regression"])
    metrics, other_metrics = (path.read_bytes() for path in tmp_path.glob("runs/sample/regression/*/metrics.json"))
    assert metrics == other_metrics
    assert has_only_runs(tmp_path)


def test_grid_ends_with_one_table_with_the_rule_first(grid: tuple[Path, Done]) -> None:
    directory, done = grid
    assert (done.returncode, done.stderr) == (0, "")
    columns, first, second = read_table(done.stdout)
    assert columns[:2] == ["model", "runs"]
    assert first[:2] == ["rule", "1"]
    assert second[:2] == ["regression", "1"]
    f1 = {
        path.parent.parent.name: json.loads(path.read_text())["test/f1_weighted"]
        for path in directory.glob("runs/sample/*/*/metrics.json")
    }
    assert first[2].startswith(f"{f1['rule']:.3f} [")
    assert second[2].startswith(f"{f1['regression']:.3f} [")


def test_each_job_of_a_grid_prints_its_result(grid: tuple[Path, Done]) -> None:
    lines = grid[1].stdout.splitlines()
    assert lines[0].startswith("#0 model=regression: test F1 ")
    assert lines[1].startswith("#1 model=rule: test F1 ")


def test_jobs_of_a_grid_share_a_sweep_id(grid: tuple[Path, Done]) -> None:
    sweeps = {record["sweep_id"] for record in read_records(grid[0])}
    assert len(sweeps) == 1
    assert sweeps != {None}
    assert all(not any("sweep_id" in override for override in record["overrides"]) for record in read_records(grid[0]))


def test_seeds_of_a_grid_become_one_row_of_the_table(train: Command, tmp_path: Path) -> None:
    done = train("-m", "model=rule", "split.seed=0,1")
    assert (done.returncode, done.stderr) == (0, "")
    _, row = read_table(done.stdout)
    assert row[:2] == ["rule", "2"]
    assert re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", row[2])
    assert [record["split_seed"] for record in read_records(tmp_path)] == [0, 1]
    assert len({record["split_hash"] for record in read_records(tmp_path)}) == 2
    assert len({record["config_hash"] for record in read_records(tmp_path)}) == 1


def test_second_grid_shows_only_its_own_runs(train: Command, tmp_path: Path) -> None:
    assert train("-m", "model=rule", "split.seed=0,1").returncode == 0
    _, row = read_table(train("-m", "model=rule", "split.seed=2").stdout)
    assert row[:2] == ["rule", "1"]
    assert len(read_records(tmp_path)) == 3


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["model=rule,regresion"], ["regresion", "'regression'"]),
        (["seed=0,x"], ["seed=x", "Integer"]),
        (["split.val=0.2,0.9"], ["split.val=0.9", "at most 0.8"]),
        (["model=rule,regression", "model.stemming=true"], ["model.stemming"]),
        (["model=rule,null"], ["model"]),
        (["seed=0,1", "run_dir=here"], ["run_dir"]),
        (["seed=range(0,3)", "seeed=1"], ["'seeed'", "'seed'"]),
        (["name=rule,a/b"], ["name=a/b", "letters, digits"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_error_in_any_job_stops_a_grid_before_the_first(
    arguments: list[str], parts: list[str], train_here: Command, tmp_path: Path
) -> None:
    done = train_here("-m", *arguments)
    check_error(done, *parts)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_failing_job_does_not_stop_the_others(half_failed: tuple[Path, Done]) -> None:
    directory, done = half_failed
    assert done.returncode == 1
    assert [record["status"] for record in read_records(directory)] == ["finished", "failed", "finished"]
    rows = read_table(done.stdout)[1:]
    assert [row[:2] for row in rows] == [["rule", "1"], ["rule", "1"]], "the table is still printed"


def test_failing_job_is_named_with_its_reason(half_failed: tuple[Path, Done]) -> None:
    directory, done = half_failed
    assert "Traceback" not in done.stderr
    listed = next(line for line in done.stderr.splitlines() if line.startswith("failed: "))
    failed = read_records(directory)[1]
    for part in ("data.filter.min_records=1000", "no label is left", failed["id"]):
        assert part in listed
    assert done.stderr.rstrip().splitlines()[-1].startswith("1 of 3 runs ")
    assert failed["error"]["type"] == "UserError"
    assert "data.filter" in failed["error"]["message"]
    assert failed["finished_at"] is not None
    path = Path(listed[listed.rindex("(") + 1 : -1])
    assert "no label is left" in (directory / path / "log.txt").read_text(encoding="utf-8"), "this is the log"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["seeed=1"], ["seeed=1", "'seed'"]),
        (["model.stemmin=false"], ["model.stemmin=false", "'stemming'"]),
        (["+model.foo=1"], ["'model.foo'", "valid:"]),
        (["seed=one"], ["seed=one", "Integer"]),
        (["split.val=0.9"], ["split.val=0.9", "at most 0.8"]),
        (["split.val=0.6", "split.test=0.6"], ["split.test=0.6", "less than 5 %"]),
        (["model=regresion"], ["model=regresion", "'regression'"]),
        (["experiment=nothing"], ["experiment=nothing", "rule_exact"]),
        (["modell=rule"], ["modell=rule", "'model'"]),
        (["+trainer=fast"], ["trainer", "valid:"]),
        (["model=null"], ["model=null"]),
        (["seed=["], ["'seed=['"]),
        (["hypothesis=bigger, better"], ["hypothesis=bigger, better", "uote"]),
        (["name=a/b"], ["name=a/b", "letters, digits"]),
        (["split.method=given"], ["data.split.column"]),
        (["model.module=regresion"], ["regresion", "'regression'"]),
        (["--config-dir", "nowhere"], ["nowhere"]),
        (["--config-name", "nothing"], ["nothing"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_argument_is_reported_before_training(
    arguments: list[str], parts: list[str], train_here: Command, tmp_path: Path
) -> None:
    done = train_here(*arguments)
    check_error(done, *parts)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_unknown_flag_is_named(train: Command) -> None:
    done = train("--modle", "rule")
    assert done.returncode == 2
    assert "--modle" in done.stderr
    assert "Traceback" not in done.stderr


def read_sample_lines(count: int) -> list[dict[str, Any]]:
    text = (PROJECT / "data/sample/projects.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()[:count]]


def write_lines(directory: Path, lines: list[Any]) -> None:
    written = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    (directory / "own.jsonl").write_text("\n".join(written) + "\n", encoding="utf-8")


OWN = "data.records.path=own.jsonl"


def make_invalid_file(case: str, directory: Path) -> tuple[list[str], list[str]]:
    """Write an invalid file; return the arguments that use it, and the words that its error must contain."""
    lines: list[Any] = read_sample_lines(60)
    arguments, parts = [OWN], ["own.jsonl"]
    if case == "missing file":
        return ["data.records.path=nowhere.jsonl"], ["nowhere.jsonl", "no such file"]
    if case == "missing taxonomy":
        return ["data.taxonomy.path=nowhere.json"], ["nowhere.json", "taxonomy"]
    if case == "wrong sha256":
        return [f"data.records.sha256={'0' * 64}"], ["projects.jsonl", "sha256", "0" * 64]
    if case == "missing column":
        return ["data.text=[titel]"], ["projects.jsonl", "'titel'", "'title'"]
    if case == "broken line":
        lines[6] = '{"id": "x", "title": '
        parts += ["line 7", "JSON"]
    elif case == "wrong encoding":
        lines[3]["title"] = "Café"
        write_lines(directory, lines)
        path = directory / "own.jsonl"
        path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe9"))
        return arguments, ["own.jsonl", "line 4", "0xe9", "data.encoding"]
    elif case == "duplicate id":
        lines[8]["id"] = lines[2]["id"]
        parts += ["line 9", lines[2]["id"], "line 3"]
    elif case == "unknown label":
        lines[4]["tags"] = ["grafs"]
        parts += ["line 5", "'grafs'", "'graphs'"]
    elif case == "bad date":
        lines[4]["created_at"] = "last Tuesday"
        parts += ["line 5", "'last Tuesday'"]
    elif case == "leak":
        for number, line in enumerate(lines):
            line["part"] = ("train", "train", "val", "test")[number % 4]
        lines[3] |= {"title": lines[0]["title"], "description": lines[0]["description"]}
        arguments += ["data.split.method=given", "data.split.column=part"]
        parts += ["leak", "line 1 (train)", "line 4 (test)"]
    elif case == "no such part":
        for line in lines:
            line["part"] = "trian"
        arguments += ["data.split.method=given", "data.split.column=part"]
        parts += ["line 1", "trian"]
    elif case == "empty":
        lines = []
    elif case == "too few records":
        lines = lines[:2]
    write_lines(directory, lines)
    return arguments, parts if case not in ("empty", "too few records") else []


@pytest.mark.parametrize(
    "case",
    [
        "missing file",
        "missing taxonomy",
        "wrong sha256",
        "missing column",
        "broken line",
        "wrong encoding",
        "duplicate id",
        "unknown label",
        "bad date",
        "leak",
        "no such part",
        "empty",
        "too few records",
    ],
)
def test_invalid_file_is_reported_and_recorded(case: str, train_here: Command, tmp_path: Path) -> None:
    arguments, parts = make_invalid_file(case, tmp_path)
    done = train_here(*arguments)
    check_error(done, *parts)
    (record,) = read_records(tmp_path)
    assert record["status"] == "failed"
    assert record["error"]["message"] in done.stderr
    assert record["id"] in done.stderr, "the error names the run"
    assert not list(tmp_path.glob("runs/*/test_readings.jsonl")), "no test part was read"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], ["python train.py -m model=rule,regression", "madewithml | sample", "regression | rule"]),
        (["--cfg", "job"], ["name: sample", "stemming: true", "resamples: 1000"]),
        (["--cfg", "job", "--resolve", "model=regression"], ["module: regression", "C: "]),
        (["--info"], ["Config search path", "data: sample", "model: rule"]),
        (["--hydra-help"], ["--config-dir"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_help_and_config_need_no_heavy_import(arguments: list[str], shown: list[str], tmp_path: Path) -> None:
    done = run_command(sys.executable, "-X", "importtime", PROJECT / "train.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in shown:
        assert part in done.stdout
    imported = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, flags=re.MULTILINE)
    assert "ratchet.cli.train" in imported, "the list of imports was parsed"
    assert not {name.partition(".")[0] for name in imported} & set(HEAVY)
    assert list(tmp_path.iterdir()) == []


def test_tab_completion_offers_config_names(train: Command) -> None:
    line = "python train.py model="
    done = train("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert (done.returncode, done.stderr) == (0, "")
    assert {"model=cnn", "model=rule"} <= set(done.stdout.split())


def test_rule_runs_without_neural_network_libraries(tmp_path: Path) -> None:
    done = run_command(sys.executable, "-X", "importtime", PROJECT / "train.py", "model=rule", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, flags=re.MULTILINE))
    assert not {name.partition(".")[0] for name in imported} & {"torch", "transformers", "pytorch_lightning", "wandb"}


def test_run_directory_can_be_set_and_is_not_overwritten(train: Command, tmp_path: Path) -> None:
    assert train("run_dir=out/first").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out/first").rglob("*") if path.is_file()}
    assert tmp_path / "out/first/metrics.json" in before
    check_error(train("run_dir=out/first"), str(Path("out/first")), "exists already")
    assert {path: path.read_bytes() for path in (tmp_path / "out/first").rglob("*") if path.is_file()} == before


def test_evaluate_val_does_not_use_the_test_part(train: Command, tmp_path: Path) -> None:
    done = train("evaluate=val")
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = tmp_path.glob("runs/sample/rule/*")
    assert {key.partition("/")[0] for key in json.loads((path / "metrics.json").read_text())} == {
        "val",
        "behaviour",
    }
    assert [file.name for file in (path / "predictions").iterdir()] == ["val.parquet"]
    assert not list(tmp_path.glob("runs/*/test_readings.jsonl"))
    head, body = done.stdout.split("\n", 1)
    assert not re.search(r"\btest\b", body.replace(str(path.relative_to(tmp_path)), "")), body
    assert head.startswith("rule on sample")


def test_grid_on_val_reports_val_only(train: Command, tmp_path: Path) -> None:
    done = train("-m", "model=rule", "evaluate=val")
    assert done.returncode == 0
    assert "sample, val:" in done.stdout
    assert "test" not in done.stdout.replace(str(tmp_path), "")


def test_full_error_option_prints_a_traceback(train: Command) -> None:
    for arguments in (["seeed=1"], ["data.records.path=nowhere.jsonl"], ["-m", "model=rule,regresion"]):
        done = train(*arguments, HYDRA_FULL_ERROR="1")
        assert done.returncode == 2
        assert "Traceback" in done.stderr
        assert "error: " in done.stderr.splitlines()[-1] or "error: " in done.stderr.splitlines()[-2]


def test_full_error_option_prints_traceback_of_a_job(train: Command) -> None:
    done = train("-m", "data.filter.min_records=1,1000", HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_hypothesis_tags_and_parent_are_recorded(train: Command, tmp_path: Path) -> None:
    assert train().returncode == 0
    (parent,) = read_records(tmp_path)
    done = train("hypothesis='bigger, better: 5 % more'", "tags=[first,keep]", f"parent={parent['id'][-6:]}")
    assert (done.returncode, done.stderr) == (0, "")
    record = read_records(tmp_path)[-1]
    assert record["hypothesis"] == "bigger, better: 5 % more"
    assert (record["tags"], record["parent"]) == (["first", "keep"], parent["id"])

"""Tests for a search from the command line: it uses val only, resumes when killed, and writes an experiment."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml
from tests.commands import PROJECT, run_command, wait_until
from tests.e2e.experiments import RESULT

from ratchet.errors import UserError
from ratchet.inference.scorer import load_scorer
from ratchet.runs import find_runs

Done = CompletedProcess[str]
OWN = """# @package _global_
# The regression on words alone, from a bad beginning.
defaults:
  - override /model: regression
  - override /hydra/sweeper: ratchet_search
name: ${model.name}_search
evaluate: val
tags: [search]
model: {C: 0.01, word_ngrams: [1, 1], char_ngrams: null}
sweep:
  space:
    model.C: {low: 0.01, high: 10.0, log: true}
    model.mention_weight: {low: 0.0, high: 1.0}
"""
SEARCH = ("-m", "--config-dir", "mine", "sweep=words", "evaluation.resamples=100", "threads=1")
FIVE = (*SEARCH, "sweep.trials=5")


def write_sweep(directory: Path) -> None:
    path = directory / "mine" / "sweep" / "words.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN)


def search(directory: Path, *arguments: str) -> Done:
    write_sweep(directory)
    return run_command(sys.executable, PROJECT / "train.py", *arguments, cwd=directory)


def list_trials(done: Done) -> list[str]:
    """Return the lines of the trials, without the paths of their runs."""
    return [
        line.partition("  runs/")[0].replace(": done before", "")
        for line in done.stdout.splitlines()
        if line[0:1] == "#"
    ]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def finished(directory: Path) -> Done:
    """Run five trials of a custom sweep."""
    done = search(directory, *FIVE)
    assert (done.returncode, done.stderr) == (0, "")
    return done


def read_value(done: Done, name: str) -> str:
    [text] = [line[14:] for line in done.stdout.splitlines() if line.startswith(f"{name:14}")]
    return text


def test_every_trial_is_a_run_on_val_only(finished: Done, directory: Path) -> None:
    runs = find_runs(directory / "runs")
    assert [(run.status, run.record.name, run.record.evaluate, run.record.tags) for run in runs] == [
        ("finished", "regression_search", "val", ["search"])
    ] * 5
    assert not list(directory.glob("runs/**/test.parquet"))
    assert not list(directory.glob("runs/**/test_readings.jsonl"))
    assert not [key for run in runs for key in run.read_metrics() if key.startswith("test/")]
    assert list_trials(finished)[0].startswith("#0 C=0.01 mention_weight=0.3: val F1 ")
    assert len({line.partition(":")[0].partition(" ")[2] for line in list_trials(finished)}) == 5


def test_only_the_best_trial_keeps_its_weights(finished: Done, directory: Path) -> None:
    runs = [run for run in find_runs(directory / "runs") if run.record.name == "regression_search"]
    best = max(runs, key=lambda run: run.read_metrics()["val/f1_weighted"])
    assert [run for run in runs if (run.path / "model").is_dir()] == [best]
    assert load_scorer(best).score(["a text"]).scores.shape[0] == 1
    with pytest.raises(UserError, match="its weights were not kept"):
        load_scorer(next(run for run in runs if run.path != best.path))


def test_printed_command_runs_the_best_trial_on_test(finished: Done, directory: Path) -> None:
    runs = find_runs(directory / "runs")
    best = max(runs, key=lambda run: run.read_metrics()["val/f1_weighted"])
    path = Path(read_value(finished, "experiment"))
    assert path == directory / "mine" / "experiment" / "regression_tuned.yaml"
    command = read_value(finished, "test it once")
    _, _, opened, expected = path.read_text().splitlines()[:4]
    assert opened == f"# {command}"
    assert re.fullmatch(RESULT, expected)
    assert f"weighted F1 {best.read_metrics()['val/f1_weighted']:.3f} [".replace(" 0.", " .") in expected

    program, script, *arguments = shlex.split(command)
    assert (program, script) == ("ratchet", "train")
    done = search(directory, *arguments)
    assert done.returncode == 0, done.stderr
    [run] = [run for run in find_runs(directory / "runs") if run.record.name == "regression_tuned"]
    assert run.record.test_readings == 1
    assert run.record.config_hash == best.record.config_hash
    assert run.read_metrics()["val/f1_weighted"] == best.read_metrics()["val/f1_weighted"]


def test_missing_weights_of_the_best_trial_are_reported(finished: Done, directory: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))
    runs = [run for run in find_runs(copy / "runs") if run.record.name == "regression_search"]
    best = max(runs, key=lambda run: run.read_metrics()["val/f1_weighted"])
    assert "\nweights " not in search(copy, *FIVE).stdout
    next((best.path / "model").iterdir()).unlink()
    text = read_value(search(copy, *FIVE), "weights")
    assert best.record.id in text
    assert "its weights (model/) are incomplete" in text


def test_killed_search_resumes_with_the_same_trials(finished: Done, directory: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path)
    process = subprocess.Popen(
        [sys.executable, PROJECT / "train.py", *FIVE],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    wait_until(lambda: len(find_runs(tmp_path / "runs")) >= 3 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    known = len(find_runs(tmp_path / "runs"))
    assert 3 <= known < 5, "it was killed too late for this test"

    done = search(tmp_path, *FIVE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"study {read_value(done, 'charts').split()[3]}: ")
    before = int(done.stdout.partition(": ")[2][0])
    assert known - 1 <= before <= known
    assert list_trials_without_numbers(done) == list_trials_without_numbers(finished)[before:]
    assert read_value(done, "settings") == read_value(finished, "settings")
    written = [base / "mine" / "experiment" / "regression_tuned.yaml" for base in (directory, tmp_path)]
    assert yaml.safe_load(written[0].read_text()) == yaml.safe_load(written[1].read_text())


def list_trials_without_numbers(done: Done) -> list[str]:
    return [line.partition(" ")[2] for line in list_trials(done)]


def test_finished_trials_are_kept_and_more_can_be_added(finished: Done, directory: Path) -> None:
    before = len(find_runs(directory / "runs"))
    repeated = search(directory, *FIVE)
    assert (repeated.returncode, repeated.stderr) == (0, "")
    assert ": 5 of 5 trials exist" in repeated.stdout
    assert (list_trials(repeated), read_value(repeated, "best")) == ([], read_value(finished, "best"))
    extended = search(directory, *FIVE[:-1], "sweep.trials=6")
    assert len(list_trials(extended)) == 1
    assert len(find_runs(directory / "runs")) == before + 1


def test_charts_of_the_search_are_a_page(finished: Done, directory: Path) -> None:
    program, *arguments = read_value(finished, "charts").split()
    shown = run_command(Path(sys.executable).with_name(program), *arguments, cwd=directory)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "history-chart" in (directory / "search.html").read_text()


def test_search_stops_when_the_first_trials_fail(tmp_path: Path) -> None:
    broken = (*SEARCH, "sweep.trials=9", "model.min_df=1000")
    done = search(tmp_path, *broken)
    assert done.returncode == 1
    assert "the first 5 trials failed: the search stops" in done.stderr
    assert done.stderr.rstrip().endswith("5 of 5 runs did not finish")
    assert "no trial finished" in read_value(done, "best")
    assert "Traceback" not in done.stderr


def test_search_without_multirun_is_refused(tmp_path: Path) -> None:
    done = search(tmp_path, "sweep=rule")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: command line, sweep=rule: a search needs -m: ratchet train -m sweep=...\n"

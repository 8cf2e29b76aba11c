"""A search from the command line: on val only, killed and resumed, ending in an experiment to be tested once."""

import os
import re
import shlex
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


def own_sweep(directory: Path) -> None:
    path = directory / "mine" / "sweep" / "words.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN)


def search(directory: Path, *arguments: str) -> Done:
    own_sweep(directory)
    return run_command(sys.executable, PROJECT / "train.py", *arguments, cwd=directory)


def tried(done: Done) -> list[str]:
    """The lines of the trials, without where their runs are."""
    return [
        line.partition("  runs/")[0].replace(": done before", "")
        for line in done.stdout.splitlines()
        if line[0:1] == "#"
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def finished(place: Path) -> Done:
    """Five trials of a sweep of one's own."""
    done = search(place, *FIVE)
    assert (done.returncode, done.stderr) == (0, "")
    return done


def said(done: Done, name: str) -> str:
    [text] = [line[14:] for line in done.stdout.splitlines() if line.startswith(f"{name:14}")]
    return text


def test_every_trial_is_a_run_and_no_test_record_is_read(finished: Done, place: Path) -> None:
    runs = find_runs(place / "runs")
    assert [(run.status, run.record.name, run.record.evaluate, run.record.tags) for run in runs] == [
        ("finished", "regression_search", "val", ["search"])
    ] * 5
    assert not list(place.glob("runs/**/test.parquet"))
    assert not list(place.glob("runs/**/test_readings.jsonl"))
    assert not [key for run in runs for key in run.read_metrics() if key.startswith("test/")]
    assert tried(finished)[0].startswith("#0 C=0.01 mention_weight=0.3: val F1 ")
    assert len({line.partition(":")[0].partition(" ")[2] for line in tried(finished)}) == 5


def test_the_best_trial_alone_keeps_its_weights(finished: Done, place: Path) -> None:
    runs = [run for run in find_runs(place / "runs") if run.record.name == "regression_search"]
    best = max(runs, key=lambda run: run.read_metrics()["val/f1_weighted"])
    assert [run for run in runs if (run.path / "model").is_dir()] == [best]
    assert load_scorer(best).score(["a text"]).scores.shape[0] == 1
    with pytest.raises(UserError, match="its weights were not kept"):
        load_scorer(next(run for run in runs if run.path != best.path))


def test_the_best_trial_is_an_experiment_that_the_printed_command_runs_on_test(finished: Done, place: Path) -> None:
    runs = find_runs(place / "runs")
    best = max(runs, key=lambda run: run.read_metrics()["val/f1_weighted"])
    path = Path(said(finished, "experiment"))
    assert path == place / "mine" / "experiment" / "regression_tuned.yaml"
    command = said(finished, "test it once")
    _, _, opened, expected = path.read_text().splitlines()[:4]
    assert opened == f"# {command}"
    assert re.fullmatch(RESULT, expected)
    assert f"weighted F1 {best.read_metrics()['val/f1_weighted']:.3f} [".replace(" 0.", " .") in expected

    program, script, *arguments = shlex.split(command)
    assert (program, script) == ("python", "train.py")
    done = search(place, *arguments)
    assert done.returncode == 0, done.stderr
    [run] = [run for run in find_runs(place / "runs") if run.record.name == "regression_tuned"]
    assert run.record.test_readings == 1
    assert run.record.config_hash == best.record.config_hash
    assert run.read_metrics()["val/f1_weighted"] == best.read_metrics()["val/f1_weighted"]


def test_a_killed_search_goes_on_as_if_it_had_not_been(finished: Done, place: Path, tmp_path: Path) -> None:
    own_sweep(tmp_path)
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
    assert 3 <= known < 5, "it was killed too late to tell anything"

    done = search(tmp_path, *FIVE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"study {said(done, 'charts').split()[3]}: ")
    before = int(done.stdout.partition(": ")[2][0])
    assert known - 1 <= before <= known
    assert without_numbers(done) == without_numbers(finished)[before:]
    assert said(done, "settings") == said(finished, "settings")
    written = [each / "mine" / "experiment" / "regression_tuned.yaml" for each in (place, tmp_path)]
    assert yaml.safe_load(written[0].read_text()) == yaml.safe_load(written[1].read_text())


def without_numbers(done: Done) -> list[str]:
    return [line.partition(" ")[2] for line in tried(done)]


def test_what_is_done_is_not_done_again_and_more_trials_add_to_it(finished: Done, place: Path) -> None:
    before = len(find_runs(place / "runs"))
    again = search(place, *FIVE)
    assert (again.returncode, again.stderr) == (0, "")
    assert ": 5 of 5 trials exist" in again.stdout
    assert (tried(again), said(again, "best")) == ([], said(finished, "best"))
    more = search(place, *FIVE[:-1], "sweep.trials=6")
    assert len(tried(more)) == 1
    assert len(find_runs(place / "runs")) == before + 1


def test_its_charts_are_a_page(finished: Done, place: Path) -> None:
    program, *arguments = said(finished, "charts").split()
    shown = run_command(Path(sys.executable).with_name(program), *arguments, cwd=place)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "history-chart" in (place / "search.html").read_text()


def test_failed_trials_are_told_and_tried_again(tmp_path: Path) -> None:
    broken = (*SEARCH, "sweep.trials=9", "model.min_df=1000")
    done = search(tmp_path, *broken)
    assert done.returncode == 1
    assert "the first 5 trials failed: the search stops" in done.stderr
    assert done.stderr.rstrip().endswith("5 of 5 runs did not finish")
    assert "no trial finished" in said(done, "best")
    assert "Traceback" not in done.stderr


def test_a_single_run_is_no_search(tmp_path: Path) -> None:
    done = search(tmp_path, "sweep=rule")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: command line, sweep=rule: a search needs -m: python train.py -m sweep=...\n"

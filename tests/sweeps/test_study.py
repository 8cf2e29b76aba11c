"""Tests for studies: the order of trials, recovery after a killed process, and pruning."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.sweeps.studies import DEFAULT, SPACE, quality, run_trials

import ratchet
from ratchet import extras
from ratchet.config import Cost, ParameterConfig, SearchConfig
from ratchet.errors import Pruned, UserError
from ratchet.schema_versions import STUDY_SCHEMA
from ratchet.sweeps.study import (
    JOURNAL,
    OpenStudy,
    Trial,
    find_study,
    open_study,
    pruning_watch,
    read_about,
    read_study,
    study_dir,
)
from ratchet.sweeps.trials import read_results

Opened = Callable[..., AbstractContextManager[OpenStudy]]


def get_values(trials: list[Trial]) -> list[dict[str, Any]]:
    return [trial.values for trial in trials]


@pytest.fixture
def uninterrupted(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the values of fourteen trials, four more than the random ones."""
    with open_study(tmp_path / "uninterrupted", SearchConfig(), SPACE, DEFAULT, {}) as study:
        return get_values(run_trials(study, 14))


def test_default_is_tried_first(opened: Opened) -> None:
    with opened() as study:
        [trial] = study.ask(1)
        assert (trial.number, trial.values) == (0, DEFAULT)


def test_resumed_search_tries_same_values_as_uninterrupted_one(
    opened: Opened, uninterrupted: list[dict[str, Any]]
) -> None:
    results = []
    for count in (1, 4, 6, 3):
        with opened() as study:
            results += get_values(run_trials(study, count))
    assert results == uninterrupted
    assert len({str(values) for values in results}) == 14, "trials differ"


def test_another_seed_tries_other_values(opened: Opened, uninterrupted: list[dict[str, Any]]) -> None:
    with opened(seed=1) as study:
        results = get_values(run_trials(study, 3))
    assert results[0] == uninterrupted[0]
    assert results[1:] != uninterrupted[1:3]


def test_killed_and_failed_trials_are_repeated_first(opened: Opened, uninterrupted: list[dict[str, Any]]) -> None:
    with opened() as study:
        done = get_values(run_trials(study, 4))
        study.ask(1)  # the process is killed here
    with opened() as study:
        done += get_values(run_trials(study, 1))
        failed = get_values(run_trials(study, 1, failing=[0]))
    with opened() as study:
        assert study.tried == 5
        repeated = get_values(run_trials(study, 1))
        assert repeated == failed
        done += repeated + get_values(run_trials(study, 8))
    assert done == uninterrupted


def test_trials_of_one_batch_differ(opened: Opened) -> None:
    with opened(parallel=3) as study:
        run_trials(study, 1)
        trials = study.ask(3)
    assert len({str(trial.values) for trial in trials}) == 3


def test_sampler_improves_on_default(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run_trials(study, 40)
    results = read_results(directory, SearchConfig())
    assert results.best is not None
    assert results.best.metric is not None
    assert results.best.metric > quality(DEFAULT) + 0.3
    assert next(iter(results.importance)) == "model.share"
    assert results.importance["model.rate"] < 0.1


def test_small_space_of_choices_is_tried_completely(directory: Path) -> None:
    space = {"a": ParameterConfig(choices=[1, 2]), "b": ParameterConfig(choices=[True, False])}
    with open_study(directory, SearchConfig(trials=4), space, {"a": "2", "b": "true"}, {}) as study:
        results = [study.ask(1)[0].values for _ in range(4)]
    assert results[0] == {"a": "2", "b": "true"}
    assert {(values["a"], values["b"]) for values in results} == {
        ("1", "true"),
        ("1", "false"),
        ("2", "true"),
        ("2", "false"),
    }


def test_incomplete_last_line_of_journal_is_removed(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run_trials(study, 2)
    journal = directory / JOURNAL
    (directory / f"{JOURNAL}.lock").write_text("of a process that was killed")
    complete = journal.read_bytes()
    journal.write_bytes(complete + complete.splitlines(keepends=True)[-1][:20])
    with opened() as study:
        assert study.tried == 2
        run_trials(study, 1)
    assert journal.read_bytes().startswith(complete)


def test_damaged_journal_error_names_it(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run_trials(study, 1)
    (directory / JOURNAL).write_text("not JSON\nat all\n")
    with pytest.raises(UserError, match=r"journal\.log: not the journal of a study.*move it away"), opened():
        pass


def test_two_processes_cannot_use_one_study(opened: Opened, directory: Path) -> None:
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
    code += "print('held', flush=True); sys.stdin.read()"
    directory.mkdir(parents=True)
    command = [sys.executable, "-c", code, str(directory / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UserError, match="another process is using this study"), opened():
            pass
        process.communicate("")
    with opened() as study:
        assert study.tried == 0


def test_error_without_optuna_names_the_extra(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    original = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "optuna" else original(name))
    with pytest.raises(UserError, match=r"a search needs optuna.*\[search\]"), opened():
        pass


def test_missing_study_raises(directory: Path) -> None:
    with pytest.raises(UserError, match="there is no study"):
        read_study(directory, SearchConfig())
    with pytest.raises(UserError, match=r"study\.json: cannot be read"):
        read_about(directory)


def test_study_stores_its_description(opened: Opened, directory: Path) -> None:
    with opened():
        versions = {"schema_version": STUDY_SCHEMA.version, "ratchet_version": ratchet.__version__}
        assert read_about(directory) == {"model": "made", "default": DEFAULT, **versions}


def test_description_without_a_version_is_read(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "study.json").write_text('{"model": "made"}')
    assert read_about(directory) == {"model": "made"}


def test_study_of_a_newer_ratchet_is_refused_unchanged(opened: Opened, directory: Path) -> None:
    directory.mkdir(parents=True)
    newer = json.dumps({"schema_version": STUDY_SCHEMA.version + 1, "ratchet_version": "0.9.0"})
    (directory / "study.json").write_text(newer)
    with pytest.raises(UserError, match=r"study\.json: .* install ratchet-ml 0\.9\.0 or newer"), opened():
        pass
    assert (directory / "study.json").read_text() == newer
    assert not (directory / JOURNAL).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"], ids=repr)
def test_damaged_description_is_written_again(opened: Opened, directory: Path, content: str) -> None:
    directory.mkdir(parents=True)
    (directory / "study.json").write_text(content)
    with opened():
        assert read_about(directory)["model"] == "made"


def test_study_is_found_by_id_or_unique_prefix(tmp_path: Path) -> None:
    for name in ("sample-cnn-1", "sample-cnn-12", "sample-rule-3"):
        study_dir(tmp_path, name).mkdir(parents=True)
        (study_dir(tmp_path, name) / "study.json").write_text("{}")
    (tmp_path / ".studies" / "half").mkdir()
    assert find_study(tmp_path, "sample-rule") == study_dir(tmp_path, "sample-rule-3")
    assert find_study(tmp_path, "sample-cnn-1") == study_dir(tmp_path, "sample-cnn-1"), "a complete id is not a prefix"
    with pytest.raises(UserError, match="several studies: sample-cnn-1, sample-cnn-12"):
        find_study(tmp_path, "sample-cnn")
    with pytest.raises(UserError, match="names no study: sample-cnn-1, sample-cnn-12, sample-rule-3"):
        find_study(tmp_path, "half")
    with pytest.raises(UserError, match="there is none"):
        find_study(tmp_path / "elsewhere", "sample")


def make_settings(trial: int, **others: object) -> SearchConfig:
    return SearchConfig(study="made", trial=trial, **others)  # type: ignore[arg-type]


def count_epochs(settings: SearchConfig, runs_dir: Path, value: float, epochs: int = 8) -> int:
    """Return how many epochs with this metric a trial may run."""
    watch = pruning_watch(settings, runs_dir)
    assert watch is not None
    watch(0, {"learning_rate": 0.1})
    for epoch in range(epochs):
        try:
            watch(epoch, {"epoch": epoch, "val/loss": 1.0, "val/f1_weighted": value})
        except Pruned:
            return epoch + 1
    return epochs


def test_trial_below_the_median_is_pruned(opened: Opened, directory: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    with opened() as study:
        for value in (0.1, 0.5, 0.6, 0.7, 0.8):
            [trial] = study.ask(1)
            assert count_epochs(make_settings(trial.number), runs_dir, value) == 8, "too few earlier trials"
            study.tell(trial.number, [value])
        [good] = study.ask(1)
        assert count_epochs(make_settings(good.number), runs_dir, 0.65) == 8
        study.tell(good.number, [0.65])
        [poor] = study.ask(1)
        assert count_epochs(make_settings(poor.number), runs_dir, 0.55) == 4, "the first three epochs are free"
        study.tell(poor.number, None, pruned=True)
    results = read_results(directory, SearchConfig())
    assert [(trial.state, trial.epochs, trial.reported) for trial in results.trials[-2:]] == [
        ("finished", 8, 0.65),
        ("pruned", 4, 0.55),
    ]


def test_without_pruning_there_is_no_watch(tmp_path: Path) -> None:
    for settings in (
        SearchConfig(),
        make_settings(0, prune=False),
        make_settings(0, cost=Cost.size_mb),
    ):
        assert pruning_watch(settings, tmp_path) is None

"""What is asked for, in which order, and what is left of it when a process is gone."""

import builtins
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.search.conftest import DEFAULT, SPACE, quality, run

from ratchet.config import ParameterConfig, SearchConfig
from ratchet.errors import UserError
from ratchet.search.results import results_of
from ratchet.search.study import JOURNAL, OpenStudy, Trial, open_study, read_about, read_study

Opened = Callable[..., AbstractContextManager[OpenStudy]]


def values(trials: list[Trial]) -> list[dict[str, Any]]:
    return [trial.values for trial in trials]


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[dict[str, Any]]:
    """The values of fourteen trials: four more than are drawn before the sampler learns from them."""
    with open_study(tmp_path / "undisturbed", SearchConfig(), SPACE, DEFAULT, {}) as study:
        return values(run(study, 14))


def test_the_default_is_tried_first(opened: Opened) -> None:
    with opened() as study:
        [trial] = study.ask(1)
        assert (trial.number, trial.values) == (0, DEFAULT)


def test_a_search_that_is_gone_on_with_asks_for_what_an_undisturbed_one_asks_for(
    opened: Opened, undisturbed: list[dict[str, Any]]
) -> None:
    found = []
    for count in (1, 4, 6, 3):
        with opened() as study:
            found += values(run(study, count))
    assert found == undisturbed
    assert len({str(each) for each in found}) == 14, "trials differ"


def test_another_seed_asks_for_something_else(opened: Opened, undisturbed: list[dict[str, Any]]) -> None:
    with opened(seed=1) as study:
        found = values(run(study, 3))
    assert found[0] == undisturbed[0]
    assert found[1:] != undisturbed[1:3]


def test_what_was_killed_or_failed_comes_first_and_changes_nothing_after_it(
    opened: Opened, undisturbed: list[dict[str, Any]]
) -> None:
    with opened() as study:
        done = values(run(study, 4))
        study.ask(1)  # and the process dies
    with opened() as study:
        done += values(run(study, 1))
        failed = values(run(study, 1, failing=[0]))
    with opened() as study:
        assert study.tried == 5
        again = values(run(study, 1))
        assert again == failed
        done += again + values(run(study, 8))
    assert done == undisturbed


def test_what_is_asked_for_at_once_differs(opened: Opened) -> None:
    with opened(parallel=3) as study:
        run(study, 1)
        trials = study.ask(3)
    assert len({str(trial.values) for trial in trials}) == 3


def test_it_learns(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run(study, 40)
    found = results_of(read_study(directory, SearchConfig()), SearchConfig())
    assert found.best is not None
    assert found.best.metric is not None
    assert found.best.metric > quality(DEFAULT) + 0.3
    assert next(iter(found.importance)) == "model.share"
    assert found.importance["model.rate"] < 0.1


def test_a_space_of_a_few_choices_is_tried_whole(directory: Path) -> None:
    space = {"a": ParameterConfig(choices=[1, 2]), "b": ParameterConfig(choices=[True, False])}
    with open_study(directory, SearchConfig(trials=4), space, {"a": "2", "b": "true"}, {}) as study:
        found = [study.ask(1)[0].values for _ in range(4)]
    assert found[0] == {"a": "2", "b": "true"}
    assert {(each["a"], each["b"]) for each in found} == {("1", "true"), ("1", "false"), ("2", "true"), ("2", "false")}


def test_a_line_that_was_cut_short_is_forgotten(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run(study, 2)
    journal = directory / JOURNAL
    (directory / f"{JOURNAL}.lock").write_text("of a process that was killed")
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines(keepends=True)[-1][:20])
    with opened() as study:
        assert study.tried == 2
        run(study, 1)
    assert journal.read_bytes().startswith(whole)


def test_a_broken_journal_is_named(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run(study, 1)
    (directory / JOURNAL).write_text("not JSON\nat all\n")
    with pytest.raises(UserError, match=r"journal\.log: not a study's journal.*move it away"), opened():
        pass


def test_two_processes_do_not_search_in_one_study(opened: Opened, directory: Path) -> None:
    holds = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
    holds += "print('held', flush=True); sys.stdin.read()"
    directory.mkdir(parents=True)
    command = [sys.executable, "-c", holds, str(directory / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match="another process searches there"), opened():
            pass
        other.communicate("")
    with opened() as study:
        assert study.tried == 0


def test_without_optuna_the_extra_is_named(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "optuna":
            raise ImportError("no optuna here")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UserError, match=r"the extra ratchet\[search\]"), opened():
        pass


def test_what_is_not_there_is_said(directory: Path) -> None:
    with pytest.raises(UserError, match="no study is there"):
        read_study(directory, SearchConfig())
    with pytest.raises(UserError, match=r"study\.json: cannot be read"):
        read_about(directory)


def test_what_was_searched_is_written_down(opened: Opened, directory: Path) -> None:
    with opened():
        assert read_about(directory) == {"model": "made"}

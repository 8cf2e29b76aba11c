"""Tests for `ratchet sweep`: the jobs of a grid and the trials of a search."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sweeps.studies import DEFAULT, SPACE, run_trials

from ratchet.config import SearchConfig, plain
from ratchet.sweeps.ledger import Job, plan_sweep, record_job, record_study
from ratchet.sweeps.study import open_study, study_dir

Verb = Callable[..., tuple[int, str, str]]
GRID, SEARCH = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb"
STUDY = "sample-made_search-12345678"


@pytest.fixture(scope="module")
def sweeps_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a grid of three jobs (one failed, one did not report), then a search of twelve trials."""
    runs = tmp_path_factory.mktemp("sweeps") / "runs"
    plan_sweep(runs, GRID, [["seed=0"], ["seed=1"], ["seed=2"]])
    record_job(runs, GRID, Job(0, ["seed=0"], "finished"))
    record_job(runs, GRID, Job(1, ["seed=1"], "failed", reason="no label is left"))
    record_study(runs, SEARCH, STUDY)
    record_job(runs, SEARCH, Job(0, ["sweep=made"], "finished"))
    settings = SearchConfig(trials=12)
    description = {"model": "made", "data": "sample", "overrides": ["sweep=made"]}
    description["settings"] = {**plain(settings), "space": plain(SPACE)}  # type: ignore[assignment]
    with open_study(study_dir(runs, STUDY), settings, SPACE, DEFAULT, description) as study:
        run_trials(study, 12, failing=[3])
    return runs


@pytest.fixture
def sweep(sweeps_dir: Path, verb: Verb) -> Verb:
    return lambda *arguments: verb("sweep", *arguments, f"runs_dir={sweeps_dir}")


def test_sweeps_are_listed_oldest_first(sweep: Verb) -> None:
    code, out, _ = sweep("list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [GRID, SEARCH]
    assert "1 finished, 1 failed, 1 not run" in out
    assert STUDY in out


def test_grid_is_shown_with_outcome_of_each_job(sweep: Verb) -> None:
    _, out, _ = sweep("show", GRID)
    assert "seed=1     failed: no label is left" in out
    assert "not run" in out
    assert [job["outcome"] for job in json.loads(sweep("show", GRID, "format=json")[1])] == [
        "finished",
        "failed",
        "not run",
    ]


@pytest.mark.parametrize("wanted", ["last", SEARCH, STUDY, "sample-made"])
def test_search_lists_best_trials_first(sweep: Verb, wanted: str) -> None:
    code, out, _ = sweep("show", wanted)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"study {STUDY}: sweep=made"
    rows = lines[3 : lines.index("", 3)]
    assert len(rows) == 12
    scores = [float(row.split()[-2]) for row in rows[:-1]]
    assert scores == sorted(scores, reverse=True)
    assert rows[-1].split()[:2] == ["#3", "failed"]
    assert f"best          {rows[0].split()[0]}, weighted F1 {scores[0]:.3f} on val\n" in out
    gain = f"{scores[0] - 0.7:+.3f} on val, where the best was chosen"
    assert f"default       #0, weighted F1 0.700 on val: {gain}" in out.replace("\n" + " " * 14, " ")
    assert "importance    share " in out


def test_no_gain_is_claimed_without_a_trial_of_the_default(verb: Verb, tmp_path: Path) -> None:
    settings = SearchConfig(trials=3)
    description = {"model": "made", "data": "sample", "overrides": [], "outside": ["model.C=1.5"]}
    description["settings"] = {**plain(settings), "space": plain(SPACE)}  # type: ignore[assignment]
    with open_study(study_dir(tmp_path, "made"), settings, SPACE, None, description) as study:
        run_trials(study, 3)
    out = " ".join(verb("sweep", "show", "made", f"runs_dir={tmp_path}")[1].split())
    assert "default not tried: model.C=1.5 is outside the space, so no gain is known; compare them on test" in out
    assert "+0." not in out
    page = tmp_path / "search.html"
    verb("sweep", "show", "made", f"runs_dir={tmp_path}", f"out={page}")
    text = page.read_text(encoding="utf-8")
    assert "whether this is better than the default is not known" in text
    assert "The default was not tried" in text


def test_json_contains_study_model_and_trials(sweep: Verb) -> None:
    content = json.loads(sweep("show", STUDY, "format=json")[1])
    assert (content["study"], content["model"], len(content["trials"])) == (STUDY, "made", 12)


def test_search_charts_are_written_to_page(sweep: Verb, tmp_path: Path) -> None:
    code, out, _ = sweep("show", STUDY, f"out={tmp_path / 'search.html'}")
    assert (code, "open it in a browser" in out) == (0, True)
    assert "A search of made" in (tmp_path / "search.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shwo"], "did you mean 'show'"),
        (["show", "nothing"], "'nothing' names no study"),
        (["show", GRID, "out=x.html"], "is a grid"),
        (["show", STUDY, "out=/nowhere/x.html"], "no such directory"),
        (["show", "a", "b"], "'b' is not understood"),
        (["list", "a"], "'a' is not understood"),
        (["list", "fromat=md"], "did you mean 'format'"),
    ],
)
def test_invalid_arguments_are_reported(sweep: Verb, arguments: list[str], message: str) -> None:
    code, out, error = sweep(*arguments)
    assert (code, out) == (2, "")
    assert message in error


def test_missing_sweeps_message_names_command(verb: Verb, tmp_path: Path) -> None:
    assert verb("sweep", "list", f"runs_dir={tmp_path}")[1] == f"no sweeps in {tmp_path}\n"
    assert "ratchet train -m" in verb("sweep", "show", f"runs_dir={tmp_path}")[2]

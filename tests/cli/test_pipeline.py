"""Tests for `ratchet pipeline`: its stages, its error messages, and which checkout runs."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.locks import FOUND, with_metric

from ratchet.cli.main import main
from ratchet.cli.pipeline import _ACTIONS
from ratchet.pipeline import locks

Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _enter_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets the results of the working directory; those of HEAD are FOUND."""

    def set_results(results: locks.Results) -> None:
        def read_file(revision: str, path: Path) -> str:
            assert (revision, path) == ("HEAD", locks.RESULTS)
            return json.dumps(vars(FOUND))

        monkeypatch.setattr(locks, "read_committed_file", read_file)
        monkeypatch.setattr(locks, "read_results", lambda plan: results)
        Path("params.yaml").write_text("models: [rule]\n", encoding="utf-8")

    return set_results


def test_missing_stage_error_lists_all_stages(verb: Verb) -> None:
    code, out, err = verb("pipeline")
    assert (code, out) == (2, "")
    for name in (*_ACTIONS, "dvc repro"):
        assert name in err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["comapre"], ["pipeline comapre", "'compare'"]),
        (["config", "data=sample"], ["data=sample", "'data'"]),
        (["prepare", "now"], ["'now'", "key=value"]),
        (["split"], ["pipeline split: which repeat? repeat=..."]),
        (["split", "repeat=-1"], ["repeat=-1", "at least 0"]),
        (["split", "repeat=one"], ["repeat", "one"]),
        (["split", "repat=1"], ["'repat'", "'repeat'"]),
        (["train", "repeat=0"], ["pipeline train: which model?"]),
        (["train", "model=rule"], ["pipeline train: which repeat?"]),
        (["train", "model=", "repeat=0"], ["pipeline train: which model?"]),
        (["train", "model=rule", "repeat=0"], ["build/config/model/rule.yaml"]),
        (["config"], ["params.yaml: "]),
        (["compare"], ["params.yaml: "]),
        (["lock"], ["params.yaml: "]),
        (["check", "agianst=HEAD"], ["'agianst'", "'against'"]),
        (["diff", "format=xml"], ["format", "json, md, table"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], verb: Verb) -> None:
    code, out, err = verb("pipeline", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err


@pytest.mark.parametrize("action", ["prepare", "split", "report"])
def test_stage_error_names_missing_inputs(action: str, verb: Verb, project: Path) -> None:
    shutil.copy(project / "params.yaml", "params.yaml")
    code, _, err = verb("pipeline", action, *(["repeat=0"] if action == "split" else []))
    assert code == 2
    assert "build/" in err


def test_check_exits_with_0_if_results_match(committed: Any, verb: Verb) -> None:
    committed(FOUND)
    code, out, err = verb("pipeline", "check")
    assert (code, err) == (0, "")
    assert [part in out for part in ("results.lock.json", "HEAD", "bit for bit")] == [True] * 3


def test_check_exits_with_3_and_lists_differences(committed: Any, verb: Verb) -> None:
    committed(with_metric("rule/0", "test/f1_macro", 0.9))
    code, out, _ = verb("pipeline", "check", "against=HEAD")
    assert code == 3
    lines = out.splitlines()
    assert [part in lines[0] for part in ("rule", "test/f1_macro", "0.6000", "0.8000")] == [True] * 4
    assert "results.lock.json of HEAD" in lines[-2]
    assert "ratchet pipeline lock" in lines[-1]


def test_check_counts_one_difference_in_singular(committed: Any, verb: Verb) -> None:
    committed(with_metric("rule/0", "test/f1_macro", 0.9))
    assert verb("pipeline", "check")[1].splitlines()[-2].startswith("1 difference from ")


def test_diff_prints_markdown_and_plain_table(committed: Any, verb: Verb) -> None:
    committed(with_metric("rule/1", "test/f1_macro", 0.8))
    code, out, _ = verb("pipeline", "diff", "format=md")
    assert code == 0
    assert out.splitlines() == [
        "| model | metric | then | now | change |",
        "| --- | --- | ---: | ---: | ---: |",
        "| rule | test/f1_macro | 0.6000 | 0.6500 | +0.0500 |",
    ]
    assert verb("pipeline", "diff")[1].splitlines()[1].split() == [
        "rule",
        "test/f1_macro",
        "0.6000",
        "0.6500",
        "+0.0500",
    ]


def test_diff_prints_json(committed: Any, verb: Verb) -> None:
    committed(with_metric("rule/1", "test/f1_macro", 0.8))
    [row] = json.loads(verb("pipeline", "diff", "format=json")[1])
    assert row["metric"] == "test/f1_macro"


def test_diff_reports_no_difference(committed: Any, verb: Verb) -> None:
    committed(FOUND)
    assert verb("pipeline", "diff") == (0, "no metric differs from HEAD\n", "")


def test_lock_writes_results_next_to_dvc_lock(committed: Any, verb: Verb) -> None:
    committed(FOUND)
    code, out, _ = verb("pipeline", "lock")
    assert code == 0
    assert "commit it together with dvc.lock" in out
    assert json.loads(Path("results.lock.json").read_text(encoding="utf-8")) == vars(FOUND)


MAIN = "import os, sys\nprint(sys.argv[1:], os.environ['PYTHONPATH'].split(os.pathsep)[0])\nsys.exit(7)\n"


def make_checkout(directory: Path, text: str) -> None:
    """Create a checkout whose package runs this text as its main module."""
    package = directory / "src" / "ratchet"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(text, encoding="utf-8")


def test_stage_runs_code_of_current_checkout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    make_checkout(tmp_path, MAIN)
    assert main(["pipeline", "split", "repeat=3"]) == 7, "the exit code of the subprocess"
    assert capfd.readouterr().out == f"['pipeline', 'split', 'repeat=3'] {tmp_path / 'src'}\n"
    assert os.environ["PYTHONPATH"] == "elsewhere"


def test_stage_of_imported_checkout_starts_no_process(
    verb: Verb, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: pytest.fail("no process of its own"))
    monkeypatch.setitem(_ACTIONS, "lock", (_ACTIONS["lock"][0], lambda options: 0))
    assert verb("pipeline", "lock")[0] == 0


def test_src_directory_without_package_is_not_a_checkout(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("src", "ratchet").mkdir(parents=True)
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: pytest.fail("no process of its own"))
    assert "params.yaml" in verb("pipeline", "config")[2]


def test_unknown_stage_is_reported_before_running_checkout(verb: Verb, tmp_path: Path) -> None:
    make_checkout(tmp_path, "raise SystemExit(7)\n")
    assert verb("pipeline", "nonsense")[0] == 2

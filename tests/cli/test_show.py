"""Tests for the reliability table and the behavioural tests that `runs show` prints."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def regression(make_run: Make) -> Path:
    return make_run("model=regression", "model.char_ngrams=null", "calibration.method=temperature")


def test_reliability_of_test_part_is_shown_as_table(regression: Path, verb: Verb) -> None:
    out = verb("runs", "show", str(regression))[1]
    bins = json.loads((regression / "reliability" / "test.json").read_text())
    table = out[out.index("scores of test") :].split("\n\n")[0].splitlines()
    assert len(table) == 1 + len(bins) == 11
    counts = [int(line.split()[3].replace(",", "")) for line in table[1:]]
    assert counts == [row["count"] for row in bins]
    assert "| scores of test |" in verb("runs", "show", str(regression), "format=md")[1]


def test_failed_behavioural_cases_are_listed_with_texts(regression: Path, verb: Verb) -> None:
    out = verb("runs", "show", str(regression))[1]
    cases = json.loads((regression / "behaviour.json").read_text())
    failed = [case for case in cases if case["passed"] is False]
    assert f"behavioural tests that fail ({len(failed)} of {len(cases)})" in out
    assert failed
    for case in failed:
        assert f"{case['kind']}: {case['name']}" in out
        assert case["found"] in out
        assert all(f"  - {text}" in out for text in case["texts"])
    passed = next(case for case in cases if case["passed"])
    assert passed["texts"][0] not in out


def test_binary_scores_have_no_reliability_table(make_run: Make, verb: Verb) -> None:
    assert "scores of test" not in verb("runs", "show", str(make_run("model=rule")))[1]


def test_run_without_behavioural_tests_does_not_mention_them(make_run: Make, verb: Verb) -> None:
    assert "behavioural" not in verb("runs", "show", str(make_run("model=rule", "data.behaviour.path=null")))[1]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            {"commit": None, "problem": "fatal: detected dubious ownership"},
            "no commit: fatal: detected dubious ownership",
        ),
        ({"commit": None}, "not in git"),
        ({"commit": "0123456789abcdef", "dirty": False}, "0123456789ab"),
        ({"commit": "0123456789abcdef", "dirty": True}, "0123456789ab with changes (code.diff)"),
        (
            {"commit": "0123456789abcdef", "dirty": None, "problem": "fatal: index file corrupt"},
            "0123456789ab, changes unknown: fatal: index file corrupt",
        ),
        (
            {
                "commit": "0123456789abcdef",
                "dirty": True,
                "diff_sha256": "f" * 64,
                "files": [
                    {"path": "src/a.bin", "size": 3_000_000, "sha256": "e" * 64},
                    {"path": "src/b.bin", "size": None, "sha256": None},
                ],
            },
            "0123456789ab with changes (code.diff; by hash: src/a.bin (3.0 MB), src/b.bin (deleted))",
        ),
    ],
)
def test_code_is_shown_with_what_git_refused(
    state: dict[str, object], expected: str, make_run: Make, verb: Verb, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(make_run("model=rule"), tmp_path / "run"))
    record = json.loads((run / "record.json").read_text())
    (run / "record.json").write_text(json.dumps(record | {"git": state}))
    code, out, _ = verb("runs", "show", str(run), "format=md")
    assert code == 0
    assert expected in " ".join(out.split())

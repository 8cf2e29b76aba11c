"""Tests for `ratchet report`: one HTML page of the selected runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

Verb = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("ladder_here")


@pytest.fixture
def report(verb: Verb) -> Verb:
    return lambda *arguments: verb("report", "resamples=200", *arguments)


def test_report_writes_page_and_prints_path(report: Verb) -> None:
    code, out, err = report()
    assert (code, err) == (0, "")
    assert out == "report.html (1.0 MB): open it in a browser; it needs no network\n"
    page = Path("report.html").read_text(encoding="utf-8")
    assert "sample: what each iteration improved" in page
    assert "ratchet reproduce runs/sample/regression/" in page
    assert 'class="text"' in page, "the texts of the sample are available"


def test_report_accepts_selection_and_objective_options(report: Verb) -> None:
    code, *_ = report("name=rule,regression", "objective.floor=0.99", "baseline=regression", "out=other.html")
    assert code == 0
    page = Path("other.html").read_text(encoding="utf-8")
    assert "set on the command line: objective.floor=0.99" in page
    assert "against regression" in page
    assert not Path("report.html").exists()


def test_only_a_report_is_replaced(report: Verb) -> None:
    Path("notes.html").write_text("<p>mine", encoding="utf-8")
    code, out, err = report("out=notes.html")
    assert (code, out) == (2, "")
    assert "out=notes.html: exists and is no report" in err
    assert Path("notes.html").read_text(encoding="utf-8") == "<p>mine"
    Path("notes.html").unlink()
    assert [report("out=notes.html")[0] for _ in range(2)] == [0, 0]


def test_texts_option_omits_texts_from_page(report: Verb) -> None:
    assert report("texts=false")[0] == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Left out: texts=false." in page
    assert 'class="text"' not in page


def test_report_on_val_notes_tuning_on_val(report: Verb) -> None:
    assert report("part=val")[0] == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "on val, where thresholds were tuned and epochs chosen" in page
    assert "test-set accesses" not in page


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["out=runs"], ["out=runs: "]),
        (["out=nowhere/report.html"], ["out=nowhere/report.html: "]),
        (["baseline=cnn"], ["baseline=cnn: ", "regression"]),
        (["data=smaple"], ["data=smaple", "'sample'"]),
        (["objective=strct"], ["'strict'"]),
        (["texts=perhaps"], ["texts"]),
        (["outt=x"], ["'outt'", "'out'"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported_and_write_nothing(arguments: list[str], parts: list[str], report: Verb) -> None:
    code, out, err = report(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err
    assert not list(Path().glob("**/*.html"))

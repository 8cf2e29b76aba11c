"""Tests for the summary of a run and for the line of a job."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratchet.reporting.run_details import metric_tables, print_job_line, summarise_run
from ratchet.reporting.terminal import print_blocks
from ratchet.runs.stored import read_run

Make = Callable[..., Path]
Terminal = Callable[[int], None]


@pytest.fixture(scope="module")
def tested(make_run: Make) -> Path:
    return make_run("model=regression", "model.char_ngrams=null", "split.seed=3", "seed=4")


@pytest.fixture(scope="module")
def validated(make_run: Make) -> Path:
    return make_run("evaluate=val")


def read_metrics(path: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((path / "metrics.json").read_text())
    return metrics


def print_summary(path: Path, test_accesses: int | None, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_blocks(summarise_run(read_run(path), test_accesses))
    return capsys.readouterr().out


def test_heading_names_model_data_and_split(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = print_summary(tested, 1, capsys).splitlines()[0]
    records = read_run(tested).record.records
    assert head.startswith("regression on sample")
    for part in ("train", "val", "test"):
        assert f"{records[part]} {part}" in head
    assert "split 3, seed 4" in head


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("F1 weighted", "f1_weighted"),
        ("precision weighted", "precision_weighted"),
        ("recall weighted", "recall_weighted"),
        ("F1 micro", "f1_micro"),
        ("F1 macro", "f1_macro"),
        ("F1 samples", "f1_samples"),
        ("average precision macro", "average_precision_macro"),
    ],
)
def test_metrics_match_metrics_json(title: str, key: str, tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = read_metrics(tested)
    line = next(line for line in print_summary(tested, 1, capsys).splitlines() if line.startswith(f"{title} "))
    printed = [float(number) for number in re.findall(r"\d\.\d{3}", line)]
    expected = [recorded[f"{part}/{key}{end}"] for part in ("val", "test") for end in ("", "_ci_low", "_ci_high")]
    assert printed == [round(value, 3) for value in expected]


def test_labels_per_record_show_true_number(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = read_metrics(tested)
    out = print_summary(tested, 1, capsys)
    predicted, true = (recorded[f"test/labels_per_record_{which}"] for which in ("predicted", "true"))
    assert f"{predicted:.2f} ({true:.2f})" in out
    predicted, true = (recorded[f"test/share_without_label_{which}"] for which in ("predicted", "true"))
    assert f"{predicted:.1%} ({true:.1%})" in out


def test_slices_belong_to_final_part(tested: Path, validated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, part in ((tested, "test"), (validated, "val")):
        out = print_summary(path, None, capsys)
        prefix = f"{part}/slices/"
        names = {key[len(prefix) :].rpartition("/")[0] for key in read_metrics(path) if key.startswith(prefix)}
        names = {name for name in names if f"{prefix}{name}/records" in read_metrics(path)}
        table = out[out.index(f"slice of {part}") :].split("\n\n")[0].splitlines()[1:]
        assert {line.split()[0] for line in table} == names
        for line in table:
            name, records = line.split()[:2]
            assert int(records) == read_metrics(path)[f"{prefix}{name}/records"]


def test_summary_on_val_does_not_mention_test(validated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = print_summary(validated, None, capsys).split("\n", 1)[1]
    assert not re.search(r"\btest\b", body.replace(str(validated), ""))


@pytest.mark.parametrize(("test_accesses", "text"), [(1, "1 access so far"), (2, "2 accesses so far")])
def test_accesses_to_test_split_are_counted(
    test_accesses: int, text: str, tested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in print_summary(tested, test_accesses, capsys)


def test_costs_thresholds_and_directory_are_shown(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = print_summary(tested, 1, capsys)
    cost = next(line for line in out.splitlines() if line.startswith("cost "))
    for unit in (" s", " ms", " texts/s", " MB"):
        assert re.search(rf"\d{unit}\b", cost)
    (threshold,) = set(json.loads((tested / "thresholds.json").read_text())["values"].values())
    assert re.search(rf"^thresholds +tuned, {threshold:.3f}$", out, re.MULTILINE)
    assert out.rstrip().splitlines()[-1].split(maxsplit=1) == ["run", str(tested)]


def test_per_label_thresholds_are_shown_as_range(make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_run("model=regression", "model.char_ngrams=null", "threshold.method=per_label")
    values = json.loads((path / "thresholds.json").read_text())["values"].values()
    assert min(values) < max(values)
    assert f"per_label, {min(values):.3f} to {max(values):.3f}" in print_summary(path, 1, capsys)


def test_undefined_metric_is_dash(make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The rule scores 0 or 1: there is no ranking to measure."""
    out = print_summary(make_run("model=rule"), 1, capsys)
    line = next(line for line in out.splitlines() if line.startswith("average precision macro"))
    assert line.split()[-2:] == ["-", "-"]


def test_summary_fits_120_columns(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = print_summary(tested, 1, capsys).replace(str(tested), "").splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 120


def test_metrics_of_one_part_can_be_shown(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks(metric_tables(read_run(tested).read_metrics(), ["val"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["metric", "val"]
    assert any(line.startswith("slice of val") for line in lines)


def test_job_of_grid_is_one_line(tested: Path, validated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_job_line("#2 model=rule seed=1", tested)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith("#2 model=rule seed=1: test F1 ")
    assert f"{read_metrics(tested)['test/f1_weighted']:.3f}" in line
    assert str(tested) in line
    print_job_line("#0", validated)
    assert f"val F1 {read_metrics(validated)['val/f1_weighted']:.3f}" in capsys.readouterr().out


def test_behaviour_is_shown_by_kind(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = next(line for line in print_summary(tested, 1, capsys).splitlines() if line.startswith("behaviour "))
    recorded, cases = read_metrics(tested), json.loads((tested / "behaviour.json").read_text())
    passed = sum(case["passed"] is True for case in cases)
    assert f"{passed} of {len(cases)} cases pass" in line
    for kind in ("invariance", "directional", "minimum"):
        assert f"{kind} {recorded[f'behaviour/{kind}']:.2f}" in line


def test_calibration_is_shown_if_present(tested: Path, make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert "calibration " not in print_summary(tested, 1, capsys).replace("calibration error", "")
    path = make_run("model=regression", "model.char_ngrams=null", "calibration.method=temperature")
    temperature = json.loads((path / "calibration.json").read_text())["temperature"]
    assert f"temperature {temperature:.2f}" in print_summary(path, 1, capsys)


def test_narrow_terminal_shows_complete_summary(
    tested: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    piped = print_summary(tested, 2, capsys)
    terminal(80)
    out = print_summary(tested, 2, capsys)
    assert out.split() == piped.split()
    assert max(len(line) for line in out.replace(str(tested), "").splitlines()) <= 80
    terminal(56)
    narrow = print_summary(tested, 2, capsys)
    assert narrow.count("F1 weighted") == 2, "a column without room becomes a table below"
    assert max(len(line) for line in narrow.replace(str(tested), "").splitlines()) <= 56
    for number in re.findall(r"\d\.\d{3}|\d+%", piped):
        assert number in narrow


def test_job_of_grid_wraps_between_words(tested: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    job = "#2 model=regression name=regression_words_only_without_stemming split.seed=3"
    print_job_line(job, tested)
    piped = capsys.readouterr().out
    terminal(80)
    print_job_line(job, tested)
    first, *rest = capsys.readouterr().out.splitlines()
    assert [*first.split(), *" ".join(rest).split()] == piped.split()
    assert rest[-1] == f"  {tested}", "a path is not broken"
    assert all(line.startswith("  ") for line in rest)

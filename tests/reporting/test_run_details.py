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


def metrics(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "metrics.json").read_text())
    return found


def summary(path: Path, readings: int | None, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_blocks(summarise_run(read_run(path), readings))
    return capsys.readouterr().out


def test_the_head_says_what_ran_on_what(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = summary(tested, 1, capsys).splitlines()[0]
    records = read_run(tested).record.records
    assert head.startswith("regression on sample")
    for part in ("train", "val", "test"):
        assert f"{records[part]} {part}" in head
    assert "split 3, seed 4" in head


@pytest.mark.parametrize(
    ("shown", "key"),
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
def test_each_metric_is_the_one_of_metrics_json(
    shown: str, key: str, tested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = metrics(tested)
    line = next(line for line in summary(tested, 1, capsys).splitlines() if line.startswith(f"{shown} "))
    figures = [float(each) for each in re.findall(r"\d\.\d{3}", line)]
    expected = [found[f"{part}/{key}{end}"] for part in ("val", "test") for end in ("", "_ci_low", "_ci_high")]
    assert figures == [round(value, 3) for value in expected]


def test_labels_a_record_are_compared_with_the_true_number(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = metrics(tested)
    out = summary(tested, 1, capsys)
    predicted, true = (found[f"test/labels_per_record_{which}"] for which in ("predicted", "true"))
    assert f"{predicted:.2f} ({true:.2f})" in out
    predicted, true = (found[f"test/share_without_label_{which}"] for which in ("predicted", "true"))
    assert f"{predicted:.1%} ({true:.1%})" in out


def test_slices_are_those_of_the_part_that_is_final(
    tested: Path, validated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, part in ((tested, "test"), (validated, "val")):
        out = summary(path, None, capsys)
        prefix = f"{part}/slices/"
        names = {key[len(prefix) :].rpartition("/")[0] for key in metrics(path) if key.startswith(prefix)}
        names = {name for name in names if f"{prefix}{name}/records" in metrics(path)}
        table = out[out.index(f"slice of {part}") :].split("\n\n")[0].splitlines()[1:]
        assert {line.split()[0] for line in table} == names
        for line in table:
            name, records = line.split()[:2]
            assert int(records) == metrics(path)[f"{prefix}{name}/records"]


def test_a_run_that_looks_at_val_says_nothing_of_test(validated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = summary(validated, None, capsys).split("\n", 1)[1]
    assert not re.search(r"\btest\b", body.replace(str(validated), ""))


@pytest.mark.parametrize(("readings", "text"), [(1, "1 access so far"), (2, "2 accesses so far")])
def test_readings_of_the_test_split_are_counted(
    readings: int, text: str, tested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in summary(tested, readings, capsys)


def test_costs_thresholds_and_the_run_directory_are_shown(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = summary(tested, 1, capsys)
    cost = next(line for line in out.splitlines() if line.startswith("cost "))
    for unit in (" s", " ms", " texts/s", " MB"):
        assert re.search(rf"\d{unit}\b", cost)
    (threshold,) = set(json.loads((tested / "thresholds.json").read_text())["values"].values())
    assert re.search(rf"^thresholds +tuned, {threshold:.3f}$", out, re.MULTILINE)
    assert out.rstrip().splitlines()[-1].split(maxsplit=1) == ["run", str(tested)]


def test_one_threshold_a_label_is_shown_as_a_range(make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_run("model=regression", "model.char_ngrams=null", "threshold.method=per_label")
    values = json.loads((path / "thresholds.json").read_text())["values"].values()
    assert min(values) < max(values)
    assert f"per_label, {min(values):.3f} to {max(values):.3f}" in summary(path, 1, capsys)


def test_figures_that_do_not_exist_are_a_dash(make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The rule scores 0 or 1: no ranking to measure."""
    out = summary(make_run("model=rule"), 1, capsys)
    line = next(line for line in out.splitlines() if line.startswith("average precision macro"))
    assert line.split()[-2:] == ["-", "-"]


def test_no_line_is_wider_than_a_page(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = summary(tested, 1, capsys).replace(str(tested), "").splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 120


def test_figures_of_one_part_alone(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks(metric_tables(read_run(tested).read_metrics(), ["val"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["metric", "val"]
    assert any(line.startswith("slice of val") for line in lines)


def test_a_job_of_a_grid_is_one_line(tested: Path, validated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_job_line("#2 model=rule seed=1", tested)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith("#2 model=rule seed=1: test F1 ")
    assert f"{metrics(tested)['test/f1_weighted']:.3f}" in line
    assert str(tested) in line
    print_job_line("#0", validated)
    assert f"val F1 {metrics(validated)['val/f1_weighted']:.3f}" in capsys.readouterr().out


def test_behaviour_is_told_by_kind(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = next(line for line in summary(tested, 1, capsys).splitlines() if line.startswith("behaviour "))
    found, cases = metrics(tested), json.loads((tested / "behaviour.json").read_text())
    passed = sum(case["passed"] is True for case in cases)
    assert f"{passed} of {len(cases)} cases pass" in line
    for kind in ("invariance", "directional", "minimum"):
        assert f"{kind} {found[f'behaviour/{kind}']:.2f}" in line


def test_calibration_is_told_where_there_is_one(
    tested: Path, make_run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "calibration " not in summary(tested, 1, capsys).replace("calibration error", "")
    path = make_run("model=regression", "model.char_ngrams=null", "calibration.method=temperature")
    temperature = json.loads((path / "calibration.json").read_text())["temperature"]
    assert f"temperature {temperature:.2f}" in summary(path, 1, capsys)


def test_a_terminal_of_80_columns_shows_all_of_it(
    tested: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    piped = summary(tested, 2, capsys)
    terminal(80)
    out = summary(tested, 2, capsys)
    assert out.split() == piped.split()
    assert max(len(line) for line in out.replace(str(tested), "").splitlines()) <= 80
    terminal(56)
    narrow = summary(tested, 2, capsys)
    assert narrow.count("F1 weighted") == 2, "a column has no room: it is a table below"
    assert max(len(line) for line in narrow.replace(str(tested), "").splitlines()) <= 56
    for figure in re.findall(r"\d\.\d{3}|\d+%", piped):
        assert figure in narrow


def test_a_job_of_a_grid_wraps_between_words_on_a_terminal(
    tested: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    job = "#2 model=regression name=regression_words_only_without_stemming split.seed=3"
    print_job_line(job, tested)
    piped = capsys.readouterr().out
    terminal(80)
    print_job_line(job, tested)
    first, *others = capsys.readouterr().out.splitlines()
    assert [*first.split(), *" ".join(others).split()] == piped.split()
    assert others[-1] == f"  {tested}", "a path is not broken"
    assert all(line.startswith("  ") for line in others)

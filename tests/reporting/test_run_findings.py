"""Tests that a run records and shows what is odd about its data."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import Command

ROWS = ["id,text,labels,part"]
ROWS += [f"{row},{'ab'[row % 2]} word {row} {'xyzuvw'[row % 6] * 9},{'ab'[row % 2]},train" for row in range(20)]
ROWS += [f"{row},{'abc'[row % 3]} word {row} {'xyzuvw'[row % 6] * 9},{'ab'[row % 2]},val" for row in range(20, 26)]
CONFIG = """\
defaults: [base_data, _self_]
name: odd
records: {path: odd.csv}
id: id
text: [text]
labels: {column: labels, kind: single}
split: {method: given, column: part}
"""


@pytest.fixture
def train_on(tmp_path: Path, train: Command) -> Callable[..., str]:
    """Train on usual records and these rows; return what the command prints."""

    def run(rows: list[str], config: str = CONFIG) -> str:
        (tmp_path / "odd.csv").write_text("\n".join([*ROWS, *rows]), encoding="utf-8")
        (tmp_path / "mine" / "data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / "data" / "odd.yaml").write_text(config)
        result = train("--config-dir", "mine", "data=odd", "model=rule", "evaluation.resamples=100")
        assert result.returncode == 0, result.stderr
        return str(result.stdout)

    return run


def test_a_label_that_only_test_has_is_recorded_logged_and_shown(
    train_on: Callable[[list[str]], str], tmp_path: Path
) -> None:
    labels = ["new", "a", "new", "b"]
    out = train_on([f"{row},text {row} {'ghij'[row % 4] * 9},{label},test" for row, label in enumerate(labels, 40)])
    [line] = [line for line in out.splitlines() if line.startswith("data ")]
    assert "label 'new': on no record of train, on 2 of test" in line
    [directory] = (tmp_path / "runs" / "odd" / "rule").iterdir()
    kinds = [finding["kind"] for finding in json.loads((directory / "findings.json").read_text())]
    assert kinds == ["label that train lacks", "label with too few records"]
    assert "label that train lacks" in (directory / "log.txt").read_text(encoding="utf-8")


def test_only_the_first_kinds_of_findings_are_shown(train_on: Callable[[list[str]], str]) -> None:
    rows = ["40,...!?,a,test", "41,nan,B,test", "42,the same,b,test", "43,the same,a,test", "44,a,a,test"]
    out = train_on(rows)
    assert out.count(" x ") == 3
    assert "more kinds of findings: ratchet data describe" in out


def test_usual_data_have_no_findings(train_on: Callable[[list[str]], str], tmp_path: Path) -> None:
    out = train_on([f"{row},text {row} {'ghijklmn'[row % 8] * 9},{'ab'[row % 2]},test" for row in range(40, 48)])
    assert not [line for line in out.splitlines() if line.startswith("data ")]
    assert not list((tmp_path / "runs").rglob("findings.json"))


def test_a_slice_by_the_labels_is_refused(train_on: Callable[[list[str]], str], tmp_path: Path, train: Command) -> None:
    train_on([f"{row},text {row} {'ghijklmn'[row % 8] * 9},{'ab'[row % 2]},test" for row in range(40, 48)])
    with (tmp_path / "mine" / "data" / "odd.yaml").open("a") as file:
        file.write("slices: {by_label: {kind: column, column: labels}}\n")
    result = train("--config-dir", "mine", "data=odd", "model=rule")
    assert result.returncode != 0
    assert "slices.by_label.column: 'labels' holds the labels" in result.stderr


@pytest.mark.parametrize("leaks", ["drop_from_train", "report"])
def test_records_that_the_split_drops_are_shown_as_left_out(
    leaks: str, train_on: Callable[[list[str]], str], tmp_path: Path, train: Command
) -> None:
    rows = [f"{row},text {row} {'ghijklmn'[row % 8] * 9},{'ab'[row % 2]},test" for row in range(40, 48)]
    train_on(rows)
    copies = [f"{60 + row},{ROWS[row].split(',')[1]},{'ab'[(row - 1) % 2]},test" for row in (1, 2, 3)]
    with (tmp_path / "odd.csv").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(copies) + "\n")
    result = train(
        *("--config-dir", "mine", "data=odd", "model=rule", "evaluation.resamples=100"), f"split.leaks={leaks}"
    )
    assert result.returncode == 0, result.stderr
    left_out = [line for line in result.stdout.splitlines() if line.startswith("left out ")]
    if leaks == "report":
        assert left_out == []
    else:
        [line] = left_out
        assert "3 records of train or val" in line
        assert "odd.csv, row 2 (train)" in line
        assert "split.leaks=drop_from_train" in line


def test_records_and_labels_that_filters_remove_are_shown_as_left_out(
    train_on: Callable[..., str],
) -> None:
    config = CONFIG + "filter: {exclude: [rare], drop_unlabelled: true}\n"
    rows = [f"{row},text {row} {'ghijklmn'[row % 8] * 9},{'ab'[row % 2]},test" for row in range(40, 48)]
    out = train_on([*rows, "50,one more word,rare,train", "51,two more signs,rare,train"], config)
    left_out = out[out.index("left out ") :].splitlines()[:2]
    assert [line.removeprefix("left out").strip() for line in left_out] == [
        "2 records without a label",
        "1 labels excluded",
    ]

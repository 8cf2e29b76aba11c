"""Tests for the tables of several runs: one row per candidate, with its metrics or costs."""

import json
import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ratchet.reporting.blocks import Table
from ratchet.reporting.run_tables import ladder, run_costs
from ratchet.reporting.terminal import print_blocks
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run

Make = Callable[..., Path]
Terminal = Callable[[int], None]


@pytest.fixture(scope="module")
def runs(make_run: Make) -> dict[str, StoredRun]:
    """Return runs of two models, three seeds of the rule, and one run evaluated on val only."""
    paths = {
        "regression": make_run("model=regression", "model.char_ngrams=null"),
        "rule 0": make_run("model=rule"),
        "rule 1": make_run("model=rule", "split.seed=1"),
        "rule 2": make_run("model=rule", "split.seed=2"),
        "val": make_run("evaluate=val"),
    }
    return {name: read_run(path) for name, path in paths.items()}


def read_metric(run: StoredRun, key: str) -> float:
    value: float = json.loads((run.path / "metrics.json").read_text())[key]
    return value


def split_cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def read_row(runs: list[StoredRun]) -> dict[str, str]:
    """Return the only row of the ladder of these runs, by column."""
    [table] = ladder(runs)
    [row] = table.rows
    return {column.title: cell.text for column, cell in zip(table.columns, row, strict=True)}


def test_mvp_comes_first_and_seeds_share_row(runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks(ladder([runs["regression"], *(runs[f"rule {seed}"] for seed in range(3))]))
    head, columns, first, second = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("sample, test:")
    assert "mean and sd" in head
    assert split_cells(columns)[:3] == ["model", "runs", "F1"]
    assert split_cells(first)[:2] == ["rule", "3"]
    assert split_cells(second)[:2] == ["regression", "1"]


def test_several_seeds_show_mean_and_standard_deviation(runs: dict[str, StoredRun]) -> None:
    three = [runs[f"rule {seed}"] for seed in range(3)]
    values = [read_metric(run, "test/f1_weighted") for run in three]
    assert len(set(values)) == 3
    row = read_row(three)
    assert row["F1"] == f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
    precision = statistics.mean(read_metric(run, "test/precision_weighted") for run in three)
    assert row["prec."] == f"{precision:.3f}"
    assert row["AP"] == "-", "0/1 scores have no ranking"


def test_single_run_shows_interval_over_records(runs: dict[str, StoredRun]) -> None:
    run = runs["regression"]
    value, low, high = (read_metric(run, f"test/f1_weighted{end}") for end in ("", "_ci_low", "_ci_high"))
    row = read_row([run])
    assert row["F1"] == f"{value:.3f} [{low:.3f}, {high:.3f}]"
    assert row["AP"] == f"{read_metric(run, 'test/average_precision_macro'):.3f}"
    assert row["runs"] == "1"
    assert float(row["size (MB)"]) > 0


def test_heading_of_single_runs_names_interval(runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks(ladder([runs["regression"], runs["rule 0"]]))
    assert "95 % interval" in capsys.readouterr().out.splitlines()[0]


def test_same_name_with_other_settings_is_separate_row(
    runs: dict[str, StoredRun], make_run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    per_label = read_run(make_run("threshold.method=per_label"))
    assert per_label.record.name == runs["rule 0"].record.name
    print_blocks(ladder([per_label, runs["rule 0"]]))
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert [split_cells(row)[:2] for row in rows] == [["rule", "1"], ["rule", "1"]]


def test_val_and_test_metrics_use_separate_tables(
    runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    print_blocks(ladder([runs["val"], runs["rule 0"]]))
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sample")]
    assert [head.split(":")[0] for head in heads] == ["sample, test", "sample, val"]


def test_markdown_has_blank_line_before_table(runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    """Without it Markdown takes the heading for the table's first row."""
    print_blocks(ladder([runs["regression"], runs["rule 0"]]), markdown=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == ""
    assert lines[2].startswith("| model | runs | F1 |")
    assert lines[4].startswith("| rule | 1 |")


def test_markdown_has_blank_line_between_tables(runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    """A heading right below a table's last row would be read as one more row."""
    print_blocks(ladder([runs["val"], runs["rule 0"]]), markdown=True)
    lines = capsys.readouterr().out.splitlines()
    second = next(index for index, line in enumerate(lines) if line.startswith("**sample, val"))
    assert lines[second - 1] == ""


@pytest.mark.parametrize("tables", [ladder, run_costs])
def test_long_names_keep_all_numbers_on_terminal(
    tables: Callable[..., list[Table]],
    runs: dict[str, StoredRun],
    terminal: Terminal,
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = replace(runs["regression"].record, name="regression_words_only_without_stemming")
    chosen = [runs["rule 0"], replace(runs["regression"], record=long)]
    print_blocks(tables(chosen))
    piped = capsys.readouterr().out.splitlines()
    assert max(map(len, piped)) > 80
    terminal(80)
    print_blocks(tables(chosen))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    row = next(line for line in out.splitlines() if line.startswith("regression_"))
    assert row.split()[1:] == piped[-1].split()[1:], "the row keeps all its numbers"

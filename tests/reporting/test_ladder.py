"""The tables of several runs: one row per candidate, with its metrics or its costs."""

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
    """Runs of two models, three seeds of the rule, and one evaluated on val only."""
    made = {
        "regression": make_run("model=regression", "model.char_ngrams=null"),
        "rule 0": make_run("model=rule"),
        "rule 1": make_run("model=rule", "split.seed=1"),
        "rule 2": make_run("model=rule", "split.seed=2"),
        "val": make_run("evaluate=val"),
    }
    return {name: read_run(path) for name, path in made.items()}


def figure(run: StoredRun, key: str) -> float:
    value: float = json.loads((run.path / "metrics.json").read_text())[key]
    return value


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def row_of(runs: list[StoredRun]) -> dict[str, str]:
    """The only row of the ladder of these runs, by column."""
    [table] = ladder(runs)
    [row] = table.rows
    return {column.title: cell.text for column, cell in zip(table.columns, row, strict=True)}


def test_the_mvp_comes_first_and_seeds_become_one_row(
    runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    print_blocks(ladder([runs["regression"], *(runs[f"rule {seed}"] for seed in range(3))]))
    head, columns, first, second = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("sample, test:")
    assert "mean and sd" in head
    assert cells(columns)[:3] == ["model", "runs", "F1"]
    assert cells(first)[:2] == ["rule", "3"]
    assert cells(second)[:2] == ["regression", "1"]


def test_several_seeds_are_a_mean_and_a_standard_deviation(runs: dict[str, StoredRun]) -> None:
    three = [runs[f"rule {seed}"] for seed in range(3)]
    values = [figure(run, "test/f1_weighted") for run in three]
    assert len(set(values)) == 3
    row = row_of(three)
    assert row["F1"] == f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
    precision = statistics.mean(figure(run, "test/precision_weighted") for run in three)
    assert row["prec."] == f"{precision:.3f}"
    assert row["AP"] == "-", "0/1 scores have no ranking"


def test_one_run_has_its_interval_over_records(runs: dict[str, StoredRun]) -> None:
    run = runs["regression"]
    value, low, high = (figure(run, f"test/f1_weighted{end}") for end in ("", "_ci_low", "_ci_high"))
    row = row_of([run])
    assert row["F1"] == f"{value:.3f} [{low:.3f}, {high:.3f}]"
    assert row["AP"] == f"{figure(run, 'test/average_precision_macro'):.3f}"
    assert row["runs"] == "1"
    assert float(row["size (MB)"]) > 0


def test_one_run_of_each_is_said_to_have_intervals(
    runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    print_blocks(ladder([runs["regression"], runs["rule 0"]]))
    assert "95 % interval" in capsys.readouterr().out.splitlines()[0]


def test_candidates_of_one_name_and_other_settings_are_kept_apart(
    runs: dict[str, StoredRun], make_run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    other = read_run(make_run("threshold.method=per_label"))
    assert other.record.name == runs["rule 0"].record.name
    print_blocks(ladder([other, runs["rule 0"]]))
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert [cells(row)[:2] for row in rows] == [["rule", "1"], ["rule", "1"]]


def test_val_and_test_figures_never_share_a_table(
    runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    print_blocks(ladder([runs["val"], runs["rule 0"]]))
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sample")]
    assert [head.split(":")[0] for head in heads] == ["sample, test", "sample, val"]


def test_markdown_leaves_a_line_before_its_table(
    runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it Markdown takes the heading for the table's first row."""
    print_blocks(ladder([runs["regression"], runs["rule 0"]]), markdown=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == ""
    assert lines[2].startswith("| model | runs | F1 |")
    assert lines[4].startswith("| rule | 1 |")


def test_markdown_tables_of_two_parts_are_apart(runs: dict[str, StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    """A heading right below a table's last row would be read as one more row."""
    print_blocks(ladder([runs["val"], runs["rule 0"]]), markdown=True)
    lines = capsys.readouterr().out.splitlines()
    second = next(index for index, line in enumerate(lines) if line.startswith("**sample, val"))
    assert lines[second - 1] == ""


@pytest.mark.parametrize("tables", [ladder, run_costs])
def test_long_names_cost_no_figure_on_a_terminal(
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
    assert row.split()[1:] == piped[-1].split()[1:], "the row in one table, every figure of it"

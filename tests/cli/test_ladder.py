import json
import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ratchet.cli.ladder import LadderCallback
from ratchet.reporting.blocks import Table
from ratchet.reporting.run_tables import ladder, run_costs
from ratchet.reporting.terminal import print_blocks
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.runs.sweeps import Job, note_job, plan_sweep

Make = Callable[..., Path]
Terminal = Callable[[int], None]
FAILING = ("sweep_id=bad", "data.filter.min_records=1000")


@pytest.fixture(scope="module")
def runs(make_run: Make) -> dict[str, StoredRun]:
    """A sweep of two models and three seeds of the rule; a sweep with a failure; one that only looks at val."""
    made = {
        "regression": make_run("sweep_id=good", "model=regression", "model.char_ngrams=null"),
        "rule 0": make_run("sweep_id=good", "model=rule"),
        "rule 1": make_run("sweep_id=good", "model=rule", "split.seed=1"),
        "rule 2": make_run("sweep_id=good", "model=rule", "split.seed=2"),
        "exact": make_run("sweep_id=bad", "experiment=rule_exact"),
        "failed": make_run(*FAILING),
        "val": make_run("sweep_id=val", "evaluate=val"),
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


def end_of_sweep(workplace: Path, sweep_id: str) -> None:
    LadderCallback().on_multirun_end(SimpleNamespace(runs_dir=str(workplace / "runs"), sweep_id=sweep_id))  # type: ignore[arg-type]


def test_the_mvp_comes_first_and_seeds_become_one_row(
    runs: dict[str, StoredRun], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end_of_sweep(workplace, "good")
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
    other = read_run(make_run("sweep_id=other", "threshold.method=per_label"))
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


def test_a_sweep_that_looks_at_val_shows_val(
    runs: dict[str, StoredRun], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end_of_sweep(workplace, "val")
    out = capsys.readouterr().out
    assert out.strip().startswith("sample, val:")
    assert f"{figure(runs['val'], 'val/f1_weighted'):.3f}" in out


def test_a_failure_is_listed_with_its_reason_and_ends_in_1(
    runs: dict[str, StoredRun], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        end_of_sweep(workplace, "bad")
    assert stop.value.code == 1
    captured = capsys.readouterr()
    assert cells(captured.out.strip().splitlines()[-1])[0] == "rule_exact", "what finished is shown all the same"
    listed, count = captured.err.strip().splitlines()
    assert listed.startswith("failed: ")
    assert "data.filter.min_records=1000" in listed
    assert "no label is left" in listed
    assert str(runs["failed"].path) in listed
    assert count == "1 of 2 runs did not finish"


def test_a_run_that_could_not_be_noted_is_named_and_ends_in_1(
    runs: dict[str, StoredRun], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["val"]
    plan_sweep(workplace / "runs", "val", [run.record.overrides])
    with pytest.raises(SystemExit) as stop:
        end_of_sweep(workplace, "val")
    assert stop.value.code == 1
    overrides = " ".join(run.record.overrides)
    assert capsys.readouterr().err == f"finished, but not noted in the sweep: {overrides} ({run.path})\n"
    note_job(workplace / "runs", "val", Job(0, run.record.overrides, "finished"), run.path)
    end_of_sweep(workplace, "val")


def test_a_note_that_is_damaged_is_named_and_no_warning_of_hydras(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_sweep(workplace / "runs", "damaged", [["seed=0"]])
    (workplace / "runs" / ".sweeps" / "damaged" / "0.json").write_text("[")
    with pytest.raises(SystemExit) as stop:
        end_of_sweep(workplace, "damaged")
    assert stop.value.code == 2
    assert "damaged/0.json: cannot be read" in capsys.readouterr().err


def test_a_sweep_without_any_run_is_no_success(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        end_of_sweep(workplace, "never")
    assert stop.value.code == 1
    assert capsys.readouterr().out == ""


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

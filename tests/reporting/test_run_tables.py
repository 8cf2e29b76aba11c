"""Tests for the provenance of runs: their source, environment, data and command to reproduce."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.builders import comparison, made_candidate, made_run, result, selected
from tests.reporting.conftest import cells

from ratchet.comparison.results import SplitRead
from ratchet.reporting.blocks import Table
from ratchet.reporting.findings import Findings
from ratchet.reporting.run_tables import data_table, environment_tables, environments, provenance
from ratchet.runs.selection import Candidate, Selection

JUDGED = {"a": ("audio", "audio")}
CLEAN = {"commit": "0123456789abcdef", "dirty": False}
MACHINE = {"python": "3.11.7", "system": "Linux 6", "processor": "a fast one", "features": "hash", "cores": 2}


def select_one(directory: Path, **fields: Any) -> Selection:
    return selected(made_candidate(directory, "rule", JUDGED, **fields))


def read_facts(table: Table) -> dict[str, str]:
    return dict(map(tuple, cells(table)))


def read_column(table: Table, title: str) -> list[str]:
    index = [column.title for column in table.columns].index(title)
    return [row[index].text for row in table.rows]


def test_provenance_has_one_row_per_run(tmp_path: Path) -> None:
    fields = {"git": CLEAN, "config_hash": "abcdef0123456789", "started_at": "2026-03-01T12:34:56.789+00:00"}
    rule = made_candidate(tmp_path, "rule", JUDGED, JUDGED, **{**fields, "threads": 8})
    cnn = made_candidate(tmp_path, "cnn", JUDGED, seed=7, threads=1, git=CLEAN)
    table = provenance(selected(rule, cnn))
    assert cells(table)[1] == [
        *("rule", "1", "0", f"ratchet reproduce {rule.runs[1].path.as_posix()}", "0123456789ab", "2026-03-01 12:34"),
        *("abcdef01", "split 1", "8", rule.runs[1].record.id),
    ]
    assert read_column(table, "model") == ["rule", "rule", "cnn"]
    assert read_column(table, "seed") == ["0", "0", "7"]
    assert [[cell.text for cell in row if cell.code] for row in table.rows] == [
        [command] for command in read_column(table, "train it again")
    ]


@pytest.mark.parametrize("name", ["runs", "my runs", "it's", "a;rm -rf b", "$HOME", "ü", "-n", 'say "so"'])
def test_command_is_quoted_for_any_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    selection = select_one(tmp_path / name, git=CLEAN)
    [command] = read_column(provenance(selection), "train it again")
    assert shlex.split(command) == ["ratchet", "reproduce", selection.runs[0].path.as_posix()]


@pytest.mark.parametrize(
    ("git", "has_command"),
    [
        (CLEAN, True),
        ({**CLEAN, "dirty": True, "diff_complete": True}, True),
        ({**CLEAN, "dirty": True, "diff_complete": False, "files": [{"path": "a"}]}, True),
        ({**CLEAN, "dirty": True, "diff_complete": False}, False),
        ({**CLEAN, "dirty": None, "problem": "fatal: index file corrupt"}, False),
        ({"commit": None}, False),
        ({}, False),
    ],
)
def test_only_a_run_with_recorded_code_has_a_command(git: dict[str, Any], has_command: bool, tmp_path: Path) -> None:
    [command] = read_column(provenance(select_one(tmp_path, git=git)), "train it again")
    assert command.startswith("ratchet reproduce ") == has_command
    assert (command == "-") != has_command


@pytest.mark.parametrize(
    ("git", "expected"),
    [
        (CLEAN, "0123456789ab"),
        ({**CLEAN, "dirty": True}, "0123456789ab, changed"),
        ({**CLEAN, "dirty": None, "problem": "fatal: index file corrupt"}, "0123456789ab, changes unknown"),
        ({"commit": None, "branch": None, "dirty": None}, "not in git"),
        ({}, "not in git"),
    ],
)
def test_commit_is_shown_with_uncommitted_changes(git: dict[str, Any], expected: str, tmp_path: Path) -> None:
    table = provenance(select_one(tmp_path, git=git))
    assert read_column(table, "commit") == [expected]


def test_runs_of_one_environment_share_table(tmp_path: Path) -> None:
    fields = {"machine": MACHINE, "packages": {"numpy": "2.4.6", "ratchet": "0.1.0"}, "lock_hash": "f" * 64}
    selection = selected(made_candidate(tmp_path, "rule", JUDGED, JUDGED, **fields))
    [table] = environment_tables(selection)
    assert table.title == "Environment of all runs"
    assert read_facts(table) == {
        **{"python": "3.11.7", "system": "Linux 6", "processor": "a fast one", "cores": "2"},
        **{"lock": "f" * 16, "numpy": "2.4.6", "ratchet": "0.1.0"},
        "runs": ", ".join(run.record.id for run in selection.runs),
    }


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"packages": {"numpy": "2.4.7"}}, "numpy"),
        ({"machine": {**MACHINE, "cores": 64}}, "cores"),
        ({"machine": {**MACHINE, "python": "3.12.1"}}, "python"),
        ({"lock_hash": "0" * 64}, "lock"),
    ],
)
def test_different_environment_has_separate_table(changed: dict[str, Any], differs: str, tmp_path: Path) -> None:
    fields = {"machine": MACHINE, "packages": {"numpy": "2.4.6"}, "lock_hash": "f" * 64}
    runs = [
        made_run(tmp_path, JUDGED, split=split, **{**fields, **(changed if split == 1 else {})}) for split in range(3)
    ]
    selection = selected(Candidate("rule", tuple(runs)))
    ids = [run.record.id for run in runs]
    assert [run_ids for _, run_ids in environments(selection)] == [[ids[0], ids[2]], [ids[1]]]
    first, second = environment_tables(selection)
    assert (first.title, second.title) == ("Environment 1", "Environment 2")
    assert (read_facts(first)["runs"], read_facts(second)["runs"]) == (f"{ids[0]}, {ids[2]}", ids[1])
    assert {key for key, value in read_facts(first).items() if read_facts(second)[key] != value} == {"runs", differs}


def test_incomplete_environment_of_older_run_is_shown(tmp_path: Path) -> None:
    [table] = environment_tables(select_one(tmp_path, machine={"python": "3.11.7"}))
    assert read_facts(table)["python"] == "3.11.7"
    assert "cores" not in read_facts(table)


def test_data_table_shows_test_set_accesses(tmp_path: Path) -> None:
    selection = select_one(tmp_path, task="multilabel", train_label_counts={"audio": 3, "graphs": 4})
    splits = [SplitRead(7, "0123456789abcdef0123", 1234, 2), SplitRead(8, "f" * 64, 10, None)]
    splits.append(SplitRead(9, "e" * 64, 10, 1))
    results = comparison(result("rule"), records=12345, resamples=10_000, splits=splits, dataset_version="9a" * 32)
    assert read_facts(data_table(results, selection)) == {
        "data set": "made",
        "version": "9a" * 32,
        "task": "multilabel",
        "labels": "2",
        "distinct records of test": "12,345",
        "resamples": "10,000",
        "split 7": "0123456789abcdef, 1,234 records, 2 test-set accesses",
        "split 8": "ffffffffffffffff, 10 records",
        "split 9": "eeeeeeeeeeeeeeee, 10 records, 1 test-set access",
    }
    on_val = data_table(replace(results, part="val"), selection)
    assert "distinct records of val" in read_facts(on_val)


def test_provenance_leads_to_real_runs(found: Findings) -> None:
    table = provenance(found.selection)
    paths = [Path(shlex.split(command)[-1]) for command in read_column(table, "train it again")]
    assert [path.name for path in paths] == read_column(table, "run")
    assert all((path / "record.json").is_file() for path in paths)
    assert len(paths) == 6

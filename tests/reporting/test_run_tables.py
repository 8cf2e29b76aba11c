"""Where every row comes from, and the command that makes it again."""

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


def one(directory: Path, **fields: Any) -> Selection:
    return selected(made_candidate(directory, "rule", JUDGED, **fields))


def facts(table: Table) -> dict[str, str]:
    return dict(map(tuple, cells(table)))


def column(table: Table, title: str) -> list[str]:
    place = [each.title for each in table.columns].index(title)
    return [row[place].text for row in table.rows]


def test_a_row_is_a_run(tmp_path: Path) -> None:
    told = {"git": CLEAN, "config_hash": "abcdef0123456789", "started_at": "2026-03-01T12:34:56.789+00:00"}
    rule = made_candidate(tmp_path, "rule", JUDGED, JUDGED, **{**told, "threads": 8})
    cnn = made_candidate(tmp_path, "cnn", JUDGED, seed=7, threads=1, git=CLEAN)
    table = provenance(selected(rule, cnn))
    assert cells(table)[1] == [
        *("rule", "1", "0", f"ratchet reproduce {rule.runs[1].path.as_posix()}", "0123456789ab", "2026-03-01 12:34"),
        *("abcdef01", "split 1", "8", rule.runs[1].record.id),
    ]
    assert column(table, "model") == ["rule", "rule", "cnn"]
    assert column(table, "seed") == ["0", "0", "7"]
    assert [[cell.text for cell in row if cell.code] for row in table.rows] == [
        [command] for command in column(table, "train it again")
    ]


@pytest.mark.parametrize("name", ["runs", "my runs", "it's", "a;rm -rf b", "$HOME", "ü", "-n", 'say "so"'])
def test_a_command_can_be_pasted_whatever_the_directory_is_called(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    selection = one(tmp_path / name)
    [command] = column(provenance(selection), "train it again")
    assert shlex.split(command) == ["ratchet", "reproduce", selection.runs[0].path.as_posix()]


@pytest.mark.parametrize(
    ("git", "said"),
    [
        (CLEAN, "0123456789ab"),
        ({**CLEAN, "dirty": True}, "0123456789ab, changed"),
        ({"commit": None, "branch": None, "dirty": None}, "not in git"),
        ({}, "not in git"),
    ],
)
def test_the_commit_is_said_and_what_it_does_not_hold(git: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert column(provenance(one(tmp_path, git=git)), "commit") == [said]


def test_runs_of_one_environment_share_a_table(tmp_path: Path) -> None:
    told = {"machine": MACHINE, "packages": {"numpy": "2.4.6", "ratchet": "0.1.0"}, "lock_hash": "f" * 64}
    selection = selected(made_candidate(tmp_path, "rule", JUDGED, JUDGED, **told))
    [table] = environment_tables(selection)
    assert table.title == "Environment of all runs"
    assert facts(table) == {
        **{"python": "3.11.7", "system": "Linux 6", "processor": "a fast one", "cores": "2"},
        **{"lock": "f" * 16, "numpy": "2.4.6", "ratchet": "0.1.0"},
        "runs": ", ".join(run.record.id for run in selection.runs),
    }


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"packages": {"numpy": "2.4.7"}}, "numpy"),
        ({"machine": {**MACHINE, "cores": 64}}, "cores"),
        ({"machine": {**MACHINE, "python": "3.12.1"}}, "python"),
        ({"lock_hash": "0" * 64}, "lock"),
    ],
)
def test_another_environment_has_a_table_of_its_own(other: dict[str, Any], differs: str, tmp_path: Path) -> None:
    told = {"machine": MACHINE, "packages": {"numpy": "2.4.6"}, "lock_hash": "f" * 64}
    runs = [made_run(tmp_path, JUDGED, split=split, **{**told, **(other if split == 1 else {})}) for split in range(3)]
    selection = selected(Candidate("rule", tuple(runs)))
    ids = [run.record.id for run in runs]
    assert [found for _, found in environments(selection)] == [[ids[0], ids[2]], [ids[1]]]
    first, second = environment_tables(selection)
    assert (first.title, second.title) == ("Environment 1", "Environment 2")
    assert (facts(first)["runs"], facts(second)["runs"]) == (f"{ids[0]}, {ids[2]}", ids[1])
    assert {key for key, value in facts(first).items() if facts(second)[key] != value} == {"runs", differs}


def test_a_run_of_an_older_version_that_noted_less_is_told_all_the_same(tmp_path: Path) -> None:
    [table] = environment_tables(one(tmp_path, machine={"python": "3.11.7"}))
    assert facts(table)["python"] == "3.11.7"
    assert "cores" not in facts(table)


def test_the_data_are_told_with_how_often_they_were_read(tmp_path: Path) -> None:
    selection = one(tmp_path, task="multilabel", train_label_counts={"audio": 3, "graphs": 4})
    splits = [SplitRead(7, "0123456789abcdef0123", 1234, 2), SplitRead(8, "f" * 64, 10, None)]
    splits.append(SplitRead(9, "e" * 64, 10, 1))
    found = comparison(result("rule"), records=12345, resamples=10_000, splits=splits, dataset_version="9a" * 32)
    assert facts(data_table(found, selection)) == {
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
    on_val = data_table(replace(found, part="val"), selection)
    assert "distinct records of val" in facts(on_val)


def test_real_runs_can_be_found_again(found: Findings) -> None:
    table = provenance(found.selection)
    paths = [Path(shlex.split(command)[-1]) for command in column(table, "train it again")]
    assert [path.name for path in paths] == column(table, "run")
    assert all((path / "record.json").is_file() for path in paths)
    assert len(paths) == 6

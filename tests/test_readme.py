"""Tests for the README: it is short, its links work, and its commands exist."""

import re
from pathlib import Path

import pytest
from tests.sample_runs import find_named_runs

from ratchet.cli.help import VERBS
from ratchet.reporting.run_tables import ladder
from ratchet.reporting.terminal import print_blocks


@pytest.fixture(scope="module")
def readme(project: Path) -> str:
    return (project / "README.md").read_text(encoding="utf-8")


def test_readme_is_short(readme: str) -> None:
    lines = readme.splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100] == []


def test_links_lead_to_files(readme: str, project: Path) -> None:
    links = re.findall(r"\]\((?!https://)([^)#]+)\)", readme) + re.findall(r'(?:src|srcset)="([^"]+)"', readme)
    assert len(links) > 15
    assert [link for link in links if not (project / link).is_file()] == []


def test_mentioned_commands_exist(readme: str) -> None:
    verbs = set(re.findall(r"`ratchet ([a-z]+)", readme))
    assert len(verbs) > 5
    assert verbs <= set(VERBS)


def test_readme_shows_the_table_that_is_printed(
    readme: str, sample_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Costs differ between machines, and the shared runs have fewer bootstrap samples; all else must be the same."""
    print_blocks(ladder([find_named_runs(sample_runs, name)[0] for name in ("rule", "regression")]))
    printed, lines = capsys.readouterr().out.splitlines(), readme.splitlines()
    start = lines.index(printed[0])
    assert lines[start + 1].split() == printed[1].split()
    for line, row in zip(lines[start + 2 : start + 4], printed[2:4], strict=True):
        model, runs, f1, _, _, *others = line.split()
        assert [model, runs, f1, *others[:2]] == [
            cell for index, cell in enumerate(row.split()[:7]) if index not in (3, 4)
        ]

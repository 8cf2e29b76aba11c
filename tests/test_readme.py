"""Tests for the README: it is short, its links work, and its commands exist."""

import re
from pathlib import Path

import pytest

from ratchet.cli.help import VERBS


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

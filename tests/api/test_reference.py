"""Tests for docs/reference/api.md: its signatures are true, and its examples run."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.api.signatures import list_signatures
from tests.commands import PROJECT, run_command

import ratchet
from ratchet.project import MARKER

REFERENCE = (PROJECT / "docs/reference/api.md").read_text(encoding="utf-8")
# Each example has its own names, so that it can be copied alone. A warning is an error, as in all tests.
RUN_EXAMPLES = """
import sys
for number, example in enumerate(sys.argv[1:], 1):
    print(f"example {number}", file=sys.stderr)
    exec(compile(example, f"example {number}", "exec"), {})
"""


def read_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", REFERENCE, flags=re.M | re.S)


def test_signatures_in_the_reference_are_those_of_the_package() -> None:
    documented = [line for block in read_blocks("text") for line in block.splitlines()]
    assert sorted(documented) == sorted(list_signatures())


@pytest.mark.parametrize("name", ratchet.__all__)
def test_public_name_has_a_section_with_an_example(name: str) -> None:
    sections = re.split(r"^## ", REFERENCE, flags=re.M)[1:]
    [section] = [section for section in sections if name in section.partition("\n")[0].split(", ")]
    assert "```python\n" in section


def test_examples_import_public_names_only() -> None:
    imports = re.findall(r"^(?:from|import) (ratchet\S*) import (.*)$", "".join(read_blocks("python")), flags=re.M)
    assert imports
    for module, names in imports:
        assert module == "ratchet"
        assert set(names.split(", ")) <= set(ratchet.__all__)


@pytest.mark.slow
def test_examples_run_in_a_project(sample_runs: Path, tmp_path: Path) -> None:
    shutil.copy(PROJECT / MARKER, tmp_path)
    shutil.copytree(sample_runs, tmp_path / "runs")
    examples = read_blocks("python")
    done = run_command(sys.executable, "-W", "error", "-c", RUN_EXAMPLES, *examples, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ladder.svg").is_file()
    assert "did you mean 'regression'?" in done.stdout
    assert "the choice depends on" in done.stdout

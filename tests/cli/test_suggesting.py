import json
from pathlib import Path

import pytest

from ratchet.cli.main import main

TEXTS = {"transfer": "wire {}", "bug": "crash {}", "login": "password {}"}


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """Write a data set of three labels that no text names, and its configuration."""
    rows = [f"{text.format(chr(97 + index) * 5)},{label}" for label, text in TEXTS.items() for index in range(20)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    (tmp_path / "data" / "tiny.yaml").write_text(
        "defaults: [base_data, _self_]\nname: tiny\nrecords: {path: rows.csv}\ntext: [text]\n"
        "labels: {column: label, kind: single}\n",
        encoding="utf-8",
    )
    return tmp_path


def suggest(config_dir: Path, *arguments: str) -> int:
    return main(["data", "suggest-taxonomy", "--config-dir", str(config_dir), "data=tiny", *arguments])


def test_written_taxonomy_makes_rules_of_suggestions(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = config_dir / "tags.json"
    assert suggest(config_dir, f"output={output}") == 0
    entries = {entry["tag"]: entry for entry in json.loads(output.read_text(encoding="utf-8"))}
    assert {tag: entry["aliases"] for tag, entry in entries.items()} == {
        "transfer": ["wire"],
        "bug": ["crash"],
        "login": ["password"],
    }
    assert str(output) in capsys.readouterr().out
    # with val and test in it, there would be 20 texts
    assert all(int(entry["suggested"][entry["aliases"][0]].split()[0]) < 20 for entry in entries.values())
    assert suggest(config_dir, f"data.taxonomy.path={output}", "format=json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_existing_file_is_never_overwritten(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = config_dir / "tags.json"
    output.write_text("mine", encoding="utf-8")
    assert suggest(config_dir, f"output={output}") == 2
    assert output.read_text(encoding="utf-8") == "mine"
    assert "output=" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "part"), [("tags.yaml", ".json"), ("absent/tags.json", "absent")], ids=["suffix", "directory"]
)
def test_unusable_output_is_refused(
    config_dir: Path, capsys: pytest.CaptureFixture[str], output: str, part: str
) -> None:
    assert suggest(config_dir, f"output={config_dir / output}") == 2
    assert part in capsys.readouterr().err


@pytest.mark.parametrize(("typo", "key"), [("min_text=3", "min_texts"), ("presicion=0.9", "precision")])
def test_misspelt_option_is_named(config_dir: Path, capsys: pytest.CaptureFixture[str], typo: str, key: str) -> None:
    assert suggest(config_dir, typo) == 2
    assert f"'{key}'" in capsys.readouterr().err


def test_suggestions_are_printed_with_their_counts(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert suggest(config_dir, "format=json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["label"], row["alias"]) for row in rows} == {
        ("transfer", "wire"),
        ("bug", "crash"),
        ("login", "password"),
    }
    assert all(row["with_both"] == row["with_alias"] for row in rows)


def test_nothing_is_written_without_a_suggestion(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = config_dir / "none.json"
    assert suggest(config_dir, "precision=1", f"output={output}") == 0
    printed = capsys.readouterr().out
    assert "precision=" in printed
    assert printed.rstrip().endswith("nothing is written")
    assert not output.exists()

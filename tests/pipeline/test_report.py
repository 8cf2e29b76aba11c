"""Stage `report`: one page of what compare and gate wrote, and nothing computed anew."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.pipeline.report import ladder_rows, write_report

COMPARISON = {
    "metric": "f1_macro",
    "baseline": "rule",
    "candidates": [
        {"name": "rule", "metrics": {"f1_macro": {"value": 0.41, "low": 0.38, "high": 0.4449}}, "baseline": None},
        {
            "name": "cnn",
            "metrics": {"f1_macro": {"value": 0.5, "low": 0.45, "high": 0.55}},
            "baseline": {"to": "rule", "value": 0.09, "low": -0.01, "high": 0.2, "p": 0.04},
        },
    ],
}
VERDICT = "sample: cnn ships: it does\nobjective default (abc, not committed)\n\n**cnn** ships\n"


@pytest.fixture(autouse=True)
def _built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("build").mkdir()
    for name, text in {"leaderboard.md": "| model |\n| --- |\n| cnn |\n", "verdict.md": VERDICT}.items():
        Path("build", name).write_text(text, encoding="utf-8")
    Path("build/comparison.json").write_text(json.dumps(COMPARISON), encoding="utf-8")


def test_the_page_has_the_verdict_and_the_ladder() -> None:
    rows, headline = write_report()
    assert rows == ladder_rows(COMPARISON)
    assert headline == "sample: cnn ships: it does"
    assert Path("build/report.md").read_text(encoding="utf-8").split("\n\n") == [
        "# sample: cnn ships: it does",
        "| model |\n| --- |\n| cnn |",
        "## The verdict",
        "objective default (abc, not committed)",
        "**cnn** ships\n",
    ]


def test_the_same_files_make_the_same_page() -> None:
    write_report()
    before = Path("build/report.md").read_bytes()
    write_report()
    assert Path("build/report.md").read_bytes() == before


def test_a_row_is_a_model_with_its_interval_and_its_difference() -> None:
    assert ladder_rows(COMPARISON) == [
        {"model": "rule", "f1_macro": "0.410 [0.380, 0.445]", "against rule": "-"},
        {"model": "cnn", "f1_macro": "0.500 [0.450, 0.550]", "against rule": "+0.090 [-0.010, +0.200]"},
    ]


FIGURES = st.fixed_dictionaries({key: st.floats(-1, 1) for key in ("value", "low", "high")})


@given(data=st.data(), names=st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
def test_every_row_has_the_same_columns(data: st.DataObject, names: list[str]) -> None:
    against = {name: None if name == names[0] else data.draw(FIGURES) for name in names}
    rows = ladder_rows(
        {
            "metric": "recall_micro",
            "baseline": names[0],
            "candidates": [
                {"name": name, "metrics": {"recall_micro": data.draw(FIGURES)}, "baseline": against[name]}
                for name in names
            ],
        }
    )
    assert [row["model"] for row in rows] == names
    assert {tuple(row) for row in rows} == {("model", "recall_micro", f"against {names[0]}")}
    assert [row[f"against {names[0]}"] == "-" for row in rows] == [each is None for each in against.values()]

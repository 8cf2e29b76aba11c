import os
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import UserError
from ratchet.predicting.origin import input_state, refuse_changed

BEFORE: dict[str, Any] = {
    "ratchet": "0.1.0",
    "input": {"sha256": "a" * 64},
    "model": {"name": "rule (1)", "digest": "b" * 64},
    "options": {"scores": "all", "prefix": ""},
}


def test_the_same_content_at_another_time_is_the_same_input(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("a")
    before = input_state(path)
    os.utime(path, (1, 1))
    assert input_state(path, before)["sha256"] == before["sha256"]
    path.write_text("b")
    assert input_state(path, before)["sha256"] != before["sha256"]


def test_what_is_as_it_was_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("a")
    assert input_state(path, {**input_state(path), "sha256": "believed"})["sha256"] == "believed"


def test_an_input_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            input_state(path)


@pytest.mark.parametrize(
    ("now", "part"),
    [
        ({"input": {"sha256": "c" * 64}}, "the input (sha256 aaaaaaaaaaaa, now cccccccccccc)"),
        ({"model": {"name": "rule (2)", "digest": "c" * 64}}, "the run, then rule (1) (digest bbbbbbbbbbbb"),
        ({"options": {"scores": "none", "prefix": ""}}, "scores=all, now none"),
        ({"ratchet": "0.2.0"}, "ratchet 0.1.0, now 0.2.0"),
    ],
)
def test_whatever_changed_is_named(now: dict[str, Any], part: str) -> None:
    refuse_changed(BEFORE, BEFORE, Path("out.parts"), 7)
    with pytest.raises(UserError) as raised:
        refuse_changed(BEFORE, {**BEFORE, **now}, Path("out.parts"), 7)
    assert f"out.parts: 7 rows were scored with something else: {part}" in str(raised.value)
    assert "restart=true" in str(raised.value)

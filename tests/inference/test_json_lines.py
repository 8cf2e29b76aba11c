import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.naming import JSON, predict, read_text

from ratchet.errors import UserError
from ratchet.inference.columns import ScoreDetail
from ratchet.inference.readers import reader_of


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"title": st.text() | st.none()}, optional={"description": st.text(), "more": JSON, "été": JSON}
        ),
        max_size=5,
    ),
    ascii_only=st.booleans(),
)
def test_all_values_are_preserved(
    rows: list[dict[str, Any]], ascii_only: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("any")
    lines = [json.dumps({"description": None, **row}, ensure_ascii=ascii_only) for row in rows]
    (directory / "texts.jsonl").write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    predict(directory / "texts.jsonl", directory / "out.jsonl")
    output_lines = read_text(directory / "out.jsonl").split("\n")[:-1]
    assert len(output_lines) == len(rows)
    for before, after, row in zip(lines, output_lines, rows, strict=True):
        assert after.startswith(before.encode("utf-8", "backslashreplace").decode()[:-1])
        record = json.loads(after)
        assert set(record.pop("predicted")) == set(record.pop("scores"))
        assert record == {"description": None, **row}


def test_original_line_text_is_preserved(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(
        '{"title": "audio", "description":"", "n": 1.50e2, "n": [1,  {"\\u00e9": null}] }  \r\n\n{ "title" : "x" }',
    )
    predict(path, tmp_path / "out.jsonl")
    assert read_text(tmp_path / "out.jsonl") == (
        '{"title": "audio", "description":"", "n": 1.50e2, "n": [1,  {"\\u00e9": null}], '
        '"predicted": ["audio"], "scores": {"audio": 0.9}}\n'
        '{ "title" : "x", "predicted": [], "scores": {}}\n'
    )


def test_score_detail_selects_written_scores(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"title": "audio", "description": null}\n{}\n')
    predict(path, tmp_path / "all.jsonl", detail=ScoreDetail.all, prefix="p_")
    predict(path, tmp_path / "none.jsonl", detail=ScoreDetail.none)
    first, second = map(json.loads, read_text(tmp_path / "all.jsonl").splitlines())
    assert first["p_scores"] == {"audio": 0.9, "graphs": 0.1, "vision": 0.1}
    assert second == {"p_predicted": [], "p_scores": {}}
    assert json.loads(read_text(tmp_path / "none.jsonl").splitlines()[1]) == {"predicted": []}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b'{"title": "a", "description": "b"}\n\n{"title": \n', ["texts.jsonl, line 3: not valid JSON"]),
        (b'{"title": "a", "description": "b"}\n[1]\n', ["texts.jsonl, line 2: ", "list"]),
        (b'{"title": "a", "description": "b"}\n{"title": ["a"]}\n', ["line 2: title ", "list"]),
        (b'{"title": "a"}\n', ["no column 'description'", "the file has: title"]),
        (b'{"title": "\xff"}\n', ["line 1: byte 0xff is not utf-8"]),
        (b'{"title": "a", "description": "b"}\n{"predicted": 1}\n', ["a column 'predicted' already", "prefix="]),
        (b"[" * 100_000, ["line 1: not valid JSON"]),
    ],
)
def test_invalid_input_is_reported_before_scoring(content: bytes, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        predict(path, tmp_path / "out.jsonl")
    assert all(part in str(error.value) for part in parts), error.value
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_parsed_lazily(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("broken\n" + '{"title": "a"}\n' * 3 + "broken\n")
    batches = reader_of(path).batches(2, start=1)
    assert next(batches).column("title") == ["a", "a"]
    with pytest.raises(UserError, match="line 5"):
        next(batches)


def test_empty_file_gives_empty_output(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text("\n")
    assert predict(tmp_path / "texts.jsonl", tmp_path / "out.jsonl").labels_a_text is None
    assert read_text(tmp_path / "out.jsonl") == ""

import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.inference.naming import interrupt_prediction, naming_scorer, predict, read_text, request, silent, tagger_of

from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.columns import ScoreDetail
from ratchet.inference.partial_output import claim_parts, parts_directory
from ratchet.inference.predict_file import predict_file


def test_texts_are_scored_in_batches(source: Path, tmp_path: Path) -> None:
    model = naming_scorer()
    summary = predict(source, tmp_path / "out.csv", model)
    assert tagger_of(model).calls == [
        ["audio and graphs", "vision", "nothing"],
        ["vision audio, graphs", "audio and graphs", "vision", "nothing"],
        ["vision audio, graphs"],
    ]
    assert (summary.rows, summary.without_text, summary.without_label, summary.texts_scored) == (10, 2, 2, 8)
    assert summary.labels_a_text == 12 / 8
    assert summary.texts_per_second == 8 / summary.seconds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "texts.parquet"]


def test_text_columns_can_be_chosen(source: Path, tmp_path: Path) -> None:
    predict(source, tmp_path / "out.csv", text=TextColumns(("title",)), detail=ScoreDetail.none)
    assert read_text(tmp_path / "out.csv").splitlines()[1:3] == ["000,audio,and graphs,audio", "001,,vision,"]


def test_multiclass_predicts_one_label_per_text(source: Path, tmp_path: Path) -> None:
    summary = predict(source, tmp_path / "out.jsonl", naming_scorer(one_label=True), one_label=True)
    predictions = pl.read_ndjson(tmp_path / "out.jsonl")
    texts = predictions.filter((pl.col("title") + pl.col("description")).str.strip_chars() != "")
    assert set(texts["predicted"].list.len()) == {1}
    assert summary.labels == len(texts) == 8
    assert summary.without_label == 0


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet", "out.jsonl.gz"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_interrupted_prediction_resumes_with_identical_output(name: str, at: int, source: Path, tmp_path: Path) -> None:
    predict(source, tmp_path / f"whole-{name}")
    output = tmp_path / name
    interrupt_prediction(source, output, at)
    assert not output.exists()
    model, resumed = naming_scorer(), []
    summary = predict_file(model, request(source, output), silent, lambda row, rows: resumed.append((row, rows)))
    assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert resumed == ([(4 * at, 10)] if at else [])
    assert len(tagger_of(model).calls) == 3 - at
    assert (summary.rows, summary.labels, summary.resumed_at) == (10, 12, 4 * at)
    assert not parts_directory(output).exists()


def test_prediction_resumes_if_only_output_is_missing(source_csv: Path, tmp_path: Path, monkeypatch: Any) -> None:
    output, model = tmp_path / "out.csv", naming_scorer()
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(
            "ratchet.inference.partial_output.Parts.finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        predict(source_csv, output)
    summary = predict(source_csv, output, model)
    assert tagger_of(model).calls == []
    assert (summary.rows, summary.texts_per_second) == (10, None)
    assert len(read_text(output).splitlines()) == 11


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"batch_size": 5}, "batch_size=4, now 5"),
        ({"prefix": "x"}, "prefix=, now x"),
        ({"text": TextColumns(("title",))}, "text="),
        ({"detail": ScoreDetail.all}, "scores=predicted, now all"),
        ({"scorer": naming_scorer(sha256="1" * 64)}, "the run, then naming"),
    ],
)
def test_changed_options_or_model_prevent_resuming(
    change: dict[str, Any], part: str, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    interrupt_prediction(source, output, 2)
    with pytest.raises(UserError, match=f"8 rows were scored with something else: {part}"):
        predict(source, output, **change)
    assert predict(source, output, **change, restart=True).resumed_at == 0
    assert output.exists()


def test_changed_input_prevents_resuming(source: Path, tmp_path: Path) -> None:
    interrupt_prediction(source, tmp_path / "out.csv", 2)
    pl.read_parquet(source).reverse().write_parquet(source)
    with pytest.raises(UserError, match="something else: the input"):
        predict(source, tmp_path / "out.csv")


def test_options_may_change_before_anything_is_scored(source: Path, tmp_path: Path) -> None:
    interrupt_prediction(source, tmp_path / "out.csv", 0)
    assert predict(source, tmp_path / "out.csv", batch_size=3).rows == 10


def test_input_changed_while_read_gives_no_output(source_csv: Path, tmp_path: Path) -> None:
    def append_row(task: str, rows: int | None) -> Any:
        if task == "predicting":
            with source_csv.open("a") as file:
                file.write("x,y,z\n")
        return lambda done: None

    with pytest.raises(UserError, match="changed while it was read"):
        predict_file(naming_scorer(), request(source_csv, tmp_path / "out.csv"), append_row)
    assert not (tmp_path / "out.csv").exists()


def test_output_is_replaced_only_on_request_and_when_complete(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("precious")
    with pytest.raises(UserError, match=r"out\.csv exists already.*replace=true"):
        predict(source, output)
    interrupt_prediction(source, output, 1, replace=True)
    assert output.read_text() == "precious"
    predict(source, output, replace=True)
    assert output.read_text().startswith("id,")


@pytest.mark.parametrize(
    ("output", "part"),
    [("texts.parquet", "is the input"), ("dir.csv", "is a directory"), ("none/out.csv", "no such directory")],
)
def test_invalid_output_path_is_reported(output: str, part: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(UserError, match=part):
        predict(source, tmp_path / output, replace=True)


def test_second_process_is_rejected(source: Path, tmp_path: Path) -> None:
    with claim_parts(tmp_path / "out.csv"), pytest.raises(UserError, match="another process"):
        predict(source, tmp_path / "out.csv")


def test_invalid_model_output_raises_value_error(source: Path, tmp_path: Path) -> None:
    model = naming_scorer()
    tagger_of(model).predict_proba = lambda texts: [[2.0] * 3] * len(texts)  # type: ignore[assignment, method-assign]
    with pytest.raises(ValueError, match=r"returned a list.*float32 \(3, 3\)"):
        predict(source, tmp_path / "out.csv", model)


@pytest.fixture
def trace_memory() -> Iterator[None]:
    """Trace memory allocations during a test."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("trace_memory")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_memory_does_not_grow_with_rows(suffix: str, tmp_path: Path) -> None:
    peaks = []
    for rows in (1_000, 10_000):
        path = tmp_path / f"{rows}.{suffix}"
        frame = pl.DataFrame({"title": ["audio"] * rows, "description": ["a longer text " * 20] * rows})
        frame.write_csv(path) if suffix == "csv" else frame.write_ndjson(path)
        model = naming_scorer()
        tagger_of(model).calls = Forgetful()
        tracemalloc.reset_peak()
        predict(path, tmp_path / f"out-{rows}.{suffix}", model, batch_size=250)
        peaks.append(tracemalloc.get_traced_memory()[1])
    assert peaks[1] < 1.3 * peaks[0]


class Forgetful(list[list[str]]):
    """A list that stays empty, so that recorded calls take no memory."""

    def append(self, texts: list[str]) -> None:
        pass

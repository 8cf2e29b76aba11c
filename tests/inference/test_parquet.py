from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.inference.naming import predict

from ratchet.errors import UserError
from ratchet.inference.columns import ScoreDetail
from ratchet.inference.readers import ParquetReader

MANY_TYPES = pl.DataFrame(
    {
        "title": pl.Series([b"audio", None, b"vision"], dtype=pl.Binary),
        "description": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        "small": pl.Series([1, 2, None], dtype=pl.UInt8),
        "moment": pl.Series([datetime(2026, 3, 1, 12)] * 3, dtype=pl.Datetime("ns", "Europe/Vienna")),
        "day": [date(2026, 3, 1), None, date(2026, 3, 2)],
        "long": [timedelta(hours=1)] * 3,
        "exact": pl.Series([Decimal("1.50")] * 3, dtype=pl.Decimal(10, 2)),
        "some": pl.Series([[1], [], None], dtype=pl.List(pl.Int16)),
        "two": pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float32, 2)),
        "object": [{"a": 1, "b": "x"}] * 3,
        "kind": pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"])),
        "rate": [float("nan"), 0.5, None],
    }
)


def test_types_and_values_are_preserved(tmp_path: Path) -> None:
    MANY_TYPES.write_parquet(tmp_path / "texts.parquet")
    predict(tmp_path / "texts.parquet", tmp_path / "out.parquet", batch_size=2)
    output = pl.read_parquet(tmp_path / "out.parquet")
    assert_frame_equal(output.drop("predicted", "scores"), pl.read_parquet(tmp_path / "texts.parquet"))
    assert output["predicted"].to_list() == [["audio"], [], ["vision"]]
    assert output.schema["scores"] == pl.List(pl.Float32)


def test_types_are_converted_for_csv_and_json(tmp_path: Path) -> None:
    MANY_TYPES.write_parquet(tmp_path / "texts.parquet")
    for name in ("out.csv", "out.jsonl"):
        predict(tmp_path / "texts.parquet", tmp_path / name)
    as_csv = pl.read_csv(tmp_path / "out.csv", infer_schema=False).row(0, named=True)
    as_json = pl.read_ndjson(tmp_path / "out.jsonl").row(0, named=True)
    assert as_csv["title"] == as_json["title"] == "audio"
    assert as_csv["moment"] == as_json["moment"]
    assert as_json["moment"].startswith("2026-03-01T13:00:00.000000000+01:00")
    assert (as_csv["day"], as_csv["long"], as_csv["exact"], as_csv["rate"]) == ("2026-03-01", "PT1H", "1.50", "nan")
    assert (as_json["some"], as_json["object"], as_json["rate"]) == ([1], {"a": 1, "b": "x"}, None)
    assert (as_csv["some"], as_csv["object"]) == ("[1]", '{"a": 1, "b": "x"}')


def test_score_detail_all_adds_column_per_label(source: Path, tmp_path: Path) -> None:
    predict(source, tmp_path / "out.parquet", detail=ScoreDetail.all)
    output = pl.read_parquet(tmp_path / "out.parquet")
    assert output.schema["score:audio"] == pl.Float32
    assert output["score:graphs"].round(1).to_list()[:5] == pytest.approx([0.9, 0.1, 0.1, None, 0.9])


def test_empty_table_keeps_output_schema(source: Path, tmp_path: Path) -> None:
    pl.read_parquet(source).head(0).write_parquet(tmp_path / "none.parquet")
    predict(tmp_path / "none.parquet", tmp_path / "out.parquet", detail=ScoreDetail.all)
    predict(source, tmp_path / "some.parquet", detail=ScoreDetail.all)
    assert pl.read_parquet_schema(tmp_path / "out.parquet") == pl.read_parquet_schema(tmp_path / "some.parquet")


def test_file_name_may_contain_glob_characters(source: Path, tmp_path: Path) -> None:
    source.rename(tmp_path / "texts[1]*.parquet")
    predict(tmp_path / "texts[1]*.parquet", tmp_path / "out[2].parquet")
    assert pl.read_parquet(tmp_path / "out[2].parquet", glob=False).height == 10


def test_invalid_file_and_column_type_are_reported(source: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(source.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"broken\.parquet: not a Parquet file"):
        predict(tmp_path / "broken.parquet", tmp_path / "out.csv")
    pl.DataFrame({"title": [["a"]], "description": ["b"]}).write_parquet(tmp_path / "lists.parquet")
    with pytest.raises(UserError, match=r"title .* no text but List"):
        predict(tmp_path / "lists.parquet", tmp_path / "out.csv")


def test_batches_start_at_requested_row(source: Path) -> None:
    batches = list(ParquetReader(source).batches(4, start=3))
    assert [batch.column("id") for batch in batches] == [["003", "004", "005", "006"], ["007", "008", "009"]]

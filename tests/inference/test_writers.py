import csv
import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.inference.naming import ROWS, predict, read_text

from ratchet.config import Format
from ratchet.errors import UserError
from ratchet.inference.writers import encode_text, join_parts, output_format


def test_compressed_parts_are_joined_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    for name, text in (("1", "é\n"), ("2", "b\n")):
        (tmp_path / name).write_bytes(encode_text(text, path))
    join_parts(encode_text("head\n", path), [tmp_path / "1", tmp_path / "2"], path)
    assert gzip.decompress(path.read_bytes()).decode() == "head\né\nb\n"


def test_gzip_output_has_no_timestamp() -> None:
    """Equal texts must give equal bytes."""
    assert encode_text("a", Path("a.gz"))[4:8] == b"\0\0\0\0"


def test_lone_surrogate_is_escaped() -> None:
    assert encode_text('"\ud83d"', Path("a.jsonl")) == b'"\\ud83d"'


NAMES = ["x.csv", "x.tsv", "x.jsonl", "x.parquet", "x.csv.gz", "x.jsonl.gz"]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.CSV", Format.csv), ("a.b.tab", Format.tsv), ("a.ndjson.gz", Format.jsonl), ("a.pq", Format.parquet)],
)
def test_format_follows_file_name(name: str, form: Format) -> None:
    assert output_format(Path(name)) is form


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.json", "one object per line"),
        ("a", "must end in the format"),
        ("a.gz", r"\.csv"),
        ("a.parquet.gz", r"\.jsonl"),
    ],
)
def test_unknown_file_format_is_explained(name: str, part: str) -> None:
    with pytest.raises(UserError, match=f"output={name}.*{part}"):
        output_format(Path(name))


def read_rows(path: Path) -> list[dict[str, Any]]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        return pl.read_parquet(path).rows(named=True)
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in read_text(path).splitlines()]
    separator = "\t" if name.endswith(".tsv") else ","
    return list(csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=separator))


def test_every_format_converts_to_every_other(source: Path, tmp_path: Path) -> None:
    for name in NAMES:
        predict(source, tmp_path / f"in-{name}", prefix="first_")
    for before, after in itertools.product(NAMES, NAMES):
        path = tmp_path / f"{before}-{after}"
        summary = predict(tmp_path / f"in-{before}", path)
        assert (summary.rows, summary.without_text, summary.labels) == (10, 2, 12)
        rows = read_rows(path)
        assert [{key: row[key] for key in ROWS[0]} for row in rows] == ROWS
        labels = [row["predicted"] for row in rows]
        flat = after.startswith(("x.csv", "x.tsv"))
        assert labels[:4] == (["audio;graphs", "vision", "", ""] if flat else [["audio", "graphs"], ["vision"], [], []])
        if before.startswith("x.jsonl") or before == "x.parquet":  # formats with lists keep them as lists
            assert [row["first_predicted"] for row in rows][1] == ('["vision"]' if flat else ["vision"])

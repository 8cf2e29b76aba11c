import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.predicting.conftest import ROWS, predict, read_text

from ratchet.config import Format
from ratchet.errors import UserError
from ratchet.predicting.formats import format_of

NAMES = ["x.csv", "x.tsv", "x.jsonl", "x.parquet", "x.csv.gz", "x.jsonl.gz"]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.CSV", Format.csv), ("a.b.tab", Format.tsv), ("a.ndjson.gz", Format.jsonl), ("a.pq", Format.parquet)],
)
def test_the_name_tells_the_format(name: str, form: Format) -> None:
    assert format_of(Path(name), "input") is form


@pytest.mark.parametrize(
    ("name", "part"),
    [("a.json", "one object a line"), ("a", "must tell the format"), ("a.gz", r"\.csv"), ("a.parquet.gz", r"\.jsonl")],
)
def test_a_name_that_tells_none_is_explained(name: str, part: str) -> None:
    with pytest.raises(UserError, match=f"output={name}.*{part}"):
        format_of(Path(name), "output")


def rows_of(path: Path) -> list[dict[str, Any]]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        return pl.read_parquet(path).rows(named=True)
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in read_text(path).splitlines()]
    separator = "\t" if name.endswith(".tsv") else ","
    return list(csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=separator))


def test_every_format_becomes_every_other(source: Path, tmp_path: Path) -> None:
    for name in NAMES:
        predict(source, tmp_path / f"in-{name}", prefix="first_")
    for before, after in itertools.product(NAMES, NAMES):
        path = tmp_path / f"{before}-{after}"
        summary = predict(tmp_path / f"in-{before}", path)
        assert (summary.rows, summary.without_text, summary.labels) == (10, 2, 12)
        found = rows_of(path)
        assert [{key: row[key] for key in ROWS[0]} for row in found] == ROWS
        labels = [row["predicted"] for row in found]
        flat = after.startswith(("x.csv", "x.tsv"))
        assert labels[:4] == (["audio;graphs", "vision", "", ""] if flat else [["audio", "graphs"], ["vision"], [], []])
        if before.startswith("x.jsonl") or before == "x.parquet":  # where lists are lists before, they stay some
            assert [row["first_predicted"] for row in found][1] == ('["vision"]' if flat else ["vision"])

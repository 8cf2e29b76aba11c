"""Stage `split@k`: the division that `split.seed=k` makes anywhere else."""

import json
from pathlib import Path

import pytest
from tests.pipeline.test_prepare import freeze_the_sample

from ratchet.config import compose
from ratchet.data.prepared import prepare
from ratchet.data.splits import make_split
from ratchet.data.storing import read_prepared, read_split
from ratchet.errors import UserError
from ratchet.pipeline.layout import DATA, SPLITS
from ratchet.pipeline.prepare import prepare_data
from ratchet.pipeline.split import split_data


@pytest.mark.parametrize("overrides", [[], ["split.test=0.3"], ["split.method=temporal"]], ids=str)
def test_a_repeat_is_the_split_of_its_seed(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_the_sample(tmp_path, monkeypatch, *overrides)
    prepare_data()
    split_data(7)
    config = compose([*overrides, "split.seed=7"])
    expected = make_split(prepare(config.data), config.split, config.data.split.column)
    assert read_split(SPLITS / "7.json", read_prepared(DATA)) == expected


def test_given_parts_are_taken_from_their_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["data.split.method=given", "data.split.column=part"]
    freeze_the_sample(tmp_path, monkeypatch, *overrides)
    records = Path("data/sample/projects.jsonl")
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    names = ["train"] * (len(lines) - 80) + ["dev"] * 40 + ["test"] * 40
    rows = [{**line, "part": name} for line, name in zip(lines, names, strict=True)]
    records.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prepare_data()
    split_data(0)
    split = read_split(SPLITS / "0.json", read_prepared(DATA))
    assert split.test == sorted(str(line["id"]) for line in lines[-40:])


def test_the_same_repeat_is_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    prepare_data()
    for repeat in (0, 1):
        split_data(repeat)
    first, second = ((SPLITS / f"{repeat}.json").read_bytes() for repeat in (0, 1))
    split_data(0)
    assert (SPLITS / "0.json").read_bytes() == first != second


def test_what_was_not_prepared_cannot_be_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"build/data/dataset\.json: cannot be read"):
        split_data(0)

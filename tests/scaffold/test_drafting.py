from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scaffold.label_drafts import expect, make_rows, read_draft, read_labels, save

from ratchet.config import (
    DataConfig,
    FileConfig,
    FilterConfig,
    Format,
    LabelKind,
    LabelsConfig,
    Leaks,
    RecordsConfig,
    SliceConfig,
    SliceKind,
    SplitMethod,
    compose,
)
from ratchet.scaffold.data_yaml import write_data_yaml
from ratchet.scaffold.inspecting import inspect_file

# Texts that YAML or OmegaConf would read as something else, or that end a flow sequence.
TRICKY = ["no", "on", "007", "1e3", "", "-1", "null", "a: b", "${x}", "\\${x}", "a, b]", "#", "'", '"', "ü\u2028x", "~"]


def read_back(config: DataConfig, directory: Path) -> DataConfig:
    (directory / "data").mkdir(exist_ok=True)
    text = write_data_yaml(config, {}, {}, [])
    (directory / "data" / "a.yaml").write_text(text, encoding="utf-8")
    return compose(["data=a"], directory).data


def make_config(text: str = "x") -> DataConfig:
    """Make a configuration in which no key that is written has its default, with `text` wherever it can stand."""
    config = DataConfig(
        name="a",
        records=RecordsConfig(train="t.csv", val="v.csv", test="e.csv", under=text or "u", query=text, sheet=text),
        format=Format.csv,
        encoding="cp1252",
        header=False,
        column_names=[text, "y"],
        separator=";",
        quote=None,
        escape="\\",
        skip_initial_space=True,
        comment="#",
        skip_rows=3,
        missing=[text, "nan"],
        id=f"id {text}",
        text=[f"body {text}"],
        text_separator=text,
        text_files=[text],
        labels=LabelsConfig(
            column=f"topic {text}",
            kind=LabelKind.indices,
            one=True,
            separator=text or ";",
            key=text,
            levels=text or ">",
            prefix=text,
            first=1,
            positive=0.25,
            unknown=[text, "-1"],
            names=FileConfig(path="n.txt"),
            file=FileConfig(path="l.csv"),
        ),
        created_at=f"date {text}",
        date_format="%d.%m.%Y",
        taxonomy=FileConfig(path="t.json"),
        drop_bad_rows=True,
        filter=FilterConfig(True, [text], 2, True, {"answer": [text, "accept"], "n": False}),
        slices={"mine": SliceConfig(kind=SliceKind.column, column=text or "c")},
    )
    config.split.method, config.split.column, config.split.group = SplitMethod.given, "part", f"g {text}"
    config.split.leaks, config.split.val, config.split.similarity = Leaks.report, 0.2, 0.7
    return config


@pytest.mark.parametrize("text", TRICKY)
def test_every_key_is_read_back_as_it_was(tmp_path: Path, text: str) -> None:
    config = make_config(text)
    config.split.column = None
    read = read_back(config, tmp_path)
    for item in fields(config):
        assert getattr(read, item.name) == getattr(config, item.name), item.name


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12))
def test_any_text_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    config = make_config(text)
    config.split.column = None
    assert read_back(config, tmp_path_factory.mktemp("any")) == config


def test_defaults_are_not_written(tmp_path: Path) -> None:
    labels = LabelsConfig(column="topic", kind=LabelKind.single)
    config = DataConfig(name="a", records=RecordsConfig(path="a.jsonl"), format=Format.jsonl, text=["b"], labels=labels)
    lines = write_data_yaml(config, {}, {}, []).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *("defaults", "name", "records", "format", "encoding", "text", "labels", "split"),
    ]
    assert lines[6] == "labels: {column: topic, kind: single}"


# --- roles ------------------------------------------------------------------------------------------------------------


def test_texts_and_slices_may_be_paths(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topics": labels, "meta": {"channel": ["web", "mail"][len(labels) % 2]}})
    again = [row | {"body": f"{row['body']} again"} for row in rows]
    nested = [{"data": {"body": row.pop("body")}, **row} for row in (*again, *rows)]
    data, prepared = read_draft(save(tmp_path, nested, ".jsonl"))
    assert data.text == ["data.body"]
    assert [definition.column for definition in data.slices.values()] == ["meta.channel"]
    assert read_labels(prepared) == expect() | {f"{text} again": names for text, names in expect().items()}


def test_labels_and_their_comment_name_all_columns(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {f"label{number}": "".join(labels[number : number + 1]) for number in range(2)})
    inspection = inspect_file(save(tmp_path, rows, ".csv"))
    assert dict(inspection.findings)["labels"].startswith("label0, label1: 2 columns")
    assert "labels: {columns: [label0, label1], kind: names}" in inspection.yaml

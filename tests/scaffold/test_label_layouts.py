import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scaffold.label_drafts import (
    LABELS,
    SIZE,
    Row,
    compose_draft,
    expect,
    make_rows,
    read_draft,
    read_labels,
    save,
)

from ratchet.data.labels import normalise_label
from ratchet.data.prepared import prepare
from ratchet.scaffold.inspecting import inspect_file


@pytest.mark.parametrize("mark", [" > ", ">", "::", " -> "])
def test_levels_of_paths_are_labels_themselves(tmp_path: Path, mark: str) -> None:
    parent = {"billing": "shop", "login": "app", "export": "app"}
    rows = make_rows(lambda labels: {"topic": f"{parent[labels[0]]}{mark}{labels[0]}"}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.levels == mark
    assert read_labels(prepared) == {
        text: {parent[label], f"{parent[label]}{mark}{label}"}
        for text, labels in expect(one=True).items()
        for label in labels
    }
    assert prepared.taxonomy.parents[f"app{mark}login"] == ("app",)


def test_several_paths_of_a_record_keep_their_levels(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topics": ";".join(f"app > {label}" for label in labels)})
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.labels.separator, data.labels.levels) == (";", " > ")
    assert read_labels(prepared) == {
        text: {"app", *(f"app > {label}" for label in labels)} for text, labels in expect().items()
    }


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8).map(normalise_label)


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(NAMES, min_size=3, max_size=3, unique_by=lambda name: name.casefold()),
    layout=st.sampled_from(["list", "text", "object", "columns"]),
)
def test_labels_of_any_names_are_these_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], layout: str
) -> None:
    directory = tmp_path_factory.mktemp("any")
    write: dict[str, Callable[[list[str]], Row]] = {
        "list": lambda labels: {"topics": [names[LABELS.index(label)] for label in labels]},
        "text": lambda labels: {"topics": json.dumps([names[LABELS.index(label)] for label in labels])},
        "object": lambda labels: {"topics": [{"name": names[LABELS.index(label)]} for label in labels]},
        "columns": lambda labels: {name: int(LABELS[index] in labels) for index, name in enumerate(names)},
    }
    path = save(directory, make_rows(write[layout]), ".json")
    inspection = inspect_file(path, labels=",".join(names) if layout == "columns" else "topics", text=["body"])
    prepared = prepare(compose_draft(inspection, directory, path))
    assert prepared.labels == sorted(names)
    assert len(prepared.records) == SIZE

"""Tests for the layouts of labels: each kind reads its own, and refuses another with the key that reads it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_cells import LabelSet
from ratchet.data.labels import LabelParser, is_multiclass, list_ancestors, parents_of_levels
from ratchet.data.values import BadValue
from ratchet.errors import UserError

NAMES = ["bug", "login", "slow"]


def read(value: Any, kind: str, names: Sequence[str] | None = None, **settings: Any) -> LabelSet:
    return LabelParser(LabelsConfig(column="tags", kind=LabelKind[kind], **settings), names)({"tags": value})


def refuse(value: Any, kind: str, names: Sequence[str] | None = None, **settings: Any) -> str:
    with pytest.raises(BadValue, match="tags") as caught:
        read(value, kind, names, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    "cell",
    [
        ["bug", "login"],
        '["bug", "login"]',
        "['bug', 'login']",
        "['bug' 'login']",
        "[\"bug\"\n 'login']",
        "('bug', 'login')",
        "{'bug', 'login'}",
        "array(['bug', 'login'], dtype=object)",
        "list(['bug', 'login'])",
        " [ 'bug','login', None, '' ] ",
    ],
)
def test_lists_in_cells_are_read(cell: Any) -> None:
    assert read(cell, "list").positive == ("bug", "login")


@pytest.mark.parametrize(
    ("cell", "labels"),
    [("[]", ()), ("", ()), (None, ()), ("[2021, 7.0]", ("2021", "7")), ("[true]", ("true",)), ('["it\'s"]', ("it's",))],
)
def test_lists_of_other_values_are_read(cell: Any, labels: tuple[str, ...]) -> None:
    assert read(cell, "list").positive == labels


@pytest.mark.parametrize("cell", ["[bug, login]", "['bug'", "[__import__('os')]", "[1 for i in x]", "['a' + 'b']"])
def test_what_is_no_list_is_refused(cell: str) -> None:
    refuse(cell, "list")


@pytest.mark.parametrize("cell", ["[bug, login]", "{bug}"])
def test_separated_names_without_quotes_in_brackets_need_another_file(cell: str) -> None:
    assert "remove the brackets" in refuse(cell, "separated"), "the kind list does not read them either"


@pytest.mark.parametrize("cell", ["['bug']", '["bug", "login"]', "[bug]", "['a' 'b']", "[]"])
def test_separated_labels_in_brackets_name_the_kind_list(cell: str) -> None:
    assert "data.labels.kind=list" in refuse(cell, "separated")


@pytest.mark.parametrize(
    ("cell", "kind", "key"),
    [
        ("['bug', 'login']", "single", "data.labels.kind=list and data.labels.one=true"),
        (["bug"], "single", "data.labels.kind=list and data.labels.one=true"),
        ("['bug']", "rows", "data.labels.kind=list"),
        ("['bug']", "names", "data.labels.kind=list"),
        ('{"choices": ["bug"]}', "separated", "data.labels.kind=list and data.labels.key"),
        ('{"choices": ["bug"]}', "single", "data.labels.key"),
        ({"bug": 1.0, "login": 0.0}, "single", "data.labels.kind=scores"),
        ({"bug": True, "login": False}, "list", "data.labels.kind=scores"),
        ([{"name": "bug", "id": 3}], "list", "data.labels.key"),
        ([{"result": [{"value": "bug"}]}], "list", "tags.result"),
        ([["bug"]], "list", "a list where a label should be"),
        ([{"name": "bug"}], "separated", "data.labels.key"),
        ([1, 0, 1], "list", "data.labels.kind=binary"),
        ([True, False, True], "list", "data.labels.kind=binary"),
        ("1,0,0", "separated", "data.labels.kind=binary"),
        (b"bug", "single", "where a label should be"),
        (b"bug", "list", "data.labels.kind"),
        ("bug", "list", "separated"),
    ],
)
def test_another_layout_names_the_key_that_reads_it(cell: Any, kind: str, key: str) -> None:
    assert key in refuse(cell, kind)


@pytest.mark.parametrize("cell", [[1, 0, 0], "[1, 0, 0]", "0,0", [2, 2]])
def test_an_index_twice_names_the_kind_binary(cell: Any) -> None:
    assert "data.labels.kind=binary" in refuse(cell, "indices", NAMES)


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ([1, 0, 1], ("bug", "slow")),
        ("[1, 0, 1]", ("bug", "slow")),
        ("[1 0 1]", ("bug", "slow")),
        ("1 0 1", ("bug", "slow")),
        ("1,0,1", ("bug", "slow")),
        ("101", ("bug", "slow")),
        ([1.0, 0.0, 0.0], ("bug",)),
        ([True, False, False], ("bug",)),
        ("[0. 1. 0.]", ("login",)),
        ([0, 0, 0], ()),
    ],
)
def test_vectors_of_0_and_1_are_read(cell: Any, labels: tuple[str, ...]) -> None:
    assert read(cell, "binary", NAMES).positive == labels


def test_vectors_may_have_another_separator() -> None:
    assert read("1; 0;1", "binary", NAMES, separator=";").positive == ("bug", "slow")


@pytest.mark.parametrize(
    "cell", [[1, 0], [1, 0, 1, 0], [0, 1, 2], "10", "[1, 0", None, 101, ["x", "y", "z"], [[1], 0, 0]]
)
def test_vectors_that_do_not_fit_the_label_file_are_refused(cell: Any) -> None:
    refuse(cell, "binary", NAMES)


def test_vectors_may_hold_unknown_values() -> None:
    assert read([1, -1, 0], "binary", NAMES, unknown=["-1"]) == LabelSet(("bug",), ("login",))


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        (2, ("slow",)),
        ("2", ("slow",)),
        ("2.0", ("slow",)),
        (2.0, ("slow",)),
        ("[0, 2]", ("bug", "slow")),
        ("[0 2]", ("bug", "slow")),
        (["0", 2], ("bug", "slow")),
        ("0,2,", ("bug", "slow")),
    ],
)
def test_numbers_of_labels_are_read_in_any_form(cell: Any, labels: tuple[str, ...]) -> None:
    assert read(cell, "indices", NAMES).positive == labels


def test_numbers_may_begin_at_one() -> None:
    assert read([1, 3], "indices", NAMES, first=1).positive == ("bug", "slow")
    assert "data.labels.first=1" in refuse(3, "indices", NAMES)
    assert "(1 to 3)" in refuse(0, "indices", NAMES, first=1)


@pytest.mark.parametrize("cell", ["1_0", "1 0", "1;0"])
def test_digits_with_something_between_them_are_no_index(cell: str) -> None:
    assert "data.labels.separator" in refuse(cell, "indices", [f"label {number}" for number in range(11)])


def test_an_object_is_no_index() -> None:
    assert "data.labels.key" in refuse([{"id": 1}], "indices", NAMES)


COLUMNS = LabelsConfig(columns=["bug", "login"], kind=LabelKind.columns)


@pytest.mark.parametrize("yes", [1, 1.0, True, "1", "1.0", "true", "TRUE", "yes", "Y", "t", " 1 "])
@pytest.mark.parametrize("no", [0, 0.0, False, "0", "0.0", "False", "no", "N", "f"])
def test_a_column_for_each_label_is_read(yes: Any, no: Any) -> None:
    assert LabelParser(COLUMNS)({"bug": yes, "login": no}).positive == ("bug",)


@pytest.mark.parametrize("value", [2, -1, 0.5, "", None, "bug", "nan", [1], {"a": 1}, b"1", float("nan")])
def test_a_column_with_another_value_is_a_bad_row(value: Any) -> None:
    with pytest.raises(BadValue, match="login") as caught:
        LabelParser(COLUMNS)({"bug": 1, "login": value})
    assert caught.value.kind == "bad labels"


def test_values_that_mean_unknown_are_neither_yes_nor_no() -> None:
    config = LabelsConfig(columns=["a", "b", "c"], kind=LabelKind.columns, unknown=["-1", "", "U"])
    parse = LabelParser(config, missing=["nan"])
    assert parse({"a": "1", "b": "-1", "c": "0"}) == LabelSet(("a",), ("b",))
    assert parse({"a": -1.0, "b": None, "c": "u"}) == LabelSet((), ("a", "b", "c"))
    assert parse({"a": "nan", "b": 1, "c": 0}) == LabelSet(("b",), ("a",))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ({"first": "bug", "second": None}, ("bug",)),
        ({"first": "slow", "second": " bug "}, ("bug", "slow")),
        ({"first": "", "second": ""}, ()),
        ({"first": 2021, "second": "bug"}, ("2021", "bug")),
    ],
)
def test_columns_of_names_are_read(values: dict[str, Any], labels: tuple[str, ...]) -> None:
    config = LabelsConfig(columns=["first", "second"], kind=LabelKind.names)
    assert LabelParser(config)(values).positive == labels


def test_a_repeated_column_is_a_list_of_cells() -> None:
    assert read(["bug", "", "slow, or not"], "names").positive == ("bug", "slow, or not")


@pytest.mark.parametrize("cells", [("1", "0"), ("True", "False"), (True, False), ("TRUE", "TRUE")])
def test_columns_of_truth_values_are_not_names(cells: tuple[Any, Any]) -> None:
    config = LabelsConfig(columns=["bug", "login"], kind=LabelKind.names)
    with pytest.raises(BadValue, match=r"data\.labels\.kind=columns"):
        LabelParser(config)(dict(zip(config.columns or (), cells, strict=True)))


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ({"bug": 0.9, "login": 0.1}, ("bug",)),
        ({"bug": 0.5, "login": 0.49}, ("bug",)),
        ({"bug": True, "login": False, "slow": "1"}, ("bug", "slow")),
        ('{"bug": 1.0, "login": 0}', ("bug",)),
        ("{'bug': True, 'login': 0.7}", ("bug", "login")),
        ("bug:0.9;login:0.1", ("bug",)),
        ("a:b:0.9; login : 1e-1;", ("a:b",)),
        ({}, ()),
        (None, ()),
    ],
)
def test_scores_of_labels_are_read(cell: Any, labels: tuple[str, ...]) -> None:
    assert read(cell, "scores", separator=";").positive == labels


@pytest.mark.parametrize(
    "cell", ["bug", "bug:high", "bug:0.9;bug:0.1", ["bug"], 0.9, {"bug": None}, {"bug": [1]}, {"bug": "nan"}, {"": 1}]
)
def test_what_is_no_score_is_refused(cell: Any) -> None:
    refuse(cell, "scores", separator=";")


@pytest.mark.parametrize("cell", ["bug:0.9;login:0.1", "bug: 1 | login: 0", "bug:0.9 login:.1", "bug:0.9;login:1e-3"])
def test_pairs_with_another_separator_name_the_key(cell: str) -> None:
    assert "data.labels.separator" in refuse(cell, "scores", separator=",")


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ({"bug": 0.2, "login": 0.1}, "bug"),
        ("bug:40;login:60", "login"),
        ({"bug": True, "login": False}, "bug"),
        ({"bug": -2.5, "login": None}, "bug"),
    ],
)
def test_of_several_scores_the_highest_is_the_one_label(cell: Any, label: str) -> None:
    assert read(cell, "scores", separator=";", one=True, unknown=[""]).positive == (label,)


@pytest.mark.parametrize("cell", [{"bug": 0.5, "login": 0.5}, {"bug": True, "login": True}, {"bug": None}, {}])
def test_a_tie_or_no_score_is_not_one_label(cell: Any) -> None:
    refuse(cell, "scores", one=True, unknown=[""])


def test_scores_may_be_percentages() -> None:
    assert read({"bug": 90, "login": 10}, "scores", positive=50).positive == ("bug",)


def find_odd(cells: Sequence[Any], kind: str, unknown: list[str], **settings: Any) -> list[tuple[str, str]]:
    missing = settings.pop("missing", ())
    column = {"columns": ["tags"]} if kind == "columns" else {"column": "tags"}
    config = LabelsConfig(**column, kind=LabelKind[kind], unknown=unknown, **settings)
    parser = LabelParser(config, NAMES if kind in ("indices", "binary") else None, missing=missing)
    for cell in cells:
        parser({"tags": cell})
    return [(problem.place, problem.message) for problem in parser.find_odd()]


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("single", ["bug", "??", ""]),
        ("separated", ["bug;??", ""]),
        ("list", [["bug", "??"], None]),
        ("names", ["??", ""]),
        ("rows", ["??", ""]),
        ("columns", [1, "??", "", "??"]),
        ("binary", ["1,0,??", ""]),
        ("indices", ["0;??", ""]),
        ("scores", [{"bug": 0.9, "slow": "??"}, None]),
    ],
)
def test_value_for_unknown_labels_that_no_cell_holds_is_reported(kind: str, cells: list[Any]) -> None:
    settings = {"separator": ";"} if kind in ("separated", "indices") else {}
    settings |= {"one": False} if kind == "single" else {}
    [(place, message)] = find_odd(cells, kind, ["??", "", "zz"], **settings)
    assert place == "data.labels.unknown"
    assert "no cell holds 'zz'" in message


def test_value_for_unknown_labels_that_is_never_met_names_what_may_be_meant() -> None:
    cells = [["bug"], ["unsure"]]
    assert find_odd(cells, "list", ["Unsure"]) == []
    assert "did you mean 'unsure'?" in find_odd(cells, "list", ["unsur"])[0][1]
    assert "no cell is empty" in find_odd(cells, "list", [""])[0][1]
    assert "data.missing" in find_odd(["['bug']", "NA"], "list", ["NA"], missing=["NA"])[0][1]
    assert find_odd(cells, "list", []) == []


def test_accents_stored_in_two_ways_are_reported_and_read_as_one_label() -> None:
    parser = LabelParser(LabelsConfig(column="labels", kind=LabelKind.list))
    for labels in (["cafe\u0301", "bug"], [" caf\u00e9"], ["bug "]):
        parser({"labels": labels})
    [problem] = parser.find_odd()
    assert (problem.kind, problem.place) == ("labels that look alike", "label 'caf\u00e9'")
    assert "NFC and NFD" in problem.message


def test_the_lowest_score_and_unknown_scores_are_configured() -> None:
    assert read({"a": 0.5, "b": 0.9, "c": None}, "scores", positive=0.8, unknown=[""]) == LabelSet(("b",), ("c",))


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ([{"id": 1, "name": "bug"}, {"id": 2, "name": "slow"}], "list"),
        ('[{"name": "bug"}, {"name": "slow"}]', "list"),
        ({"name": ["bug", "slow"]}, "list"),
        ('{"name": ["bug", "slow"]}', "list"),
        (["bug", {"name": "slow"}], "list"),
        ([{"name": "bug"}, {"name": "slow"}], "separated"),
    ],
)
def test_the_name_of_an_object_is_below_its_key(cell: Any, kind: str) -> None:
    assert read(cell, kind, key="name").positive == ("bug", "slow")


def test_a_bare_word_next_to_objects_is_one_label() -> None:
    assert read("bug, or not", "list", key="choices").positive == ("bug, or not",)
    assert read({"name": "bug"}, "single", key="name").positive == ("bug",)
    assert "'name'" in refuse([{"nam": "bug"}], "list", key="name")


def test_a_column_may_be_a_path() -> None:
    config = LabelsConfig(column="notes.result.value.choices")
    notes = [{"result": [{"value": {"choices": ["bug"]}}]}, {"result": [{"value": {"choices": ["slow"]}}]}]
    assert LabelParser(config)({"notes": notes}).positive == ("bug", "slow")


def test_prefixes_are_removed() -> None:
    assert read("__label__bug __label__slow", "separated", separator=" ", prefix="__label__").positive == (
        "bug",
        "slow",
    )
    parse = LabelParser(LabelsConfig(column="tags", prefix="__label__"), None, {"__label__bug"})
    assert parse({"tags": ["__label__bug"]}).positive == ("bug",)


def test_the_labels_above_an_unknown_path_are_unknown() -> None:
    paths = ["a > b", "a > c", "d > e"]
    config = LabelsConfig(columns=paths, kind=LabelKind.columns, levels=" > ", unknown=["-1"])
    parse = LabelParser(config)
    assert parse({"a > b": -1, "a > c": 0, "d > e": 1}) == LabelSet(("d", "d > e"), ("a", "a > b"))
    assert parse({"a > b": -1, "a > c": 1, "d > e": 0}) == LabelSet(("a", "a > c"), ("a > b",))


def test_levels_need_a_text_between_them() -> None:
    with pytest.raises(UserError, match=r"data\.labels\.levels"):
        LabelParser(LabelsConfig(column="tags", levels=""))


def test_a_path_gives_the_labels_above_it() -> None:
    assert read(["a > b > c", "d"], "list", levels=" > ").positive == ("a", "a > b", "a > b > c", "d")
    assert read("/sports/ball", "separated", levels="/").positive == ("sports", "sports/ball")
    assert read("a > b", "single", levels=" > ").positive == ("a > b",), "exactly one label"
    assert list_ancestors("a", " > ") == []
    assert parents_of_levels(["a", "a/b", "a/b/c"], "/") == {"a": (), "a/b": ("a",), "a/b/c": ("a/b",)}


@pytest.mark.parametrize(
    ("kind", "cell"), [("list", ["bug"]), ("separated", "bug"), ("indices", 0), ("scores", {"bug": 1})]
)
def test_one_label_per_record_does_not_depend_on_the_layout(kind: str, cell: Any) -> None:
    assert read(cell, kind, NAMES, one=True).positive == ("bug",)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("list", ["bug", "slow"]), ("separated", "bug,slow"), ("indices", [0, 2]), ("binary", [1, 0, 1]), ("list", [])],
)
def test_several_labels_or_none_are_refused_where_each_record_has_one(kind: str, cell: Any) -> None:
    with pytest.raises(BadValue) as caught:
        read(cell, kind, NAMES, one=True)
    assert caught.value.kind == ("several labels" if cell else "no label")


def test_the_task_is_a_key_of_its_own() -> None:
    assert is_multiclass(LabelsConfig(kind=LabelKind.single))
    assert not is_multiclass(LabelsConfig(kind=LabelKind.single, one=False))
    assert not is_multiclass(LabelsConfig(kind=LabelKind.indices))
    assert is_multiclass(LabelsConfig(kind=LabelKind.indices, one=True))
    assert read("", "single", one=False).positive == ()


def test_labels_in_two_unicode_forms_are_one() -> None:
    assert read(["caf\u00e9", "cafe\u0301"], "list").positive == ("caf\u00e9",)
    parse = LabelParser(LabelsConfig(column="tags"), None, {"cafe\u0301"})
    assert parse({"tags": ["caf\u00e9"]}).positive == ("caf\u00e9",)


@pytest.mark.parametrize("label", ["bug\ud83d", "\udc00", "bug\x00", "a\nb", "a\u2028b"])
@pytest.mark.parametrize("kind", ["list", "single", "names", "scores"])
def test_labels_that_cannot_be_written_are_refused(label: str, kind: str) -> None:
    message = refuse({label: 1} if kind == "scores" else [label] if kind in ("list", "names") else label, kind)
    assert "label holds" in message
    message.encode("ascii")


@pytest.mark.parametrize(("kind", "cell"), [("list", "?"), ("separated", "?"), ("list", ["?"]), ("names", ["?"])])
def test_a_value_that_means_unknown_leaves_all_other_labels_unknown(kind: str, cell: Any) -> None:
    assert read(cell, kind, unknown=["?"]) == LabelSet((), (), True)
    assert read(["bug", "?"], "list", unknown=["?"]) == LabelSet(("bug",), (), True)


@pytest.mark.parametrize("kind", ["list", "separated", "single", "names", "indices", "binary", "scores"])
@pytest.mark.parametrize("cell", [None, "", " ", float("nan"), "NULL"])
def test_empty_cells_of_any_kind_may_mean_unknown(cell: Any, kind: str) -> None:
    config = LabelsConfig(column="tags", kind=LabelKind[kind], one=False, unknown=[""])
    assert LabelParser(config, NAMES, missing=["NULL"])({"tags": cell}) == LabelSet((), (), True)


def test_an_empty_vector_names_the_key_for_unknown_values() -> None:
    assert 'data.labels.unknown=[""]' in refuse(None, "binary", NAMES)


@pytest.mark.parametrize(("kind", "cell"), [("indices", "0"), ("binary", "1 0 0")])
def test_names_of_the_label_file_are_never_missing(kind: str, cell: str) -> None:
    config = LabelsConfig(column="tags", kind=LabelKind[kind])
    assert LabelParser(config, ["None", "bug", "slow"], missing=["None"])({"tags": cell}).positive == ("None",)


def test_columns_of_unknown_labels_are_refused_before_any_row() -> None:
    config = LabelsConfig(columns=["bug", "slwo"], kind=LabelKind.columns)
    with pytest.raises(UserError, match=r"data\.labels\.columns.*'slwo'.*'slow'"):
        LabelParser(config, known=NAMES)


@pytest.mark.parametrize("name", ["bug\x00", "bug\ud83d"])
@pytest.mark.parametrize(("kind", "key"), [("indices", "data.labels.names"), ("columns", "data.labels.columns")])
def test_names_that_cannot_be_written_are_refused_before_any_row(kind: str, key: str, name: str) -> None:
    config = LabelsConfig(columns=[name, "slow"], kind=LabelKind[kind])
    with pytest.raises(UserError, match=key):
        LabelParser(config, [name, "slow"])


def test_a_label_that_is_only_a_prefix_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.labels\.prefix"):
        LabelParser(LabelsConfig(column="tags", kind=LabelKind.indices, prefix="__label__"), ["__label__", "bug"])


def test_missing_values_are_no_labels() -> None:
    parse = LabelParser(LabelsConfig(column="tags"), missing=["nan", "NULL"])
    assert parse({"tags": ["bug", "nan", " NULL "]}).positive == ("bug",)
    assert parse({"tags": "nan"}).positive == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=4) | st.binary(max_size=3)
    | st.sampled_from(["bug", "['bug']", '{"a": 1}', "1,0,1", "bug:0.9", "[1 0]", "('a',)", "{'a'}", "a > b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(VALUES, st.sampled_from(LabelKind), st.sampled_from([None, "a"]), st.sampled_from([None, True]))
def test_any_value_gives_labels_or_a_bad_row_and_never_a_repr(
    value: Any, kind: LabelKind, key: str | None, one: bool | None
) -> None:
    config = LabelsConfig(column="tags", kind=kind, key=key, one=one)
    if kind is LabelKind.columns:
        config = LabelsConfig(columns=["tags"], kind=kind, one=one)
    try:
        found = LabelParser(config, NAMES if kind in (LabelKind.indices, LabelKind.binary) else None)({"tags": value})
    except BadValue:
        return
    assert list(found.positive) == sorted(set(found.positive))
    texts = _list_texts(value)
    for label in found.positive:
        label.encode("utf-8")
        assert label == label.strip() != ""
        if label in {"{}", "[]", "()"} or (label[0] in "{[(b" and label[-1] in "}])'"):
            assert label in texts, "only a text that a user wrote looks like this"


def _list_texts(value: Any) -> set[str]:
    """Return the texts within a value, in the form that labels have."""
    if isinstance(value, str):
        return {value.strip(), *(part.strip() for part in value.replace(":", ",").split(","))}
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {text for item in items for text in _list_texts(item)}

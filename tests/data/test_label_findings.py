"""Tests of findings about label names: each is there for odd labels, and absent for usual ones."""

import time
import unicodedata
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ratchet.config import DataConfig, LabelKind, LabelsConfig
from ratchet.data.label_findings import (
    LabelUse,
    count_labels,
    find_odd_names,
    find_rare_and_constant,
    format_list,
    name_left_out,
)
from ratchet.data.problems import Problem
from ratchet.data.records import Record

ALIKE, NEAR = "labels that look alike", "labels with nearly the same spelling"
MISSING = "label that may be a missing value"
STRUCTURED, SCORED = "labels that look like lists or objects", "labels that end in numbers"
SEPARATOR, NUMBERS = "labels with a separator", "labels that are numbers"
USUAL = ["bug", "login", "slow", "billing", "C++", "C#", "C", "q&a", "R", "computer-vision", "natural language"]


Labels = Mapping[str, int] | list[str]


def find(
    labels: Labels, kind: LabelKind = LabelKind.list, named: tuple[str, ...] = (), **settings: str
) -> list[Problem]:
    """Return the findings for labels with their numbers of records (20 each for a list) among 1000 records."""
    counts = labels if isinstance(labels, dict) else dict.fromkeys(labels, 20)
    uses = {label: LabelUse(counts[label], f"f.csv, row {row}") for row, label in enumerate(sorted(counts), start=2)}
    config = DataConfig(text=["text"], labels=LabelsConfig(column="labels", kind=kind, **settings))  # type: ignore[arg-type]
    return [*find_rare_and_constant(uses, 1000), *find_odd_names(uses, 1000, config, named)]


def list_kinds(labels: Labels, kind: LabelKind = LabelKind.list, **settings: str) -> set[str]:
    return {problem.kind for problem in find(labels, kind, **settings)}


@pytest.mark.parametrize("kind", [LabelKind.list, LabelKind.separated, LabelKind.single, LabelKind.columns])
def test_usual_labels_have_no_findings(kind: LabelKind) -> None:
    assert find(USUAL, kind) == []


def test_labels_are_counted_with_the_place_of_the_first() -> None:
    records = [
        Record(str(row), "text", labels, None, {}, f"f.csv, row {row}")
        for row, labels in [(2, ("b",)), (3, ()), (4, ("a", "b")), (5, ("a",))]
    ]
    assert count_labels(records) == {"a": LabelUse(2, "f.csv, row 4"), "b": LabelUse(2, "f.csv, row 2")}


def test_label_that_is_on_every_record_or_unknown_is_reported() -> None:
    records = [
        Record(str(row), "text", ("a",), None, {}, f"f.csv, row {row}", unknown=("b",))
        if row % 2
        else Record(str(row), "text", ("b",), None, {}, f"f.csv, row {row}")
        for row in range(20)
    ]
    uses = count_labels(records)
    assert (uses["a"].unknown, uses["b"].unknown) == (0, 10)
    (found,) = find_rare_and_constant(uses, len(records))
    assert (found.kind, found.place) == ("label on every record", "label 'b'")
    assert "10 records where it is known" in found.message


def test_labels_left_out_are_named_with_invisible_characters_escaped() -> None:
    left_out = {"pay\u200b": "rare", "b\ufe0fug": "rare", "h\u3164": "rare", "caf\u00e9": "excluded"}
    left_out |= {f"label {number}": "rare" for number in range(9)}
    names = name_left_out(left_out)
    assert names["excluded"] == ["'caf\u00e9'"]
    assert names["rare"] == [r"'pay\u200b'", r"'b\ufe0fug'", r"'h\u3164'", "'label 0'", "'label 1'"]


def test_rare_and_constant_labels_are_reported() -> None:
    found = {problem.place: problem for problem in find({"once": 1, "twice": 2, "thrice": 3, "all": 1000, "most": 999})}
    assert set(found) == {"label 'once'", "label 'twice'", "label 'all'"}
    assert "1 of 1000" in found["label 'once'"].message
    assert found["label 'all'"].kind == "label on every record"
    assert all(problem.outcome == "kept" for problem in found.values())


# --- spellings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        ("pay", "pay\u200b", "invisible"),
        ("pay", "\ufeffpay", "invisible"),
        ("pay", "p\u00aday", "invisible"),
        ("Bug", "bug", "case"),
        ("stra\u00dfe", "STRASSE", "case"),
        ("log in", "log\u00a0in", "spaces"),
        ("bug", "\uff42\uff55\uff47", "width"),
        ("Bug", "bug\u200d", "invisible characters and case"),
        ("paypal", "p\u0430yp\u0430l", "two scripts"),
    ],
)
def test_labels_that_look_alike_are_reported_with_both_spellings(one: str, two: str, reason: str) -> None:
    [problem] = find({"other": 9, one: 12, two: 5})
    assert problem.kind == ALIKE
    assert reason in problem.message
    assert "(12)" in problem.place
    assert "(5)" in problem.place
    first, second = problem.place.removeprefix("labels ").split(" and ")
    visible = [unicodedata.normalize("NFC", name) for name in (first, second)]
    assert visible[0].split(" (")[0] != visible[1].split(" (")[0], "both print in the same way"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("data-science", "data science"),
        ("data_science", "dataScience"),
        ("U-Net", "unet"),
        ("billing", "biling"),
        ("organisation", "organization"),
        ("dashboard", "dahsboard"),
        ("invoice", "invoices"),
        ("payment methods", "paymment methods"),
        ("authentication", "authenticaton"),
    ],
)
def test_nearly_equal_spellings_are_reported(one: str, two: str) -> None:
    [problem] = find(["bug", one, two])
    assert problem.kind == NEAR
    assert repr(one) in problem.place
    assert repr(two) in problem.place


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("gpt-2", "gpt-3"),
        ("label0001", "label0002"),
        ("group a", "group b"),
        ("v1.0", "v10"),
        ("symmetric", "asymmetric"),
        ("lending", "landing"),
        ("fastai", "fastapi"),
        ("C", "C++"),
        ("card_arrival", "card_linking"),
        ("cat", "cats"),
    ],
)
def test_unlike_labels_are_not_reported(one: str, two: str) -> None:
    assert find(["bug", one, two]) == []


def test_other_letter_counts_in_a_rare_label_only() -> None:
    assert list_kinds({"forecasting": 13, "fordcasting": 1}) == {NEAR, "label with too few records"}
    assert list_kinds({"forecasting": 13, "fordcasting": 12}) == set()


@pytest.mark.parametrize(
    ("label", "rare", "how"),
    [
        ("screen", "screan", "one letter"),
        ("battery", "battexy", "one letter"),
        ("engine noise", "engime noise", "one letter"),
        ("paint_finish", "paint_finich", "one letter"),
        ("engine", "enigne", "two swapped letters"),
        ("screen", "csreen", "two swapped letters"),
        ("broken window", "broken windwo", "two swapped letters"),
    ],
)
def test_replaced_and_swapped_letters_count_in_a_label_with_a_fifth_of_the_records(
    label: str, rare: str, how: str
) -> None:
    [problem] = find({label: 40, rare: 8, "other": 20})
    assert problem.kind == NEAR
    assert f"differ in {how}" in problem.message
    assert find({label: 40, rare: 8}, named=(label, rare)) == []


@pytest.mark.parametrize(
    "labels",
    [
        {"screen": 40, "screan": 9},  # frequent enough to be a label
        {"house": 40, "mouse": 3, "horse": 3},  # short words
        {"fender": 40, "gender": 3, "render": 3},  # another first letter
        {"screen": 40, "strean": 3},  # two other letters
        {f"series{letter}": 40 if letter == "a" else 3 for letter in "abcdefghijk"},
    ],
)
def test_other_words_and_series_of_names_are_no_misspellings(labels: dict[str, int]) -> None:
    assert find(labels) == []


def test_labels_of_a_taxonomy_are_no_misspellings_of_each_other() -> None:
    labels = {"dataset": 50, "datasets": 40}
    assert len(find(labels)) == 1
    assert find(labels, named=("dataset", "datasets")) == []
    assert len(find(labels, named=("dataset",))) == 1


def test_ten_thousand_labels_are_compared_in_linear_time() -> None:
    ends = "bdfgklmnprst"
    words = [f"{first}{second}{third}tion" for first in ends for second in "aeiou" for third in ends]
    names = [f"{words[at % len(words)]}-{words[at * 7 % 719]}" for at in range(5000)]
    series = [f"series {number:05d}" for number in range(5000)]
    started = time.process_time()
    find(list(dict.fromkeys([*names, *series])))
    assert time.process_time() - started < 10


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.integers(1, 50), max_size=12), st.sampled_from(LabelKind))
def test_any_labels_get_findings_that_name_them(labels: dict[str, int], kind: LabelKind) -> None:
    for problem in find(labels, kind):
        assert problem.outcome == "kept"
        assert problem.message
        assert problem.place.startswith("label")


# --- missing values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["nan", "NaN", "NULL", "null", "None", "N/A", "n/a", "NA", "<NA>", "NaT", "-", "?"])
def test_words_for_missing_values_are_reported_with_the_key(label: str) -> None:
    [problem] = find({"bug": 30, "login": 20, label: 15})
    assert (problem.kind, problem.place) == (MISSING, f"label {label!r}")
    assert "15 of 1000" in problem.message
    assert "data.missing=[" in problem.message


@pytest.mark.parametrize("label", ["none", "other", "unknown", "Nana", "null-safety", "nan-values", "no", "name"])
def test_names_that_are_no_missing_values_are_not_reported(label: str) -> None:
    assert find({"bug": 30, "login": 20, label: 15}) == []


def test_the_key_lists_all_words_in_yaml() -> None:
    words = ["nan", "NaN", "NULL", "N/A", "-", "None", "TRUE", "accept"]
    written = format_list(words)
    assert yaml.safe_load(written) == words
    assert written.startswith("[nan, 'NaN', 'NULL', ")


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "labels", "found", "remedy"),
    [
        (LabelKind.single, ["bug;login", "login;slow", "bug", "slow", "bug;slow"], SEPARATOR, "separator=';'"),
        (LabelKind.single, ["a|b", "b|c", "a|c"], SEPARATOR, "kind=separated"),
        (LabelKind.separated, ["bug; login", "login; slow", "bug", "login"], SEPARATOR, "separator=';'"),
        (LabelKind.separated, ["bug/login", "login/slow", "bug/slow"], SEPARATOR, "separator='/'"),
        (LabelKind.separated, ["bug:0.5", "login:1", "slow:0.25"], SCORED, "kind=scores"),
        (LabelKind.list, ["bug: 3", "login: -1.5e-3"], SCORED, "kind=scores"),
        (LabelKind.single, ["['bug']", "['login', 'slow']", "[]"], STRUCTURED, "kind=list"),
        (LabelKind.separated, ["['bug'", "'login']"], STRUCTURED, "kind=list"),
        (LabelKind.rows, ['{"name": "bug"}', '{"name": "slow"}'], STRUCTURED, "labels.key"),
        (LabelKind.single, ["[1, 2]", "[3]"], STRUCTURED, "kind=list"),
        (LabelKind.single, ["0", "1", "2", "10", "3", "4", "5", "6", "7", "8"], NUMBERS, "kind=indices"),
        (LabelKind.separated, ["1.0", "2.0", "3.0"], NUMBERS, "kind=indices"),
        (LabelKind.separated, ["0", "1"], NUMBERS, "kind=binary"),
    ],
)
def test_layouts_read_as_names_are_reported(kind: LabelKind, labels: list[str], found: str, remedy: str) -> None:
    [problem] = find(labels, kind)
    assert problem.kind == found
    assert remedy in problem.message
    assert "f.csv, row " in problem.message


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (LabelKind.single, ["Politics / World", "Sports, Football", "Arts & Culture", "Food, Drink", "Travel"]),
        (LabelKind.single, ["Sports/Football", "Sports/Tennis", "World/Asia", "World/Europe"]),
        (LabelKind.single, ["[meta]", "[Feature] login", "bug", "vitamin [B12]"]),
        (LabelKind.single, ["18:30", "std::vector", "level: high", "bug"]),
        (LabelKind.single, ["007", "042", "113"]),
        (LabelKind.single, ["1998", "2003", "2024"]),
        (LabelKind.single, ["404", "500", "bug"]),
        (LabelKind.indices, ["0", "1", "2"]),
        (LabelKind.columns, ["bug:1", "login:2", "[1, 2]"]),
        (LabelKind.list, ["a,b", "b,c", "a,c"]),
    ],
)
def test_names_that_look_like_layouts_are_not_reported(kind: LabelKind, labels: list[str]) -> None:
    assert find(labels, kind) == []


def test_configured_levels_and_separator_are_not_reported() -> None:
    labels = ["a>b", "b>c", "a/c", "a/b", "b/c"]
    assert list_kinds(labels, LabelKind.single) == {SEPARATOR}
    assert list_kinds(labels, LabelKind.single, levels="/") == set()
    assert list_kinds(labels, LabelKind.separated, separator="/") == set()

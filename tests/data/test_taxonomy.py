import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.sources import Content
from ratchet.data.taxonomy import (
    Match,
    NameMatcher,
    Taxonomy,
    find_texts_without_rule,
    join_words,
    load_english_stemmer,
    parse_taxonomy,
    words,
)
from ratchet.errors import UserError

ENTRIES = [
    {"tag": "computer-vision", "aliases": ["cv", "machine vision"], "parents": []},
    {"tag": "object-detection", "aliases": [], "parents": ["computer-vision"]},
    {"tag": "face-detection", "parents": ["object-detection", "faces"]},
    {"tag": "graph-neural-networks", "aliases": ["GNN", "graph network"], "parents": ["graphs"]},
    {"tag": "graphs", "aliases": None},
    {"tag": "vision"},
    {"tag": "Étude № 1", "aliases": ["Übung"]},
]
NAMES = [name for entry in ENTRIES for name in (entry["tag"], *(entry.get("aliases") or ()))]
TEXTS = st.lists(st.sampled_from(NAMES) | st.text(max_size=12)).map(" ".join) | st.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PyTorch, and TensorFlow 2.0!", ["pytorch", "and", "tensorflow", "2", "0"]),
        ("time-series_analysis/forecasting", ["time", "series", "analysis", "forecasting"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne-tuning", ["fine", "tuning"]),
        ("ＧＰＴ", ["gpt"]),
        ("Модель 模型 ３", ["модель", "模", "型", "3"]),
        ("don't", ["don", "t"]),
        ("", []),
        (" -–_…🎉 ", []),
    ],
)
def test_words_are_normalised_letters_and_digits(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("word", ["हिन्दी", "தமிழ்", "Μαΐου", "İstanbul"])
def test_word_with_combining_marks_is_not_split(word: str) -> None:
    # Vowel signs are marks, not letters; folding case splits marks off some letters (Greek ΐ, Turkish İ).
    assert len(words(word)) == 1


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_words_do_not_depend_on_unicode_normal_form(text: str) -> None:
    forms = {tuple(words(unicodedata.normalize(form, text))) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {tuple(words(text))}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1)), st.sampled_from([" ", "-", "_", ", ", "\n"])
)
def test_words_keep_their_order_with_any_separator(expected: list[str], separator: str) -> None:
    assert words(separator.join(expected).upper()) == expected


@pytest.mark.parametrize(
    ("word", "stem"),
    [("transformers", "transform"), ("segmentation", "segment"), ("networks", "network"), ("gan", "gan"), ("", "")],
)
def test_stemmer_removes_english_endings(word: str, stem: str) -> None:
    assert load_english_stemmer()(word) == stem


def parse(entries: Any) -> Taxonomy:
    text = entries if isinstance(entries, str) else json.dumps(entries)
    return parse_taxonomy(Content("tags.json", text.encode(), ""))


def find_matches(text: str, *, stemming: bool = False, labels: list[str] | None = None) -> list[tuple[str, str]]:
    taxonomy = parse(ENTRIES)
    matcher = NameMatcher(taxonomy, labels or taxonomy.aliases, stemming=stemming)
    return [(match.label, match.words) for match in matcher.find(text)]


# --- parsing ----------------------------------------------------------------------------------------------------------
def test_parsed_taxonomy_has_names_and_parents() -> None:
    taxonomy = parse(ENTRIES)
    assert taxonomy.names("computer-vision") == ("computer-vision", "cv", "machine vision")
    assert taxonomy.names("vision") == ("vision",)
    assert taxonomy.parents["object-detection"] == ("computer-vision",)
    assert taxonomy.parents["graphs"] == ()
    assert list(taxonomy.aliases) == list(taxonomy.parents) == [entry["tag"] for entry in ENTRIES]


def test_written_taxonomy_reads_back_unchanged() -> None:
    taxonomy = parse(ENTRIES)
    assert parse(taxonomy.to_json()) == taxonomy


def test_taxonomy_can_be_built_from_labels_alone() -> None:
    taxonomy = Taxonomy.from_labels(["b", "a"])
    assert taxonomy.names("b") == ("b",)
    assert taxonomy.ancestors("a") == set()
    assert parse(taxonomy.to_json()) == taxonomy


@pytest.mark.parametrize(
    ("entries", "parts"),
    [
        ('[{"tag": "a"},\n{"tag" "b"}]', ["line 2", "not valid JSON"]),
        ("", ["not valid JSON"]),
        ("[" * 100_000, ["not valid JSON"]),
        ({"tag": "a"}, ["dict"]),
        ([{"tag": "a"}, {"name": "b"}], ["item 2", "'tag'"]),
        (["a"], ["item 1", "'tag'"]),
        ([{"tag": " "}], ["item 1", "'tag'"]),
        ([{"tag": 3}], ["item 1", "'tag'"]),
        ([{"tag": "a"}, {"tag": "b"}, {"tag": "a"}], ["item 3", "'a'"]),
        ([{"tag": "a", "aliases": "b"}], ["item 1", "'aliases'", "list of strings"]),
        ([{"tag": "a"}, {"tag": "b", "parents": [1]}], ["item 2", "'parents'", "list of strings"]),
        ([{"tag": "a", "parents": {"b": 1}}], ["item 1", "'parents'", "list of strings"]),
    ],
)
def test_invalid_taxonomy_error_names_the_item(entries: Any, parts: list[str]) -> None:
    with pytest.raises(UserError, match=r"tags\.json") as caught:
        parse(entries)
    assert all(part in str(caught.value) for part in parts)


def test_non_utf8_taxonomy_is_rejected_with_its_line() -> None:
    with pytest.raises(UserError, match=r"tags\.json, line 2.*0xe9"):
        parse_taxonomy(Content("tags.json", b'[{"tag":\n"caf\xe9"}]', ""))


# --- ancestors --------------------------------------------------------------------------------------------------------
def test_ancestors_include_parents_of_parents() -> None:
    taxonomy = parse(ENTRIES)
    assert taxonomy.ancestors("face-detection") == {"object-detection", "computer-vision", "faces"}
    assert taxonomy.ancestors("computer-vision") == set()
    assert taxonomy.ancestors("not there") == set()


@pytest.mark.parametrize(
    ("label", "expected"), [("a", {"b", "c"}), ("b", {"c", "a"}), ("self", set()), ("child", {"a", "b", "c"})]
)
def test_ancestors_in_a_cycle_exclude_the_label_itself(label: str, expected: set[str]) -> None:
    parents = {"a": ("b",), "b": ("c",), "c": ("a",), "self": ("self",), "child": ("a",)}
    assert Taxonomy(dict.fromkeys(parents, ()), parents).ancestors(label) == expected


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple)))
def test_parents_of_an_ancestor_are_ancestors(parents: dict[str, tuple[str, ...]]) -> None:
    taxonomy = Taxonomy(dict.fromkeys(parents, ()), parents)
    for label in "abcdef":
        ancestors = taxonomy.ancestors(label)
        assert label not in ancestors
        assert set(parents.get(label, ())) - {label} <= ancestors
        for ancestor in ancestors:
            assert set(parents.get(ancestor, ())) - {label} <= ancestors


# --- names in texts ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A survey of graphs.", [("graphs", "graphs")]),
        ("graphsage, bargraphs, graph", []),
        ("CV: my curriculum", [("computer-vision", "cv")]),
        ("cvs and mcv", []),
        ("Object  DETECTION", [("object-detection", "object detection")]),
        ("object-detection", [("object-detection", "object detection")]),
        ("object_detection", [("object-detection", "object detection")]),
        ("objectdetection, object of detection", []),
        ("übung macht", [("Étude № 1", "übung")]),
        ("U\u0308BUNG", [("Étude № 1", "übung")]),
        ("étude no 1", [("Étude № 1", "étude no 1")]),
        ("ｇｎｎ", [("graph-neural-networks", "gnn")]),
        ("", []),
        ("!?", []),
    ],
)
def test_names_match_complete_words_in_any_case(text: str, expected: list[tuple[str, str]]) -> None:
    assert find_matches(text) == expected


def test_nested_names_are_found_in_text_order() -> None:
    assert find_matches("Machine vision and computer vision with graphs") == [
        ("computer-vision", "machine vision"),
        ("vision", "vision"),
        ("computer-vision", "computer vision"),
        ("vision", "vision"),
        ("graphs", "graphs"),
    ]


def test_every_occurrence_of_a_name_is_found() -> None:
    assert find_matches("gnn gnn GNN") == [("graph-neural-networks", "gnn")] * 3


def test_only_requested_labels_are_found() -> None:
    assert find_matches("computer vision, graphs", labels=["graphs"]) == [("graphs", "graphs")]


def test_labels_without_a_taxonomy_match_by_name() -> None:
    matcher = NameMatcher(Taxonomy.from_labels([]), ["time-series"], stemming=False)
    assert matcher.find("Time series!") == [Match("time-series", "time series")]


def test_shared_name_matches_both_labels_once() -> None:
    taxonomy = parse([{"tag": "a", "aliases": ["rl", "RL"]}, {"tag": "b", "aliases": ["rl"]}])
    assert NameMatcher(taxonomy, ["a", "b"], stemming=False).find("rl") == [Match("a", "rl"), Match("b", "rl")]


def test_name_without_words_never_matches() -> None:
    taxonomy = parse([{"tag": "!!!", "aliases": ["…"]}])
    assert NameMatcher(taxonomy, ["!!!"], stemming=False).find("!!! … and words") == []


def test_stemming_ignores_endings_and_keeps_the_original_words() -> None:
    assert find_matches("Detecting objects: object detections") == []
    assert find_matches("Detecting objects: Object detections", stemming=True) == [
        ("object-detection", "object detections")
    ]
    assert find_matches("a graph", stemming=True) == [("graphs", "graph")]


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, stemming=st.booleans())
def test_every_match_is_a_name_in_the_text(text: str, stemming: bool) -> None:
    taxonomy = parse(ENTRIES)
    stem = load_english_stemmer() if stemming else str
    padded_text = f" {' '.join(words(text))} "
    for match in NameMatcher(taxonomy, taxonomy.aliases, stemming=stemming).find(text):
        assert f" {match.words} " in padded_text
        names = [[stem(word) for word in words(name)] for name in taxonomy.names(match.label)]
        assert [stem(word) for word in match.words.split()] in names


@settings(max_examples=60, deadline=None)
@given(before=st.text(), after=st.text(), name=st.sampled_from(NAMES), stemming=st.booleans())
def test_name_between_any_two_texts_is_found(before: str, after: str, name: str, stemming: bool) -> None:
    label = next(entry["tag"] for entry in ENTRIES if name in (entry["tag"], *(entry.get("aliases") or ())))
    assert (label, " ".join(words(name))) in find_matches(f"{before} {name.upper()} {after}", stemming=stemming)


# --- scripts without spaces -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我想登录", ["我", "想", "登", "录"]),
        ("PyTorch入門2024年", ["pytorch", "入", "門", "2024", "年"]),
        ("データの入力", ["デー", "タ", "の", "入", "力"]),
        ("ﾃﾞｰﾀ", ["デー", "タ"]),
        ("น้ำแข็ง", ["น้ํ", "า", "แ", "ข็", "ง"]),
        ("ราคา ๒๕๐ บาท", ["ร", "า", "ค", "า", "๒๕๐", "บ", "า", "ท"]),
        ("二〇二六", ["二", "〇", "二", "六"]),
        ("로그인 오류", ["로그인", "오류"]),
        ("བོད་སྐད", ["བོད", "སྐད"]),
    ],
)
def test_letters_are_words_in_scripts_without_spaces(text: str, expected: list[str]) -> None:
    assert words(text) == [unicodedata.normalize("NFKC", word) for word in expected]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_text_are_those_beside_other_text(text: str) -> None:
    assert words(f"{text} é") == [*words(text), "é"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["登", "录"], "登录"),
        (["py", "torch"], "py torch"),
        (["登", "page"], "登 page"),
        (["デー", "タ"], "データ"),
        (["ที่", "นี่"], "ที่นี่"),
        ([], ""),
    ],
)
def test_joined_words_have_spaces_where_their_script_has(parts: list[str], text: str) -> None:
    assert join_words(parts) == text


# --- characters of names ----------------------------------------------------------------------------------------------
def test_names_in_taxonomy_have_the_unicode_form_of_labels() -> None:
    taxonomy = parse([{"tag": " cafe\u0301", "aliases": ["the\u0301"], "parents": ["cafe\u0301s"]}])
    assert taxonomy.aliases == {"caf\u00e9": ("th\u00e9",)}
    assert taxonomy.parents == {"caf\u00e9": ("caf\u00e9s",)}


def test_tags_that_differ_only_in_unicode_form_occur_twice() -> None:
    with pytest.raises(UserError, match=r"tags\.json, item 2.*twice"):
        parse([{"tag": "caf\u00e9"}, {"tag": "cafe\u0301"}])


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({"tag": "a\ud83d"}, ["'tag'", "half a character"]),
        ({"tag": "a", "aliases": ["b", "c\x07"]}, ["'aliases'", "control character"]),
        ({"tag": "a", "aliases": ["b\nc"]}, ["'aliases'", "control character"]),
        ({"tag": "a", "parents": ["\udc00"]}, ["'parents'", "half a character"]),
        ({"tag": "a", "near": "yes"}, ["'near'"]),
    ],
)
def test_names_that_cannot_be_shown_are_refused_with_their_item(entry: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(UserError, match=r"tags\.json, item 2") as caught:
        parse([{"tag": "first"}, entry])
    assert all(part in str(caught.value) for part in parts)


# --- texts without a rule ---------------------------------------------------------------------------------------------
def test_texts_without_rule_hold_no_name_that_stands_for_a_label() -> None:
    texts = ["a face detection", "vision", "machine vision", "weather", ""]
    found = find_texts_without_rule(texts, ["computer-vision"], parse(ENTRIES))
    assert found.tolist() == [False, True, False, True, True]
    assert find_texts_without_rule(texts[:1], ["computer-vision"], parse(ENTRIES), parents=False).tolist() == [True]

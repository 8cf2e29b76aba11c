from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ratchet.data.dataset import Dataset, Task
from ratchet.data.suggesting import Suggestion, add_suggestions, bound_share, suggest_aliases
from ratchet.data.taxonomy import Taxonomy, taxonomy_from_json

LABELS = ["bug", "transfer"]


def make_train(texts_of: dict[str, list[str]], taxonomy: Taxonomy | None = None) -> Dataset:
    """Make records of one label each, in a multi-label data set."""
    texts = [text for group in texts_of.values() for text in group]
    rows = [LABELS.index(label) for label, group in texts_of.items() for _ in group]
    targets = np.eye(len(LABELS), dtype=np.uint8)[rows]
    ids = [str(row) for row in range(len(texts))]
    return Dataset(ids, texts, targets, LABELS, taxonomy or Taxonomy.from_labels(LABELS))


def number(sentence: str, count: int) -> list[str]:
    """Return a sentence `count` times, each with another word."""
    return [f"{sentence} {chr(ord('a') + index) * 4}" for index in range(count)]


TRAIN = make_train(
    {
        "transfer": [*number("wire", 8), *number("wired yesterday", 4), *number("money sent", 2)],
        "bug": [*number("the app crashes", 9), *number("the app lost money", 6), "wire broken"],
    }
)


def test_words_that_predict_a_label_are_suggested_with_their_counts() -> None:
    suggestions = suggest_aliases(TRAIN)
    assert [(suggestion.label, suggestion.alias) for suggestion in suggestions] == [
        ("bug", "app"),
        ("transfer", "wire"),
    ]
    assert (suggestions[1].with_both, suggestions[1].with_alias) == (12, 13)  # "wired" is a form of the word
    assert "12 of 13" in suggestions[1].evidence


def test_suggestions_do_not_depend_on_order_of_records() -> None:
    rows = np.random.default_rng(0).permutation(len(TRAIN))
    shuffled = replace(
        TRAIN,
        ids=[TRAIN.ids[row] for row in rows],
        texts=[TRAIN.texts[row] for row in rows],
        targets=TRAIN.targets[rows],
    )
    assert suggest_aliases(shuffled) == suggest_aliases(TRAIN)


def test_pair_is_suggested_where_its_words_alone_do_not_predict() -> None:
    train = make_train(
        {
            "transfer": number("standing order", 8),
            "bug": [*number("standing still", 9), *number("order of lines", 9)],
        }
    )
    aliases = [suggestion.alias for suggestion in suggest_aliases(train) if suggestion.label == "transfer"]
    assert aliases == ["standing order"]


def test_names_of_labels_are_not_suggested() -> None:
    train = make_train({"transfer": number("bank transfers late", 9), "bug": number("transferred crash", 9)})
    aliases = {suggestion.alias for suggestion in suggest_aliases(train)}
    assert not any("transfer" in alias for alias in aliases)


def test_alias_that_adds_no_text_is_left_out() -> None:
    taxonomy = Taxonomy({"bug": ("app",), "transfer": ()}, {"bug": (), "transfer": ()})
    assert {suggestion.label for suggestion in suggest_aliases(replace(TRAIN, taxonomy=taxonomy))} == {"transfer"}


def test_unknown_targets_are_no_evidence() -> None:
    known = np.ones(TRAIN.targets.shape, dtype=bool)
    known[:10, LABELS.index("transfer")] = False
    suggestions = suggest_aliases(replace(TRAIN, known=known))
    assert {suggestion.label for suggestion in suggestions} == {"bug"}


@pytest.mark.parametrize("options", [{"precision": 0.99}, {"min_texts": 100}])
def test_nothing_is_suggested_without_enough_evidence(options: dict[str, Any]) -> None:
    assert suggest_aliases(TRAIN, **options) == []


def test_at_most_so_many_aliases_are_suggested() -> None:
    train = make_train({"transfer": [*number("wire", 6), *number("remit", 6)], "bug": number("crash", 6)})
    assert [suggestion.alias for suggestion in suggest_aliases(train, most=1)] == ["crash", "remit"]


@pytest.mark.parametrize("texts", [[], [""] * 9, ["the of 2018"] * 9, ["!?"] * 9])
def test_texts_without_content_words_suggest_nothing(texts: list[str]) -> None:
    assert suggest_aliases(make_train({"bug": texts})) == []


def test_script_without_spaces_is_suggested_as_it_is_written() -> None:
    train = make_train(
        {"bug": ["系统崩溃了", "崩溃吗", "又崩溃", "崩溃啊", "它崩溃"], "transfer": ["崩盘"] * 9 + ["溃败"] * 9}
    )
    assert [suggestion.alias for suggestion in suggest_aliases(train) if suggestion.label == "bug"] == ["崩溃"]


def test_one_label_per_record_is_treated_like_several() -> None:
    assert suggest_aliases(replace(TRAIN, task=Task.multiclass)) == suggest_aliases(TRAIN)


def test_written_entries_are_a_taxonomy_with_aliases_and_reasons() -> None:
    taxonomy = Taxonomy({"transfer": ("sepa",), "money": ()}, {"transfer": ("money",), "money": ()})
    entries = add_suggestions(
        LABELS, taxonomy, [Suggestion("transfer", "wire", 12, 13), Suggestion("bug", "app", 9, 9)]
    )
    assert {entry["tag"]: entry.get("suggested") for entry in entries} == {
        "transfer": {"wire": "12 of 13 texts with it have the label"},
        "money": None,
        "bug": {"app": "9 of 9 texts with it have the label"},
    }
    read = taxonomy_from_json(entries, "tags.json")
    assert read.aliases == {"transfer": ("sepa", "wire"), "money": (), "bug": ("app",)}
    assert read.parents["transfer"] == ("money",)


def test_labels_without_taxonomy_keep_their_way_of_matching_when_written() -> None:
    read = taxonomy_from_json(add_suggestions(LABELS, Taxonomy.from_labels(LABELS), []), "tags.json")
    assert read == Taxonomy.from_labels(LABELS)


def test_bound_of_share_is_that_of_wilson() -> None:
    bounds = bound_share(np.array([10, 5, 0, 0]), np.array([10, 10, 10, 0]))
    np.testing.assert_allclose(bounds, [0.72246, 0.23659, 0, 0], atol=1e-5)


def test_many_records_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet.data.suggesting._MOST_TEXTS", len(TRAIN))
    twice = replace(
        TRAIN,
        ids=[f"{row}{half}" for row in TRAIN.ids for half in "ab"],
        texts=[text for text in TRAIN.texts for _ in "ab"],
        targets=np.repeat(TRAIN.targets, 2, axis=0),
    )
    suggestions = {suggestion.label: suggestion for suggestion in suggest_aliases(twice)}
    assert suggestions["bug"].with_alias == pytest.approx(15, abs=1)

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.datasets import fit_context

from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.models.rule import Settings, Tagger
from ratchet.taggers import Evidence

LABELS = ["computer-vision", "graphs", "natural-language-processing", "segmentation"]
ALIASES = {
    "computer-vision": ("CV", "machine vision"),
    "graphs": ("GNN",),
    "natural-language-processing": ("NLP",),
    "segmentation": (),
    "transformers": ("BERT",),
    "attention": (),
}
PARENTS = {
    "segmentation": ("computer-vision",),
    "transformers": ("natural-language-processing",),
    "attention": ("transformers",),
}


def fit_tagger(
    directory: Path,
    *,
    labels: list[str] = LABELS,
    aliases: Mapping[str, tuple[str, ...]] = ALIASES,
    parents: Mapping[str, tuple[str, ...]] = PARENTS,
    stemming: bool = True,
    with_parents: bool = True,
) -> Tagger:
    taxonomy = Taxonomy(aliases, {label: parents.get(label, ()) for label in aliases})
    return fit_with_taxonomy(directory, labels, taxonomy, stemming=stemming, with_parents=with_parents)


def fit_with_taxonomy(
    directory: Path, labels: list[str], taxonomy: Taxonomy, *, stemming: bool = True, with_parents: bool = True
) -> Tagger:
    empty = Dataset([], [], np.zeros((0, len(labels)), dtype=np.uint8), labels, taxonomy)
    tagger = Tagger(Settings(name="rule", complexity=0, stemming=stemming, parents=with_parents))
    tagger.fit(empty, empty, fit_context(directory))
    return tagger


def predict_labels(tagger: Tagger, text: str, labels: list[str] = LABELS) -> set[str]:
    scores = tagger.predict_proba([text])[0]
    assert set(np.unique(scores)) <= {0.0, 1.0}
    return {label for label, score in zip(labels, scores, strict=True) if score}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Graphs of streets", {"graphs"}),
        ("Computer vision in a shed", {"computer-vision"}),
        ("COMPUTER-VISION in a shed", {"computer-vision"}),
        ("A machine-vision course", {"computer-vision"}),
        ("our cv.", {"computer-vision"}),
        ("a (GNN), at last", {"graphs"}),
        ("ＧＮＮ", {"graphs"}),
        ("gnn and nlp", {"graphs", "natural-language-processing"}),
        ("vision of a machine", set()),
        ("computer with vision", set()),
        ("natural language", set()),
        ("", set()),
    ],
)
def test_names_and_aliases_match_regardless_of_case_and_hyphens(tmp_path: Path, text: str, labels: set[str]) -> None:
    assert predict_labels(fit_tagger(tmp_path), text) == labels


@pytest.mark.parametrize("text", ["paragraphs", "photographs", "cvs", "nlpx", "segmentations2", "subsegmentation"])
def test_name_inside_word_does_not_match(tmp_path: Path, text: str) -> None:
    assert predict_labels(fit_tagger(tmp_path, stemming=False), text) == set()


@pytest.mark.parametrize("text", ["paragraphs", "photographs", "nlpx", "subsegmentation"])
def test_stemming_ignores_only_word_endings(tmp_path: Path, text: str) -> None:
    assert predict_labels(fit_tagger(tmp_path), text) == set()


@pytest.mark.parametrize(
    ("text", "label"), [("segmenting scans", "segmentation"), ("a graph", "graphs"), ("graphing", "graphs")]
)
def test_endings_matter_only_without_stemming(tmp_path: Path, text: str, label: str) -> None:
    assert label in predict_labels(fit_tagger(tmp_path, stemming=True), text)
    assert label not in predict_labels(fit_tagger(tmp_path, stemming=False), text)


def test_label_implies_its_parent_only_with_parents(tmp_path: Path) -> None:
    assert predict_labels(fit_tagger(tmp_path), "segmentation") == {"segmentation", "computer-vision"}
    assert predict_labels(fit_tagger(tmp_path, with_parents=False), "segmentation") == {"segmentation"}


def test_parent_does_not_imply_its_children(tmp_path: Path) -> None:
    assert predict_labels(fit_tagger(tmp_path), "computer vision") == {"computer-vision"}


@pytest.mark.parametrize("text", ["transformers", "BERT", "attention"], ids=["name", "alias", "grandchild"])
def test_descendants_outside_labels_imply_their_ancestor_labels(tmp_path: Path, text: str) -> None:
    assert predict_labels(fit_tagger(tmp_path), text) == {"natural-language-processing"}
    assert predict_labels(fit_tagger(tmp_path, with_parents=False), text) == set()


def test_labels_in_parent_cycle_imply_each_other(tmp_path: Path) -> None:
    names = {"up": (), "down": ()}
    tagger = fit_tagger(tmp_path, labels=["up", "down"], aliases=names, parents={"up": ("down",), "down": ("up",)})
    assert predict_labels(tagger, "up", ["up", "down"]) == {"up", "down"}


def test_shared_alias_predicts_both_labels(tmp_path: Path) -> None:
    tagger = fit_tagger(tmp_path, labels=["a1", "b1"], aliases={"a1": ("both",), "b1": ("both",)})
    assert predict_labels(tagger, "both of them", ["a1", "b1"]) == {"a1", "b1"}


def test_labels_match_their_own_names_without_taxonomy(tmp_path: Path) -> None:
    labels = ["time-series", "graphs"]
    tagger = fit_with_taxonomy(tmp_path, labels, Taxonomy.from_labels(labels))
    assert predict_labels(tagger, "A time series of sales", labels) == {"time-series"}


def test_label_missing_from_taxonomy_matches_its_own_name(tmp_path: Path) -> None:
    labels = ["graphs", "weather"]
    tagger = fit_tagger(tmp_path, labels=labels)
    tagger.save(tmp_path)
    for candidate in (tagger, Tagger.load(tmp_path)):
        assert predict_labels(candidate, "the weather here", labels) == {"weather"}


def test_label_without_letters_or_digits_never_matches(tmp_path: Path) -> None:
    labels = ["?!", "graphs"]
    tagger = fit_with_taxonomy(tmp_path, labels, Taxonomy.from_labels(labels))
    assert predict_labels(tagger, "?! graphs ?!", labels) == {"graphs"}


def test_columns_follow_label_order_not_taxonomy_order(tmp_path: Path) -> None:
    labels = LABELS[::-1]
    scores = fit_tagger(tmp_path, labels=labels).predict_proba(["GNN", "NLP"])
    np.testing.assert_array_equal(scores, [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_explain_returns_matched_words_of_text(tmp_path: Path) -> None:
    explained = fit_tagger(tmp_path).explain(["The graphing of GNN, then graphing", "nothing here"])
    assert explained == [[Evidence("graphs", "graphing", 1.0), Evidence("graphs", "gnn", 1.0)], []]


def test_explain_gives_implied_label_words_of_descendant(tmp_path: Path) -> None:
    evidence = fit_tagger(tmp_path).explain(["BERT, segmenting"])[0]
    assert {(item.label, item.words) for item in evidence} == {
        ("natural-language-processing", "bert"),
        ("segmentation", "segmenting"),
        ("computer-vision", "segmenting"),
    }


def test_explain_covers_exactly_the_predicted_labels(tmp_path: Path) -> None:
    tagger = fit_tagger(tmp_path)
    for text in ("BERT for graphs", "segmentation", "machine vision and attention", "none"):
        assert {item.label for item in tagger.explain([text])[0]} == predict_labels(tagger, text)


@pytest.mark.parametrize("stemming", [True, False])
@pytest.mark.parametrize("with_parents", [True, False])
def test_loaded_tagger_keeps_its_settings(tmp_path: Path, stemming: bool, with_parents: bool) -> None:
    tagger = fit_tagger(tmp_path, stemming=stemming, with_parents=with_parents)
    tagger.save(tmp_path)
    loaded = Tagger.load(tmp_path)
    for text in ("graphing", "graphs", "segmentation", "BERT"):
        assert predict_labels(loaded, text) == predict_labels(tagger, text)
        assert loaded.explain([text]) == tagger.explain([text])


def test_tagger_has_no_parameters_and_size_of_its_files(tmp_path: Path) -> None:
    tagger = fit_tagger(tmp_path, labels=["größe"])
    tagger.save(tmp_path)
    assert tagger.num_parameters == 0
    assert tagger.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


# --- without a taxonomy -----------------------------------------------------------------------------------------------
def fit_on_labels(
    directory: Path, labels: list[str], task: Task = Task.multilabel, counts: tuple[int, ...] = ()
) -> Tagger:
    """Fit rules on labels alone; train has `counts` records of each label."""
    targets = np.repeat(np.eye(len(labels), dtype=np.uint8), counts or [0] * len(labels), axis=0)
    texts = ["nothing"] * len(targets)
    train = Dataset([str(row) for row in range(len(texts))], texts, targets, labels, Taxonomy.from_labels(labels), task)
    tagger = Tagger(Settings(name="rule", complexity=0))
    tagger.fit(train, train, fit_context(directory))
    return tagger


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("card_arrival", "When will my card arrive?"),
        ("cardArrival", "My cards arrived"),
        ("card-arrival", "Has the card still not arrived?"),
        ("card_arrival", "the arrival of the new card"),
        ("lost_or_stolen_card", "my card was stolen, or lost"),
        ("HTTPError pages", "error of http pages"),
        ("CardNotWorking", "the card is not working"),
        ("PyTorch", "written in pytorch"),
        ("not_working", "it is not working"),
    ],
)
def test_words_of_label_may_be_apart_without_taxonomy(tmp_path: Path, label: str, text: str) -> None:
    labels = [label, "weather"]
    assert predict_labels(fit_on_labels(tmp_path, labels), text, labels) == {label}


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("card_arrival", "my card"),
        ("card_arrival", "a card is there, and after many days of waiting something else arrived"),
        ("not_working", "I am working"),
        ("iPhone", "I dropped my phone"),
        ("cardArrival", "cardarrivals2"),
        ("登录", "录一个登"),
    ],
)
def test_words_of_label_are_all_needed_and_near(tmp_path: Path, label: str, text: str) -> None:
    labels = [label, "weather"]
    assert predict_labels(fit_on_labels(tmp_path, labels), text, labels) == set()


def test_words_of_label_in_taxonomy_stay_together_unless_it_says_near(tmp_path: Path) -> None:
    labels, text = ["card_arrival"], "my card finally arrived"
    for near, expected in ((frozenset(), set()), (frozenset(labels), set(labels))):
        taxonomy = Taxonomy({"card_arrival": ()}, {"card_arrival": ()}, near)
        assert predict_labels(fit_with_taxonomy(tmp_path, labels, taxonomy), text, labels) == expected


def test_near_words_are_explained(tmp_path: Path) -> None:
    tagger = fit_on_labels(tmp_path, ["card_arrival"])
    assert tagger.explain(["The card finally arrived"]) == [[Evidence("card_arrival", "card arrived", 1.0)]]


@pytest.mark.parametrize("text", ["请告诉我账单在哪里", "我的账单", "账单"])
def test_label_in_script_without_spaces_is_found_inside_text(tmp_path: Path, text: str) -> None:
    labels = ["账单", "登录"]
    tagger = fit_on_labels(tmp_path, labels)
    assert predict_labels(tagger, text, labels) == {"账单"}
    assert tagger.explain([text]) == [[Evidence("账单", "账单", 1.0)]]


def test_no_label_is_predicted_where_no_rule_fires(tmp_path: Path) -> None:
    tagger = fit_on_labels(tmp_path, ["bug", "login"], counts=(1, 4))
    assert not tagger.predict_proba(["the weather", ""]).any()
    np.testing.assert_array_equal(tagger.find_texts_without_rule(["a bug", "the weather", ""]), [False, True, True])


def test_most_frequent_label_is_predicted_where_one_is_needed(tmp_path: Path) -> None:
    labels = ["bug", "login", "slow"]
    tagger = fit_on_labels(tmp_path, labels, Task.multiclass, (1, 2, 5))
    assert predict_labels(tagger, "the weather", labels) == {"slow"}
    assert predict_labels(tagger, "a bug", labels) == {"bug"}
    assert predict_labels(tagger, "a bug at login", labels) == {"login"}
    assert tagger.explain(["the weather", "a bug at login"]) == [[], [Evidence("login", "login", 1.0)]]


def test_longest_name_decides_where_one_label_is_needed(tmp_path: Path) -> None:
    labels = ["card", "card_arrival"]
    tagger = fit_on_labels(tmp_path, labels, Task.multiclass, (9, 1))
    assert predict_labels(tagger, "has my card arrived", labels) == {"card_arrival"}


def test_loaded_tagger_keeps_frequencies_and_near_names(tmp_path: Path) -> None:
    labels, texts = ["bug", "card_arrival", "slow"], ["nothing", "my card has arrived", "a slow bug"]
    for task in Task:
        tagger = fit_on_labels(tmp_path, labels, task, (1, 2, 5))
        tagger.save(tmp_path)
        loaded = Tagger.load(tmp_path)
        np.testing.assert_array_equal(loaded.predict_proba(texts), tagger.predict_proba(texts))
        assert loaded.explain(texts) == tagger.explain(texts)

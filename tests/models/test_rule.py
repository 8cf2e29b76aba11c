from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.datasets import fit_context

from ratchet.data.dataset import Dataset
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


def fitted(
    directory: Path,
    *,
    labels: list[str] = LABELS,
    aliases: Mapping[str, tuple[str, ...]] = ALIASES,
    parents: Mapping[str, tuple[str, ...]] = PARENTS,
    stemming: bool = True,
    with_parents: bool = True,
) -> Tagger:
    taxonomy = Taxonomy(aliases, {label: parents.get(label, ()) for label in aliases})
    return fitted_with(directory, labels, taxonomy, stemming=stemming, with_parents=with_parents)


def fitted_with(
    directory: Path, labels: list[str], taxonomy: Taxonomy, *, stemming: bool = True, with_parents: bool = True
) -> Tagger:
    none = Dataset([], [], np.zeros((0, len(labels)), dtype=np.uint8), labels, taxonomy)
    tagger = Tagger(Settings(name="rule", complexity=0, stemming=stemming, parents=with_parents))
    tagger.fit(none, none, fit_context(directory))
    return tagger


def found(tagger: Tagger, text: str, labels: list[str] = LABELS) -> set[str]:
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
def test_names_and_aliases_fire_whatever_the_case_and_the_hyphens(tmp_path: Path, text: str, labels: set[str]) -> None:
    assert found(fitted(tmp_path), text) == labels


@pytest.mark.parametrize("text", ["paragraphs", "photographs", "cvs", "nlpx", "segmentations2", "subsegmentation"])
def test_a_name_inside_of_a_word_does_not_fire(tmp_path: Path, text: str) -> None:
    assert found(fitted(tmp_path, stemming=False), text) == set()


@pytest.mark.parametrize("text", ["paragraphs", "photographs", "nlpx", "subsegmentation"])
def test_stemming_looks_at_endings_alone(tmp_path: Path, text: str) -> None:
    assert found(fitted(tmp_path), text) == set()


@pytest.mark.parametrize(
    ("text", "label"), [("segmenting scans", "segmentation"), ("a graph", "graphs"), ("graphing", "graphs")]
)
def test_endings_matter_only_without_stemming(tmp_path: Path, text: str, label: str) -> None:
    assert label in found(fitted(tmp_path, stemming=True), text)
    assert label not in found(fitted(tmp_path, stemming=False), text)


def test_a_label_brings_its_parent_only_with_parents(tmp_path: Path) -> None:
    assert found(fitted(tmp_path), "segmentation") == {"segmentation", "computer-vision"}
    assert found(fitted(tmp_path, with_parents=False), "segmentation") == {"segmentation"}


def test_a_parent_does_not_bring_its_children(tmp_path: Path) -> None:
    assert found(fitted(tmp_path), "computer vision") == {"computer-vision"}


@pytest.mark.parametrize("text", ["transformers", "BERT", "attention"], ids=["name", "alias", "grandchild"])
def test_descendants_that_are_no_labels_bring_their_ancestors_that_are(tmp_path: Path, text: str) -> None:
    assert found(fitted(tmp_path), text) == {"natural-language-processing"}
    assert found(fitted(tmp_path, with_parents=False), text) == set()


def test_a_cycle_of_parents_brings_each_other(tmp_path: Path) -> None:
    names = {"up": (), "down": ()}
    tagger = fitted(tmp_path, labels=["up", "down"], aliases=names, parents={"up": ("down",), "down": ("up",)})
    assert found(tagger, "up", ["up", "down"]) == {"up", "down"}


def test_an_alias_of_two_labels_fires_both(tmp_path: Path) -> None:
    tagger = fitted(tmp_path, labels=["a1", "b1"], aliases={"a1": ("both",), "b1": ("both",)})
    assert found(tagger, "both of them", ["a1", "b1"]) == {"a1", "b1"}


def test_without_a_taxonomy_the_labels_name_themselves(tmp_path: Path) -> None:
    labels = ["time-series", "graphs"]
    tagger = fitted_with(tmp_path, labels, Taxonomy.from_labels(labels))
    assert found(tagger, "A time series of sales", labels) == {"time-series"}


def test_a_label_that_the_taxonomy_lacks_names_itself_also_after_loading(tmp_path: Path) -> None:
    labels = ["graphs", "weather"]
    tagger = fitted(tmp_path, labels=labels)
    tagger.save(tmp_path)
    for one in (tagger, Tagger.load(tmp_path)):
        assert found(one, "the weather here", labels) == {"weather"}


def test_a_label_without_letters_or_digits_never_fires(tmp_path: Path) -> None:
    labels = ["?!", "graphs"]
    tagger = fitted_with(tmp_path, labels, Taxonomy.from_labels(labels))
    assert found(tagger, "?! graphs ?!", labels) == {"graphs"}


def test_columns_follow_the_order_of_the_labels_not_of_the_taxonomy(tmp_path: Path) -> None:
    labels = LABELS[::-1]
    scores = fitted(tmp_path, labels=labels).predict_proba(["GNN", "NLP"])
    np.testing.assert_array_equal(scores, [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_explain_says_which_words_fired_as_the_text_has_them(tmp_path: Path) -> None:
    explained = fitted(tmp_path).explain(["The graphing of GNN, then graphing", "nothing here"])
    assert explained == [[Evidence("graphs", "graphing", 1.0), Evidence("graphs", "gnn", 1.0)], []]


def test_explain_gives_a_brought_label_the_words_of_its_descendant(tmp_path: Path) -> None:
    evidence = fitted(tmp_path).explain(["BERT, segmenting"])[0]
    assert {(each.label, each.words) for each in evidence} == {
        ("natural-language-processing", "bert"),
        ("segmentation", "segmenting"),
        ("computer-vision", "segmenting"),
    }


def test_explain_speaks_of_the_predicted_labels_and_of_no_others(tmp_path: Path) -> None:
    tagger = fitted(tmp_path)
    for text in ("BERT for graphs", "segmentation", "machine vision and attention", "none"):
        assert {each.label for each in tagger.explain([text])[0]} == found(tagger, text)


@pytest.mark.parametrize("stemming", [True, False])
@pytest.mark.parametrize("with_parents", [True, False])
def test_loading_keeps_the_settings(tmp_path: Path, stemming: bool, with_parents: bool) -> None:
    tagger = fitted(tmp_path, stemming=stemming, with_parents=with_parents)
    tagger.save(tmp_path)
    loaded = Tagger.load(tmp_path)
    for text in ("graphing", "graphs", "segmentation", "BERT"):
        assert found(loaded, text) == found(tagger, text)
        assert loaded.explain([text]) == tagger.explain([text])


def test_it_has_no_parameters_and_is_as_large_as_its_file(tmp_path: Path) -> None:
    tagger = fitted(tmp_path, labels=["größe"])
    tagger.save(tmp_path)
    assert tagger.num_parameters == 0
    assert tagger.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())

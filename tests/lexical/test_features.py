"""What a text is to the lexical classifier: n-grams of the fitted texts, and names of labels."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from ratchet.config import InvalidSetting
from ratchet.data.taxonomy import Taxonomy
from ratchet.lexical.features import Features, LexicalSettings, Mentions, check_lexical

LABELS = ["computer-vision", "segmentation", "nlp"]
TAXONOMY = Taxonomy(
    aliases={
        "computer-vision": ("cv", "vision"),
        "segmentation": (),
        "nlp": ("language processing",),
        "gan": ("gans",),
    },
    parents={"computer-vision": (), "segmentation": ("computer-vision",), "nlp": (), "gan": ("computer-vision",)},
)
TEXTS = ["the cat sat on the mat", "a blue dog", "größer 機械学習 of data"]
# Two halves of a character that stand side by side are that character in every record.
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=80).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)


@pytest.mark.parametrize("within", ["", "lexical."])
@pytest.mark.parametrize("key", ["word_ngrams", "char_ngrams"])
@pytest.mark.parametrize("value", [[2, 1], [0, 1], [-1, 2], [1], [], [1, 2, 3]], ids=str)
def test_ngrams_that_are_no_range_are_named_with_their_path(within: str, key: str, value: list[int]) -> None:
    with pytest.raises(InvalidSetting) as refused:
        check_lexical(LexicalSettings(**{key: value}), within)  # type: ignore[arg-type]
    assert f"model.{within}{key}={value}" in str(refused.value)
    assert "[shortest, longest], as [1, 2]" in str(refused.value)


@pytest.mark.parametrize("within", ["", "lexical."])
def test_stop_words_of_another_language_are_named_with_their_path(within: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"^model\.{within}stop_words=.?german.?\b.*english"):
        check_lexical(LexicalSettings(stop_words="german"), within)


@pytest.mark.parametrize(
    "settings",
    [{}, {"word_ngrams": [1, 1]}, {"char_ngrams": None}, {"char_ngrams": [2, 7]}, {"stop_words": None}],
    ids=str,
)
def test_what_can_be_done_is_not_refused(settings: dict[str, Any]) -> None:
    check_lexical(LexicalSettings(**settings))


def fitted(texts: Sequence[str] = tuple(TEXTS), **settings: Any) -> Features:
    return Features.fit(texts, LABELS, TAXONOMY, LexicalSettings(**settings))


def named(features: Features, text: str) -> dict[str, float]:
    """What is in `text`, with its values."""
    row = features.transform([text]).toarray()[0]
    names = features.names()
    assert len(names) == len(row)
    return {names[column]: float(row[column]) for column in np.flatnonzero(row)}


def mentioned(text: str, labels: Sequence[str] = tuple(LABELS), taxonomy: Taxonomy = TAXONOMY) -> set[str]:
    mentions = Mentions(labels, taxonomy, 1.0)
    return {mentions.names[column] for column in mentions.weigh(text)[0]}


def loaded(features: Features, directory: Path) -> Features:
    directory.mkdir(exist_ok=True)
    features.save(directory)
    return Features.load(directory)


def test_words_are_those_of_scikit_learn_without_stop_words() -> None:
    features = fitted(char_ngrams=None, mention_weight=0.0)
    peer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, stop_words="english").fit(TEXTS)
    assert features.names() == list(peer.get_feature_names_out())
    np.testing.assert_allclose(features.transform(TEXTS).toarray(), peer.transform(TEXTS).toarray(), atol=1e-6)


def test_characters_stand_beside_words_and_each_kind_has_length_1() -> None:
    features = fitted(mention_weight=0.0)
    words = len(fitted(char_ngrams=None, mention_weight=0.0).names())
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit(TEXTS)
    assert features.names()[words:] == [name.strip() for name in characters.get_feature_names_out()]
    matrix = features.transform(TEXTS).toarray()
    assert matrix.dtype == np.float32
    for kind in (matrix[:, :words], matrix[:, words:]):
        np.testing.assert_allclose(np.linalg.norm(kind, axis=1), 1, atol=1e-6)


def test_stop_words_are_dropped_before_ngrams_are_made_unless_asked_for() -> None:
    words: dict[str, Any] = {"char_ngrams": None, "mention_weight": 0.0}
    assert set(fitted(**words).names()) >= {"cat", "cat sat", "sat mat"}
    assert "the" not in fitted(**words).names()
    assert set(fitted(stop_words=None, **words).names()) >= {"the", "the cat", "on the"}


def test_ngrams_have_the_lengths_that_are_asked_for() -> None:
    features = fitted(word_ngrams=[2, 3], char_ngrams=[4, 4], mention_weight=0.0)
    words = fitted(word_ngrams=[2, 3], char_ngrams=None, mention_weight=0.0).names()
    assert {len(name.split()) for name in words} == {2, 3}
    characters = features.names()[len(words) :]
    assert "größ" in characters
    assert max(map(len, characters)) == 4


def test_min_df_drops_what_fewer_texts_have() -> None:
    texts = ["common peculiar", "common", "straw", "straw"]
    words: dict[str, Any] = {"char_ngrams": None, "mention_weight": 0.0}
    assert fitted(texts, min_df=1, **words).names() == ["common", "common peculiar", "peculiar", "straw"]
    assert fitted(texts, min_df=2, **words).names() == ["common", "straw"]


@pytest.mark.parametrize("texts", [["the of and"] * 3, [""] * 3, ["!?"] * 3], ids=str)
def test_texts_without_a_word_are_no_features(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        fitted(texts)


def test_a_text_without_a_fitted_word_has_no_features() -> None:
    features = fitted()
    columns = len(features.names())
    for text in ("zzz qqq", "", "!?"):
        assert named(features, text) == {}
    assert len(features.names()) == columns


def test_the_vocabulary_and_its_weights_come_from_the_fitted_texts_alone() -> None:
    features = fitted(char_ngrams=None, mention_weight=0.0)
    before = named(features, "cat dog")
    features.transform(["cat unheard"] * 50)
    assert named(features, "cat dog") == before
    assert before["cat"] == pytest.approx(before["dog"]), "each is in one of the fitted texts"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Computer vision for cells", ["computer-vision"]),
        ("COMPUTER-VISION", ["computer-vision"]),
        ("the cv of a model", ["computer-vision"]),
        ("language processing", ["nlp"]),
        ("segmenting cells", ["segmentation", "computer-vision"]),
        ("two GANs", ["gan", "computer-vision"]),
        ("nlp and segmentation", ["nlp", "segmentation", "computer-vision"]),
        ("supervision of labels", []),
        ("computers have vision", ["computer-vision"]),
        ("computer says no", []),
        ("", []),
    ],
    ids=str,
)
def test_names_that_stand_in_a_text_bring_their_ancestors(text: str, names: list[str]) -> None:
    assert mentioned(text) == set(names)


def test_an_ancestor_without_a_name_of_its_own_is_no_feature() -> None:
    taxonomy = Taxonomy({"cells": ()}, {"cells": ("biology",)})
    assert mentioned("cells in biology", ["cells"], taxonomy) == {"cells"}


def test_labels_that_the_taxonomy_does_not_know_are_found_by_name() -> None:
    assert mentioned("speech to speech", ["speech"], Taxonomy({}, {})) == {"speech"}


def test_a_name_has_one_value_however_often_it_stands_there() -> None:
    mentions = Mentions(LABELS, TAXONOMY, 0.3)
    assert mentions.names == [*LABELS, "gan"]
    found = [mentions.weigh(text) for text in ("nlp nlp, natural language processing", "nothing", "cv")]
    assert [columns.tolist() for columns, _ in found] == [[2], [], [0]]
    assert [weights.tolist() for _, weights in found] == [pytest.approx([0.3]), [], pytest.approx([0.3])]


def test_names_are_features_of_the_weight_that_is_set_or_none_at_all() -> None:
    texts = ["computer vision tells", "nothing to see"]
    weighted = fitted(texts, mention_weight=0.7, char_ngrams=None)
    assert weighted.names()[-4:] == ["computer vision", "segmentation", "nlp", "gan"]
    assert weighted.transform(["cv"]).toarray()[0, -4:].tolist() == pytest.approx([0.7, 0, 0, 0])
    without = fitted(texts, mention_weight=0.0, char_ngrams=None)
    assert len(weighted.names()) == len(without.names()) + 4
    assert named(without, "cv") == {}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"char_ngrams": None},
        {"word_ngrams": [1, 3], "char_ngrams": [2, 4]},
        {"stop_words": None},
        {"mention_weight": 0.0},
        {"min_df": 2},
    ],
    ids=str,
)
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, settings: dict[str, Any]) -> None:
    features = fitted([*TEXTS, *TEXTS[:2]], **settings)
    again = loaded(features, tmp_path)
    texts = [*TEXTS, "the and of which", "größer 機械学習 GANs", ""]
    np.testing.assert_array_equal(again.transform(texts).toarray(), features.transform(texts).toarray())
    assert again.names() == features.names()
    assert {path.name for path in tmp_path.iterdir()} == {"features.json", "idf.npz"}


def test_saved_features_may_be_saved_again(tmp_path: Path) -> None:
    again = loaded(fitted(), tmp_path / "one")
    again.save(tmp_path)
    for name in ("features.json", "idf.npz"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_half_a_surrogate_pair_is_saved_as_its_escape(tmp_path: Path) -> None:
    features = fitted(["cat\ud800cat", "a blue dog"], word_ngrams=[1, 1])
    again = loaded(features, tmp_path)
    assert again.names() == features.names()
    assert any("\ud800" in name for name in again.names())
    assert json.loads((tmp_path / "features.json").read_text(encoding="utf-8"))["word_ngrams"] == [1, 1]


@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=4), learnt=st.lists(ANY_TEXT, max_size=3))
@hypothesis_settings(max_examples=50, deadline=None)
def test_any_text_has_finite_features_that_survive_saving(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], learnt: list[str]
) -> None:
    features = fitted([*learnt, "one word"])
    matrix = features.transform(texts)
    assert matrix.shape == (len(texts), len(features.names()))
    assert np.isfinite(matrix.data).all()
    assert (matrix.data >= 0).all()
    again = loaded(features, tmp_path_factory.mktemp("features"))
    np.testing.assert_array_equal(again.transform(texts).toarray(), matrix.toarray())
    assert again.names() == features.names()

"""Tests for the features of the lexical classifier: n-grams and mentions of labels."""

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
# Records never hold adjacent surrogate halves: they are read as one character.
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=80).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)


@pytest.mark.parametrize("within", ["", "lexical."])
@pytest.mark.parametrize("key", ["word_ngrams", "char_ngrams"])
@pytest.mark.parametrize("value", [[2, 1], [0, 1], [-1, 2], [1], [], [1, 2, 3]], ids=str)
def test_invalid_ngram_range_error_names_setting(within: str, key: str, value: list[int]) -> None:
    with pytest.raises(InvalidSetting) as error:
        check_lexical(LexicalSettings(**{key: value}), within)  # type: ignore[arg-type]
    assert f"model.{within}{key}={value}" in str(error.value)
    assert "[shortest, longest], as [1, 2]" in str(error.value)


@pytest.mark.parametrize("within", ["", "lexical."])
def test_unknown_stop_words_error_names_setting(within: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"^model\.{within}stop_words=.?german.?\b.*english"):
        check_lexical(LexicalSettings(stop_words="german"), within)


@pytest.mark.parametrize(
    "settings",
    [{}, {"word_ngrams": [1, 1]}, {"char_ngrams": None}, {"char_ngrams": [2, 7]}, {"stop_words": None}],
    ids=str,
)
def test_valid_settings_are_accepted(settings: dict[str, Any]) -> None:
    check_lexical(LexicalSettings(**settings))


def fit_features(texts: Sequence[str] = tuple(TEXTS), **settings: Any) -> Features:
    return Features.fit(texts, LABELS, TAXONOMY, LexicalSettings(**settings))


def get_features(features: Features, text: str) -> dict[str, float]:
    """Return the non-zero features of `text` by name."""
    row = features.transform([text]).toarray()[0]
    names = features.names()
    assert len(names) == len(row)
    return {names[column]: float(row[column]) for column in np.flatnonzero(row)}


def find_mentions(text: str, labels: Sequence[str] = tuple(LABELS), taxonomy: Taxonomy = TAXONOMY) -> set[str]:
    mentions = Mentions(labels, taxonomy, 1.0)
    return {mentions.names[column] for column in mentions.weigh(text)[0]}


def save_and_load(features: Features, directory: Path) -> Features:
    directory.mkdir(exist_ok=True)
    features.save(directory)
    return Features.load(directory)


def test_word_features_match_scikit_learn() -> None:
    features = fit_features(char_ngrams=None, mention_weight=0.0)
    reference = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, stop_words="english").fit(TEXTS)
    assert features.names() == list(reference.get_feature_names_out())
    np.testing.assert_allclose(features.transform(TEXTS).toarray(), reference.transform(TEXTS).toarray(), atol=1e-6)


def test_word_and_character_features_are_normalised_separately() -> None:
    features = fit_features(mention_weight=0.0)
    words = len(fit_features(char_ngrams=None, mention_weight=0.0).names())
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit(TEXTS)
    assert features.names()[words:] == [name.strip() for name in characters.get_feature_names_out()]
    matrix = features.transform(TEXTS).toarray()
    assert matrix.dtype == np.float32
    for kind in (matrix[:, :words], matrix[:, words:]):
        np.testing.assert_allclose(np.linalg.norm(kind, axis=1), 1, atol=1e-6)


def test_stop_words_are_dropped_before_ngrams_unless_disabled() -> None:
    words: dict[str, Any] = {"char_ngrams": None, "mention_weight": 0.0}
    assert set(fit_features(**words).names()) >= {"cat", "cat sat", "sat mat"}
    assert "the" not in fit_features(**words).names()
    assert set(fit_features(stop_words=None, **words).names()) >= {"the", "the cat", "on the"}


def test_ngrams_have_configured_lengths() -> None:
    features = fit_features(word_ngrams=[2, 3], char_ngrams=[4, 4], mention_weight=0.0)
    words = fit_features(word_ngrams=[2, 3], char_ngrams=None, mention_weight=0.0).names()
    assert {len(name.split()) for name in words} == {2, 3}
    characters = features.names()[len(words) :]
    assert "größ" in characters
    assert max(map(len, characters)) == 4


def test_min_df_drops_rare_ngrams() -> None:
    texts = ["common peculiar", "common", "straw", "straw"]
    words: dict[str, Any] = {"char_ngrams": None, "mention_weight": 0.0}
    assert fit_features(texts, min_df=1, **words).names() == ["common", "common peculiar", "peculiar", "straw"]
    assert fit_features(texts, min_df=2, **words).names() == ["common", "straw"]


@pytest.mark.parametrize("texts", [["the of and"] * 3, [""] * 3, ["!?"] * 3], ids=str)
def test_texts_without_words_raise_value_error(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        fit_features(texts)


def test_text_of_unknown_words_has_no_features() -> None:
    features = fit_features()
    columns = len(features.names())
    for text in ("zzz qqq", "", "!?"):
        assert get_features(features, text) == {}
    assert len(features.names()) == columns


def test_transform_does_not_change_vocabulary_or_weights() -> None:
    features = fit_features(char_ngrams=None, mention_weight=0.0)
    before = get_features(features, "cat dog")
    features.transform(["cat unheard"] * 50)
    assert get_features(features, "cat dog") == before
    assert before["cat"] == pytest.approx(before["dog"]), "each occurs in one fitted text"


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
def test_mentions_include_ancestors_of_named_labels(text: str, names: list[str]) -> None:
    assert find_mentions(text) == set(names)


def test_ancestor_without_own_entry_is_no_feature() -> None:
    taxonomy = Taxonomy({"cells": ()}, {"cells": ("biology",)})
    assert find_mentions("cells in biology", ["cells"], taxonomy) == {"cells"}


def test_label_outside_taxonomy_is_found_by_name() -> None:
    assert find_mentions("speech to speech", ["speech"], Taxonomy({}, {})) == {"speech"}


def test_repeated_mention_has_same_weight() -> None:
    mentions = Mentions(LABELS, TAXONOMY, 0.3)
    assert mentions.names == [*LABELS, "gan"]
    weighted_mentions = [mentions.weigh(text) for text in ("nlp nlp, natural language processing", "nothing", "cv")]
    assert [columns.tolist() for columns, _ in weighted_mentions] == [[2], [], [0]]
    assert [weights.tolist() for _, weights in weighted_mentions] == [pytest.approx([0.3]), [], pytest.approx([0.3])]


def test_mentions_are_features_with_configured_weight() -> None:
    texts = ["computer vision tells", "nothing to see"]
    weighted = fit_features(texts, mention_weight=0.7, char_ngrams=None)
    assert weighted.names()[-4:] == ["computer vision", "segmentation", "nlp", "gan"]
    assert weighted.transform(["cv"]).toarray()[0, -4:].tolist() == pytest.approx([0.7, 0, 0, 0])
    without = fit_features(texts, mention_weight=0.0, char_ngrams=None)
    assert len(weighted.names()) == len(without.names()) + 4
    assert get_features(without, "cv") == {}


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
def test_loaded_features_equal_saved_features(tmp_path: Path, settings: dict[str, Any]) -> None:
    features = fit_features([*TEXTS, *TEXTS[:2]], **settings)
    restored = save_and_load(features, tmp_path)
    texts = [*TEXTS, "the and of which", "größer 機械学習 GANs", ""]
    np.testing.assert_array_equal(restored.transform(texts).toarray(), features.transform(texts).toarray())
    assert restored.names() == features.names()
    assert {path.name for path in tmp_path.iterdir()} == {"features.json", "idf.npz"}


def test_loaded_features_can_be_saved_again(tmp_path: Path) -> None:
    restored = save_and_load(fit_features(), tmp_path / "one")
    restored.save(tmp_path)
    for name in ("features.json", "idf.npz"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_lone_surrogate_survives_saving(tmp_path: Path) -> None:
    features = fit_features(["cat\ud800cat", "a blue dog"], word_ngrams=[1, 1])
    restored = save_and_load(features, tmp_path)
    assert restored.names() == features.names()
    assert any("\ud800" in name for name in restored.names())
    assert json.loads((tmp_path / "features.json").read_text(encoding="utf-8"))["word_ngrams"] == [1, 1]


@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=4), train_texts=st.lists(ANY_TEXT, max_size=3))
@hypothesis_settings(max_examples=50, deadline=None)
def test_any_text_has_finite_features_that_survive_saving(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], train_texts: list[str]
) -> None:
    features = fit_features([*train_texts, "one word"])
    matrix = features.transform(texts)
    assert matrix.shape == (len(texts), len(features.names()))
    assert np.isfinite(matrix.data).all()
    assert (matrix.data >= 0).all()
    restored = save_and_load(features, tmp_path_factory.mktemp("features"))
    np.testing.assert_array_equal(restored.transform(texts).toarray(), matrix.toarray())
    assert restored.names() == features.names()


@pytest.mark.parametrize("min_df", [1, 2])
def test_left_out_features_are_those_of_a_fit_to_the_other_texts(min_df: int) -> None:
    texts = ["a blue cat", "a blue dog of gans", "a red cat and a red red fox", "vision of a red dog", "a new word"]
    settings = {"char_ngrams": None, "min_df": min_df}
    features = fit_features(texts, **settings)
    left_out = features.leave_out(features.transform(texts)).toarray()
    for row, text in enumerate(texts):
        others = fit_features([*texts[:row], *texts[row + 1 :]], **settings)
        expected = get_features(others, text)
        columns = np.flatnonzero(left_out[row])
        assert {features.names()[column] for column in columns} == set(expected)
        for column in columns:
            assert left_out[row][column] == pytest.approx(expected[features.names()[column]], abs=1e-6)
    assert not left_out[-1].any(), "no other text has its words"

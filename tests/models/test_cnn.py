import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from tests.datasets import fit_context
from transformers import PreTrainedTokenizerFast

from ratchet.config import compose
from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.models.cnn import Settings, Tagger
from ratchet.neural.encoders import random_encoder
from ratchet.neural.losses import prior_logits
from ratchet.neural.settings import Imbalance, Tokens

MakeDataset = Callable[..., Dataset]
LEARNT = [tokens for tokens in Tokens if tokens is not Tokens.pretrained]  # from the texts of train
TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)


def make_settings(**overrides: Any) -> Settings:
    defaults: dict[str, Any] = {
        "max_length": 64,
        "batch_size": 8,
        "max_epochs": 10,
        "patience": 10,
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "warmup": 0.1,
        "embedding_size": 16,
        "filters": 16,
        "dropout": 0.2,
    }
    return Settings(name="cnn", complexity=2, **(defaults | overrides))


def fit_tagger(train: Dataset, directory: Path, *, val: Dataset | None = None, **settings: Any) -> Tagger:
    directory.mkdir(exist_ok=True)
    tagger = Tagger(make_settings(**settings))
    tagger.fit(train, val or train, fit_context(directory, task=train.task))
    return tagger


def saved_weights(tagger: Tagger, directory: Path) -> dict[str, torch.Tensor]:
    directory.mkdir()
    tagger.save(directory)
    tensors: dict[str, torch.Tensor] = load_file(directory / "weights.safetensors")
    return tensors


def saved_vocabulary(tagger: Tagger, directory: Path) -> set[str]:
    directory.mkdir()
    tagger.save(directory)
    return set(json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])


def build_dataset(texts: list[str], targets: npt.ArrayLike) -> Dataset:
    matrix = np.asarray(targets, dtype=np.uint8)
    labels = [f"label{column}" for column in range(matrix.shape[1])]
    ids = [str(number) for number in range(len(texts))]
    return Dataset(ids, texts, matrix, labels, Taxonomy.from_labels(labels), Task.multilabel)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a small pretrained encoder whose sub-words were learnt from other texts."""
    directory = tmp_path_factory.mktemp("encoder")
    texts = ["speech sound waves microphone", "nodes edges network", "pictures camera pixels"]
    model, tokenizer, _ = random_encoder(
        texts, layers=1, hidden_size=16, heads=2, vocabulary_size=120, max_length=64, seed=5
    )
    model.save_pretrained(directory)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    wrapped.save_pretrained(directory)
    return directory


@TASKS
@pytest.mark.parametrize("tokens", list(Tokens), ids=lambda tokens: tokens.value)
def test_tagger_learns_from_every_token_kind(
    make_dataset: MakeDataset, tmp_path: Path, tokens: Tokens, task: Task, encoder: Path
) -> None:
    train, unseen = make_dataset(60, task=task), make_dataset(30, task=task, seed=1)
    tagger = fit_tagger(train, tmp_path / "fit", tokens=tokens, max_epochs=25, patience=25, encoder=str(encoder))
    scores = tagger.predict_proba(unseen.texts)
    predicted = np.eye(3)[scores.argmax(axis=1)] if task is Task.multiclass else scores >= 0.5
    assert (predicted == unseen.targets).mean() > 0.95
    tagger.save(tmp_path)
    np.testing.assert_array_equal(Tagger.load(tmp_path).predict_proba(unseen.texts), scores)


@TASKS
@pytest.mark.parametrize("imbalance", list(Imbalance), ids=lambda imbalance: imbalance.value)
def test_tagger_learns_with_every_imbalance_treatment(
    make_dataset: MakeDataset, tmp_path: Path, imbalance: Imbalance, task: Task
) -> None:
    train = make_dataset(60, task=task)
    scores = fit_tagger(train, tmp_path, imbalance=imbalance).predict_proba(train.texts)
    assert (scores.argmax(axis=1) == train.targets.argmax(axis=1)).mean() > 0.8 or task is Task.multilabel
    for column, target in enumerate(train.targets.T):
        assert scores[target == 1, column].min() > scores[target == 0, column].max()


def test_pos_weight_raises_scores_of_rare_label(tmp_path: Path) -> None:
    train = build_dataset(["common words"] * 400, [[0]] * 380 + [[1]] * 20)
    fast = {"max_epochs": 1, "learning_rate": 0.2, "dropout": 0.0, "pos_weight_power": 1.0, "gradient_clip": 1e6}
    scores = {
        imbalance: fit_tagger(train, tmp_path / imbalance.name, imbalance=imbalance, **fast).predict_proba(
            ["common words"]
        )[0, 0]
        for imbalance in (Imbalance.none, Imbalance.pos_weight)
    }
    assert scores[Imbalance.pos_weight] > 2 * scores[Imbalance.none]


def test_word_pairs_separate_texts_with_same_words(tmp_path: Path) -> None:
    texts = ["blue dog red cat", "red dog blue cat"]
    train = build_dataset(texts * 10, [[1], [0]] * 10)
    single = fit_tagger(train, tmp_path / "single", widths=[1]).predict_proba(texts)
    np.testing.assert_allclose(single[0], single[1], atol=1e-6)
    pairs = fit_tagger(train, tmp_path / "pairs", widths=[2]).predict_proba(texts)
    assert pairs[0, 0] > pairs[1, 0] + 0.02


def test_character_tokens_generalize_to_inflected_words(tmp_path: Path) -> None:
    train = build_dataset(["segmentation of cells", "forecasting of sales"] * 10, [[1, 0], [0, 1]] * 10)
    text = ["segmenting, segmented"]
    words = fit_tagger(train, tmp_path / "words").predict_proba([*text, "unheard of"])
    assert words[0] == pytest.approx(
        fit_tagger(train, tmp_path / "again").predict_proba(["unknown either"])[0], abs=1e-6
    )
    scores = fit_tagger(train, tmp_path / "characters", tokens=Tokens.character, widths=[3, 5]).predict_proba(text)[0]
    assert scores[0] > 0.5 > scores[1]


def test_texts_are_truncated_to_max_length(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(30)
    tagger = fit_tagger(train, tmp_path / "fit", max_length=3)
    scores = tagger.predict_proba(["speech sound waves", "speech sound waves nodes edges network"])
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    tagger.save(tmp_path)
    np.testing.assert_allclose(
        Tagger.load(tmp_path).predict_proba(["speech sound waves nodes"])[0], scores[0], atol=1e-6
    )


def test_vocabulary_contains_no_validation_tokens(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(30), make_dataset(12, seed=1)
    val = replace(val, texts=[f"{text} qqq" for text in val.texts])
    for tokens in LEARNT:
        tagger = fit_tagger(train, tmp_path / f"fit-{tokens.name}", val=val, tokens=tokens, max_epochs=1)
        vocabulary = saved_vocabulary(tagger, tmp_path / tokens.name)
        assert len(vocabulary) > 20
        assert not any("q" in token for token in vocabulary)


def test_only_pretrained_embeddings_of_train_tokens_are_tuned(
    make_dataset: MakeDataset, tmp_path: Path, encoder: Path
) -> None:
    pretrained = load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"]
    train = make_dataset(30)
    tagger = fit_tagger(train, tmp_path / "fit", tokens=Tokens.pretrained, encoder=str(encoder), max_epochs=2)
    tuned = saved_weights(tagger, tmp_path / "model")["embedding.weight"]
    assert tuned.shape == pretrained.shape == (len(saved_vocabulary(tagger, tmp_path / "again")), 16)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(encoder)
    in_train = {number for text in train.texts for number in tokenizer.encode(text)} - {0}
    moved = set((tuned != pretrained).any(dim=1).nonzero()[:, 0].tolist()) - {0}
    assert moved == in_train
    assert 0 < len(in_train) < len(pretrained) - 1


def test_fitted_tagger_loads_without_encoder(
    make_dataset: MakeDataset, tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = make_dataset(12)
    tagger = fit_tagger(train, tmp_path / "fit", tokens=Tokens.pretrained, encoder=str(encoder), max_epochs=1)
    tagger.save(tmp_path)
    monkeypatch.setattr("ratchet.neural.encoders.pretrained", None)
    np.testing.assert_array_equal(
        Tagger.load(tmp_path).predict_proba(train.texts), tagger.predict_proba(train.texts), strict=True
    )


def test_missing_encoder_error_names_directory(make_dataset: MakeDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.encoder=.*nowhere"):
        fit_tagger(make_dataset(12), tmp_path / "fit", tokens=Tokens.pretrained, encoder=str(tmp_path / "nowhere"))


def test_teacher_share_changes_weights_and_lexical_share_changes_scores(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train = make_dataset(30)
    alone, taught, averaged = (
        fit_tagger(train, tmp_path / name, max_epochs=4, **shares)
        for name, shares in (
            ("alone", {}),
            ("taught", {"teacher_share": 1.0}),
            ("averaged", {"lexical_share": 0.5}),
        )
    )
    alone_weights, taught_weights, averaged_weights = (
        saved_weights(tagger, tmp_path / f"{number}")["output.weight"]
        for number, tagger in enumerate((alone, taught, averaged))
    )
    assert not torch.equal(alone_weights, taught_weights)
    assert torch.equal(alone_weights, averaged_weights), (
        "the lexical classifier contributes only after the network is trained"
    )
    assert not np.allclose(alone.predict_proba(train.texts), averaged.predict_proba(train.texts), atol=0.01)
    assert averaged.num_parameters > taught.num_parameters == alone.num_parameters


def test_validation_targets_do_not_affect_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(30), make_dataset(12, seed=1)
    flipped = replace(val, targets=1 - val.targets)
    expected, actual = (
        saved_weights(
            fit_tagger(train, tmp_path / f"fit{number}", val=val_split, max_epochs=1), tmp_path / f"model{number}"
        )
        for number, val_split in enumerate((val, flipped))
    )
    for name, weight in expected.items():
        assert torch.equal(actual[name], weight), name


def test_vocabulary_size_and_min_count_limit_vocabulary(tmp_path: Path) -> None:
    train = build_dataset(["common common usual", "common usual rare"] * 2 + ["once"], [[1], [0]] * 2 + [[0]])
    bounds = {"size": {"vocabulary_size": 4}, "count": {"min_count": 3}}
    for name, bound in bounds.items():
        tagger = fit_tagger(train, tmp_path / f"fit-{name}", max_epochs=1, **bound)
        assert saved_vocabulary(tagger, tmp_path / name) == {"[PAD]", "[UNK]", "common", "usual"}


def test_output_bias_starts_at_train_base_rates(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(30)
    tensors = saved_weights(fit_tagger(train, tmp_path / "fit", learning_rate=1e-12, max_epochs=1), tmp_path / "model")
    torch.testing.assert_close(tensors["output.bias"], prior_logits(train.targets, train.task))


def test_padding_embedding_stays_zero_after_fitting(make_dataset: MakeDataset, tmp_path: Path) -> None:
    tensors = saved_weights(fit_tagger(make_dataset(30), tmp_path / "fit"), tmp_path / "model")
    assert not tensors["embedding.weight"][0].any()
    assert tensors["embedding.weight"][1].any()


def test_num_parameters_and_size_match_architecture(make_dataset: MakeDataset, tmp_path: Path) -> None:
    tagger = fit_tagger(make_dataset(30), tmp_path / "fit", widths=[1, 3], vocabulary_size=10, max_epochs=1)
    assert len(saved_vocabulary(tagger, tmp_path / "model")) == 10
    expected = 10 * 16 + (16 * 16 * 1 + 16) + (16 * 16 * 3 + 16) + (2 * 16 * 3 + 3)
    assert tagger.num_parameters == expected
    assert tagger.size_bytes == 4 * expected


@pytest.mark.parametrize("widths", [[], [0], [1, -2], [3, 0]], ids=str)
def test_invalid_widths_error_names_setting(widths: list[int]) -> None:
    for make in (
        lambda: make_settings(widths=widths),
        lambda: compose(["model=cnn", f"model.widths={json.dumps(widths)}"]),
    ):
        with pytest.raises(UserError, match=r"model\.widths="):
            make()


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.widths=null", ["model.widths"]),
        ("model.widths=3", ["model.widths"]),
        ("model.widths=[1,a]", ["model.widths"]),
        ("model.tokens=letter", ["model.tokens", "pretrained", "character", "word", "subword"]),
        ("model.vocabulary_size=1", ["model.vocabulary_size", "at least 2"]),
        ("model.min_count=0", ["model.min_count", "at least 1"]),
        ("model.embedding_size=0", ["model.embedding_size", "at least 1"]),
        ("model.filters=0", ["model.filters", "at least 1"]),
        ("model.dropout=1", ["model.dropout", "0.95"]),
        ("model.filter=1", ["filter", "filters"]),
    ],
)
def test_invalid_setting_error_names_setting(override: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        compose(["model=cnn", override])
    for part in parts:
        assert part in str(error.value)

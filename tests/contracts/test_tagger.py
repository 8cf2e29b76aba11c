"""Tests of the Tagger contract for every conf/model/*.yaml: a new model is tested without a change here."""

import io
import json
import pickletools
import random
import shutil
import sys
import zipfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.commands import WITHOUT_TORCH, read_files, run_command
from tests.datasets import TOPICS, fit_context, make_toy_dataset

from ratchet.config import ModelConfig, compose
from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.models import model_modules, tagger_class
from ratchet.neural.settings import NeuralSettings
from ratchet.project import CONF
from ratchet.taggers import Evidence, Explainer, Exporter, ExportPrecision, Scores, Tagger

CONFIGS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
LARGE = ["transformer"]  # one epoch takes as long as all epochs of the other models
TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
PICKLE_SUFFIXES = {".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt"}
ODD_TEXTS = {
    "empty": "",
    "whitespace": " \t\r\n \u00a0\u3000",
    "huge": "speech pictures nodes zyx " * 8_000,
    "one huge word": "w" * 200_000,
    "unseen letters": "нейронная сеть 神經網路 الشبكات العصبية",
    "emoji": "speech 🎤👩🏽\u200d💻🏳️\u200d🌈",
    "combining marks": "e\u0301\u0302\u0303 a\u0308" * 50,
    "control characters": "speech\x00\x01\x07\x1b[31m\x7f\u2028\ufeff",
    "beyond the basic plane": "\U0001d54a\U00010348\U0010ffff",
    "punctuation": "!?.,;:-_()[]{}<>/\\|\"'`~@#$%^&*+=",
}
assert len(ODD_TEXTS["huge"]) >= 200_000

SCORE = """
import json, sys
from pathlib import Path
from ratchet.models import tagger_class
tagger = tagger_class(sys.argv[1]).load(Path("model"))
print(json.dumps(tagger.predict_proba(json.loads(Path("texts.json").read_text(encoding="utf-8"))).tolist()))
"""

Fit = Callable[..., Tagger]


TRAIN = make_toy_dataset()
TEXTS = make_toy_dataset(12, seed=2).texts
EXPLAINED_TEXTS = [*TEXTS[:4], *ODD_TEXTS.values()]


@pytest.fixture(scope="module", params=CONFIGS)
def settings(request: pytest.FixtureRequest) -> ModelConfig:
    model = compose([f"model={request.param}"]).model
    if isinstance(model, NeuralSettings):  # few epochs suffice: the contract holds after any number
        model.max_epochs = 1 if request.param in LARGE else 2
    return model


@pytest.fixture(scope="module")
def fit(settings: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Return `fit(train)`, which fits a new tagger of this model."""

    def fit_tagger(train: Dataset, val: Dataset | None = None, *, seed: int = 0) -> Tagger:
        tagger = tagger_class(settings.module)(settings)
        context = fit_context(tmp_path_factory.mktemp("checkpoints"), seed=seed, task=train.task)
        tagger.fit(train, train if val is None else val, context)
        return tagger

    return fit_tagger


@pytest.fixture(scope="module")
def fitted(fit: Fit) -> Tagger:
    return fit(TRAIN, make_toy_dataset(9, seed=1))


def assert_contract(scores: Scores, num_texts: int, num_labels: int) -> None:
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == np.float32
    assert scores.shape == (num_texts, num_labels)
    assert ((scores >= 0) & (scores <= 1)).all()  # false for NaN too


def save_and_read_files(tagger: Tagger, directory: Path) -> dict[str, bytes]:
    directory.mkdir()
    tagger.save(directory)
    return read_files(directory)


def is_pickle(content: bytes) -> bool:
    """Return whether `content` is a complete pickle: the first byte is not enough, JSON may begin like protocol 0."""
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except Exception:
        return False


def assert_safe(name: str, content: bytes) -> None:
    assert Path(name).suffix not in PICKLE_SUFFIXES, name
    assert not is_pickle(content), name
    if name.endswith(".npy"):
        np.load(io.BytesIO(content), allow_pickle=False)  # an array of objects is a pickle after a header
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                assert_safe(member, archive.read(member))


def test_every_model_module_has_a_config() -> None:
    assert {compose([f"model={name}"]).model.module for name in CONFIGS} == set(model_modules())


def test_fitted_model_implements_the_tagger_protocol(fitted: Tagger) -> None:
    assert isinstance(fitted, Tagger)


def test_tagger_class_declares_whether_it_is_deterministic(settings: ModelConfig) -> None:
    assert isinstance(tagger_class(settings.module).deterministic, bool)


@TASKS
def test_scores_are_float32_in_unit_range_per_label(fit: Fit, task: Task) -> None:
    tagger = fit(make_toy_dataset(task=task), make_toy_dataset(9, task=task, seed=1))
    scores = tagger.predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 3)
    assert scores.any(), "the texts resemble the training texts: some score must be above 0"


@pytest.mark.parametrize("labels", [["audio", "graphs", "vision"], ["vision", "graphs", "audio"]], ids=str)
def test_score_columns_follow_the_label_order(fit: Fit, labels: list[str]) -> None:
    train = make_toy_dataset(24, labels=labels, task=Task.multiclass)
    audio = [index for index, text in enumerate(train.texts) if "speech" in text]
    other_rows = [index for index in range(len(train)) if index not in audio][:4]
    rows = [*audio * 2, *other_rows]
    mostly_audio = replace(
        train,
        ids=[f"{number:04d}" for number in range(len(rows))],
        texts=[train.texts[row] for row in rows],
        targets=train.targets[rows],
    )
    mean = fit(mostly_audio).predict_proba(mostly_audio.texts).mean(axis=0)
    assert labels[int(mean.argmax())] == "audio"


def test_no_texts_give_no_score_rows(fitted: Tagger) -> None:
    assert_contract(fitted.predict_proba([]), 0, 3)


def test_texts_may_be_any_sequence_type(fitted: Tagger) -> None:
    np.testing.assert_array_equal(fitted.predict_proba(tuple(TEXTS)), fitted.predict_proba(TEXTS))


def test_repeated_predictions_are_bit_identical(fitted: Tagger) -> None:
    first = fitted.predict_proba(TEXTS)
    fitted.predict_proba(["something else"])
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), first)


def test_fits_with_the_same_seed_ignore_global_random_state(fit: Fit, tmp_path: Path) -> None:
    taggers = []
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        for global_seed in (1, 2):
            random.seed(global_seed)
            np.random.seed(global_seed)
            taggers.append(fit(TRAIN, seed=3))
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)
    first, second = taggers
    np.testing.assert_array_equal(first.predict_proba(TEXTS), second.predict_proba(TEXTS))
    assert save_and_read_files(first, tmp_path / "one") == save_and_read_files(second, tmp_path / "two")


def test_deterministic_tagger_ignores_the_seed(fit: Fit, fitted: Tagger) -> None:
    scores = [fit(TRAIN, seed=seed).predict_proba(TEXTS) for seed in (0, 1, 2**32 - 1)]
    assert not fitted.deterministic or all(np.array_equal(scores[0], repeated) for repeated in scores[1:])


@TASKS
def test_loaded_tagger_is_bit_identical_to_the_saved_one(fit: Fit, task: Task, tmp_path: Path) -> None:
    tagger = fit(make_toy_dataset(task=task), make_toy_dataset(9, task=task, seed=1))
    texts = [*TEXTS, *ODD_TEXTS.values()]
    files = save_and_read_files(tagger, tmp_path / "model")
    assert files
    loaded = type(tagger).load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")  # predict_proba must not read the files later
    np.testing.assert_array_equal(loaded.predict_proba(texts), tagger.predict_proba(texts))
    assert loaded.predict_proba([]).shape == (0, 3)
    assert (loaded.num_parameters, loaded.size_bytes) == (tagger.num_parameters, tagger.size_bytes)
    assert loaded.deterministic == tagger.deterministic
    assert isinstance(loaded, Tagger)
    assert save_and_read_files(loaded, tmp_path / "again") == files


def test_exported_tagger_gives_the_same_scores_without_torch(fitted: Tagger, tmp_path: Path) -> None:
    model, texts = tmp_path / "model", [*TEXTS, *ODD_TEXTS.values()]
    model.mkdir()
    if isinstance(fitted, Exporter):
        fitted.export(model, ExportPrecision.float32)
    else:
        fitted.save(model)
    for name, content in read_files(model).items():
        assert_safe(name, content)
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    module = type(fitted).__module__.rpartition(".")[2]
    process = run_command(sys.executable, "-c", WITHOUT_TORCH + SCORE, module, cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    scores = np.array(json.loads(process.stdout), dtype=np.float32)
    np.testing.assert_allclose(scores, fitted.predict_proba(texts), rtol=0, atol=1e-4)


def test_saving_twice_writes_the_same_bytes(fitted: Tagger, tmp_path: Path) -> None:
    assert save_and_read_files(fitted, tmp_path / "one") == save_and_read_files(fitted, tmp_path / "two")


def test_saved_files_use_safe_formats_only(fitted: Tagger, tmp_path: Path) -> None:
    for name, content in save_and_read_files(fitted, tmp_path / "model").items():
        assert_safe(name, content)


def test_labels_with_any_characters_survive_saving(fit: Fit, tmp_path: Path) -> None:
    labels = ["c++ / c#", '"quoted", \\n', "機械学習", "  spaced  ", "🎤"]
    names = ["audio", "graphs", "vision", "none", "nothing"]
    train = replace(make_toy_dataset(labels=names), labels=labels, taxonomy=Taxonomy.from_labels(labels))
    tagger = fit(train)
    tagger.save(tmp_path)
    texts = [*TEXTS, *labels]
    scores = tagger.predict_proba(texts)
    assert_contract(scores, len(texts), 5)
    np.testing.assert_array_equal(type(tagger).load(tmp_path).predict_proba(texts), scores)


def test_size_and_parameters_are_non_negative_integers(fitted: Tagger) -> None:
    for count in (fitted.num_parameters, fitted.size_bytes):
        assert type(count) is int
        assert count >= 0


def test_scores_do_not_depend_on_batch_or_order(fitted: Tagger) -> None:
    texts = [*TEXTS, "", "speech " * 300, "pictures and sound 🎤", "speech"]
    together = fitted.predict_proba(texts)
    alone = np.concatenate([fitted.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(texts[::-1])[::-1], together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_odd_texts_do_not_change_scores_of_other_texts(fitted: Tagger, text: str) -> None:
    scores = fitted.predict_proba([TEXTS[0], text, TEXTS[1]])
    assert_contract(scores, 3, 3)
    np.testing.assert_allclose(scores[[0, 2]], fitted.predict_proba(TEXTS[:2]), rtol=0, atol=1e-6)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6))
@hypothesis_settings(max_examples=50, deadline=None)
def test_scores_of_any_texts_satisfy_the_contract(fitted: Tagger, texts: list[str]) -> None:
    assert_contract(fitted.predict_proba(texts), len(texts), 3)


def test_odd_train_texts_do_not_break_the_fit(fit: Fit) -> None:
    odd = list(ODD_TEXTS.values())
    scores = fit(replace(TRAIN, texts=[*odd, *TRAIN.texts[len(odd) :]])).predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 3)


@TASKS
def test_single_label_can_be_fitted_and_saved(fit: Fit, task: Task, tmp_path: Path) -> None:
    train = make_toy_dataset(task=task, labels=["audio"])
    tagger = fit(train)
    scores = tagger.predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 1)
    tagger.save(tmp_path)
    np.testing.assert_array_equal(type(tagger).load(tmp_path).predict_proba(TEXTS), scores)


@TASKS
@pytest.mark.parametrize("column", [0, 1, 3], ids=["first", "within", "last"])
def test_label_without_train_texts_scores_low_and_never_wins(fit: Fit, task: Task, column: int) -> None:
    labels = list(TOPICS)
    labels.insert(column, "unheard-of")
    train = make_toy_dataset(task=task, labels=labels)
    assert not train.targets[:, column].any()
    scores = fit(train).predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 4)
    assert (scores[:, column] < 0.5).all()
    assert (scores[:, column] < np.delete(scores, column, axis=1).max(axis=1)).all()


def test_label_on_every_train_text_satisfies_the_contract(fit: Fit) -> None:
    train = make_toy_dataset(labels=[*TOPICS, "everything"])
    train.targets[:, 3] = 1
    scores = fit(train).predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 4)
    assert scores[:, :3].any(), "the other labels must still get scores"


@TASKS
@pytest.mark.parametrize("size", [1, 2, 3])
def test_few_train_texts_can_be_fitted_and_saved(fit: Fit, task: Task, size: int, tmp_path: Path) -> None:
    train = make_toy_dataset(size, task=task)
    tagger = fit(train)
    scores = tagger.predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 3)
    tagger.save(tmp_path)
    np.testing.assert_array_equal(type(tagger).load(tmp_path).predict_proba(TEXTS), scores)


def test_fit_does_not_change_data_or_settings(fit: Fit, settings: ModelConfig) -> None:
    train, val = make_toy_dataset(), make_toy_dataset(9, seed=1)
    before, settings_before = deepcopy((train, val)), deepcopy(settings)
    for dataset in (train, val):
        dataset.targets.setflags(write=False)
    fit(train, val)
    for dataset, copy in zip((train, val), before, strict=True):
        np.testing.assert_array_equal(dataset.targets, copy.targets)
        assert (dataset.ids, dataset.texts, dataset.labels) == (copy.ids, copy.texts, copy.labels)
        assert dataset.taxonomy == copy.taxonomy
    assert settings == settings_before


def test_fit_and_predict_write_nothing_to_the_working_directory(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(TRAIN).predict_proba(TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_changing_the_data_after_fit_has_no_effect(fit: Fit, tmp_path: Path) -> None:
    train = make_toy_dataset()
    tagger = fit(train)
    scores, files = tagger.predict_proba(TEXTS), save_and_read_files(tagger, tmp_path / "before")
    train.labels.reverse()
    train.texts.clear()
    train.targets[:] = 0
    np.testing.assert_array_equal(tagger.predict_proba(TEXTS), scores)
    assert save_and_read_files(tagger, tmp_path / "after") == files


@pytest.fixture(scope="module")
def explained(fitted: Tagger) -> list[list[Evidence]]:
    """Return the evidence for EXPLAINED_TEXTS; empty lists if the tagger is not an Explainer."""
    return fitted.explain(EXPLAINED_TEXTS) if isinstance(fitted, Explainer) else [[] for _ in EXPLAINED_TEXTS]


def test_evidence_has_one_list_of_known_labels_per_text(explained: list[list[Evidence]]) -> None:
    assert len(explained) == len(EXPLAINED_TEXTS)
    for pieces in explained:
        for evidence in pieces:
            assert evidence.label in TRAIN.labels
            assert evidence.words.strip()
            assert np.isfinite(evidence.weight)


def test_evidence_is_sorted_by_decreasing_weight(explained: list[list[Evidence]]) -> None:
    for pieces in explained:
        weights = [evidence.weight for evidence in pieces]
        assert weights == sorted(weights, reverse=True)


def test_explaining_no_texts_returns_no_evidence(fitted: Tagger) -> None:
    assert not isinstance(fitted, Explainer) or fitted.explain([]) == []

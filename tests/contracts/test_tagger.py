"""The Tagger contract, once for all models: it runs over every conf/model/*.yaml, so a new model needs no edit here."""

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
LARGE = ["transformer"]  # an epoch of it takes as long as all epochs of the others
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
EXPLAINED = [*TEXTS[:4], *ODD_TEXTS.values()]


@pytest.fixture(scope="module", params=CONFIGS)
def settings(request: pytest.FixtureRequest) -> ModelConfig:
    model = compose([f"model={request.param}"]).model
    if isinstance(model, NeuralSettings):  # the contract holds after any number of epochs
        model.max_epochs = 1 if request.param in LARGE else 2
    return model


@pytest.fixture(scope="module")
def fit(settings: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """`fit(train)`: a new tagger of this model, fitted."""

    def fitted_on(train: Dataset, val: Dataset | None = None, *, seed: int = 0) -> Tagger:
        tagger = tagger_class(settings.module)(settings)
        context = fit_context(tmp_path_factory.mktemp("checkpoints"), seed=seed, task=train.task)
        tagger.fit(train, train if val is None else val, context)
        return tagger

    return fitted_on


@pytest.fixture(scope="module")
def fitted(fit: Fit) -> Tagger:
    return fit(TRAIN, make_toy_dataset(9, seed=1))


def assert_contract(scores: Scores, num_texts: int, num_labels: int) -> None:
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == np.float32
    assert scores.shape == (num_texts, num_labels)
    assert ((scores >= 0) & (scores <= 1)).all()  # false for NaN too


def saved(tagger: Tagger, directory: Path) -> dict[str, bytes]:
    directory.mkdir()
    tagger.save(directory)
    return read_files(directory)


def is_pickle(content: bytes) -> bool:
    """Whether unpickling `content` would come to an end: one byte does not tell, JSON text begins like protocol 0."""
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except Exception:
        return False


def assert_safe(name: str, content: bytes) -> None:
    assert Path(name).suffix not in PICKLE_SUFFIXES, name
    assert not is_pickle(content), name
    if name.endswith(".npy"):
        np.load(io.BytesIO(content), allow_pickle=False)  # an array of objects is a pickle behind a header
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                assert_safe(member, archive.read(member))


def test_every_model_module_has_a_config() -> None:
    assert {compose([f"model={name}"]).model.module for name in CONFIGS} == set(model_modules())


def test_it_is_a_tagger(fitted: Tagger) -> None:
    assert isinstance(fitted, Tagger)


def test_its_class_says_whether_it_is_deterministic(settings: ModelConfig) -> None:
    assert isinstance(tagger_class(settings.module).deterministic, bool)


@TASKS
def test_scores_are_float32_in_0_to_1_one_column_a_label(fit: Fit, task: Task) -> None:
    tagger = fit(make_toy_dataset(task=task), make_toy_dataset(9, task=task, seed=1))
    scores = tagger.predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 3)
    assert scores.any(), "the texts are those it was fitted on, more or less: some label must score"


@pytest.mark.parametrize("labels", [["audio", "graphs", "vision"], ["vision", "graphs", "audio"]], ids=str)
def test_columns_are_in_the_order_of_the_labels(fit: Fit, labels: list[str]) -> None:
    train = make_toy_dataset(24, labels=labels, task=Task.multiclass)
    audio = [index for index, text in enumerate(train.texts) if "speech" in text]
    others = [index for index in range(len(train)) if index not in audio][:4]
    rows = [*audio * 2, *others]
    mostly_audio = replace(
        train,
        ids=[f"{number:04d}" for number in range(len(rows))],
        texts=[train.texts[row] for row in rows],
        targets=train.targets[rows],
    )
    mean = fit(mostly_audio).predict_proba(mostly_audio.texts).mean(axis=0)
    assert labels[int(mean.argmax())] == "audio"


def test_no_texts_give_no_rows(fitted: Tagger) -> None:
    assert_contract(fitted.predict_proba([]), 0, 3)


def test_texts_may_be_any_sequence(fitted: Tagger) -> None:
    np.testing.assert_array_equal(fitted.predict_proba(tuple(TEXTS)), fitted.predict_proba(TEXTS))


def test_predicting_again_gives_the_same_bits(fitted: Tagger) -> None:
    first = fitted.predict_proba(TEXTS)
    fitted.predict_proba(["something else"])
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), first)


def test_two_fits_with_one_seed_are_bit_identical_whatever_the_process_drew_before(fit: Fit, tmp_path: Path) -> None:
    taggers = []
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        for drawn_before in (1, 2):
            random.seed(drawn_before)
            np.random.seed(drawn_before)
            taggers.append(fit(TRAIN, seed=3))
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)
    one, two = taggers
    np.testing.assert_array_equal(one.predict_proba(TEXTS), two.predict_proba(TEXTS))
    assert saved(one, tmp_path / "one") == saved(two, tmp_path / "two")


def test_a_deterministic_tagger_has_no_use_for_the_seed(fit: Fit, fitted: Tagger) -> None:
    scores = [fit(TRAIN, seed=seed).predict_proba(TEXTS) for seed in (0, 1, 2**32 - 1)]
    assert not fitted.deterministic or all(np.array_equal(scores[0], other) for other in scores[1:])


@TASKS
def test_a_loaded_tagger_is_the_saved_one_bit_for_bit(fit: Fit, task: Task, tmp_path: Path) -> None:
    tagger = fit(make_toy_dataset(task=task), make_toy_dataset(9, task=task, seed=1))
    texts = [*TEXTS, *ODD_TEXTS.values()]
    files = saved(tagger, tmp_path / "model")
    assert files
    loaded = type(tagger).load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")  # whatever is read later on would be missed now
    np.testing.assert_array_equal(loaded.predict_proba(texts), tagger.predict_proba(texts))
    assert loaded.predict_proba([]).shape == (0, 3)
    assert (loaded.num_parameters, loaded.size_bytes) == (tagger.num_parameters, tagger.size_bytes)
    assert loaded.deterministic == tagger.deterministic
    assert isinstance(loaded, Tagger)
    assert saved(loaded, tmp_path / "again") == files


def test_an_exported_tagger_scores_as_the_saved_one_without_torch(fitted: Tagger, tmp_path: Path) -> None:
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
    done = run_command(sys.executable, "-c", WITHOUT_TORCH + SCORE, module, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = np.array(json.loads(done.stdout), dtype=np.float32)
    np.testing.assert_allclose(found, fitted.predict_proba(texts), rtol=0, atol=1e-4)


def test_saving_twice_gives_the_same_bytes(fitted: Tagger, tmp_path: Path) -> None:
    assert saved(fitted, tmp_path / "one") == saved(fitted, tmp_path / "two")


def test_only_safe_formats_are_written(fitted: Tagger, tmp_path: Path) -> None:
    for name, content in saved(fitted, tmp_path / "model").items():
        assert_safe(name, content)


def test_labels_of_any_characters_survive_saving(fit: Fit, tmp_path: Path) -> None:
    labels = ["c++ / c#", '"quoted", \\n', "機械学習", "  spaced  ", "🎤"]
    names = ["audio", "graphs", "vision", "none", "nothing"]
    train = replace(make_toy_dataset(labels=names), labels=labels, taxonomy=Taxonomy.from_labels(labels))
    tagger = fit(train)
    tagger.save(tmp_path)
    texts = [*TEXTS, *labels]
    scores = tagger.predict_proba(texts)
    assert_contract(scores, len(texts), 5)
    np.testing.assert_array_equal(type(tagger).load(tmp_path).predict_proba(texts), scores)


def test_size_and_parameters_are_counts(fitted: Tagger) -> None:
    for count in (fitted.num_parameters, fitted.size_bytes):
        assert type(count) is int
        assert count >= 0


def test_scores_do_not_depend_on_the_batch_nor_on_its_order(fitted: Tagger) -> None:
    texts = [*TEXTS, "", "speech " * 300, "pictures and sound 🎤", "speech"]
    together = fitted.predict_proba(texts)
    alone = np.concatenate([fitted.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
    np.testing.assert_allclose(fitted.predict_proba(texts[::-1])[::-1], together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_odd_texts_are_scored_and_leave_their_neighbours_alone(fitted: Tagger, text: str) -> None:
    scores = fitted.predict_proba([TEXTS[0], text, TEXTS[1]])
    assert_contract(scores, 3, 3)
    np.testing.assert_allclose(scores[[0, 2]], fitted.predict_proba(TEXTS[:2]), rtol=0, atol=1e-6)


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6))
@hypothesis_settings(max_examples=50, deadline=None)
def test_any_texts_keep_the_contract(fitted: Tagger, texts: list[str]) -> None:
    assert_contract(fitted.predict_proba(texts), len(texts), 3)


def test_odd_train_texts_do_no_harm(fit: Fit) -> None:
    odd = list(ODD_TEXTS.values())
    scores = fit(replace(TRAIN, texts=[*odd, *TRAIN.texts[len(odd) :]])).predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 3)


@TASKS
def test_one_label_only(fit: Fit, task: Task, tmp_path: Path) -> None:
    train = make_toy_dataset(task=task, labels=["audio"])
    tagger = fit(train)
    scores = tagger.predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 1)
    tagger.save(tmp_path)
    np.testing.assert_array_equal(type(tagger).load(tmp_path).predict_proba(TEXTS), scores)


@TASKS
@pytest.mark.parametrize("place", [0, 1, 3], ids=["first", "within", "last"])
def test_a_label_without_a_train_text_scores_low_and_never_wins(fit: Fit, task: Task, place: int) -> None:
    labels = list(TOPICS)
    labels.insert(place, "unheard-of")
    train = make_toy_dataset(task=task, labels=labels)
    assert not train.targets[:, place].any()
    scores = fit(train).predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 4)
    assert (scores[:, place] < 0.5).all()
    assert (scores[:, place] < np.delete(scores, place, axis=1).max(axis=1)).all()


def test_a_label_on_every_train_text_keeps_the_contract(fit: Fit) -> None:
    everywhere = make_toy_dataset(labels=[*TOPICS, "everything"])
    everywhere.targets[:, 3] = 1
    scores = fit(everywhere).predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 4)
    assert scores[:, :3].any(), "the other labels are still told apart"


@TASKS
@pytest.mark.parametrize("size", [1, 2, 3])
def test_very_few_train_texts_are_enough(fit: Fit, task: Task, size: int, tmp_path: Path) -> None:
    few = make_toy_dataset(size, task=task)
    tagger = fit(few)
    scores = tagger.predict_proba(TEXTS)
    assert_contract(scores, len(TEXTS), 3)
    tagger.save(tmp_path)
    np.testing.assert_array_equal(type(tagger).load(tmp_path).predict_proba(TEXTS), scores)


def test_fit_leaves_data_and_settings_as_they_were(fit: Fit, settings: ModelConfig) -> None:
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


def test_fit_and_predict_write_nothing_into_the_working_directory(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(TRAIN).predict_proba(TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_what_is_done_to_the_data_after_the_fit_changes_nothing(fit: Fit, tmp_path: Path) -> None:
    train = make_toy_dataset()
    tagger = fit(train)
    scores, files = tagger.predict_proba(TEXTS), saved(tagger, tmp_path / "before")
    train.labels.reverse()
    train.texts.clear()
    train.targets[:] = 0
    np.testing.assert_array_equal(tagger.predict_proba(TEXTS), scores)
    assert saved(tagger, tmp_path / "after") == files


@pytest.fixture(scope="module")
def explained(fitted: Tagger) -> list[list[Evidence]]:
    """The evidence for EXPLAINED; without any where the tagger has none to give."""
    return fitted.explain(EXPLAINED) if isinstance(fitted, Explainer) else [[] for _ in EXPLAINED]


def test_evidence_is_one_list_a_text_about_labels_of_the_data_set(explained: list[list[Evidence]]) -> None:
    assert len(explained) == len(EXPLAINED)
    for evidence in explained:
        for each in evidence:
            assert each.label in TRAIN.labels
            assert each.words.strip()
            assert np.isfinite(each.weight)


def test_evidence_is_strongest_first(explained: list[list[Evidence]]) -> None:
    for evidence in explained:
        weights = [each.weight for each in evidence]
        assert weights == sorted(weights, reverse=True)


def test_no_texts_have_no_evidence(fitted: Tagger) -> None:
    assert not isinstance(fitted, Explainer) or fitted.explain([]) == []

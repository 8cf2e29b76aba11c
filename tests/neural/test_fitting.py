import logging
import os
import random
import re
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.datasets import fit_context

from ratchet.config import Accelerator, Precision, TrainerConfig, compose
from ratchet.data.dataset import Dataset
from ratchet.errors import UserError
from ratchet.models import cnn, transformer
from ratchet.neural.checkpoints import WholeFiles
from ratchet.neural.fitting import deterministic, interruptible, quiet
from ratchet.taggers import FitContext, Tagger, ValidationMetric

MakeDataset = Callable[..., Dataset]
MakeTagger = Callable[[], Tagger]
EPOCHS = 5
SCRIPT = [0.2, 0.4, 0.9, 0.3, 0.5]


class Stopped(Exception):
    """The error that an interruption raises in these tests."""


def make_cnn(**overrides: Any) -> cnn.Tagger:
    defaults: dict[str, Any] = {
        "max_length": 16,
        "batch_size": 8,
        "max_epochs": EPOCHS,
        "patience": EPOCHS,
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "warmup": 0.1,
        "embedding_size": 16,
        "filters": 8,
    }
    return cnn.Tagger(cnn.Settings(name="cnn", complexity=2, **(defaults | overrides)))


def make_transformer(**overrides: Any) -> transformer.Tagger:
    settings = compose(["model=transformer_tiny", "model.random.hidden_size=16", "model.max_length=16"]).model
    assert isinstance(settings, transformer.Settings)
    return transformer.Tagger(replace(settings, max_epochs=EPOCHS, patience=EPOCHS, batch_size=8, **overrides))


@dataclass
class Story:
    """The logged epochs of a fit and the scores that its metric gets; the metric returns `values` in turn."""

    values: list[float] = field(default_factory=lambda: list(SCRIPT))
    rows: list[dict[str, float]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    scores: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.steps.append(step)
        self.rows.append(dict(metrics))

    def of(self, targets: npt.NDArray[np.uint8], scores: npt.NDArray[np.float32]) -> float:
        self.scores.append(scores.copy())
        return self.values[len(self.scores) - 1]

    @property
    def epochs(self) -> list[float]:
        return [row["epoch"] for row in self.rows]


@dataclass
class Interrupted(Story):
    """A story that raises `error` in epoch `at`, in `log` or in the metric, as `place` names it."""

    at: int = 0
    place: str = "log"
    error: BaseException = field(default_factory=Stopped)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self.place == "log" and metrics["epoch"] == self.at:
            raise self.error
        super().log(step, metrics)

    def of(self, targets: npt.NDArray[np.uint8], scores: npt.NDArray[np.float32]) -> float:
        if self.place == "metric" and len(self.scores) == self.at:
            raise self.error
        return super().of(targets, scores)


def make_context(directory: Path, story: Story, **overrides: Any) -> FitContext:
    directory.mkdir(exist_ok=True)
    metric = ValidationMetric("val/f1_weighted", story.of)
    return replace(fit_context(directory, seed=3), log=story.log, validation_metric=metric, **overrides)


def make_data(make_dataset: MakeDataset) -> tuple[Dataset, Dataset]:
    """Return train and val; val's texts are sorted by length, as its scores are when the metric gets them."""
    val = make_dataset(12, seed=1)
    order = sorted(range(len(val)), key=lambda row: len(val.texts[row].split()))
    return make_dataset(30), replace(val, texts=[val.texts[row] for row in order], targets=val.targets[order])


def saved_weights(tagger: Tagger, directory: Path) -> bytes:
    directory.mkdir()
    tagger.save(directory)
    return (directory / "weights.safetensors").read_bytes()


def list_names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("best", range(EPOCHS))
def test_fit_ends_with_weights_of_best_epoch(make_dataset: MakeDataset, tmp_path: Path, best: int) -> None:
    train, val = make_data(make_dataset)
    story = Story([0.9 if epoch == best else 0.1 * epoch for epoch in range(EPOCHS)])
    tagger = make_cnn()
    tagger.fit(train, val, make_context(tmp_path / "fit", story))
    scores = tagger.predict_proba(val.texts)
    distances = [float(np.abs(scores - seen).max()) for seen in story.scores]
    assert len(distances) == EPOCHS
    assert distances[best] < 1e-6
    assert all(distance > 1e-4 for epoch, distance in enumerate(distances) if epoch != best)


def test_first_of_equally_good_epochs_is_best(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    story, tagger = Story([0.1, 0.5, 0.5, 0.2, 0.5]), make_cnn()
    tagger.fit(train, val, make_context(tmp_path / "fit", story))
    np.testing.assert_allclose(tagger.predict_proba(val.texts), story.scores[1], atol=1e-6)


@pytest.mark.parametrize(
    ("values", "patience", "epochs"),
    [
        ([0.1, 0.5, 0.4, 0.3, 0.9], 2, 4),
        ([0.5, 0.5, 0.9, 0.9, 0.9], 1, 2),
        ([0.0, 0.0, 0.0, 0.9, 0.9], 2, 3),
        ([0.1, 0.5, 0.4, 0.6, 0.5], 2, 5),
        ([0.5, 0.4, 0.3, 0.2, 0.1], 5, 5),
    ],
    ids=str,
)
def test_fit_stops_after_patience_epochs_without_improvement(
    make_dataset: MakeDataset, tmp_path: Path, values: list[float], patience: int, epochs: int
) -> None:
    train, val = make_data(make_dataset)
    story = Story(values)
    make_cnn(patience=patience).fit(train, val, make_context(tmp_path / "fit", story))
    assert story.epochs == list(range(epochs))


def test_fit_leaves_two_checkpoints_that_load_without_pickle(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    make_cnn().fit(train, val, make_context(tmp_path / "fit", Story()))
    assert list_names(tmp_path / "fit") == {"best.ckpt", "last.ckpt"}
    epochs = {
        name: torch.load(tmp_path / "fit" / name, weights_only=True)["epoch"] for name in ("best.ckpt", "last.ckpt")
    }
    assert epochs == {"best.ckpt": 2, "last.ckpt": 4}


@dataclass
class ReferenceFit:
    """The result of an uninterrupted fit, to compare others with."""

    story: Story
    weights: bytes
    scores: npt.NDArray[np.float32]


def fit_reference(
    tagger: Tagger, train: Dataset, val: Dataset, directory: Path, values: Iterable[float]
) -> ReferenceFit:
    story = Story(list(values))
    tagger.fit(train, val, make_context(directory / "undisturbed", story))
    return ReferenceFit(story, saved_weights(tagger, directory / "undisturbed-model"), tagger.predict_proba(val.texts))


def assert_resumes_identically(
    make: MakeTagger, train: Dataset, val: Dataset, directory: Path, reference: ReferenceFit, first: int
) -> None:
    """Resume in `directory`; check that logs from epoch `first` on and the final weights equal the `reference`."""
    torch.rand(17)  # the random state of the resuming process must not matter
    story, tagger = Story(reference.story.values[first:]), make()
    tagger.fit(train, val, make_context(directory, story, resume=True))
    assert story.rows == reference.story.rows[first:]
    assert story.steps == reference.story.steps[first:]
    assert saved_weights(tagger, directory.with_name("resumed-model")) == reference.weights
    np.testing.assert_array_equal(tagger.predict_proba(val.texts), reference.scores)
    assert list_names(directory) == {"best.ckpt", "last.ckpt"}


@pytest.mark.parametrize("place", ["log", "metric"])
@pytest.mark.parametrize("at", range(EPOCHS))
def test_resumed_fit_equals_uninterrupted_fit(make_dataset: MakeDataset, tmp_path: Path, at: int, place: str) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", Interrupted(at=at, place=place)))
    assert_resumes_identically(make_cnn, train, val, tmp_path / "fit", reference, at)


@pytest.mark.parametrize("at", [1, 4])
def test_resumed_transformer_fit_equals_uninterrupted_fit(make_dataset: MakeDataset, tmp_path: Path, at: int) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_transformer(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_transformer().fit(train, val, make_context(tmp_path / "fit", Interrupted(at=at)))
    assert_resumes_identically(make_transformer, train, val, tmp_path / "fit", reference, at)


def test_fit_can_be_resumed_more_than_once(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", Interrupted(at=2)))
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", Interrupted(SCRIPT[2:], at=3), resume=True))
    assert_resumes_identically(make_cnn, train, val, tmp_path / "fit", reference, 3)


def test_patience_count_survives_an_interruption(make_dataset: MakeDataset, tmp_path: Path) -> None:
    def make() -> Tagger:
        return make_cnn(patience=3, max_epochs=9)

    train, val = make_data(make_dataset)
    values = [0.1, 0.9, 0.5, 0.4, 0.3, 0.95, 0.95, 0.95, 0.95]
    reference = fit_reference(make(), train, val, tmp_path, values)
    assert reference.story.epochs == [0, 1, 2, 3, 4]
    with pytest.raises(Stopped):
        make().fit(train, val, make_context(tmp_path / "fit", Interrupted(values, at=3)))
    assert_resumes_identically(make, train, val, tmp_path / "fit", reference, 3)


def test_resuming_finished_fit_trains_no_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """The process may have been stopped after the fit, before its weights were saved."""
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    assert_resumes_identically(make_cnn, train, val, tmp_path / "undisturbed", reference, EPOCHS)


def test_resuming_early_stopped_fit_trains_no_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    def make() -> Tagger:
        return make_cnn(patience=2)

    train, val = make_data(make_dataset)
    values = [0.1, 0.5, 0.4, 0.3, 0.9]
    reference = fit_reference(make(), train, val, tmp_path, values)
    assert reference.story.epochs == [0, 1, 2, 3]
    assert_resumes_identically(make, train, val, tmp_path / "undisturbed", reference, 4)


def test_fit_resumes_from_moved_directory(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, make_context(tmp_path / "before", Interrupted(at=3)))
    (tmp_path / "before").rename(tmp_path / "after")
    assert_resumes_identically(make_cnn, train, val, tmp_path / "after", reference, 3)


def test_resume_without_checkpoint_starts_over_and_logs_it(
    make_dataset: MakeDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    with caplog.at_level(logging.INFO, "ratchet"):
        assert_resumes_identically(make_cnn, train, val, tmp_path / "fit", reference, 0)
    assert "resumed from the beginning" in caplog.text


def test_path_of_resumed_checkpoint_is_logged(
    make_dataset: MakeDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, val = make_data(make_dataset)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", Interrupted(at=2)))
    with caplog.at_level(logging.INFO, "ratchet"):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", Story(SCRIPT[2:]), resume=True))
    assert f"resumed from {tmp_path / 'fit' / 'last.ckpt'}" in caplog.text


def interrupt_write(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Make the write of the `at`-th checkpoint from now on (0: the next one) fail halfway, as on a full disk."""
    original_save, writes = torch.save, iter(range(1000))

    def save(content: Any, file: Any) -> None:
        if next(writes) == at:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        original_save(content, file)

    monkeypatch.setattr(torch, "save", save)


@pytest.mark.parametrize("at", [4, 5], ids=["best.ckpt", "last.ckpt"])
def test_failed_checkpoint_write_leaves_resumable_checkpoint(
    make_dataset: MakeDataset, tmp_path: Path, at: int
) -> None:
    """Each of the first three epochs writes two; `at` is one of the third epoch, which is the best."""
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt_write(monkeypatch, at)
        with pytest.raises(OSError, match="No space left"):
            make_cnn().fit(train, val, make_context(tmp_path / "fit", Story()))
    assert list_names(tmp_path / "fit") == {"best.ckpt", "last.ckpt"}
    assert torch.load(tmp_path / "fit" / "last.ckpt", weights_only=True)["epoch"] == 1
    assert_resumes_identically(make_cnn, train, val, tmp_path / "fit", reference, 2)


def test_interrupted_write_keeps_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "last.ckpt"
    WholeFiles().save_checkpoint({"epoch": 1, "weights": torch.ones(3)}, path)
    before = path.read_bytes()
    interrupt_write(monkeypatch, 0)
    with pytest.raises(OSError, match="No space left"):
        WholeFiles().save_checkpoint({"epoch": 2, "weights": torch.zeros(3)}, path)
    assert path.read_bytes() == before
    assert list_names(path.parent) == {"last.ckpt"}
    assert torch.load(path, weights_only=True)["epoch"] == 1


def test_global_random_state_does_not_change_fit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)

    class ReseedingStory(Story):
        def log(self, step: int, metrics: Mapping[str, float]) -> None:
            torch.manual_seed(int(metrics["epoch"]))
            np.random.seed(1)
            super().log(step, metrics)

    state = np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            tagger, story = make_cnn(), ReseedingStory()
            tagger.fit(train, val, make_context(tmp_path / "fit", story))
    finally:
        np.random.set_state(state)
    assert saved_weights(tagger, tmp_path / "model") == reference.weights
    assert story.rows == reference.story.rows


def test_different_seed_gives_different_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    tagger = make_cnn()
    tagger.fit(train, val, replace(make_context(tmp_path / "fit", Story()), seed=4))
    assert saved_weights(tagger, tmp_path / "model") != reference.weights


HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def run_interrupted_fit(make_dataset: MakeDataset, directory: Path, error: BaseException) -> None:
    train, val = make_data(make_dataset)
    make_cnn().fit(train, val, make_context(directory / "fit", Interrupted(at=1, error=error)))


def test_keyboard_interrupt_passes_through_fit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    handlers = [signal.getsignal(number) for number in HANDLED]
    with pytest.raises(KeyboardInterrupt):
        run_interrupted_fit(make_dataset, tmp_path, KeyboardInterrupt())
    assert [signal.getsignal(number) for number in HANDLED] == handlers


def test_sigterm_during_fit_calls_handler_of_process(make_dataset: MakeDataset, tmp_path: Path) -> None:
    def leave(*_: object) -> NoReturn:
        raise SystemExit(143)

    class Terminated(Story):
        def log(self, step: int, metrics: Mapping[str, float]) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().log(step, metrics)

    train, val = make_data(make_dataset)
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(SystemExit) as raised:
            make_cnn().fit(train, val, make_context(tmp_path / "fit", Terminated()))
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        signal.signal(signal.SIGTERM, before)
    assert raised.value.code == 143


@pytest.mark.parametrize("error", [None, Stopped(), KeyboardInterrupt()], ids=repr)
def test_fit_restores_process_state(make_dataset: MakeDataset, tmp_path: Path, error: BaseException | None) -> None:
    def read_state() -> dict[str, Any]:
        _, keys, position, *_ = np.random.get_state()
        return {
            "torch": torch.get_rng_state().tolist(),
            "numpy": (keys.tolist(), position),
            "random": random.getstate(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "filled": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            "gradients": torch.is_grad_enabled(),
            "handlers": [signal.getsignal(number) for number in HANDLED],
            "levels": {name: logging.getLogger(name).level for name in ("", "pytorch_lightning", "lightning_fabric")},
            "filters": list(warnings.filters),
            "directory": Path.cwd(),
            "stdout": sys.stdout,
        }

    train, val = make_data(make_dataset)
    # The first fit causes the one-time effects of the libraries.
    make_cnn().fit(train, val, make_context(tmp_path / "first", Story()))
    story = Story() if error is None else Interrupted(at=1, error=error)
    before = read_state()
    with nullcontext() if error is None else pytest.raises(type(error)):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", story))
    assert read_state() == before


def test_fit_prints_nothing_and_logs_only_ratchet_lines(
    make_dataset: MakeDataset, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    train, val = make_data(make_dataset)
    with caplog.at_level(logging.DEBUG):
        make_cnn().fit(train, val, make_context(tmp_path / "fit", Story()))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    records = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert {record.name.partition(".")[0] for record in records} == {"ratchet"}
    epochs = [record for record in records if record.name != "ratchet.steps"]
    assert len(epochs) == EPOCHS, "one line per epoch"
    steps = [record.getMessage() for record in records if record.name == "ratchet.steps"]
    assert steps == ["loading torch and Lightning", "preparing the batches", "training"]


@pytest.mark.parametrize("wanted", [True, False])
def test_terminal_shows_progress_bar_unless_disabled(
    make_dataset: MakeDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    train, val = make_data(make_dataset)
    context = make_context(tmp_path / "fit", Story(), trainer=TrainerConfig(progress_bar=wanted))
    make_cnn().fit(train, val, context)
    captured = capsys.readouterr()
    assert ("Epoch" in captured.out) is wanted
    assert captured.err == ""


def test_progress_bar_is_cleared_after_training(
    make_dataset: MakeDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    train, val = make_data(make_dataset)
    make_cnn(max_epochs=1).fit(train, val, make_context(tmp_path / "fit", Story()))
    out = capsys.readouterr().out
    assert "Epoch" in out
    assert out.endswith("\x1b[2K"), "the last output must clear the line of the bar"


def test_fit_uses_number_of_threads_of_context(make_dataset: MakeDataset, tmp_path: Path) -> None:
    seen = []

    class ThreadCountingStory(Story):
        def log(self, step: int, metrics: Mapping[str, float]) -> None:
            seen.append(torch.get_num_threads())

    train, val = make_data(make_dataset)
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            make_cnn(max_epochs=1).fit(
                train, val, make_context(tmp_path / str(threads), ThreadCountingStory(), threads=threads)
            )
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 1]


def test_gradient_clip_limits_updates(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """Adam divides by the gradient's size, so steps shrink only if gradients are far below its epsilon."""
    train, val = make_data(make_dataset)
    spread = {}
    for clip in (1.0, 1e-13):
        tagger = make_cnn(gradient_clip=clip, weight_decay=0.0, max_epochs=1)
        tagger.fit(train, val, make_context(tmp_path / str(clip), Story()))
        start = make_cnn(learning_rate=1e-12, weight_decay=0.0, max_epochs=1)
        start.fit(train, val, make_context(tmp_path / f"start{clip}", Story()))
        spread[clip] = float(np.abs(tagger.predict_proba(val.texts) - start.predict_proba(val.texts)).max())
    assert spread[1e-13] < 1e-4 < 1e-2 < spread[1.0]


def test_fast_dev_run_uses_one_batch_and_writes_no_file(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    story, tagger = Story(), make_cnn()
    tagger.fit(train, val, make_context(tmp_path / "fit", story, trainer=TrainerConfig(fast_dev_run=True)))
    assert (story.epochs, story.steps) == ([0], [1])
    assert len(story.scores[0]) == 8
    assert list_names(tmp_path / "fit") == set()
    assert np.isfinite(tagger.predict_proba(val.texts)).all()


def test_overfitting_one_batch_memorises_it(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    rows: list[dict[str, float]] = []
    context = fit_context(tmp_path, log=lambda step, metrics: rows.append({"step": step, **metrics}))
    tagger = make_cnn(max_epochs=60, patience=60, dropout=0.0)
    tagger.fit(train, val, replace(context, trainer=TrainerConfig(overfit_batches=1)))
    assert [row["step"] for row in rows] == list(range(1, 61)), "one batch per epoch"
    assert rows[-1]["val/f1_weighted"] > 0.99
    assert rows[-1]["train/loss"] < 0.1 < rows[0]["train/loss"]


def test_batch_limits_shorten_an_epoch(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    story = Story()
    limits = TrainerConfig(limit_train_batches=2, limit_val_batches=1)
    make_cnn().fit(train, val, make_context(tmp_path / "fit", story, trainer=limits))
    assert story.steps == [2, 4, 6, 8, 10]
    assert {len(scores) for scores in story.scores} == {8}
    assert story.rows[-1]["learning_rate"] == pytest.approx(0), "the rate must decay over the limited number of steps"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_error_names_remedy(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    context = make_context(tmp_path / "fit", Story(), trainer=TrainerConfig(accelerator=Accelerator.gpu))
    with pytest.raises(UserError, match=r"trainer=gpu.*trainer=cpu"):
        make_cnn().fit(train, val, context)


def test_bfloat16_trains_and_keeps_float32_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    tagger, story = make_cnn(), Story()
    tagger.fit(train, val, make_context(tmp_path / "fit", story, trainer=TrainerConfig(precision=Precision.bfloat16)))
    saved = saved_weights(tagger, tmp_path / "model")
    assert saved != reference.weights
    assert len(saved) == len(reference.weights)
    scores = tagger.predict_proba(val.texts)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, reference.scores, atol=0.05)
    assert all(np.isfinite(list(row.values())).all() for row in story.rows)


def test_slurm_environment_causes_no_slurm_messages(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lightning would warn about SLURM commands where they are installed, and requeue a job inside SLURM."""
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with caplog.at_level(logging.INFO):
        make_cnn(max_epochs=1).fit(make_dataset(12), make_dataset(12, seed=1), fit_context(tmp_path / "outside"))
        for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "ratchet", "SLURM_JOB_ID": "1"}.items():
            monkeypatch.setenv(name, value)
        make_cnn(max_epochs=1).fit(make_dataset(12), make_dataset(12, seed=1), fit_context(tmp_path / "inside"))
    assert "SLURM" not in caplog.text
    assert "srun" not in caplog.text


def test_damaged_checkpoint_error_names_file_and_remedy(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = make_data(make_dataset)
    reference = fit_reference(make_cnn(), train, val, tmp_path, SCRIPT)
    directory = tmp_path / "fit"
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, make_context(directory, Interrupted(at=3)))
    torch.save({"epoch": 1}, tmp_path / "other")
    unrelated = (tmp_path / "other").read_bytes()
    for name in list_names(directory):
        path = directory / name
        content = path.read_bytes()
        for damaged in (content[:3000], bytes(range(1, 256)) * 9, b"", unrelated):
            path.write_bytes(damaged)
            with pytest.raises(UserError, match=f"^{re.escape(str(path))}: the checkpoint cannot be read: ") as error:
                make_cnn().fit(train, val, make_context(directory, Story(), resume=True))
            assert f"Delete {directory}: " in str(error.value)
            assert "\n" not in str(error.value)
        path.write_bytes(content)
    (directory / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"best\.ckpt: the checkpoint cannot be read: .*No such file"):
        make_cnn().fit(train, val, make_context(directory, Story(), resume=True))
    shutil.rmtree(directory)
    assert_resumes_identically(make_cnn, train, val, directory, reference, 0)


debug = cast(Any, torch.utils.deterministic)


@pytest.fixture(autouse=True)
def _restore_torch_state() -> Iterator[None]:
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = debug.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        yield
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    debug.fill_uninitialized_memory = filled


def determinism_flags() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        debug.fill_uninitialized_memory,
    )


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("warn_only", [False, True])
@pytest.mark.parametrize("filled", [False, True])
def test_deterministic_restores_determinism_flags(enabled: bool, warn_only: bool, filled: bool) -> None:
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only and enabled)
    debug.fill_uninitialized_memory = filled
    before = determinism_flags()
    with deterministic():
        torch.use_deterministic_algorithms(not enabled)
        assert debug.fill_uninitialized_memory is False
    assert determinism_flags() == before


def test_deterministic_restores_random_state() -> None:
    before = torch.get_rng_state()
    with deterministic():
        torch.manual_seed(123)
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_deterministic_restores_state_after_error() -> None:
    state, before = torch.get_rng_state(), determinism_flags()

    def fail() -> None:
        with deterministic():
            torch.use_deterministic_algorithms(not before[0])
            torch.rand(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert determinism_flags() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_quiet_suppresses_lightning_messages_below_warning() -> None:
    lightning, handler = logging.getLogger("pytorch_lightning"), BufferingHandler(10)
    level = lightning.level
    lightning.addHandler(handler)
    with quiet():
        lightning.info("try our other products")
        lightning.warning("something is wrong")
    lightning.removeHandler(handler)
    assert lightning.level == level
    assert [record.getMessage() for record in handler.buffer] == ["something is wrong"]


def test_quiet_ignores_only_known_warnings() -> None:
    with quiet():
        warnings.warn("It is recommended to use `self.log('f1', ..., sync_dist=True)` when", UserWarning, stacklevel=1)
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="of our own"):
            warnings.warn("of our own", UserWarning, stacklevel=1)
        with pytest.raises(FutureWarning, match="something else"):
            warnings.warn("something else", FutureWarning, stacklevel=1)
    with pytest.raises(FutureWarning):
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)


def test_exit_after_keyboard_interrupt_becomes_keyboard_interrupt() -> None:
    def exit_after(error: BaseException) -> None:
        with interruptible():
            try:
                raise error
            except BaseException:
                raise SystemExit(1)  # noqa: B904  # as in Lightning: the first error is the context

    with pytest.raises(KeyboardInterrupt):
        exit_after(KeyboardInterrupt())
    with pytest.raises(SystemExit) as raised:
        exit_after(ValueError())
    assert raised.value.code == 1


@pytest.mark.parametrize("stop", [SystemExit(143), KeyboardInterrupt()], ids=repr)
def test_error_caused_by_stop_becomes_the_stop(stop: BaseException) -> None:
    """torch's checkpoint writer raises such an error when it is interrupted."""

    def write_checkpoint() -> None:
        try:
            raise stop
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    with pytest.raises(type(stop)) as raised, interruptible():
        write_checkpoint()
    assert raised.value is stop


@pytest.mark.parametrize("error", [SystemExit(143), KeyboardInterrupt(), ValueError("wrong")], ids=repr)
def test_direct_errors_pass_through_interruptible(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, interruptible():
        raise error
    assert raised.value is error


def test_contexts_set_no_signal_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(), deterministic(), quiet():
        assert signal.getsignal(signal.SIGINT) is before

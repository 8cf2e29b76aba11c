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
    """What an interruption raises here."""


def make_cnn(**changed: Any) -> cnn.Tagger:
    chosen: dict[str, Any] = {
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
    return cnn.Tagger(cnn.Settings(name="cnn", complexity=2, **(chosen | changed)))


def make_transformer(**changed: Any) -> transformer.Tagger:
    settings = compose(["model=transformer_tiny", "model.random.hidden_size=16", "model.max_length=16"]).model
    assert isinstance(settings, transformer.Settings)
    return transformer.Tagger(replace(settings, max_epochs=EPOCHS, patience=EPOCHS, batch_size=8, **changed))


@dataclass
class Story:
    """What a fit told about its epochs, and what its metric saw; `values` is what the metric answers, by turns."""

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
    """A story that ends in epoch `at`, where it is told (`log`) or where its metric is asked."""

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


def context_of(directory: Path, story: Story, **changed: Any) -> FitContext:
    directory.mkdir(exist_ok=True)
    metric = ValidationMetric("val/f1_weighted", story.of)
    return replace(fit_context(directory, seed=3), log=story.log, validation_metric=metric, **changed)


def data(make_dataset: MakeDataset) -> tuple[Dataset, Dataset]:
    """Train and val; val's texts stand in the order of their lengths, as its scores do when the metric sees them."""
    val = make_dataset(12, seed=1)
    order = sorted(range(len(val)), key=lambda row: len(val.texts[row].split()))
    return make_dataset(30), replace(val, texts=[val.texts[row] for row in order], targets=val.targets[order])


def weights(tagger: Tagger, directory: Path) -> bytes:
    directory.mkdir()
    tagger.save(directory)
    return (directory / "weights.safetensors").read_bytes()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("best", range(EPOCHS))
def test_it_ends_with_the_weights_of_the_best_epoch(make_dataset: MakeDataset, tmp_path: Path, best: int) -> None:
    train, val = data(make_dataset)
    story = Story([0.9 if epoch == best else 0.1 * epoch for epoch in range(EPOCHS)])
    tagger = make_cnn()
    tagger.fit(train, val, context_of(tmp_path / "fit", story))
    scores = tagger.predict_proba(val.texts)
    distances = [float(np.abs(scores - seen).max()) for seen in story.scores]
    assert len(distances) == EPOCHS
    assert distances[best] < 1e-6
    assert all(distance > 1e-4 for epoch, distance in enumerate(distances) if epoch != best)


def test_of_equally_good_epochs_the_first_is_best(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    story, tagger = Story([0.1, 0.5, 0.5, 0.2, 0.5]), make_cnn()
    tagger.fit(train, val, context_of(tmp_path / "fit", story))
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
def test_it_stops_after_so_many_epochs_without_a_better_one(
    make_dataset: MakeDataset, tmp_path: Path, values: list[float], patience: int, epochs: int
) -> None:
    train, val = data(make_dataset)
    story = Story(values)
    make_cnn(patience=patience).fit(train, val, context_of(tmp_path / "fit", story))
    assert story.epochs == list(range(epochs))


def test_two_whole_checkpoints_are_left_that_need_no_pickle(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    make_cnn().fit(train, val, context_of(tmp_path / "fit", Story()))
    assert names(tmp_path / "fit") == {"best.ckpt", "last.ckpt"}
    epochs = {
        name: torch.load(tmp_path / "fit" / name, weights_only=True)["epoch"] for name in ("best.ckpt", "last.ckpt")
    }
    assert epochs == {"best.ckpt": 2, "last.ckpt": 4}


@dataclass
class Undisturbed:
    """A fit from end to end, to hold others against."""

    story: Story
    weights: bytes
    scores: npt.NDArray[np.float32]


def undisturbed(tagger: Tagger, train: Dataset, val: Dataset, directory: Path, values: Iterable[float]) -> Undisturbed:
    story = Story(list(values))
    tagger.fit(train, val, context_of(directory / "undisturbed", story))
    return Undisturbed(story, weights(tagger, directory / "undisturbed-model"), tagger.predict_proba(val.texts))


def assert_goes_on_as_if_nothing_had_been(
    make: MakeTagger, train: Dataset, val: Dataset, directory: Path, whole: Undisturbed, first: int
) -> None:
    """Resume in `directory`: epochs from `first` on are told as in the `whole` fit, and it ends with the same bits."""
    torch.rand(17)  # whatever this process drew: the other one had not
    story, tagger = Story(whole.story.values[first:]), make()
    tagger.fit(train, val, context_of(directory, story, resume=True))
    assert story.rows == whole.story.rows[first:]
    assert story.steps == whole.story.steps[first:]
    assert weights(tagger, directory.with_name("resumed-model")) == whole.weights
    np.testing.assert_array_equal(tagger.predict_proba(val.texts), whole.scores)
    assert names(directory) == {"best.ckpt", "last.ckpt"}


@pytest.mark.parametrize("place", ["log", "metric"])
@pytest.mark.parametrize("at", range(EPOCHS))
def test_an_interrupted_fit_that_is_resumed_ends_as_an_undisturbed_one(
    make_dataset: MakeDataset, tmp_path: Path, at: int, place: str
) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", Interrupted(at=at, place=place)))
    assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, tmp_path / "fit", whole, at)


@pytest.mark.parametrize("at", [1, 4])
def test_a_transformer_is_resumed_to_the_same_bits_too(make_dataset: MakeDataset, tmp_path: Path, at: int) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_transformer(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_transformer().fit(train, val, context_of(tmp_path / "fit", Interrupted(at=at)))
    assert_goes_on_as_if_nothing_had_been(make_transformer, train, val, tmp_path / "fit", whole, at)


def test_a_fit_may_be_interrupted_more_than_once(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", Interrupted(at=2)))
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", Interrupted(SCRIPT[2:], at=3), resume=True))
    assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, tmp_path / "fit", whole, 3)


def test_patience_is_counted_on_after_an_interruption(make_dataset: MakeDataset, tmp_path: Path) -> None:
    def make() -> Tagger:
        return make_cnn(patience=3, max_epochs=9)

    train, val = data(make_dataset)
    values = [0.1, 0.9, 0.5, 0.4, 0.3, 0.95, 0.95, 0.95, 0.95]
    whole = undisturbed(make(), train, val, tmp_path, values)
    assert whole.story.epochs == [0, 1, 2, 3, 4]
    with pytest.raises(Stopped):
        make().fit(train, val, context_of(tmp_path / "fit", Interrupted(values, at=3)))
    assert_goes_on_as_if_nothing_had_been(make, train, val, tmp_path / "fit", whole, 3)


def test_a_fit_that_came_to_its_last_epoch_has_nothing_to_go_on_with(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """The process may have been stopped after the fit, before its weights were saved."""
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, tmp_path / "undisturbed", whole, EPOCHS)


def test_a_fit_that_was_stopped_early_is_not_gone_on_with(make_dataset: MakeDataset, tmp_path: Path) -> None:
    def make() -> Tagger:
        return make_cnn(patience=2)

    train, val = data(make_dataset)
    values = [0.1, 0.5, 0.4, 0.3, 0.9]
    whole = undisturbed(make(), train, val, tmp_path, values)
    assert whole.story.epochs == [0, 1, 2, 3]
    assert_goes_on_as_if_nothing_had_been(make, train, val, tmp_path / "undisturbed", whole, 4)


def test_a_directory_may_be_moved_before_the_fit_is_resumed(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, context_of(tmp_path / "before", Interrupted(at=3)))
    (tmp_path / "before").rename(tmp_path / "after")
    assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, tmp_path / "after", whole, 3)


def test_without_a_checkpoint_it_begins_at_the_beginning_and_says_so(
    make_dataset: MakeDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    with caplog.at_level(logging.INFO, "ratchet"):
        assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, tmp_path / "fit", whole, 0)
    assert "resumed from the beginning" in caplog.text


def test_where_it_goes_on_is_logged(
    make_dataset: MakeDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, val = data(make_dataset)
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", Interrupted(at=2)))
    with caplog.at_level(logging.INFO, "ratchet"):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", Story(SCRIPT[2:]), resume=True))
    assert f"resumed from {tmp_path / 'fit' / 'last.ckpt'}" in caplog.text


def cut_short(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the write of the `at`-th checkpoint from now on (0: the next one) end halfway, as on a full disk."""
    whole, written = torch.save, iter(range(1000))

    def save(content: Any, file: Any) -> None:
        if next(written) == at:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        whole(content, file)

    monkeypatch.setattr(torch, "save", save)


@pytest.mark.parametrize("at", [4, 5], ids=["best.ckpt", "last.ckpt"])
def test_a_checkpoint_that_cannot_be_written_leaves_one_to_resume_from(
    make_dataset: MakeDataset, tmp_path: Path, at: int
) -> None:
    """Two are written in each of the first three epochs: `at` is one of the third, which is the best one."""
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    with pytest.MonkeyPatch.context() as monkeypatch:
        cut_short(monkeypatch, at)
        with pytest.raises(OSError, match="No space left"):
            make_cnn().fit(train, val, context_of(tmp_path / "fit", Story()))
    assert names(tmp_path / "fit") == {"best.ckpt", "last.ckpt"}
    assert torch.load(tmp_path / "fit" / "last.ckpt", weights_only=True)["epoch"] == 1
    assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, tmp_path / "fit", whole, 2)


def test_a_write_that_is_cut_short_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "last.ckpt"
    WholeFiles().save_checkpoint({"epoch": 1, "weights": torch.ones(3)}, path)
    before = path.read_bytes()
    cut_short(monkeypatch, 0)
    with pytest.raises(OSError, match="No space left"):
        WholeFiles().save_checkpoint({"epoch": 2, "weights": torch.zeros(3)}, path)
    assert path.read_bytes() == before
    assert names(path.parent) == {"last.ckpt"}
    assert torch.load(path, weights_only=True)["epoch"] == 1


def test_neither_chance_before_nor_chance_in_between_changes_a_fit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)

    class Drawing(Story):
        def log(self, step: int, metrics: Mapping[str, float]) -> None:
            torch.manual_seed(int(metrics["epoch"]))
            np.random.seed(1)
            super().log(step, metrics)

    state = np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            tagger, story = make_cnn(), Drawing()
            tagger.fit(train, val, context_of(tmp_path / "fit", story))
    finally:
        np.random.set_state(state)
    assert weights(tagger, tmp_path / "model") == whole.weights
    assert story.rows == whole.story.rows


def test_another_seed_gives_another_fit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    tagger = make_cnn()
    tagger.fit(train, val, replace(context_of(tmp_path / "fit", Story()), seed=4))
    assert weights(tagger, tmp_path / "model") != whole.weights


HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def interrupted_fit(make_dataset: MakeDataset, directory: Path, error: BaseException) -> None:
    train, val = data(make_dataset)
    make_cnn().fit(train, val, context_of(directory / "fit", Interrupted(at=1, error=error)))


def test_ctrl_c_stays_ctrl_c(make_dataset: MakeDataset, tmp_path: Path) -> None:
    handlers = [signal.getsignal(each) for each in HANDLED]
    with pytest.raises(KeyboardInterrupt):
        interrupted_fit(make_dataset, tmp_path, KeyboardInterrupt())
    assert [signal.getsignal(each) for each in HANDLED] == handlers


def test_sigterm_ends_a_fit_as_the_process_wants_it(make_dataset: MakeDataset, tmp_path: Path) -> None:
    def leave(*_: object) -> NoReturn:
        raise SystemExit(143)

    class Terminated(Story):
        def log(self, step: int, metrics: Mapping[str, float]) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().log(step, metrics)

    train, val = data(make_dataset)
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(SystemExit) as left:
            make_cnn().fit(train, val, context_of(tmp_path / "fit", Terminated()))
        assert signal.getsignal(signal.SIGTERM) is leave
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left.value.code == 143


@pytest.mark.parametrize("error", [None, Stopped(), KeyboardInterrupt()], ids=repr)
def test_the_process_is_as_it_was_before_the_fit(
    make_dataset: MakeDataset, tmp_path: Path, error: BaseException | None
) -> None:
    def state() -> dict[str, Any]:
        _, keys, position, *_ = np.random.get_state()
        return {
            "torch": torch.get_rng_state().tolist(),
            "numpy": (keys.tolist(), position),
            "random": random.getstate(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "filled": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            "gradients": torch.is_grad_enabled(),
            "handlers": [signal.getsignal(each) for each in HANDLED],
            "levels": {name: logging.getLogger(name).level for name in ("", "pytorch_lightning", "lightning_fabric")},
            "filters": list(warnings.filters),
            "directory": Path.cwd(),
            "stdout": sys.stdout,
        }

    train, val = data(make_dataset)
    make_cnn().fit(train, val, context_of(tmp_path / "first", Story()))  # what libraries do only once is done now
    story = Story() if error is None else Interrupted(at=1, error=error)
    before = state()
    with nullcontext() if error is None else pytest.raises(type(error)):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", story))
    assert state() == before


def test_nothing_is_printed_and_nothing_advertised(
    make_dataset: MakeDataset, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    train, val = data(make_dataset)
    with caplog.at_level(logging.DEBUG):
        make_cnn().fit(train, val, context_of(tmp_path / "fit", Story()))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    told = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert {record.name.partition(".")[0] for record in told} == {"ratchet"}
    assert len(told) == EPOCHS, "a line an epoch"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_terminal_gets_a_bar_unless_it_is_switched_off(
    make_dataset: MakeDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    train, val = data(make_dataset)
    context = context_of(tmp_path / "fit", Story(), trainer=TrainerConfig(progress_bar=wanted))
    make_cnn().fit(train, val, context)
    captured = capsys.readouterr()
    assert ("Epoch" in captured.out) is wanted
    assert captured.err == ""


def test_the_bar_is_gone_when_training_is_over(
    make_dataset: MakeDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    train, val = data(make_dataset)
    make_cnn(max_epochs=1).fit(train, val, context_of(tmp_path / "fit", Story()))
    out = capsys.readouterr().out
    assert "Epoch" in out
    assert out.endswith("\x1b[2K"), "the last that is done is to empty its line"


def test_as_many_threads_are_used_as_the_run_says(make_dataset: MakeDataset, tmp_path: Path) -> None:
    seen = []

    class Counting(Story):
        def log(self, step: int, metrics: Mapping[str, float]) -> None:
            seen.append(torch.get_num_threads())

    train, val = data(make_dataset)
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            make_cnn(max_epochs=1).fit(train, val, context_of(tmp_path / str(threads), Counting(), threads=threads))
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 1]


def test_gradients_are_clipped(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """Adam divides by the size of the gradient; only where that is far below its epsilon do steps become small."""
    train, val = data(make_dataset)
    spread = {}
    for clip in (1.0, 1e-13):
        tagger = make_cnn(gradient_clip=clip, weight_decay=0.0, max_epochs=1)
        tagger.fit(train, val, context_of(tmp_path / str(clip), Story()))
        start = make_cnn(learning_rate=1e-12, weight_decay=0.0, max_epochs=1)
        start.fit(train, val, context_of(tmp_path / f"start{clip}", Story()))
        spread[clip] = float(np.abs(tagger.predict_proba(val.texts) - start.predict_proba(val.texts)).max())
    assert spread[1e-13] < 1e-4 < 1e-2 < spread[1.0]


def test_fast_dev_run_is_one_batch_and_leaves_no_file(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    story, tagger = Story(), make_cnn()
    tagger.fit(train, val, context_of(tmp_path / "fit", story, trainer=TrainerConfig(fast_dev_run=True)))
    assert (story.epochs, story.steps) == ([0], [1])
    assert len(story.scores[0]) == 8
    assert names(tmp_path / "fit") == set()
    assert np.isfinite(tagger.predict_proba(val.texts)).all()


def test_overfitting_one_batch_learns_it_by_heart(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    rows: list[dict[str, float]] = []
    context = fit_context(tmp_path, log=lambda step, metrics: rows.append({"step": step, **metrics}))
    tagger = make_cnn(max_epochs=60, patience=60, dropout=0.0)
    tagger.fit(train, val, replace(context, trainer=TrainerConfig(overfit_batches=1)))
    assert [row["step"] for row in rows] == list(range(1, 61)), "one batch an epoch"
    assert rows[-1]["val/f1_weighted"] > 0.99
    assert rows[-1]["train/loss"] < 0.1 < rows[0]["train/loss"]


def test_an_epoch_may_be_ended_early(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    story = Story()
    limits = TrainerConfig(limit_train_batches=2, limit_val_batches=1)
    make_cnn().fit(train, val, context_of(tmp_path / "fit", story, trainer=limits))
    assert story.steps == [2, 4, 6, 8, 10]
    assert {len(scores) for scores in story.scores} == {8}
    assert story.rows[-1]["learning_rate"] == pytest.approx(0), "the rate falls over the steps that there are"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_names_the_remedy(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    context = context_of(tmp_path / "fit", Story(), trainer=TrainerConfig(accelerator=Accelerator.gpu))
    with pytest.raises(UserError, match=r"trainer=gpu.*trainer=cpu"):
        make_cnn().fit(train, val, context)


def test_bfloat16_trains_and_keeps_float32_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    tagger, story = make_cnn(), Story()
    tagger.fit(train, val, context_of(tmp_path / "fit", story, trainer=TrainerConfig(precision=Precision.bfloat16)))
    saved = weights(tagger, tmp_path / "model")
    assert saved != whole.weights
    assert len(saved) == len(whole.weights)
    scores = tagger.predict_proba(val.texts)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, whole.scores, atol=0.05)
    assert all(np.isfinite(list(row.values())).all() for row in story.rows)


def test_no_scheduler_has_a_say_in_how_a_network_trains(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lightning would warn of SLURM's commands where they are installed, and requeue the job within one of its jobs."""
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with caplog.at_level(logging.INFO):
        make_cnn(max_epochs=1).fit(make_dataset(12), make_dataset(12, seed=1), fit_context(tmp_path / "outside"))
        for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "ratchet", "SLURM_JOB_ID": "1"}.items():
            monkeypatch.setenv(name, value)
        make_cnn(max_epochs=1).fit(make_dataset(12), make_dataset(12, seed=1), fit_context(tmp_path / "inside"))
    assert "SLURM" not in caplog.text
    assert "srun" not in caplog.text


def test_a_damaged_checkpoint_is_named_and_without_it_the_run_is_not_lost(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    train, val = data(make_dataset)
    whole = undisturbed(make_cnn(), train, val, tmp_path, SCRIPT)
    directory = tmp_path / "fit"
    with pytest.raises(Stopped):
        make_cnn().fit(train, val, context_of(directory, Interrupted(at=3)))
    torch.save({"epoch": 1}, tmp_path / "other")
    other = (tmp_path / "other").read_bytes()
    for name in names(directory):
        path = directory / name
        content = path.read_bytes()
        for damaged in (content[:3000], bytes(range(1, 256)) * 9, b"", other):
            path.write_bytes(damaged)
            with pytest.raises(UserError, match=f"^{re.escape(str(path))}: the checkpoint cannot be read: ") as told:
                make_cnn().fit(train, val, context_of(directory, Story(), resume=True))
            assert f"Delete {directory}: " in str(told.value)
            assert "\n" not in str(told.value)
        path.write_bytes(content)
    (directory / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"best\.ckpt: the checkpoint cannot be read: .*No such file"):
        make_cnn().fit(train, val, context_of(directory, Story(), resume=True))
    shutil.rmtree(directory)
    assert_goes_on_as_if_nothing_had_been(make_cnn, train, val, directory, whole, 0)


debug = cast(Any, torch.utils.deterministic)


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = debug.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        yield
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    debug.fill_uninitialized_memory = filled


def determinism() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        debug.fill_uninitialized_memory,
    )


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("warn_only", [False, True])
@pytest.mark.parametrize("filled", [False, True])
def test_determinism_is_as_it_was_after_the_block(enabled: bool, warn_only: bool, filled: bool) -> None:
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only and enabled)
    debug.fill_uninitialized_memory = filled
    before = determinism()
    with deterministic():
        torch.use_deterministic_algorithms(not enabled)
        assert debug.fill_uninitialized_memory is False
    assert determinism() == before


def test_chance_is_as_it_was_after_the_block() -> None:
    before = torch.get_rng_state()
    with deterministic():
        torch.manual_seed(123)
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_determinism_and_chance_are_as_they_were_after_an_error() -> None:
    state, before = torch.get_rng_state(), determinism()

    def fail() -> None:
        with deterministic():
            torch.use_deterministic_algorithms(not before[0])
            torch.rand(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert determinism() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_lightning_may_warn_but_not_advertise(caplog: pytest.LogCaptureFixture) -> None:
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    with quiet():
        lightning.info("try our other products")
        lightning.warning("something is wrong")
    assert lightning.level == level
    assert "products" not in caplog.text


def test_only_the_warnings_that_cannot_be_helped_are_held_back() -> None:
    with quiet():
        warnings.warn("It is recommended to use `self.log('f1', ..., sync_dist=True)` when", UserWarning, stacklevel=1)
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="of our own"):
            warnings.warn("of our own", UserWarning, stacklevel=1)
        with pytest.raises(FutureWarning, match="something else"):
            warnings.warn("something else", FutureWarning, stacklevel=1)
    with pytest.raises(FutureWarning):
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)


def test_the_exit_that_follows_ctrl_c_is_a_keyboard_interrupt_again() -> None:
    def exit_after(error: BaseException) -> None:
        with interruptible():
            try:
                raise error
            except BaseException:
                raise SystemExit(1)  # noqa: B904  # as Lightning does it: the first error is the context

    with pytest.raises(KeyboardInterrupt):
        exit_after(KeyboardInterrupt())
    with pytest.raises(SystemExit) as left:
        exit_after(ValueError())
    assert left.value.code == 1


@pytest.mark.parametrize("stop", [SystemExit(143), KeyboardInterrupt()], ids=repr)
def test_an_error_that_a_stop_led_to_is_the_stop_again(stop: BaseException) -> None:
    """torch's writer of checkpoints says that it wrote less than it should have."""

    def written() -> None:
        try:
            raise stop
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    with pytest.raises(type(stop)) as raised, interruptible():
        written()
    assert raised.value is stop


@pytest.mark.parametrize("error", [SystemExit(143), KeyboardInterrupt(), ValueError("wrong")], ids=repr)
def test_other_errors_come_out_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, interruptible():
        raise error
    assert raised.value is error


def test_no_handler_is_set() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(), deterministic(), quiet():
        assert signal.getsignal(signal.SIGINT) is before

"""Tests of the contract checks: a correct model passes all of them, and each defect is caught and explained."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.config import compose
from ratchet.contract import CHECKS, Outcome, Status, Subject, make_subject, run_check, run_checks
from ratchet.contract.toy_data import ODD_TEXTS, TOPICS, make_toy_dataset
from ratchet.data.dataset import Task
from ratchet.errors import UserError
from ratchet.project import Project
from ratchet.project_modules import import_project_module

MODEL = """\
import json
from dataclasses import dataclass

import numpy as np

from ratchet.config import ModelConfig
from ratchet.data.known import prepare_fit
from ratchet.taggers import Evidence


@dataclass
class Settings(ModelConfig):
    smoothing: float = 1.0


class Tagger:
    deterministic = True

    def __init__(self, settings):
        self.settings = settings

    def fit(self, train, val, context):
        targets, known = prepare_fit(train.targets, train.known)
        texts = len(train) if known is None else known.sum(axis=0)
        frequencies = targets.sum(axis=0) / (texts + self.settings.smoothing)
        self.use(list(train.labels), frequencies)

    def use(self, labels, frequencies):
        self.labels = labels
        self.frequencies = np.asarray(frequencies, dtype=np.float32)
        self.num_parameters = len(labels)
        self.size_bytes = 4 * len(labels)

    def predict_proba(self, texts):
        scores = np.tile(self.frequencies, (len(texts), 1))
        return scores

    def explain(self, texts):
        pieces = [Evidence(label, "often", 1.0) for label in self.labels]
        return [pieces for _ in texts]

    def save(self, directory):
        content = {"labels": self.labels, "frequencies": self.frequencies.tolist()}
        (directory / "model.json").write_text(json.dumps(content))

    @classmethod
    def load(cls, directory):
        content = json.loads((directory / "model.json").read_text())
        tagger = cls(Settings(name="mine", complexity=0))
        tagger.use(content["labels"], content["frequencies"])
        return tagger
"""
SCORES = "        return scores\n"
FREQUENCIES = "        frequencies = targets.sum"
USE = "        self.use(list(train.labels), frequencies)\n"
WRITE = '        (directory / "model.json").write_text(json.dumps(content))\n'
LOAD = "        return tagger\n"
PIECES = "        return [pieces for _ in texts]\n"
NEEDS_TORCH = "        import torch\n        return tagger\n"
SORTED_COLUMNS = "        targets = targets[:, np.argsort(train.labels)]\n"
ALL_ZERO = "        if targets.all(axis=0).any():\n            frequencies = frequencies * 0\n"
ZIP_OF_PICKLES = '        np.savez(directory / "a.npz", a=np.array([{}], dtype=object), allow_pickle=True)\n'

BROKEN = {  # defect: the check that catches it, the text to replace, its replacement, and words of the explanation
    "no method": ("it has every method of a tagger", "def save(", "def store(", ["no save"]),
    "deterministic is text": ("it declares whether", "= True", '= "yes"', ["`deterministic` is 'yes'", "class"]),
    "NumPy integer": ("size and parameters", "= 4 * len(labels)", "= np.int64(12)", ["size_bytes", "int64", "int("]),
    "negative": ("size and parameters", "parameters = len(labels)", "parameters = -1", ["num_parameters", "-1"]),
    "float64": (
        "float32 in [0, 1], multilabel",
        SCORES,
        "        return scores.astype(float)\n",
        ["predict_proba returned float64", "astype(np.float32)"],
    ),
    "too few columns": (
        "float32 in [0, 1], multiclass",
        SCORES,
        "        return scores[:, :2]\n",
        ["predict_proba returned float32 (12, 2)", "each of the 3 labels"],
    ),
    "a list": ("float32 in [0, 1]", SCORES, "        return scores.tolist()\n", ["predict_proba", "a list", "NumPy"]),
    "above 1": ("float32 in [0, 1]", SCORES, "        return scores * 4\n", ["[0, 1]", "from", "in predict_proba"]),
    "below 0": ("float32 in [0, 1]", SCORES, "        return scores - 1\n", ["reach from -", "in predict_proba"]),
    "NaN": ("float32 in [0, 1]", SCORES, "        return scores * np.float32('nan')\n", ["36 of 36", "predict_proba"]),
    "always 0": ("float32 in [0, 1]", SCORES, "        return scores * 0\n", ["predict_proba", "every score is 0"]),
    "no rows": ("no texts give no rows", SCORES, "        return np.vstack(list(scores))\n", ["ValueError"]),
    "only lists": ("texts may be any sequence", SCORES, "        texts + []\n        return scores\n", ["TypeError"]),
    "tuples score 0": (
        "texts may be any sequence",
        SCORES,
        "        return scores * isinstance(texts, list)\n",
        ["predict_proba", "tuple", "list(texts)"],
    ),
    "has a state": (
        "repeated predictions",
        SCORES,
        "        self.frequencies = self.frequencies / np.float32(2)\n        return scores\n",
        ["predict_proba", "every call", "no attribute"],
    ),
    "depends on the batch": (
        "scores depend on the text alone",
        SCORES,
        "        return scores / np.float32(max(1, len(texts)))\n",
        ["predict_proba", "independently"],
    ),
    "depends on the order": (
        "scores depend on the text alone",
        SCORES,
        "        return scores * np.float32(len(texts) == 1 or texts[-1] == 'speech')\n",
        ["predict_proba", "order"],
    ),
    "fails on an empty text": (
        "odd texts can be scored",
        SCORES,
        "        [text.split()[0] for text in texts]\n        return scores\n",
        ["the text 'empty'", "IndexError"],
    ),
    "a long text changes others": (
        "odd texts can be scored",
        SCORES,
        "        return scores * np.float32(max(map(len, texts), default=0) < 1000)\n",
        ["the text 'huge'", "predict_proba", "independently"],
    ),
    "unknown label": ("evidence names known labels", "Evidence(label,", "Evidence('x',", ["explain", "label='x'"]),
    "blank words": ("evidence names known labels", '"often"', '" "', ["explain", "not blank"]),
    "infinite weight": ("evidence names known labels", "1.0)", "float('inf'))", ["explain", "finite"]),
    "too little evidence": ("evidence names known", PIECES, "        return [pieces]\n", ["explain", "1 lists for 14"]),
    "unsorted": (
        "evidence is sorted",
        "label in self.labels]",
        "label in self.labels] + [Evidence('audio', 'w', 2.0)]",
        ["explain", "decreasing weight"],
    ),
    "evidence for nothing": (
        "no texts give no evidence",
        PIECES,
        "        return [pieces]\n",
        ["explain", "empty list"],
    ),
    "sorted columns": (
        "score columns follow",
        FREQUENCIES,
        SORTED_COLUMNS + FREQUENCIES,
        ["predict_proba", "['vision', 'graphs', 'audio']", "fit"],
    ),
    "fails on odd training texts": (
        "odd training texts",
        FREQUENCIES,
        "        [text.split()[0] for text in train.texts]\n" + FREQUENCIES,
        ["IndexError"],
    ),
    "global noise": (
        "the same seed gives the same scores",
        USE,
        "        frequencies = frequencies * np.random.uniform(0.5, 1)\n" + USE,
        ["fit", "context.seed"],
    ),
    "seeds the global generator": (
        "global random state",
        USE,
        "        np.random.seed(context.seed)\n" + USE,
        ["fit", "change np.random.", "default_rng(context.seed)"],
    ),
    "draws in predict_proba": (
        "global random state",
        SCORES,
        "        import random\n        random.random()\n        return scores\n",
        ["predict_proba", "change random."],
    ),
    "random though deterministic": (
        "a deterministic model ignores the seed",
        USE,
        "        frequencies = frequencies * np.random.default_rng(context.seed).uniform(0.5, 1)\n" + USE,
        ["deterministic = True", "fit"],
    ),
    "high score without texts": (
        "a label without training texts scores low, multilabel",
        USE,
        "        frequencies = frequencies * 0 + 0.6\n" + USE,
        ["the first of 4 labels", "predict_proba", "0.6", "fit"],
    ),
    "one label on every text": ("a label may be on every", USE, ALL_ZERO + USE, ["predict_proba", "other labels"]),
    "unknown is 0 or 1": ("unknown targets", "(train.targets, train.known)", "(train.targets, None)", ["train.known"]),
    "divides by no known target": (
        "unknown targets",
        "prepare_fit(train.targets, train.known)",
        "train.targets, train.known\n        self.settings = Settings(name='mine', complexity=0, smoothing=0.0)",
        ["divide"],
    ),
    "sorts texts": ("fit leaves data", USE, "        train.texts.sort()\n" + USE, ["fit", "train.texts", "copy"]),
    "adds a label": ("fit leaves data", USE, "        val.labels.append('x')\n" + USE, ["fit", "val.labels"]),
    "writes to targets": ("fit leaves data", USE, "        train.targets[:] = 0\n" + USE, ["fit", "targets.copy()"]),
    "changes settings": (
        "fit leaves data",
        USE,
        "        self.settings.smoothing += 1\n" + USE,
        ["settings", "__init__ or fit"],
    ),
    "writes a log": (
        "nothing is written",
        USE,
        "        open('log.txt', 'w').close()\n" + USE,
        ["fit", "log.txt", "context.directory"],
    ),
    "saves nothing": ("load restores", WRITE, "", ["save", "no file"]),
    "rounds": (
        "load restores",
        "frequencies.tolist()",
        "frequencies.astype(np.float16).tolist()",
        ["load", "full precision"],
    ),
    "forgets its size": (
        "load restores",
        LOAD,
        "        tagger.size_bytes = 0\n        return tagger\n",
        ["load", "size_bytes", "12 before and 0 after"],
    ),
    "returns another object": (
        "load restores",
        LOAD,
        "        return tagger.labels\n",
        ["load must return a tagger", "a list"],
    ),
    "reads the files later": (
        "load restores",
        "        content = json.loads(",
        "        cls.predict_proba = lambda self, texts: np.load(directory / 'x.npy')\n        content = json.loads(",
        ["FileNotFoundError"],
    ),
    "needs torch": ("a process without torch", LOAD, NEEDS_TORCH, ["load", "no torch here", "Import torch inside fit"]),
    "prints": ("a process without torch", LOAD, "        print('!')\n" + LOAD, ["load", "print nothing"]),
    "global state": (
        "a process without torch",
        "        self.labels = labels\n",
        "        import sys\n        frequencies = np.asarray(frequencies) * ('pytest' in sys.modules)\n"
        "        self.labels = labels\n",
        ["save", "load", "new process"],
    ),
    "writes the time": (
        "saving twice",
        WRITE,
        '        import time\n        content["time"] = time.perf_counter_ns()\n' + WRITE,
        ["save", "model.json differs"],
    ),
    "saves noise": (
        "the same seed saves the same bytes",
        USE,
        "        frequencies = frequencies * np.random.uniform(0.5, 1)\n" + USE,
        ["save", "fit", "model.json differs"],
    ),
    "suffix of a pickle": ("only safe formats", WRITE, WRITE.replace(".json", ".pkl"), ["save", "model.pkl", "JSON"]),
    "a pickle": (
        "only safe formats",
        WRITE,
        WRITE + "        import pickle\n        (directory / 'model.bin').write_bytes(pickle.dumps(content))\n",
        ["save", "model.bin is one", "skops"],
    ),
    "an array of objects": (
        "only safe formats",
        WRITE,
        WRITE + "        np.save(directory / 'a.npy', np.array([{}], dtype=object), allow_pickle=True)\n",
        ["save", "a.npy is an array of objects"],
    ),
    "a zip of pickles": ("only safe formats", WRITE, WRITE + ZIP_OF_PICKLES, ["save", "a.npy is an array of objects"]),
    "a file for each label": (
        "labels with any characters",
        WRITE,
        WRITE + "        for label in self.labels:\n            (directory / label).write_text('')\n",
        ["the labels ['c++ / c#'", "FileNotFoundError"],
    ),
    "two labels": ("a single label is enough, multiclass", USE, "        frequencies[1]\n" + USE, ["a single label"]),
    "needs four texts": (
        "one to three training texts are enough, multilabel",
        USE,
        "        assert len(train) > 2, 'too few'\n" + USE,
        ["1 training text", "AssertionError: too few"],
    ),
    "keeps labels": ("later changes", "list(train.labels)", "train.labels", ["fit must copy", "save", "model.json"]),
    "keeps targets": (
        "later changes",
        USE,
        USE + "        shares = lambda: np.float32(targets.mean(axis=0))\n"
        "        self.predict_proba = lambda texts: np.tile(shares(), (len(texts), 1))\n",
        ["fit must copy", "the scores"],
    ),
}

MakeSubject = Callable[[str], Subject]


@pytest.fixture
def make_own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSubject:
    """Return a function that makes a subject of the source of a model, in a project of its own."""
    (tmp_path / "ratchet.yaml").touch()
    (tmp_path / "models").mkdir()
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)

    def make(source: str) -> Subject:
        (tmp_path / "models/mine.py").write_text(source, encoding="utf-8")
        module = import_project_module(Project.find().root, "models", "mine")
        return Subject(module.Tagger, module.Settings(name="mine", complexity=0), tmp_path / "files")

    return make


def run_named(name: str, subject: Subject) -> Outcome:
    """Run the first check whose name contains `name`."""
    return run_check(next(check for check in CHECKS if name in check.name), subject)


def line_of(source: str, code: str) -> int:
    return 1 + next(number for number, line in enumerate(source.splitlines()) if code in line)


def test_correct_model_passes_every_check(make_own_model: MakeSubject) -> None:
    steps: list[int] = []
    outcomes = run_checks(make_own_model(MODEL), steps.append)
    assert outcomes == [Outcome(check.name, Status.ok) for check in CHECKS]
    assert sum(steps) == len(CHECKS)


def test_toy_data_are_what_the_checks_assume() -> None:
    assert len(ODD_TEXTS["huge"]) >= 200_000
    for task in Task:
        train = make_toy_dataset(task=task, labels=["unheard-of", *TOPICS])
        assert not train.targets[:, 0].any()
        assert train.targets[:, 1:].any(axis=0).all()


def test_names_of_checks_are_unique() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS) >= 36


@pytest.mark.parametrize("defect", BROKEN)
def test_defect_is_caught_and_explained(make_own_model: MakeSubject, defect: str) -> None:
    name, old, new, words = BROKEN[defect]
    assert old in MODEL
    outcome = run_named(name, make_own_model(MODEL.replace(old, new)))
    assert outcome.status is Status.failed
    for word in words:
        assert word in outcome.explanation
    if re.match(r"(With .*: )?\w+Error: ", outcome.explanation):
        assert outcome.location is not None
        assert outcome.location.startswith("models/mine.py, line ")


def test_every_check_catches_a_defect() -> None:
    """A check that no broken model fails could be vacuous; checks of both tasks share a function."""
    caught = {next(check.name for check in CHECKS if name in check.name) for name, *_ in BROKEN.values()}
    of_one_task = {check.name.removesuffix(", multilabel").removesuffix(", multiclass") for check in CHECKS}
    caught_once = {name.removesuffix(", multilabel").removesuffix(", multiclass") for name in caught}
    assert of_one_task - caught_once == {CHECKS[0].name}


def test_exception_in_fit_is_reported_with_its_line(make_own_model: MakeSubject) -> None:
    source = MODEL.replace(USE, "        raise KeyError('colour')\n")
    first, *others = run_checks(make_own_model(source))
    assert (first.status, first.explanation) == (Status.failed, "KeyError: 'colour'")
    assert first.location == f"models/mine.py, line {line_of(source, 'raise KeyError')}, in fit"
    assert {outcome.status for outcome in others} == {Status.not_run}
    assert len(others) == len(CHECKS) - 1


def test_exception_in_helper_module_is_reported_with_its_line(make_own_model: MakeSubject, tmp_path: Path) -> None:
    (tmp_path / "models/_helper.py").write_text("def help():\n    return 1 / 0\n", encoding="utf-8")
    subject = make_own_model("from ._helper import help\n" + MODEL.replace(SCORES, "        return help()\n"))
    outcome = run_named("repeated", subject)
    assert outcome.explanation == "ZeroDivisionError: division by zero"
    assert outcome.location == "models/_helper.py, line 2, in help"


def test_write_to_targets_is_located(make_own_model: MakeSubject) -> None:
    source = MODEL.replace(USE, "        train.targets[:] = 0\n" + USE)
    outcome = run_named("fit leaves data", make_own_model(source))
    assert outcome.location == f"models/mine.py, line {line_of(source, 'targets[:] = 0')}, in fit"


def test_wrong_signature_is_reported_with_the_file(make_own_model: MakeSubject) -> None:
    first, *_ = run_checks(make_own_model(MODEL.replace("def __init__(self, settings)", "def __init__(self)")))
    assert first.explanation.startswith("TypeError: ")
    assert "__init__" in first.explanation
    assert first.location == "models/mine.py"


def test_user_error_on_ordinary_data_is_raised(make_own_model: MakeSubject) -> None:
    """A library that is not installed is no defect of the model."""
    error = "        from ratchet.errors import UserError\n        raise UserError('needs torch')\n"
    with pytest.raises(UserError, match="needs torch"):
        run_checks(make_own_model(MODEL.replace(USE, error)))


def test_user_error_on_few_texts_is_a_defect(make_own_model: MakeSubject) -> None:
    error = (
        "        from ratchet.errors import UserError\n        if len(train) < 2:\n            raise UserError('few')\n"
    )
    outcome = run_named("one to three", make_own_model(MODEL.replace(USE, error + USE)))
    assert (outcome.status, outcome.explanation) == (Status.failed, "With 1 training text: few")


def test_missing_library_of_explain_is_no_defect(make_own_model: MakeSubject) -> None:
    error = "        from ratchet.errors import UserError\n        raise UserError('needs captum')\n"
    outcome = run_named("evidence is sorted", make_own_model(MODEL.replace(PIECES, error)))
    assert (outcome.status, outcome.explanation) == (Status.not_run, "needs captum")


def test_missing_library_of_export_is_no_defect(make_own_model: MakeSubject) -> None:
    export = (
        "    def export(self, directory, precision):\n        from ratchet.errors import UserError\n"
        "        raise UserError('needs onnx')\n\n"
    )
    subject = make_own_model(MODEL.replace("    def save(", export + "    def save("))
    outcome = run_named("a process without torch", subject)
    assert (outcome.status, outcome.explanation) == (Status.not_run, "needs onnx")


def test_training_of_networks_is_shortened(tmp_path: Path) -> None:
    settings = compose(["model=cnn"]).model
    longer = vars(settings)["max_epochs"]
    subject = make_subject(settings, tmp_path, max_epochs=1)
    assert vars(subject.settings)["max_epochs"] == 1
    assert vars(settings)["max_epochs"] == longer > 1, "the settings of the caller stay as they are"

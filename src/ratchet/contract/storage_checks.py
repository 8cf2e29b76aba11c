"""Check what a model saves: it is loaded with the same scores, in safe formats, and without torch where exported."""

import io
import json
import pickletools
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ratchet.contract.subject import (
    TEXTS,
    Check,
    ContractBroken,
    NotChecked,
    Subject,
    case,
    require,
    require_same_scores,
    require_scores,
)
from ratchet.contract.toy_data import ODD_TEXTS, make_toy_dataset
from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.taggers import Exporter, ExportPrecision, Tagger

_PICKLE_SUFFIXES = {".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt"}
_ALL_TEXTS = (*TEXTS, *ODD_TEXTS.values())
_EXPORT_TOLERANCE = 1e-4  # largest difference between two libraries' values of the same float32 score
_SAFE = "Use JSON for words and settings, np.save for arrays, safetensors for networks, skops for scikit-learn."
_SCORE_WITHOUT_TORCH = """
import json, operator, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "pytorch_lightning", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(f"no {name} here", name=name)
sys.meta_path.insert(0, Absent())  # None in sys.modules would do, but libraries look there to see what is loaded
from importlib import import_module
from pathlib import Path
tagger = operator.attrgetter(sys.argv[2])(import_module(sys.argv[1])).load(Path("model"))
print(json.dumps(tagger.predict_proba(json.loads(Path("texts.json").read_text(encoding="utf-8"))).tolist()))
"""


def check_loading(subject: Subject, *, task: Task) -> None:
    """Require that `load` returns what was saved: scores, sizes, and the files of another save."""
    tagger = subject.fit(make_toy_dataset(task=task), make_toy_dataset(9, task=task, seed=1))
    with subject.temporary_directory() as directory:
        tagger.save(directory)
        files = _read_files(directory)
        require(bool(files), "save must write what load needs into its directory; it writes no file there.")
        loaded = type(tagger).load(directory)
    require(
        isinstance(loaded, Tagger),
        f"load must return a tagger; it returns a {type(loaded).__name__}. End it with `return tagger`.",
    )
    requirement = "load must return a tagger with the scores of the saved one, bit for bit"
    remedy = "Save every value that predict_proba uses in full precision; it must not read the files again."
    require_same_scores(
        loaded.predict_proba(list(_ALL_TEXTS)), tagger.predict_proba(list(_ALL_TEXTS)), requirement, remedy
    )
    require_scores(loaded.predict_proba([]), 0, 3)
    for name in ("num_parameters", "size_bytes", "deterministic"):
        before, after = getattr(tagger, name), getattr(loaded, name)
        require(
            before == after,
            f"load must return a tagger with the {name} of the saved one; it is {before} before and {after} after. Let "
            "fit and load set it in the same way.",
        )
    _require_same_files(_save(subject, loaded), files, "A loaded tagger must save the files it was loaded from")


def check_export(subject: Subject) -> None:
    """Require a process without torch to score as this one, from an export or, without `export`, from what is saved."""
    tagger = subject.fitted
    method = "export" if isinstance(tagger, Exporter) else "save"
    with subject.temporary_directory() as directory:
        (directory / "model").mkdir()
        if isinstance(tagger, Exporter):
            try:
                tagger.export(directory / "model", ExportPrecision.float32)
            except UserError as error:  # the libraries for it are an extra
                raise NotChecked(str(error)) from error
        else:
            tagger.save(directory / "model")
        for name, content in _read_files(directory / "model").items():
            _require_safe(name, content, method)
        scores = _score_without_torch(tagger, directory, method)
    require_same_scores(
        scores,
        tagger.predict_proba(list(_ALL_TEXTS)),
        f"The files of {method} must give the same scores in a new process",
        "Let load read all that predict_proba uses from the files, not from a global variable, and use no order of a "
        "set, which differs between processes.",
        tolerance=_EXPORT_TOLERANCE,
    )


def _score_without_torch(tagger: Tagger, directory: Path, method: str) -> np.ndarray:
    """Score the texts in a new process, from the files in `directory`/model."""
    (directory / "texts.json").write_text(json.dumps(_ALL_TEXTS), encoding="utf-8")
    command = [sys.executable, "-c", _SCORE_WITHOUT_TORCH, type(tagger).__module__, type(tagger).__qualname__]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, encoding="utf-8", check=False)
    last_lines = " ".join(" ".join(done.stderr.strip().splitlines()[-5:]).split())
    require(
        (done.returncode, done.stderr) == (0, ""),
        f"load must work in a new process without torch, from the files of {method}, and print nothing to stderr; it "
        f"printed: {last_lines}. Import torch inside fit; a tagger whose predict_proba needs torch must have a method "
        "export, too, whose files load without it (ratchet.taggers.Exporter).",
    )
    try:
        return np.array(json.loads(done.stdout), dtype=np.float32)
    except ValueError:
        message = f"load and predict_proba must print nothing; they print {done.stdout[:80]!r}. Remove the print."
        raise ContractBroken(message) from None


def check_saving_twice(subject: Subject) -> None:
    """Require the same bytes."""
    first, second = (_save(subject, subject.fitted) for _ in range(2))
    _require_same_files(second, first, "save must write the same bytes each time")


def check_files_of_same_seed(subject: Subject) -> None:
    """Require that two fits with the same seed save the same bytes."""
    first, second = (_save(subject, tagger) for tagger in subject.fitted_with_same_seed)
    _require_same_files(second, first, "save must write the same bytes after two calls of fit with the same seed")


def check_safe_formats(subject: Subject) -> None:
    """Require files that run no code when they are read."""
    for name, content in _save(subject, subject.fitted).items():
        _require_safe(name, content, "save")


def check_names_of_labels(subject: Subject) -> None:
    """Require that labels with any characters are saved."""
    labels = ["c++ / c#", '"quoted", \\n', "機械学習", "  spaced  ", "🎤"]
    names = ["audio", "graphs", "vision", "none", "nothing"]
    train = replace(make_toy_dataset(labels=names), labels=labels, taxonomy=Taxonomy.from_labels(labels))
    with case(f"the labels {labels}"):
        _require_same_after_loading(subject, train, [*TEXTS, *labels])


def check_single_label(subject: Subject, *, task: Task) -> None:
    """Require a fit where there is one label."""
    with case("a single label"):
        _require_same_after_loading(subject, make_toy_dataset(task=task, labels=["audio"]), list(TEXTS))


def check_few_texts(subject: Subject, *, task: Task) -> None:
    """Require a fit on one to three texts, where most labels have no text."""
    for size in (1, 2, 3):
        with case(f"{size} training text{'s' * (size > 1)}"):
            _require_same_after_loading(subject, make_toy_dataset(size, task=task), list(TEXTS))


def check_later_changes(subject: Subject) -> None:
    """Require that a fitted tagger holds no reference to the training data."""
    train = make_toy_dataset()
    tagger = subject.fit(train)
    scores, files = tagger.predict_proba(list(TEXTS)), _save(subject, tagger)
    train.labels.reverse()
    train.texts.clear()
    train.targets[:] = 0
    requirement = "fit must copy what it keeps of train: a later change of train must not change"
    require_same_scores(
        tagger.predict_proba(list(TEXTS)), scores, f"{requirement} the scores", "Copy it, as list(train.labels)."
    )
    _require_same_files(_save(subject, tagger), files, f"{requirement} what save writes")


def _require_same_after_loading(subject: Subject, train: Dataset, texts: list[str]) -> None:
    tagger = subject.fit(train)
    scores = tagger.predict_proba(texts)
    require_scores(scores, len(texts), len(train.labels))
    with subject.temporary_directory() as directory:
        tagger.save(directory)
        loaded = type(tagger).load(directory)
    require_same_scores(
        loaded.predict_proba(texts),
        scores,
        "load must return a tagger with the scores of the saved one, bit for bit",
        "Save every value that predict_proba uses, and every label exactly as it is in train.labels.",
    )


def _save(subject: Subject, tagger: Tagger) -> dict[str, bytes]:
    with subject.temporary_directory() as directory:
        tagger.save(directory)
        return _read_files(directory)


def _read_files(directory: Path) -> dict[str, bytes]:
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def _require_same_files(actual: dict[str, bytes], expected: dict[str, bytes], requirement: str) -> None:
    different = sorted(name for name in {*actual, *expected} if actual.get(name) != expected.get(name))
    require(
        not different,
        f"{requirement}; {', '.join(different)} differs. Write no time, no random name and no set; sort keys.",
    )


def _require_safe(name: str, content: bytes, method: str) -> None:
    """Require that a file is no pickle and contains none: to read a pickle may run any code."""
    requirement = f"{method} must write no pickle, which runs code when it is loaded"
    require(Path(name).suffix not in _PICKLE_SUFFIXES, f"{requirement}; {name} has the suffix of one. {_SAFE}")
    require(not _is_pickle(content), f"{requirement}; {name} is one. {_SAFE}")
    if name.endswith(".npy"):
        try:
            np.load(io.BytesIO(content), allow_pickle=False)
        except ValueError as error:  # an array of objects is a pickle after a header
            raise ContractBroken(f"{requirement}; {name} is an array of objects. {_SAFE}") from error
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                _require_safe(member, archive.read(member), method)


def _is_pickle(content: bytes) -> bool:
    """Return whether `content` is a complete pickle: the first byte is not enough, JSON may begin like protocol 0."""
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except Exception:  # genops raises many kinds for bytes that are no pickle
        return False


STORAGE_CHECKS = (
    *(Check(f"load restores what save wrote, {task.value}", partial(check_loading, task=task)) for task in Task),
    Check("a process without torch can score", check_export),
    Check("saving twice writes the same bytes", check_saving_twice),
    Check("the same seed saves the same bytes", check_files_of_same_seed),
    Check("only safe formats are saved", check_safe_formats),
    Check("labels with any characters are saved", check_names_of_labels),
    *(Check(f"a single label is enough, {task.value}", partial(check_single_label, task=task)) for task in Task),
    *(
        Check(f"one to three training texts are enough, {task.value}", partial(check_few_texts, task=task))
        for task in Task
    ),
    Check("later changes of the data have no effect", check_later_changes),
)

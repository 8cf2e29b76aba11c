"""Load what scores texts: a finished run, an export, or the promoted model; score texts with it.

`load_scorer` is the only way from files to scores: prediction, evaluation, explanation and the checks of an export use
it. It loads torch only for a network that was not exported, and Hydra only for a run, whose configuration names the
columns of its texts; an export has them in its manifest.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.data.texts import TextColumns
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.calibration import Calibration
from ratchet.evaluation.thresholds import Thresholds
from ratchet.extras import require_extra
from ratchet.files import hash_content
from ratchet.inference.manifest import MANIFEST, check_files, read_manifest
from ratchet.models import all_settings, model_modules, settings_class, tagger_class
from ratchet.runs.promotions import Promotion, find_promoted
from ratchet.runs.stored import StoredRun, find_run, list_model_files
from ratchet.taggers import Evidence, Explainer, Exporter, Scores, Tagger, check_scores

EXPORT = "export"  # directory of a run's export, within the run's directory


@dataclass(frozen=True)
class ModelIdentity:
    """Which model answered.

    `sha256` covers all files that affect a score or a decision: of a run these files themselves, of an export its
    manifest, which holds their checksums. `promotion` is set if the model was loaded as the promoted one.
    """

    name: str
    run: str
    config_hash: str
    sha256: str
    exported: bool
    promotion: Promotion | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.run}){', exported' if self.exported else ''}"


@dataclass(frozen=True)
class Scored:
    """The scores of some texts, and the labels that they decide.

    `scores` (float32, calibrated) and `decisions` (0 or 1) have shape (num_texts, num_labels), columns in the order of
    `labels`. Both are read-only.
    """

    scores: Scores
    decisions: npt.NDArray[np.uint8]
    labels: tuple[str, ...]
    model: ModelIdentity

    def decided_labels(self) -> list[list[str]]:
        """Return the decided labels of each text."""
        return [[self.labels[column] for column in np.flatnonzero(row)] for row in self.decisions]


@dataclass(frozen=True)
class Scorer:
    """A tagger with everything that turns its scores into decisions; immutable.

    `text` names the columns of a record that make its text. Exported networks and lexical models score each text
    independently of the others, bit for bit. A network in torch scores texts of similar length in one batch, where the
    last bits may depend on the batch.
    """

    tagger: Tagger
    labels: tuple[str, ...]
    calibration: Calibration
    thresholds: Thresholds
    text: TextColumns
    identity: ModelIdentity

    def __post_init__(self) -> None:
        if self.thresholds.values is not None:
            self.thresholds.values.setflags(write=False)

    def score(self, texts: Sequence[str]) -> Scored:
        """Score texts, calibrate the scores as the run did, and decide with its thresholds.

        Raises:
            ValueError: the tagger breaks its contract: another shape or type, or a score outside of [0, 1].
        """
        raw = check_scores(self.tagger.predict_proba(texts), (len(texts), len(self.labels)))
        scores = self.calibration.apply(raw)
        decisions = self.thresholds.decide(scores)
        scores.setflags(write=False)
        decisions.setflags(write=False)
        return Scored(scores, decisions, self.labels, self.identity)


@dataclass(frozen=True)
class Explanation:
    """Why a text has its labels: the decided ones, the score of every label, and the evidence, strongest first."""

    labels: list[str]
    scores: dict[str, float]
    evidence: list[Evidence]


def explain_text(scorer: Scorer, text: str) -> Explanation:
    """Score a text, and find the words behind its labels.

    Raises:
        UserError: the model cannot explain its scores, or it is an export, which only scores.
    """
    if not isinstance(scorer.tagger, Explainer):
        raise UserError(f"{scorer.identity.name} cannot explain its scores (its tagger has no explain)")
    scored = scorer.score([text])
    scores = dict(zip(scorer.labels, scored.scores[0].tolist(), strict=True))
    return Explanation(scored.decided_labels()[0], scores, scorer.tagger.explain([text])[0])


def load_scorer(source: str | Path | StoredRun, *, runs_dir: Path = Path("runs"), use_export: bool = True) -> Scorer:
    """Load what scores texts.

    Args:
        source: an export's directory; a log of promotions (`promotions/<data>.jsonl`) for the promoted model; a run; or
            what names a run: its directory, an id, the unique beginning or end of one, or `last`.
        runs_dir: where runs are looked up by id.
        use_export: load the export of a run that has one at its default location. `False` loads the run itself, which
            evaluation, explanation and a new export need.

    Raises:
        UserError: no such run or several, a run that did not finish or whose weights were not kept, a damaged export,
            nothing is promoted, or a library that the model needs is not installed.
    """
    if isinstance(source, StoredRun):
        return _load_run_or_export(source, use_export)
    path = Path(source)
    if (path / MANIFEST).is_file():
        return _load_export(path)
    if path.suffix == ".jsonl":
        promotion = _read_promotion(path)
        return _load_run_or_export(answering_run(promotion, runs_dir), use_export, promotion)
    return _load_run_or_export(find_run(runs_dir, str(source)), use_export)


def answering_run(promotion: Promotion, runs_dir: Path) -> StoredRun:
    """Return the run of a promoted candidate that answers: the one of the lowest split seed, then of the lowest seed.

    Never the best one on test: choosing it there would make its test metrics too good.

    Raises:
        UserError: a run of the promoted candidate is not in `runs_dir`.
    """
    runs = [find_run(runs_dir, identifier) for identifier in promotion.runs]
    if not runs:
        raise UserError(f"{promotion.name}: its promotion names no run: promote it again")
    return min(runs, key=lambda run: (run.record.split_seed, run.record.seed, run.record.id))


def find_export(run: StoredRun) -> Path | None:
    """Return where a run's export is by default, or None if there is none."""
    directory = run.path / EXPORT
    return directory if (directory / MANIFEST).is_file() else None


def _read_promotion(path: Path) -> Promotion:
    promotion = find_promoted(path.parent, path.stem)
    if promotion is None:
        raise UserError(f"{path}: nothing is promoted: `ratchet promote` promotes what the gate ships")
    return promotion


def _load_run_or_export(run: StoredRun, use_export: bool, promotion: Promotion | None = None) -> Scorer:
    export = find_export(run) if use_export else None
    return _load_run(run, promotion) if export is None else _load_export(export, promotion)


def _load_run(run: StoredRun, promotion: Promotion | None) -> Scorer:
    from ratchet.config.composition import register  # here: they load Hydra, which an export does not need
    from ratchet.config.saved import load

    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}, only a finished one can score")
    if not (run.path / "model").is_dir():
        raise UserError(
            f"{run.path}: its weights were not kept; a search keeps those of its best trial. `ratchet train "
            "experiment=...` trains the experiment that it wrote, any configuration can be trained again"
        )
    record = run.record
    files = list_model_files(run.path)
    _check_model_files(run)
    settings = all_settings()
    register(settings)
    return _assemble(
        run.path / "model",
        record.model,
        run.read_json,
        TextColumns.from_config(load(run.path / "config.yaml", settings).data),
        ModelIdentity(record.name, record.id, record.config_hash, hash_files(files), False, promotion),
    )


def _check_model_files(run: StoredRun) -> None:
    """Check that what scores and decides is what training wrote. Runs of earlier versions recorded nothing to compare.

    Raises:
        UserError: a file is missing, or has another content.
    """
    for name, expected in run.record.model_files.items():
        path = run.path / name
        if not path.is_file():
            raise UserError(f"{path}: it was removed: restore it, or train again")
        if hash_content(path) != expected:
            raise UserError(f"{path}: it is not what training wrote (its sha256 differs): restore it, or train again")


def _load_export(directory: Path, promotion: Promotion | None = None) -> Scorer:
    manifest = read_manifest(directory)
    check_files(directory, manifest)
    if manifest.module not in model_modules():
        hint = did_you_mean(manifest.module, model_modules())
        raise UserError(f"{directory}: an export of the model {manifest.module!r}, which does not exist here; {hint}")

    def read_json(name: str) -> Any:
        try:
            return json.loads((directory / name).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{directory / name}: cannot be read: {error.strerror}") from error

    sha256 = hash_files([directory / MANIFEST])
    return _assemble(
        directory / "model",
        manifest.module,
        read_json,
        TextColumns(tuple(manifest.text), manifest.text_separator, tuple(manifest.text_files), manifest.text_encoding),
        ModelIdentity(manifest.name, manifest.run, manifest.config_hash, sha256, True, promotion),
    )


def _assemble(
    model: Path, module: str, read_json: Callable[[str], Any], text: TextColumns, identity: ModelIdentity
) -> Scorer:
    """Read the tagger in the directory `model`, and with `read_json` the files next to it."""
    _require_packages(module, identity)
    labels: list[str] = read_json("labels.json")
    return Scorer(
        tagger_class(module).load(model),
        tuple(labels),
        Calibration.from_json(read_json("calibration.json")),
        Thresholds.from_json(read_json("thresholds.json"), labels),
        text,
        identity,
    )


def _require_packages(module: str, identity: ModelIdentity) -> None:
    """Check that the packages of a model are installed; an exported network needs neither torch nor its exporters."""
    extra = settings_class(module).extra
    if extra is not None and identity.exported and issubclass(tagger_class(module), Exporter):
        require_extra("export", "onnxruntime", "tokenizers", what=str(identity))
    elif extra is not None:
        require_extra(extra, what=str(identity))


def hash_files(paths: Iterable[Path]) -> str:
    """Return the sha256 over the names and contents of those of `paths` that are files."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(f"{path.name}\n{hash_content(path)}\n".encode())
    return digest.hexdigest()

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.commands import run_command
from tests.inference.naming import naming_scorer
from tests.sample_runs import rewrite_record

from ratchet.config import compose
from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.export import export_run
from ratchet.inference.scorer import find_export, load_scorer
from ratchet.runs.promotions import Promotion, add_decision
from ratchet.runs.stored import StoredRun, read_run
from ratchet.training import train

TEXTS = ["speech recognition with a microphone", "", "graphs of nodes and edges", "日本語"]

SCORE = """
import json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"no {name} here", name=name)
sys.meta_path.insert(0, Absent())
import ratchet
scorer = ratchet.load_scorer(sys.argv[2])
scored = scorer.score(json.loads(sys.argv[3]))
print(json.dumps([list(scorer.labels), scored.scores.tolist(), scored.decisions.tolist()]))
"""
HEAVY = "torch,transformers,pytorch_lightning,onnx,onnxscript,dvc,wandb"
CONFIGURATION = "hydra,omegaconf"


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train three rule models; all tests share the directory, so copy it before writing into it."""
    directory = tmp_path_factory.mktemp("rules") / "runs"
    overrides = ["data.text=[description]", "data.text_separator=' / '", "evaluation.resamples=100"]
    for seed in (2, 0, 1):
        train(compose([f"runs_dir={directory}", *overrides, f"split.seed={seed}", f"seed={seed}"]))
    return directory


@pytest.fixture
def rule_runs(runs_dir: Path, tmp_path: Path) -> list[StoredRun]:
    """Copy the runs for one test; return them in the order of their split seeds."""
    shutil.copytree(runs_dir, tmp_path / "runs")
    runs = [read_run(path.parent) for path in (tmp_path / "runs").rglob("record.json")]
    return sorted(runs, key=lambda run: run.record.split_seed)


def test_scorer_has_text_columns_and_identity_of_run(rule_runs: list[StoredRun]) -> None:
    scorer, record = load_scorer(rule_runs[0]), rule_runs[0].record
    assert scorer.text == TextColumns(("description",), " / ")
    assert (scorer.identity.name, scorer.identity.run) == ("rule", record.id)
    assert (scorer.identity.config_hash, scorer.identity.exported) == (record.config_hash, False)
    assert str(scorer.identity) == f"rule ({record.id})"


@pytest.mark.parametrize("exported", [False, True])
def test_scored_texts_carry_labels_and_model_identity(rule_runs: list[StoredRun], exported: bool) -> None:
    source = export_run(rule_runs[0]).directory if exported else rule_runs[0].path
    scored = load_scorer(source).score(["a GAN that speaks", ""])
    assert scored.decided_labels() == [["generative-models"], []]
    assert scored.scores.shape == scored.decisions.shape == (2, len(scored.labels))
    assert scored.model.run == rule_runs[0].record.id
    assert scored.model.exported is exported


def test_scorer_and_its_results_are_immutable() -> None:
    scorer = naming_scorer()
    scored = scorer.score(["audio"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        scorer.labels = ()  # type: ignore[misc]
    for array in (scored.scores, scored.decisions, scorer.thresholds.values):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("name", ["thresholds.json", "model/rules.json", "calibration.json", "labels.json"])
def test_identity_depends_on_all_model_files(name: str, rule_runs: list[StoredRun]) -> None:
    rewrite_record(rule_runs[0].path, model_files={})  # as in runs of earlier versions, whose files are not checked
    before = load_scorer(rule_runs[0].path).identity.sha256
    path = rule_runs[0].path / name
    path.write_text(path.read_text() + "\n")
    assert load_scorer(rule_runs[0].path).identity.sha256 != before


def test_identity_does_not_depend_on_run_location(rule_runs: list[StoredRun], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(rule_runs[0].path, tmp_path / "elsewhere"))
    assert load_scorer(copy).identity == load_scorer(rule_runs[0]).identity


def test_export_is_preferred_unless_disabled(rule_runs: list[StoredRun]) -> None:
    run = rule_runs[0]
    run_scorer = load_scorer(run)
    assert find_export(run) is None
    export = export_run(run).directory
    assert find_export(run) == export == run.path / "export"
    by_run_id, from_export = load_scorer(run.record.id, runs_dir=run.path.parents[2]), load_scorer(export)
    assert by_run_id.identity == from_export.identity
    assert str(by_run_id.identity) == f"rule ({run.record.id}), exported"
    assert by_run_id.text == run_scorer.text
    np.testing.assert_array_equal(by_run_id.score(TEXTS).scores, run_scorer.score(TEXTS).scores)
    assert load_scorer(run, use_export=False).identity == run_scorer.identity != by_run_id.identity


def promote(rule_runs: list[StoredRun], directory: Path) -> Promotion:
    decision = Promotion(
        at="2026-03-01T10:15:00+00:00",
        action="promote",
        data="sample",
        name="rule",
        model="rule",
        config_hash=rule_runs[0].record.config_hash,
        runs={run.record.id: str(run.record.split_hash) for run in reversed(rule_runs)},
        why="ships",
        gate="ships",
        forced=False,
    )
    add_decision(directory, decision)
    return decision


def test_promoted_candidate_loads_run_with_lowest_split_seed(rule_runs: list[StoredRun], tmp_path: Path) -> None:
    decision = promote(rule_runs, tmp_path / "promotions")
    scorer = load_scorer(tmp_path / "promotions/sample.jsonl", runs_dir=tmp_path / "runs")
    assert scorer.identity.run == rule_runs[0].record.id
    assert scorer.identity.promotion == decision


def test_missing_promotion_or_run_raises_error(rule_runs: list[StoredRun], tmp_path: Path) -> None:
    log = tmp_path / "promotions/sample.jsonl"
    with pytest.raises(UserError, match=r"sample\.jsonl: nothing is promoted"):
        load_scorer(log, runs_dir=tmp_path / "runs")
    promote(rule_runs, tmp_path / "promotions")
    shutil.rmtree(rule_runs[1].path)
    with pytest.raises(UserError, match=rule_runs[1].record.id):
        load_scorer(log, runs_dir=tmp_path / "runs")


def test_exported_network_scores_without_heavy_dependencies(exported: Path, cnn: StoredRun, tmp_path: Path) -> None:
    blocked = f"{HEAVY},{CONFIGURATION}"
    process = run_command(sys.executable, "-c", SCORE, blocked, exported, json.dumps(TEXTS), cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    labels, scores, decisions = json.loads(process.stdout)
    run_scorer = load_scorer(cnn, use_export=False)
    assert labels == list(run_scorer.labels)
    np.testing.assert_allclose(scores, run_scorer.score(TEXTS).scores, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(decisions, run_scorer.thresholds.decide(np.array(scores)))


def test_lexical_run_needs_no_torch_and_its_export_no_hydra(rule_runs: list[StoredRun], tmp_path: Path) -> None:
    export = export_run(rule_runs[0], out=tmp_path / "export").directory
    outputs = []
    for blocked, source in ((HEAVY, rule_runs[0].path), (f"{HEAVY},{CONFIGURATION}", export)):
        process = run_command(sys.executable, "-c", SCORE, blocked, source, json.dumps(TEXTS), cwd=tmp_path)
        assert (process.returncode, process.stderr) == (0, "")
        outputs.append(process.stdout)
    assert outputs[0] == outputs[1]


def test_exported_network_scores_texts_independently(exported: Path) -> None:
    scorer = load_scorer(exported)
    batch_scores = scorer.score(TEXTS).scores
    for row, text in enumerate(TEXTS):
        np.testing.assert_array_equal(scorer.score([text]).scores[0], batch_scores[row])


@pytest.mark.parametrize("name", ["thresholds.json", "model"])
def test_changed_model_file_is_rejected(name: str, rule_runs: list[StoredRun]) -> None:
    run, path = rule_runs[0], rule_runs[0].path / name
    changed = next(path.iterdir()) if path.is_dir() else path
    before = changed.read_bytes()
    changed.write_bytes(before + b" ")
    with pytest.raises(UserError, match=f"{changed.name}: it is not what training wrote"):
        load_scorer(run, use_export=False)
    changed.unlink()
    with pytest.raises(UserError, match=f"{changed.name}: it was removed"):
        load_scorer(run, use_export=False)
    changed.write_bytes(before)
    assert load_scorer(run, use_export=False).identity.run == run.record.id


def test_unfinished_run_is_rejected(rule_runs: list[StoredRun]) -> None:
    record = rule_runs[0].path / "record.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"finished"', '"failed"'), encoding="utf-8")
    with pytest.raises(UserError, match="the run is failed"):
        load_scorer(rule_runs[0].path)


def test_run_without_weights_is_rejected(rule_runs: list[StoredRun]) -> None:
    shutil.rmtree(rule_runs[0].path / "model")
    with pytest.raises(UserError, match="its weights were not kept"):
        load_scorer(rule_runs[0])


def test_unknown_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run 'unknown'"):
        load_scorer("unknown", runs_dir=tmp_path)


def test_damaged_export_is_rejected(export: Path) -> None:
    with (export / "model/network.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match=r"network\.onnx: damaged"):
        load_scorer(export)


def test_missing_file_is_reported_if_manifest_does_not_list_it(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    del content["files"]["labels.json"]
    (export / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    (export / "labels.json").unlink()
    with pytest.raises(UserError, match=r"labels\.json: cannot be read"):
        load_scorer(export)


@pytest.mark.parametrize("module", ["cnm", "os.path", "../cnn"])
def test_unknown_model_is_reported_and_not_imported(export: Path, module: str) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**content, "module": module}), encoding="utf-8")
    with pytest.raises(UserError, match=f"the model {module!r}"):
        load_scorer(export)

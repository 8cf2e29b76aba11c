import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.commands import run_command
from tests.inference.naming import naming_scorer

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
    """Shared by all tests, with the runs of a rule: copy it before writing into it."""
    directory = tmp_path_factory.mktemp("rules") / "runs"
    text = ["data.text=[description]", "data.text_separator=' / '", "evaluation.resamples=100"]
    for repeat in (2, 0, 1):
        train(compose([f"runs_dir={directory}", *text, f"split.seed={repeat}", f"seed={repeat}"]))
    return directory


@pytest.fixture
def rules(runs_dir: Path, tmp_path: Path) -> list[StoredRun]:
    """Copies of the runs, for one test; in the order of their split seeds."""
    shutil.copytree(runs_dir, tmp_path / "runs")
    runs = [read_run(path.parent) for path in (tmp_path / "runs").rglob("record.json")]
    return sorted(runs, key=lambda run: run.record.split_seed)


def test_a_run_makes_texts_as_its_data_did(rules: list[StoredRun]) -> None:
    scorer, record = load_scorer(rules[0]), rules[0].record
    assert scorer.text == TextColumns(("description",), " / ")
    assert (scorer.identity.name, scorer.identity.run) == ("rule", record.id)
    assert (scorer.identity.config_hash, scorer.identity.exported) == (record.config_hash, False)
    assert str(scorer.identity) == f"rule ({record.id})"


@pytest.mark.parametrize("exported", [False, True])
def test_an_answer_names_labels_and_model(rules: list[StoredRun], exported: bool) -> None:
    source = export_run(rules[0]).directory if exported else rules[0].path
    scored = load_scorer(source).score(["a GAN that speaks", ""])
    assert scored.decided_labels() == [["audio", "generative-models"], []] or scored.decided_labels()[1] == []
    assert scored.scores.shape == scored.decisions.shape == (2, len(scored.labels))
    assert scored.model.run == rules[0].record.id
    assert scored.model.exported is exported


def test_a_scorer_and_its_answers_are_immutable() -> None:
    scorer = naming_scorer()
    scored = scorer.score(["audio"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        scorer.labels = ()  # type: ignore[misc]
    for array in (scored.scores, scored.decisions, scorer.thresholds.values):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("name", ["thresholds.json", "model/rules.json", "calibration.json", "labels.json"])
def test_every_file_that_decides_is_part_of_the_identity(name: str, rules: list[StoredRun]) -> None:
    before = load_scorer(rules[0]).identity.sha256
    path = rules[0].path / name
    path.write_text(path.read_text() + "\n")
    assert load_scorer(rules[0]).identity.sha256 != before


def test_the_place_of_a_run_is_not_part_of_the_identity(rules: list[StoredRun], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(rules[0].path, tmp_path / "elsewhere"))
    assert load_scorer(copy).identity == load_scorer(rules[0]).identity


def test_the_export_of_a_run_answers_for_it_unless_the_run_itself_is_asked_for(rules: list[StoredRun]) -> None:
    run = rules[0]
    itself = load_scorer(run)
    assert find_export(run) is None
    export = export_run(run).directory
    assert find_export(run) == export == run.path / "export"
    of_run, of_export = load_scorer(run.record.id, runs_dir=run.path.parents[2]), load_scorer(export)
    assert of_run.identity == of_export.identity
    assert str(of_run.identity) == f"rule ({run.record.id}), exported"
    assert of_run.text == itself.text
    np.testing.assert_array_equal(of_run.score(TEXTS).scores, itself.score(TEXTS).scores)
    assert load_scorer(run, use_export=False).identity == itself.identity != of_run.identity


def promote(rules: list[StoredRun], directory: Path) -> Promotion:
    decision = Promotion(
        at="2026-03-01T10:15:00+00:00",
        action="promote",
        data="sample",
        name="rule",
        model="rule",
        config_hash=rules[0].record.config_hash,
        runs={run.record.id: str(run.record.split_hash) for run in reversed(rules)},
        why="ships",
        gate="ships",
        forced=False,
    )
    add_decision(directory, decision)
    return decision


def test_the_run_of_the_lowest_split_seed_answers_for_the_promoted_candidate(
    rules: list[StoredRun], tmp_path: Path
) -> None:
    decision = promote(rules, tmp_path / "promotions")
    scorer = load_scorer(tmp_path / "promotions/sample.jsonl", runs_dir=tmp_path / "runs")
    assert scorer.identity.run == rules[0].record.id
    assert scorer.identity.promotion == decision


def test_without_a_promotion_or_its_run_nothing_answers(rules: list[StoredRun], tmp_path: Path) -> None:
    log = tmp_path / "promotions/sample.jsonl"
    with pytest.raises(UserError, match=r"sample\.jsonl: nothing is promoted"):
        load_scorer(log, runs_dir=tmp_path / "runs")
    promote(rules, tmp_path / "promotions")
    shutil.rmtree(rules[1].path)
    with pytest.raises(UserError, match=rules[1].record.id):
        load_scorer(log, runs_dir=tmp_path / "runs")


def test_an_exported_network_scores_where_nothing_heavy_is_installed(
    exported: Path, cnn: StoredRun, tmp_path: Path
) -> None:
    blocked = f"{HEAVY},{CONFIGURATION}"
    done = run_command(sys.executable, "-c", SCORE, blocked, exported, json.dumps(TEXTS), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    labels, scores, decisions = json.loads(done.stdout)
    own = load_scorer(cnn, use_export=False)
    assert labels == list(own.labels)
    np.testing.assert_allclose(scores, own.score(TEXTS).scores, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(decisions, own.thresholds.decide(np.array(scores)))


def test_a_lexical_run_scores_without_torch_and_its_export_without_hydra(
    rules: list[StoredRun], tmp_path: Path
) -> None:
    export = export_run(rules[0], out=tmp_path / "export").directory
    answers = []
    for blocked, source in ((HEAVY, rules[0].path), (f"{HEAVY},{CONFIGURATION}", export)):
        done = run_command(sys.executable, "-c", SCORE, blocked, source, json.dumps(TEXTS), cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        answers.append(done.stdout)
    assert answers[0] == answers[1]


def test_an_exported_network_scores_each_text_independently(exported: Path) -> None:
    scorer = load_scorer(exported)
    together = scorer.score(TEXTS).scores
    for row, text in enumerate(TEXTS):
        np.testing.assert_array_equal(scorer.score([text]).scores[0], together[row])


def test_a_run_that_did_not_finish_does_not_score(rules: list[StoredRun]) -> None:
    record = rules[0].path / "record.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"finished"', '"failed"'), encoding="utf-8")
    with pytest.raises(UserError, match="the run is failed"):
        load_scorer(rules[0].path)


def test_a_run_without_weights_does_not_score(rules: list[StoredRun]) -> None:
    shutil.rmtree(rules[0].path / "model")
    with pytest.raises(UserError, match="its weights were not kept"):
        load_scorer(rules[0])


def test_an_unknown_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run 'nobody'"):
        load_scorer("nobody", runs_dir=tmp_path)


def test_a_damaged_export_is_not_loaded(export: Path) -> None:
    with (export / "model/network.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match=r"network\.onnx: damaged"):
        load_scorer(export)


def test_a_missing_file_is_named_even_if_the_manifest_does_not_list_it(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    del content["files"]["labels.json"]
    (export / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    (export / "labels.json").unlink()
    with pytest.raises(UserError, match=r"labels\.json: cannot be read"):
        load_scorer(export)


@pytest.mark.parametrize("module", ["cnm", "os.path", "../cnn"])
def test_an_unknown_model_is_named_and_not_imported(export: Path, module: str) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**content, "module": module}), encoding="utf-8")
    with pytest.raises(UserError, match=f"the model {module!r}"):
        load_scorer(export)

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.commands import WITHOUT_TORCH, run_command

from ratchet.errors import UserError
from ratchet.exporting import find_export, load_export
from ratchet.exporting.writing import export_run
from ratchet.runs import StoredRun
from ratchet.scoring import load_scorer

TEXTS = ["speech recognition with a microphone", "", "graphs of nodes and edges", "日本語"]

SCORE = """
import json, sys
from pathlib import Path
from ratchet.exporting import load_export
scorer = load_export(Path(sys.argv[1]))
scores = scorer.scores(json.loads(sys.argv[2]))
print(json.dumps([scorer.labels, scores.tolist(), scorer.thresholds.decide(scores).tolist()]))
"""


def test_it_scores_as_the_run_does_where_there_is_no_torch(exported: Path, cnn: StoredRun, tmp_path: Path) -> None:
    done = run_command(sys.executable, "-c", WITHOUT_TORCH + SCORE, exported, json.dumps(TEXTS), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    labels, scores, decisions = json.loads(done.stdout)
    own = load_scorer(cnn)
    expected = own.scores(TEXTS)
    assert labels == own.labels
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(decisions, own.thresholds.decide(np.array(scores)))


def test_it_is_found_in_its_run_once_it_is_there(run: StoredRun) -> None:
    assert find_export(run) is None
    export_run(run)
    found = find_export(run)
    assert found == run.path / "export"
    assert load_export(found).labels == run.read_json("labels.json")


def test_a_damaged_one_is_not_loaded(export: Path) -> None:
    with (export / "model/network.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match=r"network\.onnx: damaged"):
        load_export(export)


def test_a_file_that_its_manifest_does_not_know_of_is_missed_when_it_is_needed(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    del content["files"]["labels.json"]
    (export / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    (export / "labels.json").unlink()
    with pytest.raises(UserError, match=r"labels\.json: cannot be read"):
        load_export(export)


@pytest.mark.parametrize("module", ["cnm", "os.path", "../cnn"])
def test_a_model_that_is_not_there_is_named_and_not_imported(export: Path, module: str) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**content, "module": module}), encoding="utf-8")
    with pytest.raises(UserError, match="which is not there"):
        load_export(export)

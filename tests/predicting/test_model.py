import shutil
from pathlib import Path

import numpy as np
import pytest

from ratchet.config import compose
from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.exporting.writing import export_run
from ratchet.predicting.model import open_model
from ratchet.runs.stored import read_run
from ratchet.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs_dir = tmp_path_factory.mktemp("trained") / "runs"
    text = ["data.text=[description]", "data.text_separator=' / '", "evaluation.resamples=100"]
    return train(compose([f"runs_dir={runs_dir}", *text])).path


def test_a_run_makes_texts_as_its_data_were_made(run: Path) -> None:
    model = open_model(run.parents[2], "last")
    assert model.text == TextColumns(("description",), " / ")
    assert model.name == f"rule ({run.name})"
    assert model.scorer.scores(["a GAN that speaks"]).shape == (1, len(model.scorer.labels))


def test_whatever_decides_tells_a_model_from_another(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    before = open_model(tmp_path, str(run)).digest
    assert open_model(tmp_path, str(copy)).digest == before
    digests = {before}
    for name in ("thresholds.json", "model/rules.json", "calibration.json"):
        path = copy / name
        path.write_text(path.read_text() + "\n")
        digests.add(open_model(tmp_path, str(copy)).digest)
    assert len(digests) == 4


def test_an_export_predicts_where_there_is_one(run: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    copy = Path(shutil.copytree(run, runs_dir / "sample/rule" / run.name))
    itself = open_model(runs_dir, "last")
    export = export_run(read_run(copy)).directory
    of_run, of_export = open_model(runs_dir, "last"), open_model(tmp_path / "nowhere", str(export))
    assert of_run.name == of_export.name == f"rule ({run.name}), exported"
    assert of_run.text == of_export.text == itself.text
    assert of_run.digest == of_export.digest != itself.digest
    texts = ["a GAN that speaks", "speech recognition"]
    np.testing.assert_array_equal(of_run.scorer.scores(texts), itself.scorer.scores(texts))
    assert of_export.scorer.scores(texts).any()


def test_a_damaged_export_does_not_predict(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "runs/sample/rule" / run.name))
    export = export_run(read_run(copy)).directory
    (export / "labels.json").write_text("[]")
    with pytest.raises(UserError, match=r"labels\.json: damaged or changed"):
        open_model(tmp_path / "runs", "last")


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run 'nobody'"):
        open_model(tmp_path, "nobody")

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.inference.naming import files_of

from ratchet.errors import UserError
from ratchet.inference import export, export_checks
from ratchet.inference.export import export_run
from ratchet.inference.export_checks import STEPS, ExportRefused, Trial
from ratchet.inference.manifest import Check
from ratchet.neural import onnx_export
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.taggers import ExportPrecision


def left_over(run: StoredRun) -> list[str]:
    return [path.name for path in run.path.iterdir() if path.name.startswith(".") or path.name == "export"]


def test_the_run_stays_as_it_was_but_for_the_export_and_nothing_is_said(
    run: StoredRun, capfd: pytest.CaptureFixture[str]
) -> None:
    before = files_of(run.path)
    steps: list[int] = []
    done = export_run(run, begin=lambda total: steps.append(-total) or steps.append)
    assert capfd.readouterr() == ("", "")
    assert done.directory == run.path / "export"
    after = files_of(run.path)
    assert {name: content for name, content in after.items() if not name.startswith("export/")} == before
    assert (steps[0], sum(steps)) == (-STEPS, 0)
    assert done.size_mb == pytest.approx(sum(map(len, files_of(done.directory).values())) / 1e6)


def test_two_exports_of_a_run_are_the_same_bytes_and_name_no_file_of_this_machine(
    run: StoredRun, exported: Path
) -> None:
    files = files_of(export_run(run).directory)
    assert files == files_of(exported)
    for name, content in files.items():
        assert b"site-packages" not in content, name
        assert str(Path(export.__file__).parents[1]).encode() not in content, name


def test_an_export_is_replaced_when_that_is_asked_for_and_only_then(run: StoredRun) -> None:
    directory = export_run(run).directory
    (directory / "labels.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"an export exists already: replace=true"):
        export_run(run)
    assert (directory / "labels.json").read_text(encoding="utf-8") == "[]"
    export_run(run, replace=True)
    assert (directory / "labels.json").read_bytes() == (run.path / "labels.json").read_bytes()
    assert left_over(run) == ["export"]


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_export_is_never_replaced(run: StoredRun, tmp_path: Path, replace: bool) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep", encoding="utf-8")
    for out in (tmp_path / "mine", tmp_path / "mine/letter.txt"):
        with pytest.raises(UserError, match=r"is no export: choose another directory with out=DIR"):
            export_run(run, out=out, replace=replace)
    assert (tmp_path / "mine/letter.txt").read_text(encoding="utf-8") == "keep"


def test_another_place_is_made_with_its_parents(run: StoredRun, tmp_path: Path) -> None:
    done = export_run(run, out=tmp_path / "new/place/model")
    assert (tmp_path / "new/place/model/manifest.json").is_file()
    assert done.directory == tmp_path / "new/place/model"
    assert left_over(run) == []


def test_a_float32_export_that_scores_otherwise_is_not_written(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_checks, "TOLERANCE", 0.0)
    with pytest.raises(ExportRefused):
        export_run(run)
    assert left_over(run) == []


def ruined(path: Path) -> None:
    """A quantiser that loses all: every fixed weight of the network becomes 0."""
    import onnx

    network = onnx.load(path)
    for weight in network.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            weight.raw_data = bytes(len(weight.raw_data))
    onnx.save(network, path)


def test_int8_that_costs_f1_is_not_written_and_leaves_what_was_there(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(export_run(run).directory)
    monkeypatch.setattr(onnx_export, "quantise", ruined)
    with pytest.raises(ExportRefused, match=r"int8 may be worse.*f1_weighted -0\.\d+"):
        export_run(run, precision=ExportPrecision.int8, replace=True)
    assert files_of(run.path / "export") == before
    assert left_over(run) == ["export"]


def test_int8_is_written_with_its_figure_and_its_own_thresholds(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_checks, "F1_MARGIN", 1.0)  # few val texts, wide intervals
    done = export_run(run, precision=ExportPrecision.int8)
    check = done.manifest.check
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert check.f1_difference_lower <= check.f1_difference
    assert check.largest_difference > 1e-6
    assert (check.runs, check.records) == ([run.record.id], check.texts)
    assert (done.manifest.precision, done.manifest.thresholds) == ("int8", "export")
    assert (done.directory / "thresholds.json").read_bytes() != (run.path / "thresholds.json").read_bytes()


def test_int8_rests_on_all_repeats_of_the_candidate_and_leaves_nothing_with_them(
    run: StoredRun, repeat: Callable[..., StoredRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_checks, "F1_MARGIN", 1.0)
    other = repeat(1)
    repeat(3, config_hash="another")
    repeat(4, dataset_version="another")
    before = files_of(other.path)
    steps: list[int] = []
    done = export_run(run, precision=ExportPrecision.int8, begin=lambda total: steps.append(-total) or steps.append)
    check = done.manifest.check
    assert check.runs == [run.record.id, other.record.id]
    val = [each.read_json("split.json")["val"] for each in (run, other)]
    assert check.texts == len(val[0])
    assert check.records == len({identifier for ids in val for identifier in ids})
    assert (steps[0], sum(steps)) == (-2 * STEPS, 0)
    assert files_of(other.path) == before
    assert {path.name for path in done.directory.iterdir()} == {
        "labels.json", "thresholds.json", "calibration.json", "manifest.json", "model"
    }  # fmt: skip
    assert left_over(run) == ["export"]


def test_float32_asks_no_other_run(run: StoredRun, repeat: Callable[..., StoredRun]) -> None:
    repeat(1)
    manifest = export_run(run).manifest
    assert (manifest.check.runs, manifest.thresholds) == ([run.record.id], "run")


def test_a_repeat_that_cannot_be_scored_is_named(run: StoredRun, repeat: Callable[..., StoredRun]) -> None:
    other = repeat(1)
    (other.path / "calibration.json").unlink()
    with pytest.raises(UserError, match=other.record.id):
        export_run(run, precision=ExportPrecision.int8)
    assert left_over(run) == []


def test_data_that_have_changed_are_refused(run: StoredRun) -> None:
    config = (run.path / "config.yaml").read_text(encoding="utf-8")
    (run.path / "config.yaml").write_text(
        config.replace("text_separator: ' '", "text_separator: ' - '"), encoding="utf-8"
    )
    with pytest.raises(UserError, match=r"trained on version [0-9a-f]{12} of sample, the records are now version"):
        export_run(run)
    assert left_over(run) == []


def test_a_run_that_did_not_finish_is_refused(run: StoredRun) -> None:
    record = (run.path / "record.json").read_text(encoding="utf-8")
    (run.path / "record.json").write_text(record.replace('"finished"', '"failed"'), encoding="utf-8")
    with pytest.raises(UserError, match="the run is failed"):
        export_run(read_run(run.path))


def test_val_is_read_and_nothing_else(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(run.path / "predictions")
    seen: list[str] = []

    def watched(trial: Trial, metric: str) -> Check:
        seen.extend(trial.val.ids)
        return export_checks.check_float32(trial, metric)

    monkeypatch.setattr(export, "check_float32", watched)
    export_run(run)
    assert seen == run.read_json("split.json")["val"]
    assert not list(run.path.parents[2].rglob("test_readings.jsonl"))

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


def find_leftovers(run: StoredRun) -> list[str]:
    return [path.name for path in run.path.iterdir() if path.name.startswith(".") or path.name == "export"]


def test_export_changes_no_other_file_and_prints_nothing(run: StoredRun, capfd: pytest.CaptureFixture[str]) -> None:
    before = files_of(run.path)
    steps: list[int] = []
    result = export_run(run, begin=lambda total: steps.append(-total) or steps.append)
    assert capfd.readouterr() == ("", "")
    assert result.directory == run.path / "export"
    after = files_of(run.path)
    assert {name: content for name, content in after.items() if not name.startswith("export/")} == before
    assert (steps[0], sum(steps)) == (-STEPS, 0)
    assert result.size_mb == pytest.approx(sum(map(len, files_of(result.directory).values())) / 1e6)


def test_exports_are_reproducible_and_contain_no_local_paths(run: StoredRun, exported: Path) -> None:
    files = files_of(export_run(run).directory)
    assert files == files_of(exported)
    for name, content in files.items():
        assert b"site-packages" not in content, name
        assert str(Path(export.__file__).parents[1]).encode() not in content, name


def test_existing_export_is_replaced_only_on_request(run: StoredRun) -> None:
    directory = export_run(run).directory
    (directory / "labels.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"an export exists already: replace=true"):
        export_run(run)
    assert (directory / "labels.json").read_text(encoding="utf-8") == "[]"
    export_run(run, replace=True)
    assert (directory / "labels.json").read_bytes() == (run.path / "labels.json").read_bytes()
    assert find_leftovers(run) == ["export"]


@pytest.mark.parametrize("replace", [False, True])
def test_other_files_are_never_replaced(run: StoredRun, tmp_path: Path, replace: bool) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep", encoding="utf-8")
    for out in (tmp_path / "mine", tmp_path / "mine/letter.txt"):
        with pytest.raises(UserError, match=r"is no export: choose another directory with out=DIR"):
            export_run(run, out=out, replace=replace)
    assert (tmp_path / "mine/letter.txt").read_text(encoding="utf-8") == "keep"


@pytest.mark.parametrize("name", ["notes.txt", "model/notes.txt"])
def test_export_with_an_added_file_is_not_replaced(run: StoredRun, name: str) -> None:
    directory = export_run(run).directory
    (directory / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=f"did not write: {name}: move it away"):
        export_run(run, replace=True)
    assert (directory / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("content", ['{"name": "a web application"}', "not JSON"])
def test_directory_with_a_manifest_of_another_program_is_not_replaced(
    run: StoredRun, tmp_path: Path, content: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="is no export"):
        export_run(run, out=tmp_path / "site", replace=True)
    assert [path.read_text(encoding="utf-8") for path in (tmp_path / "site").iterdir()] == [content]


def test_output_directory_is_created_with_parents(run: StoredRun, tmp_path: Path) -> None:
    result = export_run(run, out=tmp_path / "new/place/model")
    assert (tmp_path / "new/place/model/manifest.json").is_file()
    assert result.directory == tmp_path / "new/place/model"
    assert find_leftovers(run) == []


def test_float32_export_with_different_scores_is_not_written(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_checks, "TOLERANCE", 0.0)
    with pytest.raises(ExportRefused):
        export_run(run)
    assert find_leftovers(run) == []


def ruin_weights(path: Path) -> None:
    """Set every constant weight of the network to 0, in place of quantising it."""
    import onnx

    network = onnx.load(path)
    for weight in network.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            weight.raw_data = bytes(len(weight.raw_data))
    onnx.save(network, path)


def test_rejected_int8_export_leaves_existing_export(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files_of(export_run(run).directory)
    monkeypatch.setattr(onnx_export, "quantise", ruin_weights)
    with pytest.raises(ExportRefused, match=r"int8 may be worse.*f1_weighted -0\.\d+"):
        export_run(run, precision=ExportPrecision.int8, replace=True)
    assert files_of(run.path / "export") == before
    assert find_leftovers(run) == ["export"]


def test_int8_export_stores_f1_difference_and_own_thresholds(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_checks, "F1_MARGIN", 1.0)  # with few val texts the intervals are wide
    result = export_run(run, precision=ExportPrecision.int8)
    check = result.manifest.check
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert check.f1_difference_lower <= check.f1_difference
    assert check.largest_difference > 1e-6
    assert (check.runs, check.records) == ([run.record.id], check.texts)
    assert (result.manifest.precision, result.manifest.thresholds) == ("int8", "export")
    assert (result.directory / "thresholds.json").read_bytes() != (run.path / "thresholds.json").read_bytes()


def test_int8_check_uses_all_repeats_without_changing_them(
    run: StoredRun, repeat: Callable[..., StoredRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_checks, "F1_MARGIN", 1.0)
    second_run = repeat(1)
    repeat(3, config_hash="another")
    repeat(4, dataset_version="another")
    before = files_of(second_run.path)
    steps: list[int] = []
    result = export_run(run, precision=ExportPrecision.int8, begin=lambda total: steps.append(-total) or steps.append)
    check = result.manifest.check
    assert check.runs == [run.record.id, second_run.record.id]
    val = [checked_run.read_json("split.json")["val"] for checked_run in (run, second_run)]
    assert check.texts == len(val[0])
    assert check.records == len({identifier for ids in val for identifier in ids})
    assert (steps[0], sum(steps)) == (-2 * STEPS, 0)
    assert files_of(second_run.path) == before
    assert {path.name for path in result.directory.iterdir()} == {
        "labels.json", "thresholds.json", "calibration.json", "manifest.json", "model"
    }  # fmt: skip
    assert find_leftovers(run) == ["export"]


def test_float32_check_uses_only_its_run(run: StoredRun, repeat: Callable[..., StoredRun]) -> None:
    repeat(1)
    manifest = export_run(run).manifest
    assert (manifest.check.runs, manifest.thresholds) == ([run.record.id], "run")


def test_unscorable_repeat_is_named_in_error(run: StoredRun, repeat: Callable[..., StoredRun]) -> None:
    second_run = repeat(1)
    (second_run.path / "calibration.json").unlink()
    with pytest.raises(UserError, match=second_run.record.id):
        export_run(run, precision=ExportPrecision.int8)
    assert find_leftovers(run) == []


def test_changed_data_is_rejected(run: StoredRun) -> None:
    config = (run.path / "config.yaml").read_text(encoding="utf-8")
    (run.path / "config.yaml").write_text(
        config.replace("text_separator: ' '", "text_separator: ' - '"), encoding="utf-8"
    )
    with pytest.raises(UserError, match=r"trained on version [0-9a-f]{12} of sample, the records are now version"):
        export_run(run)
    assert find_leftovers(run) == []


def test_unfinished_run_is_rejected(run: StoredRun) -> None:
    record = (run.path / "record.json").read_text(encoding="utf-8")
    (run.path / "record.json").write_text(record.replace('"finished"', '"failed"'), encoding="utf-8")
    with pytest.raises(UserError, match="the run is failed"):
        export_run(read_run(run.path))


def test_export_reads_only_val_split(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(run.path / "predictions")
    checked_ids: list[str] = []

    def check_and_record(trial: Trial, metric: str) -> Check:
        checked_ids.extend(trial.val.ids)
        return export_checks.check_float32(trial, metric)

    monkeypatch.setattr(export, "check_float32", check_and_record)
    export_run(run)
    assert checked_ids == run.read_json("split.json")["val"]
    assert not list(run.path.parents[2].rglob("test_readings.jsonl"))

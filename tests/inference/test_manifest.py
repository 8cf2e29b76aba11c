import json
from pathlib import Path

import pytest

from ratchet.errors import UserError
from ratchet.inference.manifest import FORMAT, check_files, read_manifest, sha256_of
from ratchet.runs import StoredRun


def test_it_says_what_the_export_is_of_and_what_it_was_checked_on(exported: Path, cnn: StoredRun) -> None:
    manifest, record = read_manifest(exported), cnn.record
    assert (manifest.module, manifest.name, manifest.run) == ("cnn", "cnn", record.id)
    assert (manifest.config_hash, manifest.dataset_version) == (record.config_hash, record.dataset_version)
    assert (manifest.split_hash, manifest.task, manifest.precision) == (record.split_hash, "multilabel", "float32")
    assert (manifest.check.texts, manifest.check.metric) == (record.records["val"], "f1_weighted")
    assert (manifest.check.runs, manifest.check.records) == ([record.id], manifest.check.texts)
    assert manifest.thresholds == "run"
    assert 0 < manifest.check.largest_difference < 1e-4
    assert {"ratchet", "torch", "onnxruntime"} <= set(manifest.versions)


def test_every_file_but_itself_is_in_it(exported: Path) -> None:
    found = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    files = read_manifest(exported).files
    assert set(files) == found - {"manifest.json"}
    assert {"labels.json", "thresholds.json", "calibration.json", "model/network.onnx"} <= found
    assert all(sha256_of(exported / name) == digest for name, digest in files.items())


@pytest.mark.parametrize("name", ["labels.json", "thresholds.json", "calibration.json", "model/network.onnx"])
def test_a_changed_byte_is_found(export: Path, name: str) -> None:
    content = bytearray((export / name).read_bytes())
    content[len(content) // 2] ^= 1
    (export / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: damaged or changed.*ratchet export RUN replace=true"):
        check_files(export, read_manifest(export))


def test_a_missing_file_is_told(export: Path) -> None:
    (export / "model/tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: cannot be read"):
        check_files(export, read_manifest(export))


def test_a_newer_format_asks_for_an_update(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**content, "format": FORMAT + 1}), encoding="utf-8")
    with pytest.raises(UserError, match=r"newer version of ratchet \(format 2\): update ratchet"):
        read_manifest(export)


def test_what_a_newer_version_adds_is_left_out(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**content, "colour": "blue"}), encoding="utf-8")
    assert read_manifest(export).name == "cnn"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "x"}', '{"format": 1, "check": {}}'], ids=str)
def test_another_manifest_is_no_stack_trace(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="not the manifest of an export"):
        read_manifest(tmp_path)


def test_a_directory_without_one_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not an export.*`ratchet export RUN`"):
        read_manifest(tmp_path)

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import UserError
from ratchet.extras import DISTRIBUTION
from ratchet.inference.manifest import Check, Manifest, check_files, read_manifest, sha256_of
from ratchet.runs import StoredRun
from ratchet.schema_versions import MANIFEST_SCHEMA


def test_manifest_records_run_and_check(exported: Path, cnn: StoredRun) -> None:
    manifest, record = read_manifest(exported), cnn.record
    assert (manifest.module, manifest.name, manifest.run) == ("cnn", "cnn", record.id)
    assert (manifest.config_hash, manifest.dataset_version) == (record.config_hash, record.dataset_version)
    assert (manifest.split_hash, manifest.task, manifest.precision) == (record.split_hash, "multilabel", "float32")
    assert (manifest.check.texts, manifest.check.metric) == (record.records["val"], "f1_weighted")
    assert (manifest.check.runs, manifest.check.records) == ([record.id], manifest.check.texts)
    assert manifest.thresholds == "run"
    assert 0 < manifest.check.largest_difference < 1e-4
    assert {DISTRIBUTION, "torch", "onnxruntime"} <= set(manifest.versions)


def test_manifest_lists_all_other_files(exported: Path) -> None:
    paths = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    files = read_manifest(exported).files
    assert set(files) == paths - {"manifest.json"}
    assert {"labels.json", "thresholds.json", "calibration.json", "model/network.onnx"} <= paths
    assert all(sha256_of(exported / name) == digest for name, digest in files.items())


@pytest.mark.parametrize("name", ["labels.json", "thresholds.json", "calibration.json", "model/network.onnx"])
def test_changed_byte_is_detected(export: Path, name: str) -> None:
    content = bytearray((export / name).read_bytes())
    content[len(content) // 2] ^= 1
    (export / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: damaged or changed.*ratchet export RUN replace=true"):
        check_files(export, read_manifest(export))


def test_missing_file_is_reported(export: Path) -> None:
    (export / "model/tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: cannot be read"):
        check_files(export, read_manifest(export))


def test_newer_format_error_asks_for_update(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    newer = {**content, "format": MANIFEST_SCHEMA.version + 1, "versions": {"ratchet-ml": "0.9.0"}}
    (export / "manifest.json").write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest\.json: .*manifest schema \d+;.*ratchet-ml 0\.9\.0 or newer"):
        read_manifest(export)


def test_unknown_manifest_fields_are_ignored(export: Path) -> None:
    content = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**content, "colour": "blue"}), encoding="utf-8")
    assert read_manifest(export).name == "cnn"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": "x"}', '{"format": 1, "check": {}}'], ids=str)
def test_invalid_manifest_raises_user_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="not the manifest of an export"):
        read_manifest(tmp_path)


def test_directory_without_manifest_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not an export.*`ratchet export RUN`"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["/dev/zero", "../outside.txt", "model/../../outside.txt"])
def test_file_outside_of_the_export_is_not_read(name: str, tmp_path: Path) -> None:
    """A device has no end."""
    words = dict.fromkeys(("module", "name", "run", "config_hash", "dataset_version", "split_hash", "task"), "x")
    rest: dict[str, Any] = {"text": [], "text_separator": " ", "precision": None, "thresholds": "run", "versions": {}}
    check = Check(texts=1, largest_difference=0, changed_decisions=0, metric="f1_weighted", runs=[], records=1)
    manifest = Manifest.from_json({**words, **rest, "check": dataclasses.asdict(check), "files": {name: "0" * 64}})
    with pytest.raises(UserError, match="is not in the export"):
        check_files(tmp_path, manifest)

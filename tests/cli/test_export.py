import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.inference import export_checks
from ratchet.inference.scorer import load_scorer

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def rule(make_run: Make) -> Path:
    return make_run("model=rule")


@pytest.fixture(scope="module")
def cnn(make_run: Make) -> Path:
    return make_run("model=cnn", "model.max_epochs=1", "model.filters=8")


@pytest.fixture(autouse=True)
def _enter_workplace(rule: Path, cnn: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def test_export_reports_path_size_and_score_difference(cnn: Path, verb: Verb, tmp_path: Path) -> None:
    code, out, err = verb("export", cnn.name, f"out={tmp_path / 'cnn'}")
    assert (code, err) == (0, "")
    facts = {line[:12].strip(): line[12:] for line in out.splitlines()}
    assert list(facts) == ["written to", "run", "size", "precision", "checked on", "use it"]
    assert facts["written to"] == str(tmp_path / "cnn")
    assert facts["precision"] == "float32"
    assert "val texts: scores differ by at most" in facts["checked on"]
    assert facts["use it"].startswith(f"ratchet predict {tmp_path / 'cnn'}")
    assert load_scorer(tmp_path / "cnn").labels


def test_int8_export_reports_thresholds_and_f1_change(
    cnn: Path, verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_checks, "F1_MARGIN", 1.0)  # few val texts, wide intervals
    code, out, err = verb("export", cnn.name, "precision=int8", f"out={tmp_path / 'cnn'}")
    assert (code, err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert facts["thresholds"] == "its own, chosen on its scores of these texts"
    assert re.fullmatch(r"[+-]0\.\d{4} over 1 run, \d+ val texts; 95 % sure: above [+-]\d\.\d{4}", facts["f1_weighted"])


def test_rejected_int8_export_exits_with_3(cnn: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_checks, "F1_MARGIN", -1.0)
    code, out, err = verb("export", cnn.name, "precision=int8")
    assert (code, err) == (3, "")
    assert out.startswith("not exported: int8 may be worse than float32")
    assert not (cnn / "export").exists()


def test_rule_is_exported_unchanged_into_run(rule: Path, verb: Verb) -> None:
    code, out, _ = verb("export", rule.name, "replace=true")
    assert code == 0
    assert "scores differ by at most 0.0e+00, no decisions changed" in out
    assert (rule / "export/model/rules.json").read_bytes() == (rule / "model/rules.json").read_bytes()


def test_rejected_export_exits_with_3_and_writes_nothing(
    cnn: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_checks, "TOLERANCE", 0.0)
    code, out, err = verb("export", cnn.name)
    assert (code, err) == (3, "")
    assert out.startswith("not exported: scores differ from the run's by up to ")
    assert not (cnn / "export").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["ratchet export RUN"]),
        (["precision=int8"], ["which run?"]),
        (["unknown"], ["'unknown'"]),
        (["{rule}", "precision=int8", "replace=true"], ["rule", "int8"]),
        (["{rule}", "precision=int4"], ["precision", "'int8'"]),
        (["{rule}", "replce=true"], ["'replace'"]),
        (["{rule}", "out=runs"], ["out=DIR"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(arguments: list[str], parts: list[str], rule: Path, verb: Verb) -> None:
    code, out, err = verb("export", *(argument.format(rule=rule.name) for argument in arguments))
    assert (code, out) == (2, "")
    for part in parts:
        assert part in err

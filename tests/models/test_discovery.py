import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.commands import HANG_SECONDS

import ratchet.models
from ratchet.config import ModelConfig
from ratchet.errors import UserError
from ratchet.models import all_settings, model_modules, settings_class, tagger_class

HEAVY = ["torch", "lightning", "pytorch_lightning", "transformers", "dvc", "wandb"]

IMPORT_EVERYTHING = """
import json, sys
from ratchet.config import compose, register
from ratchet.project import PACKAGED
from ratchet.errors import UserError
from ratchet.models import all_settings, model_modules, tagger_class
register(all_settings())
for module in model_modules():
    tagger_class(module)
groups = {group: sorted(path.stem for path in (PACKAGED / "conf" / group).glob("*.yaml"))
          for group in ("model", "experiment")}
for group, names in groups.items():
    for name in names:
        compose([f"{group}={name}"])
print(json.dumps({"composed": groups, "loaded": sorted(sys.modules)}))
"""

RUN_FULLY = """
import json, sys
from ratchet.config import compose, register
from ratchet.models import all_settings
from ratchet.training import train
register(all_settings())
runs = [train(compose([f"model={name}", "evaluation.resamples=100"])) for name in ("rule", "regression")]
print(json.dumps({"runs": [str(run.path) for run in runs], "loaded": sorted(sys.modules)}))
"""


def run_code(code: str, directory: Path) -> dict[str, object]:
    """Run `code` in a fresh interpreter and return the JSON of its last line of output."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=HANG_SECONDS,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    content: dict[str, object] = json.loads(process.stdout.splitlines()[-1])
    return content


def test_every_model_module_has_settings_and_a_tagger() -> None:
    assert {"rule", "regression"} <= set(model_modules())
    for name in model_modules():
        assert issubclass(settings_class(name), ModelConfig)
        assert tagger_class(name).__module__ == settings_class(name).__module__ == f"ratchet.models.{name}"
        assert callable(tagger_class(name).fit)


def test_model_modules_are_sorted_and_unique() -> None:
    assert model_modules() == sorted(set(model_modules()))


def test_all_settings_covers_every_model() -> None:
    assert all_settings() == {name: settings_class(name) for name in model_modules()}


def test_new_module_is_discovered_unless_name_excludes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model_modules()
    for name in ("zz_new.py", "zz_new_network.py", "_zz_shared.py", "base.py", "zz_notes.txt"):
        (tmp_path / name).write_text("raise AssertionError('looking is not importing')\n", encoding="utf-8")
    monkeypatch.setattr(ratchet.models, "__path__", [*ratchet.models.__path__, str(tmp_path)])
    assert model_modules() == [*before, "zz_new"]


def test_discovered_module_provides_settings_and_tagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from ratchet.config import ModelConfig as Settings\n\nclass Tagger: ...\n"
    (tmp_path / "zz_tiny.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(ratchet.models, "__path__", [*ratchet.models.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    try:
        assert all_settings()["zz_tiny"] is ModelConfig
        assert tagger_class("zz_tiny").__module__ == "ratchet.models.zz_tiny"
    finally:
        sys.modules.pop("ratchet.models.zz_tiny", None)


def test_imports_and_configs_do_not_load_heavy_libraries(project: Path, tmp_path: Path) -> None:
    output = run_code(IMPORT_EVERYTHING, tmp_path)
    assert output["composed"] == {
        group: sorted(path.stem for path in (project / "conf" / group).glob("*.yaml"))
        for group in ("model", "experiment")
    }
    assert {f"ratchet.models.{name}" for name in model_modules()} <= set(output["loaded"])
    assert not {*HEAVY, "sklearn"} & set(output["loaded"])


def test_rule_and_regression_runs_load_no_neural_library(tmp_path: Path) -> None:
    output = run_code(RUN_FULLY, tmp_path)
    for run in output["runs"]:
        assert json.loads((tmp_path / run / "record.json").read_text(encoding="utf-8"))["status"] == "finished"
    assert "sklearn" in output["loaded"], "the regression must have run"
    assert not set(HEAVY) & set(output["loaded"])


@pytest.mark.parametrize("module", ["os", "cnn_network", "base", "..evaluating", "cnn.cnn", "__init__", "../cnn", ""])
def test_module_that_is_no_model_is_not_imported(module: str) -> None:
    """A record or an export may name any module."""
    with pytest.raises(UserError, match="is no model"):
        tagger_class(module)

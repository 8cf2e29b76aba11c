"""Tests for the public names of `import ratchet`, and for their signatures."""

import ast
import json
import sys
from pathlib import Path

import pytest
from tests.api.signatures import list_signatures
from tests.commands import run_command

import ratchet

PROJECT_ARGUMENT = "project: Project | str | Path | None = None"
RUNS_ARGUMENTS = f"{PROJECT_ARGUMENT}, runs_dir: str | Path | None = None"
# Scripts and notebooks of users depend on these: a change here belongs into CHANGELOG.md.
PUBLIC = f"""
Comparison.result: ComparisonResult
Comparison.runs: list[Run]
Comparison.verdict() -> Verdict
Comparison.review() -> Review
Comparison.to_polars() -> DataFrame
Comparison.to_pandas() -> Any
Comparison.ladder() -> Chart
Comparison.differences() -> Chart | None
Comparison.group_differences(kind: Literal['label', 'slice'] = 'label') -> Chart | None
Comparison.quality_and_cost() -> Chart | None
Comparison.confusions() -> Chart | None
Comparison.threshold_curves() -> Chart | None
Comparison.calibration() -> Chart | None
Comparison.learning_curves() -> Chart | None
Project.root: Path
Project.find(start: str | Path | None = None) -> Self
Project.conf: Path
Project.models: Path
Project.runs_dir: Path
Project.promotions_dir: Path
Run.project: Project
Run.path: Path
Run.id: str
Run.name: str
Run.status: str
Run.record: RunRecord
Run.metrics: dict[str, Any]
Run.cost: dict[str, Any]
Run.labels: list[str]
Run.history: DataFrame
Run.predictions(part: Literal['val', 'test'] | None = None) -> DataFrame
Run.to_polars() -> DataFrame
Run.to_pandas() -> Any
Scorer.labels: tuple[str, ...]
Scorer.identity: ModelIdentity
Scorer.score(texts: Sequence[str]) -> Scored
Verdict.result: GateVerdict
Verdict.outcome: str
Verdict.ships: str | None
Verdict.why: str
Verdict.to_polars() -> DataFrame
Verdict.to_pandas() -> Any
compare(data: str | None = None, *, name: str | Sequence[str] | None = None, \
runs: str | Sequence[str | Run] | None = None, all: bool = False, objective: str = 'default', \
baseline: str = 'rule', part: Literal['test', 'val'] = 'test', resamples: int = 10000, \
{RUNS_ARGUMENTS}, config_dir: str | Path | None = None) -> Comparison
load_run(name: str | Path = 'last', *, {RUNS_ARGUMENTS}) -> Run
load_scorer(source: str | Path | Run | StoredRun = 'last', *, {RUNS_ARGUMENTS}, use_export: bool = True) -> Scorer
train(*overrides: str, {PROJECT_ARGUMENT}, config_dir: str | Path | None = None) -> Run
"""


def test_names_of_users_scripts_exist() -> None:
    assert ratchet.__all__ == [
        "Comparison",
        "Project",
        "Run",
        "RunFailed",
        "Scorer",
        "UserError",
        "Verdict",
        "compare",
        "load_run",
        "load_scorer",
        "train",
    ]


def test_signatures_are_those_that_users_scripts_use() -> None:
    assert list_signatures() == PUBLIC.strip().splitlines()


@pytest.mark.parametrize("name", ratchet.__all__)
def test_public_name_is_the_object_of_its_module(name: str) -> None:
    module, attribute = ratchet._PUBLIC[name]
    assert getattr(ratchet, name) is getattr(sys.modules[module], attribute)
    assert name in dir(ratchet)


def test_imports_for_type_checkers_match_public_names() -> None:
    tree = ast.parse(Path(ratchet.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert imported == ratchet._PUBLIC
    assert sorted(ratchet._PUBLIC) == sorted(ratchet.__all__)


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ratchet.nothing_of_the_kind  # noqa: B018


def test_importing_ratchet_loads_no_submodule(tmp_path: Path) -> None:
    script = "import json, sys, ratchet; print(json.dumps([name for name in sys.modules if 'ratchet' in name]))"
    done = run_command(sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = [name for name in json.loads(done.stdout) if not name.startswith("__editable__")]
    assert loaded == ["ratchet"]


def test_all_public_names_load_no_heavy_library(tmp_path: Path) -> None:
    heavy = {"hydra", "omegaconf", "polars", "sklearn", "torch", "altair", "pandas", "rich"}
    script = f"import sys; from ratchet import *; print(sorted({heavy} & set(sys.modules)))"
    done = run_command(sys.executable, "-c", script, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr

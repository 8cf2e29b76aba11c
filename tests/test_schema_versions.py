"""Tests for the schema versions of stored files: older ones are migrated, newer ones are refused.

tests/schema_versions has an example of each version of each kind of file. An example is never changed once its version
was released.
"""

import copy
import dataclasses
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

import ratchet
from ratchet import schema_versions
from ratchet.comparison.results import Comparison
from ratchet.config import search_settings
from ratchet.errors import UserError
from ratchet.inference.manifest import Manifest, read_manifest
from ratchet.objective.gate import Verdict
from ratchet.objective.review import Review
from ratchet.pipeline.locks import Results, read_committed_results
from ratchet.runs.accesses import count_test_accesses
from ratchet.runs.code import code_of_run
from ratchet.runs.promotions import Promotion, find_promoted, read_decisions
from ratchet.runs.stored import RunRecord, read_run
from ratchet.schema_versions import (
    COMPARISON_SCHEMA,
    MANIFEST_SCHEMA,
    PROJECT_SCHEMA,
    PROMOTION_SCHEMA,
    RECORD_SCHEMA,
    RESULTS_SCHEMA,
    REVIEW_SCHEMA,
    SWEEP_SCHEMA,
    VERDICT_SCHEMA,
    FileSchema,
    read_marker,
    read_versioned,
    version_keys,
)
from ratchet.sweeps.ledger import Job, read_jobs, read_study_id
from ratchet.sweeps.study import read_about

EXAMPLES = Path(__file__).with_name("schema_versions")
RUN = "20260101T000000Z-aaaaaa"
DATA = "7a28ab237242f6ae652202b70479e1235c85c703de9a19e54774d9dc5d7879b9"
SPLIT = "743850fb3aa3e4e1c89f1f239b184ae3e47b801748c5980637f830f06c18836a"
SCHEMAS = {
    constant.removesuffix("_SCHEMA").lower(): schema
    for constant, schema in vars(schema_versions).items()
    if isinstance(schema, FileSchema)
}


# --- the stored kinds: where a file lies, how it is read, and what its examples say ---
def read_results_of_commit(root: Path) -> Results:
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=lock"]):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments], cwd=root, check=True)
    return read_committed_results("HEAD")


def read_sweep_files(root: Path) -> tuple[list[Job], str | None]:
    return read_jobs(root / "runs", "one"), read_study_id(root / "runs", "one")


def read_promotions(root: Path) -> list[tuple[str, str | None, list[str], bool]]:
    decisions = read_decisions(root / "promotions", "sample")
    assert [find_promoted(root / "promotions", "sample")] == decisions
    return [(decision.action, decision.name, list(decision.runs), decision.forced) for decision in decisions]


def read_study_facts(root: Path) -> tuple[str, int]:
    about = read_about(root / "runs/.studies/made")
    return about["model"], search_settings(about["settings"]).trials


def read_built(path: str, schema: FileSchema, kind: type) -> Callable[[Path], Any]:
    return lambda root: TypeAdapter(kind).validate_python(
        read_versioned(json.loads((root / path).read_text(encoding="utf-8")), schema, path)
    )


@dataclass(frozen=True)
class Stored:
    """A kind of file: where it lies in a project, how it is read, and what all of its examples say.

    A sweep is a directory; its example has all files, by name.
    """

    path: str
    read: Callable[[Path], Any]
    facts: Any
    versioned_file: str = ""


KINDS = {
    "project": Stored("ratchet.yaml", lambda root: read_marker(root / "ratchet.yaml")["schema"], 1),
    "record": Stored(
        f"runs/sample/rule/{RUN}/record.json",
        lambda root: attrgetter("id", "status", "split_hash")(read_run(root / "runs/sample/rule" / RUN).record),
        (RUN, "finished", SPLIT),
    ),
    "access": Stored(
        "runs/sample/test_readings.jsonl", lambda root: count_test_accesses(root / "runs", DATA, SPLIT), 1
    ),
    "promotion": Stored("promotions/sample.jsonl", read_promotions, [("promote", "rule", [RUN], True)]),
    "sweep": Stored(
        "runs/.sweeps/one",
        read_sweep_files,
        (
            [Job(0, ["seed=0"], "finished", run=f"sample/rule/{RUN}"), Job(1, ["seed=1"])],
            "sample-rule_search-12345678",
        ),
        versioned_file="sweep.json",
    ),
    "study": Stored("runs/.studies/made/study.json", read_study_facts, ("rule", 2)),
    "manifest": Stored("export/manifest.json", lambda root: read_manifest(root / "export").run, RUN),
    "results": Stored(
        "results.lock.json", lambda root: read_results_of_commit(root).metrics["rule/0"]["val/f1_weighted"], 0.65
    ),
    "comparison": Stored(
        "build/comparison.json",
        lambda root: read_built("build/comparison.json", COMPARISON_SCHEMA, Comparison)(root).candidates[0].name,
        "other",
    ),
    "verdict": Stored(
        "build/verdict.json",
        lambda root: read_built("build/verdict.json", VERDICT_SCHEMA, Verdict)(root).decision.of("rule").state,
        "too little evidence",
    ),
    "review": Stored(
        "build/review.json",
        lambda root: read_built("build/review.json", REVIEW_SCHEMA, Review)(root).different[0].ships,
        "rule",
    ),
}
VERSIONS = [(name, version) for name, schema in SCHEMAS.items() for version in range(1, schema.version + 1)]


def load_example(name: str, version: int) -> Any:
    return json.loads((EXAMPLES / f"{name}-v{version}.json").read_text(encoding="utf-8"))


def store(root: Path, kind: Stored, content: Any) -> None:
    """Write the content of an example to where it lies in a project."""
    path = root / kind.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind.versioned_file:
        path.mkdir()
        for name, part in content.items():
            (path / name).write_text(json.dumps(part), encoding="utf-8")
    else:
        text = yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content)
        path.write_text(f"{text}\n", encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_missing(name: str, schema: FileSchema) -> list[str]:
    """Return the migrations and examples that a schema lacks."""
    migrations = [f"migration from {version}" for version in range(1, schema.version)]
    examples = [f"{name}-v{version}.json" for version in range(1, schema.version + 1)]
    existing = {f"migration from {version}" for version in schema.migrations} | {
        path.name for path in EXAMPLES.iterdir()
    }
    return [wanted for wanted in [*migrations, *examples] if wanted not in existing]


# --- every version of every kind ---
def test_every_schema_has_a_row_in_the_table() -> None:
    assert SCHEMAS.keys() == KINDS.keys()
    assert {path.name.partition("-")[0] for path in EXAMPLES.iterdir()} == KINDS.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_version_has_an_example_and_a_migration(name: str) -> None:
    assert list_missing(name, SCHEMAS[name]) == []


def test_raised_version_needs_a_migration_and_an_example() -> None:
    raised = dataclasses.replace(RECORD_SCHEMA, version=2)
    assert list_missing("record", raised) == ["migration from 1", "record-v2.json"]


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_example_of_each_version_is_read(name: str, version: int, root: Path) -> None:
    kind = KINDS[name]
    example = load_example(name, version)
    versioned = example[kind.versioned_file] if kind.versioned_file else example
    assert versioned[SCHEMAS[name].key] == version
    store(root, kind, example)
    assert kind.read(root) == kind.facts


@pytest.mark.parametrize("name", KINDS)
def test_newer_version_is_refused_with_the_ratchet_that_it_needs(name: str, root: Path) -> None:
    kind, schema = KINDS[name], SCHEMAS[name]
    example = load_example(name, schema.version)
    versioned = example[kind.versioned_file] if kind.versioned_file else example
    versioned[schema.key] = schema.version + 1
    in_packages = schema.writer_key in ("packages", "versions")
    versioned[schema.writer_key] = {"ratchet-ml": "9.8.7"} if in_packages else "9.8.7"
    store(root, kind, example)
    with pytest.raises(UserError) as error:
        kind.read(root)
    assert error.value.exit_code == 2
    for part in (kind.path, f"{schema.name} schema {schema.version + 1}", "Ratchet 9.8.7", ratchet.__version__):
        assert part in str(error.value)
    assert ("install ratchet-ml 9.8.7 or newer" in str(error.value)) == (schema.remedy is None)


@pytest.mark.parametrize(
    ("stored", "field", "schema"),
    [
        (RunRecord, "schema_version", RECORD_SCHEMA),
        (Promotion, "schema_version", PROMOTION_SCHEMA),
        (Manifest, "format", MANIFEST_SCHEMA),
        (Results, "schema_version", RESULTS_SCHEMA),
        (Comparison, "schema_version", COMPARISON_SCHEMA),
        (Verdict, "schema_version", VERDICT_SCHEMA),
        (Review, "schema_version", REVIEW_SCHEMA),
    ],
)
def test_new_files_have_the_current_version(stored: Any, field: str, schema: FileSchema) -> None:
    [default] = [declared.default for declared in dataclasses.fields(stored) if declared.name == field]
    assert (schema.key, default) == (field, schema.version)


def test_new_files_name_the_ratchet_that_wrote_them() -> None:
    assert version_keys(SWEEP_SCHEMA) == {
        "schema_version": SWEEP_SCHEMA.version,
        "ratchet_version": ratchet.__version__,
    }
    assert version_keys(PROJECT_SCHEMA) == {"schema": PROJECT_SCHEMA.version, "ratchet": ratchet.__version__}


def test_release_of_ratchet_does_not_change_the_code_of_a_run() -> None:
    """Else each release would train every model of a pipeline again."""
    definitions = code_of_run("rule")
    assert "ratchet.schema_versions:RECORD_SCHEMA" in definitions
    assert "ratchet.schema_versions:STUDY_SCHEMA" not in definitions, "a run does not read studies"
    assert "ratchet:__version__" not in definitions


# --- migrations, of a schema made for the tests ---
COLOUR_TO_COLOURS = {
    1: lambda content: {key: value for key, value in content.items() if key != "color"} | {"colour": content["color"]},
    2: lambda content: {**content, "colour": [content["colour"]]},
}
SCHEMA = FileSchema("palette", version=3, migrations=COLOUR_TO_COLOURS)


@pytest.mark.parametrize(
    "content",
    [
        {"color": "red"},
        {"color": "red", "schema_version": 1},
        {"colour": "red", "schema_version": 2},
        {"colour": ["red"], "schema_version": 3},
    ],
    ids=["without a version", "1", "2", "current"],
)
def test_content_is_migrated_step_by_step(content: dict[str, Any]) -> None:
    before = copy.deepcopy(content)
    assert read_versioned(content, SCHEMA, "palette.json") == {"colour": ["red"], "schema_version": 3}
    assert content == before


@pytest.mark.parametrize("version", [0, -1, 1.5, True, "1", None, [1]], ids=repr)
def test_version_must_be_a_positive_integer(version: object) -> None:
    with pytest.raises(ValueError, match="schema_version="):
        read_versioned({"schema_version": version}, SCHEMA, "palette.json")


@pytest.mark.parametrize(
    ("schema", "content", "wanted"),
    [
        (SCHEMA, {"ratchet_version": "0.3.0"}, "install ratchet-ml 0.3.0 or newer"),
        (RECORD_SCHEMA, {"packages": {"ratchet": "0.3.0", "numpy": "9"}}, "install ratchet-ml 0.3.0 or newer"),
        (RECORD_SCHEMA, {"packages": {"numpy": "9"}}, "install a newer ratchet-ml"),
        (RECORD_SCHEMA, {"packages": ["ratchet-ml"]}, "install a newer ratchet-ml"),
        (SCHEMA, {"ratchet_version": 3}, "install a newer ratchet-ml"),
        (SCHEMA, {}, "install a newer ratchet-ml"),
        (VERDICT_SCHEMA, {}, "`dvc repro` writes it again"),
    ],
)
def test_remedy_names_the_needed_version_if_it_is_known(
    schema: FileSchema, content: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(UserError, match=wanted):
        read_versioned({**content, "schema_version": 99}, schema, "palette.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


@given(content=JSON | st.fixed_dictionaries({"schema_version": JSON}, optional={"packages": JSON}))
def test_any_content_is_read_or_refused(content: Any) -> None:
    version = content.get("schema_version", 1) if isinstance(content, dict) else None
    if type(version) is int and version == 1:
        assert read_versioned(content, RECORD_SCHEMA, "record.json") is content
    elif type(version) is int and version > 1:
        with pytest.raises(UserError, match=rf"^record\.json: .*record schema {version};"):
            read_versioned(content, RECORD_SCHEMA, "record.json")
    else:
        with pytest.raises(ValueError, match="must be a "):
            read_versioned(content, RECORD_SCHEMA, "record.json")


# --- ratchet.yaml ---
def write_marker(root: Path, text: str) -> Path:
    path = root / "ratchet.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("# Marks the root of a Ratchet project.\nschema: 1\nratchet: 0.1.0\n", {"schema": 1, "ratchet": "0.1.0"}),
        ("", {}),
        ("# only a comment\n", {}),
        ("owner: the team\n", {"owner": "the team"}),
    ],
    ids=["written by init", "empty", "comment", "other keys"],
)
def test_marker_is_read(text: str, content: dict[str, Any], tmp_path: Path) -> None:
    assert read_marker(write_marker(tmp_path, text)) == content


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("schema: 1\nratchet: [\n", r"ratchet\.yaml, line 3: not valid YAML"),
        ("- schema\n", r"ratchet\.yaml: not the marker of a project: must be a mapping"),
        ("schema: new\n", r"ratchet\.yaml: not the marker of a project: schema='new'"),
        ("schema: 0\n", r"ratchet\.yaml: not the marker of a project: schema=0"),
        ("schema: \x00\n", r"ratchet\.yaml: not the marker of a project: "),
    ],
    ids=["not YAML", "list", "word", "zero", "control character"],
)
def test_broken_marker_error_names_the_file(text: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=wanted):
        read_marker(write_marker(tmp_path, text))


def test_unreadable_marker_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "ratchet.yaml").mkdir()
    with pytest.raises(UserError, match=r"ratchet\.yaml: cannot be read: "):
        read_marker(tmp_path / "ratchet.yaml")

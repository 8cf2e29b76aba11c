"""Tests for stages `prepare` and `split`: their data set equals the one read without the pipeline."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pipeline.stages import freeze_the_sample

from ratchet.config import FileConfig, compose
from ratchet.data.prepared import list_known_labels, prepare
from ratchet.data.splits import make_split
from ratchet.data.storing import read_prepared, read_split
from ratchet.errors import UserError
from ratchet.evaluation.behaviour import Case, parse_cases, read_behaviour
from ratchet.pipeline.data_stages import prepare_data, split_data
from ratchet.pipeline.plan import BEHAVIOUR, CONFIG, DATA, SPLITS

Prepare = Callable[..., str]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.sampled_from(
    [
        "a\u2028b",
        "a\x85b",
        "a\x7fb",
        "\ufeff",
        "no",
        "1e3",
        "\U0001f600",
        "a: b",
        "tab\tand\nline",
        "\\u0041",
        "a\ufffe",
    ]
)


@pytest.fixture
def prepare_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Freeze and prepare in the working directory: `prepare_here("data.filter.min_records=60")`."""

    def run(*overrides: str) -> str:
        freeze_the_sample(tmp_path, monkeypatch, *overrides)
        return prepare_data()

    return run


def test_prepared_data_equal_data_read_without_the_pipeline(prepare_here: Prepare) -> None:
    overrides = ["data.filter.min_records=60"]
    summary = prepare_here(*overrides)
    expected, actual = prepare(compose(overrides).data), read_prepared(DATA)
    for key in ("name", "task", "labels", "taxonomy", "version"):
        assert getattr(actual, key) == getattr(expected, key)
    assert [record.text for record in actual.records] == [record.text for record in expected.records]
    assert np.array_equal(actual.targets, expected.targets)
    assert actual.report.labels_left_out == expected.report.labels_left_out != {}
    assert summary == f"sample: {len(actual.records):,} records, {len(actual.labels)} labels, {actual.version[:12]}"


def test_prepare_is_deterministic(prepare_here: Prepare, tmp_path: Path) -> None:
    prepare_here()
    before = {path.name: path.read_bytes() for path in DATA.iterdir()}
    assert prepare_data()
    assert {path.name: path.read_bytes() for path in DATA.iterdir()} == before
    assert set(before) == {"dataset.json", "records.jsonl", "behaviour.json"}
    assert str(tmp_path).encode() not in b"".join(before.values())


def read_prepared_cases(labels: list[str], known: Collection[str]) -> list[Case]:
    tests = json.loads(BEHAVIOUR.read_text(encoding="utf-8"))
    return parse_cases("behaviour.json", tests, labels, known)


def test_prepared_cases_equal_those_of_the_file(prepare_here: Prepare) -> None:
    prepare_here()
    prepared, known = read_prepared(DATA), list_known_labels(read_prepared(DATA))
    expected = read_behaviour(compose([]).data.behaviour, prepared.labels, known)
    assert read_prepared_cases(prepared.labels, known) == expected
    assert len(expected) > 10


def test_cases_of_excluded_labels_are_skipped(prepare_here: Prepare) -> None:
    prepare_here("data.filter.exclude=[reinforcement-learning]")
    prepared = read_prepared(DATA)
    cases = read_prepared_cases(prepared.labels, list_known_labels(prepared))
    assert {label for case in cases for label in case.skipped} == {"reinforcement-learning"}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS.filter(lambda text: bool(text.strip())), min_size=2, max_size=3, unique=True))
def test_texts_of_behavioural_cases_are_preserved(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.chdir(tmp_path)
        patched.setattr("ratchet.pipeline.data_stages.prepare", lambda data, **_: read_prepared(DATA))
        if not DATA.is_dir():
            freeze_the_sample(tmp_path, patched)
            patched.setattr("ratchet.pipeline.data_stages.prepare", prepare)
        file = Path("data/behaviour/sample.yaml")
        test = {"name": "same", "kind": "invariance", "cases": [texts]}
        file.write_text(yaml.safe_dump([test]), encoding="utf-8")  # safe_dump escapes characters that YAML forbids
        prepare_data()
        expected = read_behaviour(FileConfig(path=str(file.resolve())), [], [])
        assert [list(case.texts) for case in expected] == [texts]
        assert read_prepared_cases([], []) == expected


def test_data_set_without_behavioural_tests_has_no_cases(prepare_here: Prepare) -> None:
    prepare_here("data.behaviour=null")
    assert read_prepared_cases([], []) == []


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("- {name: one, kind: minimum, cases: [{text: a, has: [no-such]}]}", r"test 1 .*case 1: .*'no-such'"),
        ("- {name: one, kind: minimal, cases: []}", "'minimum'"),
        ("- [", "not valid YAML"),
    ],
    ids=["label", "kind", "YAML"],
)
def test_invalid_case_error_names_its_file(
    tests: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    Path("data/behaviour/sample.yaml").write_text(tests, encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        prepare_data()
    assert str(caught.value).startswith("data/behaviour/sample.yaml")
    assert not DATA.exists()


@pytest.mark.parametrize("name", ["data/sample/projects.jsonl", "data/sample/tags.json", "data/behaviour/sample.yaml"])
def test_missing_file_is_named_though_the_checkout_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    Path(name).unlink()
    with pytest.raises(UserError, match=f"^{name}: "):
        prepare_data()
    assert not DATA.exists()


def test_missing_file_error_names_commands_that_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    Path("data/sample/projects.jsonl").unlink()
    with pytest.raises(UserError, match=r"`ratchet data fetch data=sample`.*`dvc pull`"):
        prepare_data()


def test_content_with_wrong_sha256_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, f"data.records.sha256={'0' * 64}")
    with pytest.raises(UserError, match=r"data/sample/projects\.jsonl: .*sha256"):
        prepare_data()


def test_prepare_requires_a_frozen_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"build/config/data\.yaml: "):
        prepare_data()


def test_cases_are_written_as_json(prepare_here: Prepare) -> None:
    prepare_here()
    written = json.loads((DATA / "behaviour.json").read_text(encoding="utf-8"))
    assert written == yaml.load(Path("data/behaviour/sample.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    assert (CONFIG / "data.yaml").is_file()


@pytest.mark.parametrize("overrides", [[], ["split.test=0.3"], ["split.method=temporal"]], ids=str)
def test_repeat_is_the_split_of_its_seed(overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, *overrides)
    prepare_data()
    split_data(7)
    config = compose([*overrides, "split.seed=7"])
    expected = make_split(prepare(config.data), config.split, config.data.split.column)
    assert read_split(SPLITS / "7.json", read_prepared(DATA)) == expected


def test_given_parts_are_taken_from_their_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["data.split.method=given", "data.split.column=part"]
    freeze_the_sample(tmp_path, monkeypatch, *overrides)
    records = Path("data/sample/projects.jsonl")
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    names = ["train"] * (len(lines) - 80) + ["dev"] * 40 + ["test"] * 40
    rows = [{**line, "part": name} for line, name in zip(lines, names, strict=True)]
    records.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prepare_data()
    split_data(0)
    split = read_split(SPLITS / "0.json", read_prepared(DATA))
    assert split.test == sorted(str(line["id"]) for line in lines[-40:])


def test_split_is_deterministic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    prepare_data()
    for repeat in (0, 1):
        split_data(repeat)
    first, second = ((SPLITS / f"{repeat}.json").read_bytes() for repeat in (0, 1))
    split_data(0)
    assert (SPLITS / "0.json").read_bytes() == first != second


def test_split_requires_prepared_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"build/data/dataset\.json: "):
        split_data(0)

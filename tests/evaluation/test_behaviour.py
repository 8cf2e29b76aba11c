"""Tests for behavioural tests: reading files, running each kind of case, and the files of the data sets."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.commands import CONF

from ratchet.config import FileConfig, compose
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.evaluation.behaviour import (
    Case,
    Kind,
    Outcome,
    compute_behaviour_metrics,
    hash_cases,
    outcomes_to_json,
    read_behaviour,
    run_behaviour,
)
from ratchet.evaluation.metrics import Binary

Scores = npt.NDArray[np.float32]
Read = Callable[[Any], list[Case]]

LABELS = ["audio", "graphs", "vision"]
LEFT_OUT = ["robotics"]

INVARIANCE = {"name": "verbs", "kind": "invariance", "cases": [["we see", "we watch", "we regard"]]}
DIRECTIONAL = {
    "name": "swaps",
    "kind": "directional",
    "cases": [{"text": "a picture", "changed": "a sound", "up": ["audio"], "down": ["vision"]}],
}
MINIMUM = {
    "name": "plain",
    "kind": "minimum",
    "cases": [{"text": "a picture", "has": ["vision"], "has_not": ["audio"]}],
}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads a file with this content: bytes, text, or any YAML value."""

    def read_content(content: Any) -> list[Case]:
        text = content if isinstance(content, str | bytes) else yaml.safe_dump(content, allow_unicode=True)
        path = tmp_path / "tests.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_behaviour(FileConfig(path=str(path)), LABELS, LEFT_OUT)

    return read_content


def test_labels_of_cases_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump([{**MINIMUM, "cases": [{"text": "a cup", "has": ["cafe\u0301"]}]}]))
    [case] = read_behaviour(FileConfig(path=str(path)), ["caf\u00e9"], [])
    assert (case.wanted, case.skipped) == (("caf\u00e9",), ())


def edit_test(test: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """Return the content of a file with one test, with some keys changed (None: removed)."""
    return [{key: value for key, value in {**test, **changes}.items() if value is not None}]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_missing_path_gives_no_cases() -> None:
    assert read_behaviour(FileConfig(), LABELS, LEFT_OUT) == []
    assert read_behaviour(None, LABELS, LEFT_OUT) == []


def test_missing_file_error_names_path() -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        read_behaviour(FileConfig(path="nowhere.yaml"), LABELS, LEFT_OUT)


def test_all_kinds_are_read(read: Read) -> None:
    assert read([INVARIANCE, DIRECTIONAL, MINIMUM]) == [
        Case("verbs", Kind.invariance, ("we see", "we watch", "we regard")),
        Case("swaps", Kind.directional, ("a picture", "a sound"), ("audio",), ("vision",)),
        Case("plain", Kind.minimum, ("a picture",), ("vision",), ("audio",)),
    ]


def test_labels_are_deduplicated_and_one_side_suffices(read: Read) -> None:
    cases = [{"text": "a", "has": ["vision", "vision"]}, {"text": "b", "has_not": ["audio"]}]
    parsed = read(edit_test(MINIMUM, cases=cases))
    assert [(case.wanted, case.unwanted) for case in parsed] == [(("vision",), ()), ((), ("audio",))]


def test_yaml_keywords_and_numbers_are_read_as_text(read: Read) -> None:
    text = "- name: yes\n  kind: invariance\n  cases:\n    - [no, 2020, 1.50, null, 2021-02-30]\n"
    assert read(text) == [Case("yes", Kind.invariance, ("no", "2020", "1.50", "null", "2021-02-30"))]


def test_texts_keep_every_character(read: Read) -> None:
    texts = ["  Übung, größer  ", "two\nlines", "emoji 😅", "trailing ?!"]
    assert read(edit_test(INVARIANCE, cases=[texts])) == [Case("verbs", Kind.invariance, tuple(texts))]


def test_case_with_unpredicted_label_is_marked_skipped(read: Read) -> None:
    cases = [{"text": "a robot", "has": ["robotics", "vision"]}, {"text": "a picture", "has": ["vision"]}]
    parsed = read(edit_test(MINIMUM, cases=cases))
    assert [case.skipped for case in parsed] == [("robotics",), ()]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["must be a list of tests"]),
        ([], ["must be a list of tests"]),
        ("just words", ["must be a list of tests"]),
        (MINIMUM, ["must be a list of tests"]),
        ("- name: a\n  kind: [minimum\n", ["line 3", "not valid YAML"]),
        ("- name: a\n  name: b\n", ["line 1", "not valid YAML", "'name'", "twice"]),
        ('- "\\UFFFFFFFF"', ["not valid YAML"]),
        ("- a\x00", ["not valid YAML"]),
        ("- a\n---\n- b\n", ["line 2", "not valid YAML"]),
        ("- &a [*a]", ["not valid YAML"]),
        ("- {[a]: b}", ["not valid YAML"]),
        ("[" * 20_000, ["not valid YAML"]),
        (b"- name: a\n  kind: caf\xe9", ["line 2", "0xe9"]),
        (["a"], ["test 1", "name, kind, cases"]),
        ([MINIMUM, {**INVARIANCE, "case": []}], ["test 2", "'case'", "'cases'"]),
        (edit_test(MINIMUM, name=None), ["test 1", "name"]),
        (edit_test(MINIMUM, name=" "), ["test 1", "name"]),
        (edit_test(MINIMUM, name=["a"]), ["test 1", "name"]),
        (edit_test(MINIMUM, kind="minimal"), ["test 1 (plain)", "'kind'", "'minimal'", "'minimum'"]),
        (edit_test(MINIMUM, kind=None), ["test 1 (plain)", "'kind' is None", "directional, invariance, minimum"]),
        (edit_test(MINIMUM, kind=["minimum"]), ["test 1 (plain)", "'kind' is ['minimum']"]),
        (edit_test(MINIMUM, cases=None), ["test 1 (plain)", "'cases'"]),
        (edit_test(MINIMUM, cases=[]), ["test 1 (plain)", "'cases'"]),
        (edit_test(MINIMUM, cases={"text": "a"}), ["test 1 (plain)", "'cases'"]),
        (edit_test(INVARIANCE, cases=[["a", "b"], ["a"]]), ["test 1 (verbs), case 2", "texts"]),
        (edit_test(INVARIANCE, cases=[{"text": "a"}]), ["case 1", "texts"]),
        (edit_test(INVARIANCE, cases=[["a", ""]]), ["case 1", "text 2"]),
        (edit_test(INVARIANCE, cases=[["a", ["b"]]]), ["case 1", "text 2"]),
        (edit_test(INVARIANCE, cases=[["a", "b", "a"]]), ["case 1", "text"]),
        (edit_test(MINIMUM, cases=["a"]), ["case 1", "text, has, has_not"]),
        (edit_test(MINIMUM, cases=[{"text": "a", "hass": []}]), ["case 1", "'hass'", "'has'"]),
        (edit_test(MINIMUM, cases=[{"has": ["vision"]}]), ["case 1", "text"]),
        (edit_test(MINIMUM, cases=[{"text": "a"}]), ["case 1", "no label", "'has' or 'has_not'"]),
        (edit_test(MINIMUM, cases=[{"text": "a", "has": [], "has_not": []}]), ["case 1", "no label"]),
        (edit_test(MINIMUM, cases=[{"text": "a", "has": "vision"}]), ["case 1", "'has'"]),
        (edit_test(MINIMUM, cases=[{"text": "a", "has": [["vision"]]}]), ["case 1", "'has'"]),
        (
            edit_test(MINIMUM, cases=[{"text": "a", "has": ["vision"], "has_not": ["audio", "vision"]}]),
            ["case 1", "'vision'", "'has'", "'has_not'"],
        ),
        (edit_test(MINIMUM, cases=[{"text": "a", "has": ["visoin"]}]), ["case 1", "'visoin'", "'vision'"]),
        (edit_test(MINIMUM, cases=[{"text": "a", "has_not": ["robotic"]}]), ["case 1", "'robotics'"]),
        (edit_test(DIRECTIONAL, cases=[{"text": "a", "up": ["audio"]}]), ["case 1", "changed"]),
        (edit_test(DIRECTIONAL, cases=[{"text": "a", "changed": "a", "up": ["audio"]}]), ["case 1", "text"]),
        (edit_test(DIRECTIONAL, cases=[{"text": "a", "changed": "b"}]), ["case 1", "no label", "'up' or 'down'"]),
    ],
)
def test_invalid_file_error_names_location(read: Read, content: Any, parts: list[str]) -> None:
    with pytest.raises(UserError, match=r"tests\.yaml") as error:
        read(content)
    for part in parts:
        assert part in str(error.value)


WORDS = st.sampled_from(
    ["name", "kind", "cases", "text", "changed", "up", "has", "minimum", "invariance", "vision", "a"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | WORDS | st.text(max_size=5)
TREES = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
CASES = st.lists(
    st.fixed_dictionaries({}, optional={"text": TREES, "changed": TREES, "has": TREES, "up": TREES}) | TREES
)
TESTS = st.lists(
    st.fixed_dictionaries(
        {"name": VALUES, "kind": st.sampled_from([kind.value for kind in Kind]) | VALUES, "cases": CASES | TREES}
    ),
    max_size=3,
)
SCRAPS = st.lists(
    st.sampled_from(["- ", "name: ", "\n", "  ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "<<: ", '"\\U'])
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TESTS | TREES | st.binary() | st.text() | SCRAPS.map("".join))
def test_any_content_is_read_or_rejected(read: Read, content: Any) -> None:
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    with suppress(UserError):
        assert all(isinstance(case, Case) for case in read(content))


# --- running ----------------------------------------------------------------------------------------------------------

SCORES = {  # audio, graphs, vision
    "a picture": [0.1, 0.2, 0.9],
    "a photograph": [0.1, 0.3, 0.8],
    "a sound": [0.7, 0.2, 0.1],
    "a drawing": [0.1, 0.6, 0.4],
}


def predict(texts: Sequence[str]) -> Scores:
    return np.array([SCORES[text] for text in texts], dtype=np.float32)


def decide(scores: Scores) -> Binary:
    return (scores >= 0.5).astype(np.uint8)


def run_case(kind: Kind, *texts: str, wanted: tuple[str, ...] = (), unwanted: tuple[str, ...] = ()) -> Outcome:
    [outcome] = run_behaviour([Case("a test", kind, texts, wanted, unwanted)], predict, decide, LABELS)
    assert (outcome.test, outcome.kind, outcome.texts) == ("a test", kind, texts)
    return outcome


def test_invariance_compares_labels_not_scores() -> None:
    outcome = run_case(Kind.invariance, "a picture", "a photograph")
    assert outcome.passed is True
    assert outcome.found == ""


def test_invariance_failure_lists_gained_and_lost_labels() -> None:
    outcome = run_case(Kind.invariance, "a picture", "a photograph", "a drawing", "a sound")
    assert outcome.passed is False
    assert outcome.found == ("text 3 gains graphs; text 3 loses vision; text 4 gains audio; text 4 loses vision")


def test_directional_compares_scores_not_decisions() -> None:
    assert run_case(Kind.directional, "a picture", "a photograph", wanted=("graphs",), unwanted=("vision",)).passed


def test_directional_failure_reports_both_scores() -> None:
    outcome = run_case(Kind.directional, "a picture", "a photograph", wanted=("vision",), unwanted=("graphs",))
    assert outcome.passed is False
    assert outcome.found == (
        "the score of vision went from 0.9 to 0.8, it should rise; "
        "the score of graphs went from 0.2 to 0.3, it should fall"
    )


@pytest.mark.parametrize(("wanted", "unwanted", "verb"), [(("graphs",), (), "rise"), ((), ("graphs",), "fall")])
def test_directional_fails_if_score_is_unchanged(wanted: tuple[str, ...], unwanted: tuple[str, ...], verb: str) -> None:
    outcome = run_case(Kind.directional, "a picture", "a sound", wanted=wanted, unwanted=unwanted)
    assert outcome.passed is False
    assert outcome.found == f"the score of graphs stayed at 0.2, it should {verb}"


def test_directional_fails_if_one_label_is_unchanged() -> None:
    outcome = run_case(Kind.directional, "a picture", "a sound", wanted=("audio", "graphs"), unwanted=("vision",))
    assert outcome.passed is False
    assert "graphs" in outcome.found
    assert "audio" not in outcome.found
    assert "vision" not in outcome.found


def test_minimum_requires_wanted_and_forbids_unwanted_labels() -> None:
    assert run_case(Kind.minimum, "a picture", wanted=("vision",), unwanted=("audio", "graphs")).passed
    outcome = run_case(Kind.minimum, "a drawing", wanted=("vision",), unwanted=("audio", "graphs"))
    assert outcome.passed is False
    assert outcome.found == "lacks vision; has graphs"


def test_distinct_texts_of_applicable_cases_are_predicted_in_one_batch() -> None:
    batches: list[list[str]] = []

    def predict_and_record(texts: Sequence[str]) -> Scores:
        batches.append(list(texts))
        return predict(texts)

    cases = [
        Case("one", Kind.invariance, ("a picture", "a photograph")),
        Case("two", Kind.minimum, ("unknown",), ("vision", "robotics"), (), ("robotics",)),
        Case("three", Kind.directional, ("a sound", "a picture"), ("vision",), ()),
    ]
    outcomes = run_behaviour(cases, predict_and_record, decide, LABELS)
    assert batches == [["a picture", "a photograph", "a sound"]]
    assert [(outcome.test, outcome.passed) for outcome in outcomes] == [("one", True), ("two", None), ("three", True)]
    assert outcomes[1].found == "not applicable: the run does not predict robotics"


def test_nothing_is_predicted_without_applicable_cases() -> None:
    def fail(texts: Sequence[str]) -> Scores:
        raise AssertionError(texts)

    assert run_behaviour([], fail, decide, LABELS) == []
    skipped = Case("two", Kind.minimum, ("a",), ("robotics",), (), ("robotics",))
    assert [outcome.passed for outcome in run_behaviour([skipped], fail, decide, LABELS)] == [None]


# --- metrics ----------------------------------------------------------------------------------------------------------


def make_outcome(kind: Kind, passed: bool | None) -> Outcome:
    return Outcome("a test", kind, passed, ("a", "b"), "" if passed else "lacks vision")


def test_metrics_are_shares_of_applicable_cases() -> None:
    outcomes = [
        *[make_outcome(Kind.invariance, passed) for passed in (True, True, True, False)],
        *[make_outcome(Kind.minimum, passed) for passed in (False, None, None)],
    ]
    assert compute_behaviour_metrics(outcomes) == {
        "behaviour/cases": 5,
        "behaviour/skipped": 2,
        "behaviour/score": 3 / 5,
        "behaviour/invariance": 3 / 4,
        "behaviour/minimum": 0.0,
    }


def test_metrics_without_applicable_cases_have_no_shares() -> None:
    assert compute_behaviour_metrics([]) == {}
    metrics = compute_behaviour_metrics([make_outcome(Kind.directional, None)])
    assert metrics == {"behaviour/cases": 0, "behaviour/skipped": 1}


def test_every_case_is_written_as_json() -> None:
    outcomes = [
        make_outcome(Kind.invariance, True),
        make_outcome(Kind.minimum, False),
        make_outcome(Kind.directional, None),
    ]
    written = json.loads(json.dumps(outcomes_to_json(outcomes)))
    assert [entry["passed"] for entry in written] == [True, False, None]
    assert written[1] == {
        "name": "a test",
        "kind": "minimum",
        "passed": False,
        "texts": ["a", "b"],
        "found": "lacks vision",
    }


# --- the files of the data sets ---------------------------------------------------------------------------------------

DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))
assert {"sample", "madewithml"} <= set(DATA)


@pytest.fixture
def madewithml(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set MADEWITHML_DIR to the Made With ML data; skip the test if they are missing."""
    directory = Path(os.environ.get("MADEWITHML_DIR") or project.parent / "shared/data")
    if not all((directory / name).is_file() for name in ("projects.json", "tags.json")):
        pytest.skip(f"no projects.json and tags.json in {directory}: set MADEWITHML_DIR to the data of Made With ML")
    monkeypatch.setenv("MADEWITHML_DIR", str(directory))


@pytest.mark.parametrize("name", DATA)
def test_behavioural_tests_of_data_set_match_its_labels(name: str, request: pytest.FixtureRequest) -> None:
    if name == "madewithml":
        request.getfixturevalue("madewithml")
    config = compose([f"data={name}"]).data
    if config.behaviour is None or config.behaviour.path is None:
        pytest.skip(f"{name} brings no behavioural tests")
    prepared = prepare(config)
    cases = read_behaviour(config.behaviour, prepared.labels, ())  # no label is excluded
    assert {case.kind for case in cases} == set(Kind)
    assert len({case.test for case in cases}) >= 9
    assert len(cases) >= 24
    assert {text for case in cases for text in case.texts}.isdisjoint(record.text for record in prepared.records)


def test_hash_depends_on_every_field_of_case() -> None:
    case = Case("a test", Kind.minimum, ("a",), ("vision",), (), ())
    variants = (
        replace(case, texts=("b",)),
        replace(case, wanted=("audio",)),
        replace(case, wanted=(), unwanted=("vision",)),
        replace(case, skipped=("vision",)),
        replace(case, kind=Kind.directional),
        replace(case, test="another"),
    )
    assert len({hash_cases([variant]) for variant in (case, *variants)}) == 7
    assert hash_cases([case, case]) != hash_cases([case]) == hash_cases([replace(case)])
    assert hash_cases([]) is None

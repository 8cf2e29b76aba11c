"""Check files of behavioural tests, the requirements of each kind, and the files of the data sets."""

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
from ratchet.project import CONF

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
    """Read a file with this content: bytes, text, or anything that YAML can represent."""

    def from_content(content: Any) -> list[Case]:
        text = content if isinstance(content, str | bytes) else yaml.safe_dump(content, allow_unicode=True)
        path = tmp_path / "tests.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_behaviour(FileConfig(path=str(path)), LABELS, LEFT_OUT)

    return from_content


def one(test: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """Return a file of one test with some keys changed (None: removed)."""
    return [{key: value for key, value in {**test, **changes}.items() if value is not None}]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_without_a_path_there_are_no_cases() -> None:
    assert read_behaviour(FileConfig(), LABELS, LEFT_OUT) == []
    assert read_behaviour(None, LABELS, LEFT_OUT) == []


def test_a_file_that_is_not_there_is_named_with_its_role() -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        read_behaviour(FileConfig(path="nowhere.yaml"), LABELS, LEFT_OUT)


def test_each_kind_is_read(read: Read) -> None:
    assert read([INVARIANCE, DIRECTIONAL, MINIMUM]) == [
        Case("verbs", Kind.invariance, ("we see", "we watch", "we regard")),
        Case("swaps", Kind.directional, ("a picture", "a sound"), ("audio",), ("vision",)),
        Case("plain", Kind.minimum, ("a picture",), ("vision",), ("audio",)),
    ]


def test_labels_may_stand_on_one_side_only_and_twice_is_once(read: Read) -> None:
    cases = [{"text": "a", "has": ["vision", "vision"]}, {"text": "b", "has_not": ["audio"]}]
    found = read(one(MINIMUM, cases=cases))
    assert [(case.wanted, case.unwanted) for case in found] == [(("vision",), ()), ((), ("audio",))]


def test_words_that_mean_something_to_yaml_are_text(read: Read) -> None:
    text = "- name: yes\n  kind: invariance\n  cases:\n    - [no, 2020, 1.50, null, 2021-02-30]\n"
    assert read(text) == [Case("yes", Kind.invariance, ("no", "2020", "1.50", "null", "2021-02-30"))]


def test_texts_keep_every_character(read: Read) -> None:
    texts = ["  Übung, größer  ", "two\nlines", "emoji 😅", "trailing ?!"]
    assert read(one(INVARIANCE, cases=[texts])) == [Case("verbs", Kind.invariance, tuple(texts))]


def test_a_case_with_a_label_that_the_run_does_not_predict_is_kept_as_not_applicable(read: Read) -> None:
    cases = [{"text": "a robot", "has": ["robotics", "vision"]}, {"text": "a picture", "has": ["vision"]}]
    found = read(one(MINIMUM, cases=cases))
    assert [case.skipped for case in found] == [("robotics",), ()]


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
        (one(MINIMUM, name=None), ["test 1", "name"]),
        (one(MINIMUM, name=" "), ["test 1", "name"]),
        (one(MINIMUM, name=["a"]), ["test 1", "name"]),
        (one(MINIMUM, kind="minimal"), ["test 1 (plain)", "'kind'", "'minimal'", "'minimum'"]),
        (one(MINIMUM, kind=None), ["test 1 (plain)", "'kind' is None", "directional, invariance, minimum"]),
        (one(MINIMUM, kind=["minimum"]), ["test 1 (plain)", "'kind' is ['minimum']"]),
        (one(MINIMUM, cases=None), ["test 1 (plain)", "'cases'"]),
        (one(MINIMUM, cases=[]), ["test 1 (plain)", "'cases'"]),
        (one(MINIMUM, cases={"text": "a"}), ["test 1 (plain)", "'cases'"]),
        (one(INVARIANCE, cases=[["a", "b"], ["a"]]), ["test 1 (verbs), case 2", "texts"]),
        (one(INVARIANCE, cases=[{"text": "a"}]), ["case 1", "texts"]),
        (one(INVARIANCE, cases=[["a", ""]]), ["case 1", "text 2"]),
        (one(INVARIANCE, cases=[["a", ["b"]]]), ["case 1", "text 2"]),
        (one(INVARIANCE, cases=[["a", "b", "a"]]), ["case 1", "text"]),
        (one(MINIMUM, cases=["a"]), ["case 1", "text, has, has_not"]),
        (one(MINIMUM, cases=[{"text": "a", "hass": []}]), ["case 1", "'hass'", "'has'"]),
        (one(MINIMUM, cases=[{"has": ["vision"]}]), ["case 1", "text"]),
        (one(MINIMUM, cases=[{"text": "a"}]), ["case 1", "no label", "'has' or 'has_not'"]),
        (one(MINIMUM, cases=[{"text": "a", "has": [], "has_not": []}]), ["case 1", "no label"]),
        (one(MINIMUM, cases=[{"text": "a", "has": "vision"}]), ["case 1", "'has'"]),
        (one(MINIMUM, cases=[{"text": "a", "has": [["vision"]]}]), ["case 1", "'has'"]),
        (
            one(MINIMUM, cases=[{"text": "a", "has": ["vision"], "has_not": ["audio", "vision"]}]),
            ["case 1", "'vision'", "'has'", "'has_not'"],
        ),
        (one(MINIMUM, cases=[{"text": "a", "has": ["visoin"]}]), ["case 1", "'visoin'", "'vision'"]),
        (one(MINIMUM, cases=[{"text": "a", "has_not": ["robotic"]}]), ["case 1", "'robotics'"]),
        (one(DIRECTIONAL, cases=[{"text": "a", "up": ["audio"]}]), ["case 1", "changed"]),
        (one(DIRECTIONAL, cases=[{"text": "a", "changed": "a", "up": ["audio"]}]), ["case 1", "text"]),
        (one(DIRECTIONAL, cases=[{"text": "a", "changed": "b"}]), ["case 1", "no label", "'up' or 'down'"]),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_the_place(
    read: Read, content: Any, parts: list[str]
) -> None:
    with pytest.raises(UserError, match=r"tests\.yaml") as caught:
        read(content)
    for part in parts:
        assert part in str(caught.value)


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
def test_whatever_a_file_holds_is_read_or_refused(read: Read, content: Any) -> None:
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


def outcome_of(kind: Kind, *texts: str, wanted: tuple[str, ...] = (), unwanted: tuple[str, ...] = ()) -> Outcome:
    [outcome] = run_behaviour([Case("a test", kind, texts, wanted, unwanted)], predict, decide, LABELS)
    assert (outcome.test, outcome.kind, outcome.texts) == ("a test", kind, texts)
    return outcome


def test_invariance_asks_for_the_same_labels_not_the_same_scores() -> None:
    outcome = outcome_of(Kind.invariance, "a picture", "a photograph")
    assert outcome.passed is True
    assert outcome.found == ""


def test_invariance_fails_if_any_text_differs_and_reports_how() -> None:
    outcome = outcome_of(Kind.invariance, "a picture", "a photograph", "a drawing", "a sound")
    assert outcome.passed is False
    assert outcome.found == ("text 3 gains graphs; text 3 loses vision; text 4 gains audio; text 4 loses vision")


def test_direction_asks_for_scores_that_move_not_for_decisions() -> None:
    assert outcome_of(Kind.directional, "a picture", "a photograph", wanted=("graphs",), unwanted=("vision",)).passed


def test_direction_fails_if_a_score_moves_the_other_way_and_reports_both_scores() -> None:
    outcome = outcome_of(Kind.directional, "a picture", "a photograph", wanted=("vision",), unwanted=("graphs",))
    assert outcome.passed is False
    assert outcome.found == (
        "the score of vision went from 0.9 to 0.8, it should rise; "
        "the score of graphs went from 0.2 to 0.3, it should fall"
    )


@pytest.mark.parametrize(("wanted", "unwanted", "verb"), [(("graphs",), (), "rise"), ((), ("graphs",), "fall")])
def test_direction_fails_where_nothing_moves(wanted: tuple[str, ...], unwanted: tuple[str, ...], verb: str) -> None:
    outcome = outcome_of(Kind.directional, "a picture", "a sound", wanted=wanted, unwanted=unwanted)
    assert outcome.passed is False
    assert outcome.found == f"the score of graphs stayed at 0.2, it should {verb}"


def test_direction_fails_if_one_of_several_labels_does_not_move() -> None:
    outcome = outcome_of(Kind.directional, "a picture", "a sound", wanted=("audio", "graphs"), unwanted=("vision",))
    assert outcome.passed is False
    assert "graphs" in outcome.found
    assert "audio" not in outcome.found
    assert "vision" not in outcome.found


def test_minimum_asks_for_labels_that_are_there_and_others_that_are_not() -> None:
    assert outcome_of(Kind.minimum, "a picture", wanted=("vision",), unwanted=("audio", "graphs")).passed
    outcome = outcome_of(Kind.minimum, "a drawing", wanted=("vision",), unwanted=("audio", "graphs"))
    assert outcome.passed is False
    assert outcome.found == "lacks vision; has graphs"


def test_each_text_is_predicted_once_in_one_batch_without_those_of_cases_that_are_skipped() -> None:
    batches: list[list[str]] = []

    def counting(texts: Sequence[str]) -> Scores:
        batches.append(list(texts))
        return predict(texts)

    cases = [
        Case("one", Kind.invariance, ("a picture", "a photograph")),
        Case("two", Kind.minimum, ("unknown",), ("vision", "robotics"), (), ("robotics",)),
        Case("three", Kind.directional, ("a sound", "a picture"), ("vision",), ()),
    ]
    outcomes = run_behaviour(cases, counting, decide, LABELS)
    assert batches == [["a picture", "a photograph", "a sound"]]
    assert [(outcome.test, outcome.passed) for outcome in outcomes] == [("one", True), ("two", None), ("three", True)]
    assert outcomes[1].found == "not applicable: the run does not predict robotics"


def test_nothing_is_predicted_where_nothing_is_applicable() -> None:
    def never(texts: Sequence[str]) -> Scores:
        raise AssertionError(texts)

    assert run_behaviour([], never, decide, LABELS) == []
    skipped = Case("two", Kind.minimum, ("a",), ("robotics",), (), ("robotics",))
    assert [outcome.passed for outcome in run_behaviour([skipped], never, decide, LABELS)] == [None]


# --- figures ----------------------------------------------------------------------------------------------------------


def outcome(kind: Kind, passed: bool | None) -> Outcome:
    return Outcome("a test", kind, passed, ("a", "b"), "" if passed else "lacks vision")


def test_metrics_are_shares_of_applicable_cases() -> None:
    outcomes = [
        *[outcome(Kind.invariance, passed) for passed in (True, True, True, False)],
        *[outcome(Kind.minimum, passed) for passed in (False, None, None)],
    ]
    assert compute_behaviour_metrics(outcomes) == {
        "behaviour/cases": 5,
        "behaviour/skipped": 2,
        "behaviour/score": 3 / 5,
        "behaviour/invariance": 3 / 4,
        "behaviour/minimum": 0.0,
    }


def test_without_cases_there_are_no_metrics_and_without_applicable_ones_no_shares() -> None:
    assert compute_behaviour_metrics([]) == {}
    found = compute_behaviour_metrics([outcome(Kind.directional, None)])
    assert found == {"behaviour/cases": 0, "behaviour/skipped": 1}


def test_every_case_is_written_as_json() -> None:
    outcomes = [outcome(Kind.invariance, True), outcome(Kind.minimum, False), outcome(Kind.directional, None)]
    written = json.loads(json.dumps(outcomes_to_json(outcomes)))
    assert [each["passed"] for each in written] == [True, False, None]
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
    """Return the directory of the Made With ML data; skip a test that needs them if there are none."""
    directory = Path(os.environ.get("MADEWITHML_DIR") or project.parent / "shared/data")
    if not all((directory / name).is_file() for name in ("projects.json", "tags.json")):
        pytest.skip(f"no projects.json and tags.json in {directory}: set MADEWITHML_DIR to the data of Made With ML")
    monkeypatch.setenv("MADEWITHML_DIR", str(directory))


@pytest.mark.parametrize("name", DATA)
def test_the_behavioural_tests_of_a_data_set_fit_its_labels(name: str, request: pytest.FixtureRequest) -> None:
    if name == "madewithml":
        request.getfixturevalue("madewithml")
    config = compose([f"data={name}"]).data
    if config.behaviour is None or config.behaviour.path is None:
        pytest.skip(f"{name} brings no behavioural tests")
    prepared = prepare(config)
    cases = read_behaviour(config.behaviour, prepared.labels, ())  # none of its labels is left out
    assert {case.kind for case in cases} == set(Kind)
    assert len({case.test for case in cases}) >= 9
    assert len(cases) >= 24
    assert {text for case in cases for text in case.texts}.isdisjoint(record.text for record in prepared.records)


def test_cases_that_ask_for_something_else_have_another_hash() -> None:
    case = Case("a test", Kind.minimum, ("a",), ("vision",), (), ())
    changed = (
        replace(case, texts=("b",)),
        replace(case, wanted=("audio",)),
        replace(case, wanted=(), unwanted=("vision",)),
        replace(case, skipped=("vision",)),
        replace(case, kind=Kind.directional),
        replace(case, test="another"),
    )
    assert len({hash_cases([each]) for each in (case, *changed)}) == 7
    assert hash_cases([case, case]) != hash_cases([case]) == hash_cases([replace(case)])
    assert hash_cases([]) is None

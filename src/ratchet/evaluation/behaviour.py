"""Run behavioural tests: sentences in a data file, with what any useful tagger must do with them whatever its F1.

The kinds are those of CheckList (Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with
CheckList"). A file is a YAML list of tests, each with `name`, `kind` and `cases`:

    invariance   [text, text, ...]                                 all get the same labels
    directional  {text: ..., changed: ..., up: [...], down: [...]}  from `text` to `changed`, scores rise and fall
    minimum      {text: ..., has: [...], has_not: [...]}            labels that must be decided, or must not

Every scalar is read as text: `on` and `2020` may be labels.
"""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from ratchet.config import FileConfig
from ratchet.data.opening import decode
from ratchet.data.sources import Content, read_file
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.metrics import Binary

Scores = npt.NDArray[np.float32]


class Kind(Enum):
    """The kind of a test, as in CheckList."""

    invariance = "invariance"
    directional = "directional"
    minimum = "minimum"


_KEYS = {  # of a case: those of its texts, then those of its wanted and unwanted labels
    Kind.directional: (("text", "changed"), ("up", "down")),
    Kind.minimum: (("text",), ("has", "has_not")),
}


@dataclass(frozen=True)
class Case:
    """One case of the test called `test`.

    Scores of `wanted` labels must rise, or the labels be decided; `unwanted` ones must fall, or not be decided.
    `skipped` are labels of the case that the run does not predict; a case with any is not applicable.
    """

    test: str
    kind: Kind
    texts: tuple[str, ...]
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case: `passed` is None if it was not applicable; `found` is the reason if it did not pass."""

    test: str
    kind: Kind
    passed: bool | None
    texts: tuple[str, ...]
    found: str


def read_behaviour(file: FileConfig | None, labels: Collection[str], known: Collection[str]) -> list[Case]:
    """Read the cases of a file of behavioural tests; none if no file is configured.

    `labels` are those that the run predicts. A case may name another of the `known` labels (one that a filter left
    out): it is kept, as not applicable.

    Raises:
        UserError: no such file, not YAML, not of the form above, or an unknown label.
    """
    return parse_cases(*read_tests(file), labels, known)


def parse_cases(name: str, tests: list[Any], labels: Collection[str], known: Collection[str]) -> list[Case]:
    """Return the cases of `tests`, the list in a file of behavioural tests that messages call `name`.

    Raises:
        UserError: not of the form above, or an unknown label.
    """
    cases = [case for number, test in enumerate(tests, start=1) for case in _parse_test(test, f"{name}, test {number}")]
    for location, case in cases:
        for label in (*case.wanted, *case.unwanted):
            if label not in labels and label not in known:
                raise UserError(f"{location}: there is no label {label!r}; {did_you_mean(label, {*labels, *known})}")
    return [
        replace(case, skipped=tuple(label for label in (*case.wanted, *case.unwanted) if label not in labels))
        for _, case in cases
    ]


def read_tests(file: FileConfig | None, *, packaged: bool = True) -> tuple[str, list[Any]]:
    """Return the name of a file of behavioural tests and the list in it, not validated; empty without a file.

    Raises:
        UserError: no such file, not YAML, no list.
    """
    if file is None or file.path is None:
        return "", []
    content = read_file(file, "behavioural tests", packaged=packaged)
    tests = _parse_yaml(content)
    if not isinstance(tests, list) or not tests:
        raise UserError(f"{content.name}: must be a list of tests, each with name, kind and cases")
    return content.name, tests


class _Loader(yaml.BaseLoader):
    """Load strings, lists and mappings. A repeated key is an error; YAML would silently drop the first one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        keys = [key.value for key, _ in node.value]
        if len(mapping) < len(keys):
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated!r} is there twice", node.start_mark)
        return mapping


def _parse_yaml(content: Content) -> Any:
    try:
        return yaml.load(decode(content, "utf-8"), _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{content.name}{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error


def _parse_test(test: Any, location: str) -> Iterator[tuple[str, Case]]:
    """Yield the cases of one test, each with its location for messages."""
    _check_keys(test, ("name", "kind", "cases"), location)
    [name] = _check_texts({"name": test.get("name")}, location)
    location = f"{location} ({name})"
    kind, entries = test.get("kind"), test.get("cases")
    if kind not in (kinds := [member.value for member in Kind]):
        raise UserError(f"{location}: 'kind' is {kind!r}; {did_you_mean(str(kind), kinds)}")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{location}: 'cases' must be a list of at least one case")
    for number, entry in enumerate(entries, start=1):
        where = f"{location}, case {number}"
        yield where, _parse_case(name, Kind(kind), entry, where)


def _parse_case(name: str, kind: Kind, entry: Any, location: str) -> Case:
    """Return one case of a test; a UserError names its location."""
    if kind is Kind.invariance:
        if not isinstance(entry, list) or len(entry) < 2:
            raise UserError(f"{location}: must be a list of two or more texts")
        return Case(name, kind, _check_texts({f"text {n}": text for n, text in enumerate(entry, start=1)}, location))
    text_keys, label_keys = _KEYS[kind]
    _check_keys(entry, (*text_keys, *label_keys), location)
    texts = _check_texts({key: entry.get(key) for key in text_keys}, location)
    wanted, unwanted = (_read_labels(entry, key, location) for key in label_keys)
    if not wanted and not unwanted:
        raise UserError(f"{location}: names no label; add one under {' or '.join(map(repr, label_keys))}")
    if both := [label for label in wanted if label in unwanted]:
        raise UserError(f"{location}: {both[0]!r} is under both {' and '.join(map(repr, label_keys))}")
    return Case(name, kind, texts, wanted, unwanted)


def _check_keys(mapping: Any, valid: Sequence[str], location: str) -> None:
    if not isinstance(mapping, dict):
        raise UserError(f"{location}: must be a mapping with the keys {', '.join(valid)}")
    for key in mapping:
        if key not in valid:
            raise UserError(f"{location}: there is no key {key!r}; {did_you_mean(key, valid)}")


def _check_texts(named: dict[str, Any], location: str) -> tuple[str, ...]:
    """Return the texts by name, as checked: distinct and not empty."""
    for key, text in named.items():
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{location}: {key} must be text that is not empty")
    if len(set(named.values())) < len(named):
        raise UserError(f"{location}: has the same text twice, which tests nothing: change one of them")
    return tuple(named.values())


def _read_labels(entry: dict[str, Any], key: str, location: str) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{location}: {key!r} must be a list of labels")
    return tuple(dict.fromkeys(unicodedata.normalize("NFC", value) for value in values))  # as labels of records


def run_behaviour(
    cases: Sequence[Case],
    predict: Callable[[Sequence[str]], Scores],
    decide: Callable[[Scores], Binary],
    labels: Sequence[str],
) -> list[Outcome]:
    """Return the outcome of each case, in order. All distinct texts are predicted in one batch.

    `predict` and `decide` return arrays of shape (num_texts, num_labels), columns in the order of `labels`.
    """
    texts = list(dict.fromkeys(text for case in cases if not case.skipped for text in case.texts))
    scores = predict(texts) if texts else np.zeros((0, len(labels)), dtype=np.float32)
    decisions = decide(scores)
    row = {text: index for index, text in enumerate(texts)}
    outcomes = []
    for case in cases:
        if case.skipped:
            passed, reason = None, f"not applicable: the run does not predict {', '.join(case.skipped)}"
        else:
            rows = [row[text] for text in case.texts]
            reason = "; ".join(_find_failures(case, scores[rows], decisions[rows], labels))
            passed = not reason
        outcomes.append(Outcome(case.test, case.kind, passed, case.texts, reason))
    return outcomes


def _find_failures(case: Case, scores: Scores, decisions: Binary, labels: Sequence[str]) -> Iterator[str]:
    """Yield what a case requires and did not get; arrays have shape (num_texts, num_labels)."""
    decided_labels = [{label for label, decided in zip(labels, row, strict=True) if decided} for row in decisions]
    if case.kind is Kind.invariance:
        for number, other in enumerate(decided_labels[1:], start=2):
            if gained := sorted(other - decided_labels[0]):
                yield f"text {number} gains {', '.join(gained)}"
            if lost := sorted(decided_labels[0] - other):
                yield f"text {number} loses {', '.join(lost)}"
    elif case.kind is Kind.minimum:
        yield from (f"lacks {label}" for label in case.wanted if label not in decided_labels[0])
        yield from (f"has {label}" for label in case.unwanted if label in decided_labels[0])
    else:
        for label in (*case.wanted, *case.unwanted):
            before, after = scores[:, labels.index(label)].tolist()
            rises = label in case.wanted
            if before == after or (before < after) is not rises:
                went = f"stayed at {before:.4g}" if before == after else f"went from {before:.4g} to {after:.4g}"
                yield f"the score of {label} {went}, it should {'rise' if rises else 'fall'}"


def compute_behaviour_metrics(outcomes: Sequence[Outcome]) -> dict[str, float | int]:
    """Return the shares of applicable cases that passed: `behaviour/score` over all, `behaviour/<kind>` by kind.

    `behaviour/cases` is the number of applicable cases, `behaviour/skipped` that of the others. Empty without
    outcomes; without applicable cases there are no shares.
    """
    if not outcomes:
        return {}
    applicable = [outcome for outcome in outcomes if outcome.passed is not None]
    skipped = len(outcomes) - len(applicable)
    metrics: dict[str, float | int] = {"behaviour/cases": len(applicable), "behaviour/skipped": skipped}
    by_kind = {kind.value: [outcome for outcome in applicable if outcome.kind is kind] for kind in Kind}
    for name, group in ({"score": applicable} | by_kind).items():
        if group:
            metrics[f"behaviour/{name}"] = sum(outcome.passed is True for outcome in group) / len(group)
    return metrics


def hash_cases(cases: Sequence[Case]) -> str | None:
    """Return the sha256 of the cases' content; None if there are none."""
    if not cases:
        return None
    content = [[case.test, case.kind.value, case.texts, case.wanted, case.unwanted, case.skipped] for case in cases]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def outcomes_to_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the content of behaviour.json: every case; `passed` is null if it was not applicable."""
    return [
        {
            "name": outcome.test,
            "kind": outcome.kind.value,
            "passed": outcome.passed,
            "texts": list(outcome.texts),
            "found": outcome.found,
        }
        for outcome in outcomes
    ]

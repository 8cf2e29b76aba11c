"""Behavioural tests: what a tagger must do whatever its F1, written down as sentences in a data file.

The kinds are those of CheckList (Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with
CheckList"). A file is a YAML list of tests, each with `name`, `kind` and `cases`:

    invariance   [text, text, ...]                                 all get the same labels
    directional  {text: ..., changed: ..., up: [...], down: [...]}  from `text` to `changed`, scores rise and fall
    minimum      {text: ..., has: [...], has_not: [...]}            labels that any useful tagger finds, or does not

Every scalar is taken as text: `on` and `2020` may be labels.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from ratchet.config import FileConfig
from ratchet.data.reading import decode
from ratchet.data.sources import Content, read_file
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.metrics import Binary

Scores = npt.NDArray[np.float32]


class Kind(Enum):
    """What a test asks for."""

    invariance = "invariance"
    directional = "directional"
    minimum = "minimum"


_KEYS = {  # of a case: its texts, its wanted and unwanted labels
    Kind.directional: (("text", "changed"), ("up", "down")),
    Kind.minimum: (("text",), ("has", "has_not")),
}


@dataclass(frozen=True)
class Case:
    """One case of the test called `test`.

    `wanted` labels must rise or be there, `unwanted` ones fall or be absent. `skipped` are labels of the case that
    the run does not predict; a case with any is not applicable.
    """

    test: str
    kind: Kind
    texts: tuple[str, ...]
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `passed` is None where it was not applicable; `found` says why it did not pass."""

    test: str
    kind: Kind
    passed: bool | None
    texts: tuple[str, ...]
    found: str


def read_behaviour(file: FileConfig | None, labels: Collection[str], known: Collection[str]) -> list[Case]:
    """The cases of a file of behavioural tests; none where none is configured.

    `labels` are those that the run predicts. A case may name another of the `known` labels (one that a filter left
    out): it is kept, as not applicable.

    Raises:
        UserError: no such file, not YAML, not of the form above, or a label that nobody knows.
    """
    return cases_of(*read_tests(file), labels, known)


def cases_of(name: str, tests: list[Any], labels: Collection[str], known: Collection[str]) -> list[Case]:
    """The cases of the list in a file of behavioural tests; messages call the file `name`.

    Raises:
        UserError: not of the form above, or a label that nobody knows.
    """
    cases = [case for number, test in enumerate(tests, start=1) for case in _cases(test, f"{name}, test {number}")]
    for place, case in cases:
        for label in (*case.wanted, *case.unwanted):
            if label not in labels and label not in known:
                raise UserError(f"{place}: there is no label {label!r}; {did_you_mean(label, {*labels, *known})}")
    return [
        replace(case, skipped=tuple(label for label in (*case.wanted, *case.unwanted) if label not in labels))
        for _, case in cases
    ]


def read_tests(file: FileConfig | None) -> tuple[str, list[Any]]:
    """The name of a file of behavioural tests, and the list in it, not looked at any further; empty without a file.

    Raises:
        UserError: no such file, not YAML, no list.
    """
    if file is None or file.path is None:
        return "", []
    content = read_file(file, "behavioural tests")
    tests = _parse(content)
    if not isinstance(tests, list) or not tests:
        raise UserError(f"{content.name}: must be a list of tests, each with name, kind and cases")
    return content.name, tests


class _Loader(yaml.BaseLoader):
    """Strings, lists and mappings; a key that stands twice is an error, not a case that is lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        keys = [key.value for key, _ in node.value]
        if len(mapping) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands twice", node.start_mark)
        return mapping


def _parse(content: Content) -> Any:
    try:
        return yaml.load(decode(content, "utf-8"), _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{content.name}{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error


def _cases(test: Any, place: str) -> Iterator[tuple[str, Case]]:
    """The cases of one test, each with its place for messages."""
    _check_keys(test, ("name", "kind", "cases"), place)
    [name] = _texts({"name": test.get("name")}, place)
    place = f"{place} ({name})"
    kind, entries = test.get("kind"), test.get("cases")
    if kind not in (kinds := [each.value for each in Kind]):
        raise UserError(f"{place}: 'kind' is {kind!r}; {did_you_mean(str(kind), kinds)}")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{place}: 'cases' must be a list of at least one case")
    for number, entry in enumerate(entries, start=1):
        where = f"{place}, case {number}"
        yield where, _case(name, Kind(kind), entry, where)


def _case(name: str, kind: Kind, entry: Any, place: str) -> Case:
    if kind is Kind.invariance:
        if not isinstance(entry, list) or len(entry) < 2:
            raise UserError(f"{place}: must be a list of two or more texts")
        return Case(name, kind, _texts({f"text {n}": text for n, text in enumerate(entry, start=1)}, place))
    text_keys, label_keys = _KEYS[kind]
    _check_keys(entry, (*text_keys, *label_keys), place)
    texts = _texts({key: entry.get(key) for key in text_keys}, place)
    wanted, unwanted = (_labels(entry, key, place) for key in label_keys)
    if not wanted and not unwanted:
        raise UserError(f"{place}: names no label under {' or '.join(map(repr, label_keys))}")
    if both := [label for label in wanted if label in unwanted]:
        raise UserError(f"{place}: {both[0]!r} stands under both {' and '.join(map(repr, label_keys))}")
    return Case(name, kind, texts, wanted, unwanted)


def _check_keys(mapping: Any, valid: Sequence[str], place: str) -> None:
    if not isinstance(mapping, dict):
        raise UserError(f"{place}: must be a mapping with the keys {', '.join(valid)}")
    for key in mapping:
        if key not in valid:
            raise UserError(f"{place}: there is no key {key!r}; {did_you_mean(key, valid)}")


def _texts(named: dict[str, Any], place: str) -> tuple[str, ...]:
    for key, text in named.items():
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{place}: {key} must be text that is not empty")
    if len(set(named.values())) < len(named):
        raise UserError(f"{place}: has the same text twice, which tests nothing")
    return tuple(named.values())


def _labels(entry: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{place}: {key!r} must be a list of labels")
    return tuple(dict.fromkeys(values))


def run_behaviour(
    cases: Sequence[Case],
    predict: Callable[[Sequence[str]], Scores],
    decide: Callable[[Scores], Binary],
    labels: Sequence[str],
) -> list[Outcome]:
    """The outcome of each case, in their order; all texts are predicted in one batch, each once.

    `predict` and `decide` give arrays of shape (num_texts, num_labels), columns in the order of `labels`.
    """
    texts = list(dict.fromkeys(text for case in cases if not case.skipped for text in case.texts))
    scores = predict(texts) if texts else np.zeros((0, len(labels)), dtype=np.float32)
    decisions = decide(scores)
    row = {text: index for index, text in enumerate(texts)}
    outcomes = []
    for case in cases:
        if case.skipped:
            passed, found = None, f"not applicable: the run does not predict {', '.join(case.skipped)}"
        else:
            rows = [row[text] for text in case.texts]
            found = "; ".join(_failures(case, scores[rows], decisions[rows], labels))
            passed = not found
        outcomes.append(Outcome(case.test, case.kind, passed, case.texts, found))
    return outcomes


def _failures(case: Case, scores: Scores, decisions: Binary, labels: Sequence[str]) -> Iterator[str]:
    """What a case asks for and did not get; arrays of shape (num_texts, num_labels)."""
    own = [{label for label, decided in zip(labels, row, strict=True) if decided} for row in decisions]
    if case.kind is Kind.invariance:
        for number, other in enumerate(own[1:], start=2):
            if gained := sorted(other - own[0]):
                yield f"text {number} gains {', '.join(gained)}"
            if lost := sorted(own[0] - other):
                yield f"text {number} loses {', '.join(lost)}"
    elif case.kind is Kind.minimum:
        yield from (f"lacks {label}" for label in case.wanted if label not in own[0])
        yield from (f"has {label}" for label in case.unwanted if label in own[0])
    else:
        for label in (*case.wanted, *case.unwanted):
            before, after = scores[:, labels.index(label)].tolist()
            rises = label in case.wanted
            if before == after or (before < after) is not rises:
                went = f"stayed at {before:.4g}" if before == after else f"went from {before:.4g} to {after:.4g}"
                yield f"the score of {label} {went}, it should {'rise' if rises else 'fall'}"


def behaviour_figures(outcomes: Sequence[Outcome]) -> dict[str, float | int]:
    """Shares of applicable cases that passed: `behaviour/score` over all, `behaviour/<kind>` for each kind there is.

    `behaviour/cases` is the number of applicable cases, `behaviour/skipped` that of the others. Without any outcome
    there are no keys, without an applicable case no shares.
    """
    if not outcomes:
        return {}
    ran = [outcome for outcome in outcomes if outcome.passed is not None]
    found: dict[str, float | int] = {"behaviour/cases": len(ran), "behaviour/skipped": len(outcomes) - len(ran)}
    groups = {"score": ran} | {kind.value: [each for each in ran if each.kind is kind] for kind in Kind}
    for name, group in groups.items():
        if group:
            found[f"behaviour/{name}"] = sum(outcome.passed is True for outcome in group) / len(group)
    return found


def behaviour_hash(cases: Sequence[Case]) -> str | None:
    """sha256 of what the cases ask for; None where there are none."""
    if not cases:
        return None
    content = [[each.test, each.kind.value, each.texts, each.wanted, each.unwanted, each.skipped] for each in cases]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def behaviour_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The content of behaviour.json: every case, `passed` null where it was not applicable."""
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

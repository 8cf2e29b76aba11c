import json
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., Path]
Verb = Callable[..., tuple[int, str, str]]

TEXT = "Speech recognition with a GAN"


@pytest.fixture(scope="module")
def rule(make_run: Make) -> Path:
    return make_run("model=rule")


@pytest.fixture(scope="module")
def regression(make_run: Make) -> Path:
    return make_run("model=regression", "model.char_ngrams=null")


@pytest.fixture(scope="module")
def failed(make_run: Make) -> Path:
    return make_run("data.records.path=nowhere.jsonl")


@pytest.fixture(autouse=True)
def _enter_workplace(
    rule: Path, regression: Path, failed: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)


def test_rule_explanation_names_matching_words(rule: Path, verb: Verb) -> None:
    code, out, err = verb("explain", rule.name, f"text={TEXT}")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[1:]]
    assert {row[0] for row in rows} == {"audio", "generative-models"}
    assert any("gan" in row for row in rows)
    assert all(row[-1] == "yes" for row in rows)


def test_json_has_labels_scores_and_evidence(rule: Path, verb: Verb) -> None:
    explanation = json.loads(verb("explain", rule.name, f"text={TEXT}", "format=json")[1])
    assert explanation["labels"] == ["audio", "generative-models"]
    assert set(explanation["scores"]) == set(json.loads((rule / "labels.json").read_text()))
    assert {label for label, score in explanation["scores"].items() if score == 1} == set(explanation["labels"])
    assert {"label": "generative-models", "words": "gan", "weight": 1.0} in explanation["evidence"]


def test_regression_evidence_is_sorted_by_weight(regression: Path, verb: Verb) -> None:
    explanation = json.loads(verb("explain", regression.name, f"text={TEXT}", "format=json")[1])
    assert explanation["evidence"]
    for label in {item["label"] for item in explanation["evidence"]}:
        items = [item for item in explanation["evidence"] if item["label"] == label]
        assert [item["weight"] for item in items] == sorted((item["weight"] for item in items), reverse=True)
        words = {item["words"] for item in items}
        named = {phrase for phrase in words if phrase.replace(" ", "-") in {"audio", "generative-models"}}
        assert all(set(phrase.split()) <= set(TEXT.lower().split()) for phrase in words - named)


def test_label_below_threshold_is_not_predicted(make_run: Make, verb: Verb) -> None:
    run = make_run("model=regression", "model.char_ngrams=null", "threshold.method=fixed", "threshold.value=1")
    out = verb("explain", run.name, f"text={TEXT}")[1]
    rows = [line.split() for line in out.splitlines()[1:]]
    assert rows
    assert all(row[-1] == "no" for row in rows)


def test_explain_prints_markdown_table(rule: Path, verb: Verb) -> None:
    assert verb("explain", rule.name, f"text={TEXT}", "format=md")[1].startswith("| label | words |")


@pytest.mark.parametrize("text", ["nothing of the kind", "", "   ", "日本語", "{}", "[1, 2"])
def test_text_without_evidence_is_accepted(text: str, rule: Path, verb: Verb) -> None:
    code, out, err = verb("explain", rule.name, f"text={text}")
    assert (code, out, err) == (0, "no words support any label\n", "")


def test_text_may_contain_config_syntax(rule: Path, verb: Verb) -> None:
    code, out, _ = verb("explain", rule.name, "text=a=b, ${speech}: [gan] 'and' \"more\"")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"audio", "generative-models"}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["which run, which text?"]),
        (["{rule}"], ["which text?"]),
        (["text=x"], ["which run"]),
        (["text=x", "{rule}"], ["which run"]),
        (["{rule}", "format=json"], ["which text?"]),
        (["{rule}", "a gan"], ["'a gan'", "key=value"]),
        (["{rule}", "txt=a gan"], ["'txt'"]),
        (["unknown", "text=x"], ["'unknown'"]),
        (["{failed}", "text=x"], ["failed"]),
        (["{rule}", "text=x", "format=xml"], ["format", "json, md, table"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_invalid_arguments_are_reported(
    arguments: list[str], parts: list[str], rule: Path, failed: Path, verb: Verb
) -> None:
    names = {"rule": rule.name, "failed": failed.name}
    code, out, err = verb("explain", *(argument.format(**names) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err

"""The script as a shell runs it: what TAB offers, how soon, and that nothing is said beside it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cli.conftest import Verb

from ratchet.cli.completion import list_places
from ratchet.cli.help import VERBS, find_options
from ratchet.project import CONF

Offers = Callable[[str], list[str]]
COMPLETE = """
source ./completion
COMP_LINE=$1 COMP_POINT=${#1}
_ratchet
printf '%s\\n' "${COMPREPLY[@]}"
"""
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def test_there_is_a_place_for_every_verb_and_each_of_its_actions() -> None:
    found = list_places()
    assert set(VERBS) <= set(found[""].words)
    for verb in VERBS:
        assert {f"{verb} {action}".strip() for action in find_options(verb)} | {verb} <= found.keys()
        assert set(find_options(verb)) - {""} <= set(found[verb].words)


def test_keys_are_those_of_the_options_with_what_each_may_be() -> None:
    found = list_places()
    assert found["export"].keys["precision"] == ["float32", "int8"]
    assert found["runs list"].keys["ladder"] == ["false", "true"]
    assert found["gate"].keys.keys() > {"objective", "resamples"}
    assert found["report"].keys.keys() > {"out", "texts"}
    assert found["explain"].keys["text"] == []


def test_training_takes_groups_keys_and_the_settings_of_all_models() -> None:
    keys = list_places()["train"].keys
    assert keys.keys() > {"model", "data", "experiment", "seed", "split.seed", "model.stemming", "model.lexical.C"}
    assert keys["threshold.method"] == ["tuned", "per_label", "fixed"]
    assert not {"sweep_id", "objective"} & keys.keys()


def test_runs_are_named_where_the_verb_says_so() -> None:
    taking = {words for words, place in list_places().items() if place.takes_run}
    assert taking >= {"evaluate", "predict", "reproduce", "export", "explain", "runs show"}
    assert not taking & {"runs list", "runs", "train", "data list", "promote"}


@pytest.fixture
def offers(verb: Verb, tmp_path: Path) -> Offers:
    """`offers("ratchet ru")`: what bash offers there, in a directory with two runs."""
    code, out, err = verb("completion", "bash")
    assert (code, err) == (0, "")
    (tmp_path / "completion").write_text(out, encoding="utf-8")
    for place in ("runs/sample/rule/first", "runs/sample/cnn/second"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "record.json").touch()

    def at(line: str) -> list[str]:
        command: Sequence[str] = [shutil.which("bash") or "bash", "--norc", "-c", COMPLETE, "bash", line]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return [offer for offer in done.stdout.split("\n") if offer]

    return at


def test_bash_completes_verbs_actions_keys_values_and_runs(offers: Offers) -> None:
    assert set(VERBS) <= set(offers("ratchet "))
    assert offers("ratchet ru") == ["runs"]
    assert offers("ratchet runs sh") == ["show"]
    assert offers("ratchet runs show ")[1:4] == ["last", "second", "first"]
    assert offers("ratchet runs list form") == ["format="]
    assert offers("ratchet runs list format=") == ["table", "md", "json"], "bash keeps what stands before the ="
    assert offers("ratchet train model=") == MODELS
    assert offers("ratchet train -m model=rule,tr") == [f"rule,{each}" for each in MODELS if each.startswith("tr")]
    assert offers("ratchet gate objective=s") == ["strict"]
    assert offers("ratchet predict last input=x") == [], "bash offers files then"


def test_an_answer_comes_before_one_looks_for_it(offers: Offers) -> None:
    before = cpu_of_children()
    offers("ratchet train model=")
    assert cpu_of_children() - before < 0.5, "it takes hundredths of a second of CPU: no Python is started"


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that were started here and have ended."""
    used = os.times()
    return used.children_user + used.children_system


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_ask_the_same_function(shell: str, verb: Verb, tmp_path: Path) -> None:
    code, script, err = verb("completion", shell)
    assert (code, err) == (0, "")
    assert "'runs show') words='--help' keys='format runs_dir' takes_run=1 ;;" in script.replace("\\'", "'")
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "--no-execute", "/dev/stdin"], input=script, text=True, check=True, cwd=tmp_path)


def test_another_shell_is_refused_with_those_there_are(verb: Verb) -> None:
    assert verb("completion")[0] == 2
    code, out, err = verb("completion", "bsh")
    assert (code, out) == (2, "")
    assert "did you mean 'bash'?" in err

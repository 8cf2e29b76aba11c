"""Tests for the completion script as a shell runs it: its candidates, its CPU time and an empty stderr."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cli.conftest import Verb
from tests.commands import CONF, run_command
from tests.own_projects import write_project

from ratchet.cli.completion import list_places
from ratchet.cli.help import VERBS, find_options

Completer = Callable[[str], list[str]]
COMPLETION_SCRIPT = """
source ./completion
COMP_LINE=$1 COMP_POINT=${#1}
_ratchet
printf '%s\\n' "${COMPREPLY[@]}"
"""
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def test_every_verb_and_action_has_completions() -> None:
    places = list_places()
    assert set(VERBS) <= set(places[""].words)
    for verb in VERBS:
        assert {f"{verb} {action}".strip() for action in find_options(verb)} | {verb} <= places.keys()
        assert set(find_options(verb)) - {""} <= set(places[verb].words)


def test_keys_are_listed_with_allowed_values() -> None:
    places = list_places()
    assert places["export"].keys["precision"] == ["float32", "int8"]
    assert places["runs list"].keys["ladder"] == ["false", "true"]
    assert places["gate"].keys.keys() > {"objective", "resamples"}
    assert places["report"].keys.keys() > {"out", "texts"}
    assert places["explain"].keys["text"] == []


def test_train_completes_groups_keys_and_model_settings() -> None:
    keys = list_places()["train"].keys
    assert keys.keys() > {"model", "data", "experiment", "seed", "split.seed", "model.stemming", "model.lexical.C"}
    assert keys["threshold.method"] == ["tuned", "per_label", "fixed"]
    assert not {"sweep_id", "objective"} & keys.keys()


def test_run_ids_complete_only_verbs_that_take_runs() -> None:
    with_run = {words for words, place in list_places().items() if place.takes_run}
    assert with_run >= {"evaluate", "predict", "reproduce", "export", "explain", "runs show"}
    assert not with_run & {"runs list", "runs", "train", "data list", "promote"}


@pytest.fixture
def complete(verb: Verb, tmp_path: Path) -> Completer:
    """Return a function that lists the completions that bash offers for a line, in a directory with two runs."""
    code, out, err = verb("completion", "bash")
    assert (code, err) == (0, "")
    (tmp_path / "completion").write_text(out, encoding="utf-8")
    for directory in ("runs/sample/rule/first", "runs/sample/cnn/second"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "record.json").touch()

    def complete_line(line: str) -> list[str]:
        command: Sequence[str] = [shutil.which("bash") or "bash", "--norc", "-c", COMPLETION_SCRIPT, "bash", line]
        process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert process.stderr == ""
        return [candidate for candidate in process.stdout.split("\n") if candidate]

    return complete_line


def test_bash_completes_verbs_actions_keys_values_and_runs(complete: Completer) -> None:
    assert set(VERBS) <= set(complete("ratchet "))
    assert complete("ratchet ru") == ["runs"]
    assert complete("ratchet runs sh") == ["show"]
    assert complete("ratchet runs show ")[1:4] == ["last", "second", "first"]
    assert complete("ratchet runs list form") == ["format="]
    assert complete("ratchet runs list format=") == ["table", "md", "json"], "bash keeps the text before the ="
    assert complete("ratchet train model=") == MODELS
    assert complete("ratchet train -m model=rule,tr") == [f"rule,{model}" for model in MODELS if model.startswith("tr")]
    assert complete("ratchet gate objective=s") == ["strict"]
    assert complete("ratchet predict last input=x") == [], "empty, so that bash completes file names"


def test_completion_takes_little_cpu_time(complete: Completer) -> None:
    before = measure_child_cpu()
    complete("ratchet train model=")
    assert measure_child_cpu() - before < 0.5, "without a Python process, completion takes hundredths of a CPU second"


def measure_child_cpu() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_scripts_contain_same_entries(shell: str, verb: Verb, tmp_path: Path) -> None:
    code, script, err = verb("completion", shell)
    assert (code, err) == (0, "")
    assert "'runs show') words='--help' keys='format runs_dir' takes_run=1 ;;" in script.replace("\\'", "'")
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "--no-execute", "/dev/stdin"], input=script, text=True, check=True, cwd=tmp_path)


def test_unknown_shell_is_reported_with_suggestion(verb: Verb) -> None:
    assert verb("completion")[0] == 2
    code, out, err = verb("completion", "bsh")
    assert (code, out) == (2, "")
    assert "did you mean 'bash'?" in err


@pytest.fixture
def complete_in(verb: Verb, tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that lists the completions of a line in a directory: `complete_in(path, "ratchet ")`."""
    _, script, _ = verb("completion", "bash")
    program = COMPLETION_SCRIPT.replace("source ./completion\n", script)

    def complete_line(directory: Path, line: str, **environment: str) -> list[str]:
        directory.mkdir(parents=True, exist_ok=True)
        done = run_command("bash", "--norc", "-c", program, "bash", line, cwd=directory, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        return [candidate for candidate in done.stdout.split("\n") if candidate]

    return complete_line


def test_own_configurations_and_runs_complete_everywhere_in_a_project(
    complete_in: Callable[..., list[str]], tmp_path: Path
) -> None:
    writes = "from pathlib import Path\nPath(__file__).with_name('seen').touch()\n"
    root = write_project(
        tmp_path / "größe a",
        {
            "conf/model/rule.yaml": "",
            "conf/model/group/inner.yaml": "",
            "conf/features/words.yaml": "",
            "runs/own/own/first/record.json": "{}",
            "models/own.py": writes,
            "conf/model/own.yaml": "",
        },
    )
    for directory in (root, root / "sub dir" / "deeper"):
        assert complete_in(directory, "ratchet train model=") == sorted({*MODELS, "own", "group/inner"})
        assert complete_in(directory, "ratchet train features=") == ["words"]
        assert "first" in complete_in(directory, "ratchet evaluate ")
    outside = complete_in(tmp_path, "ratchet train model=")
    assert outside == MODELS
    assert complete_in(tmp_path, "ratchet train model=o", RATCHET_PROJECT=str(root)) == ["own"]
    (root / "repository" / ".git").mkdir(parents=True)
    assert complete_in(root / "repository" / "sub", "ratchet train model=") == MODELS, "not above the git root"
    assert not (root / "models" / "seen").exists(), "no module was imported"

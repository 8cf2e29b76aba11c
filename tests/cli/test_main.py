import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from ratchet.cli.help import VERBS
from ratchet.cli.main import main, run_guarded
from ratchet.errors import RunFailed, UserError


@pytest.fixture(autouse=True)
def _signals_and_traces_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["--help"]])
def test_the_overview_names_every_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: ratchet VERB")
    for verb in VERBS:
        assert re.search(rf"^  {verb}\s+\S", out, re.MULTILINE)
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_is_listed_is_there(verb: str) -> None:
    assert callable(import_module(f"ratchet.cli.{verb}").run)


def test_a_misspelt_verb_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    captured = capsys.readouterr()
    assert "no verb 'trian'; did you mean 'train'?" in captured.err
    assert captured.out == ""


def test_an_unknown_verb_gets_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qqq"]) == 2
    assert ", ".join(sorted(VERBS)) in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 3])
def test_an_action_tells_its_own_exit_code(code: int) -> None:
    assert run_guarded(lambda: code) == code


def test_a_mistake_is_its_message_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(raising(UserError("data.csv, row 3: no id"))) == 2
    assert capsys.readouterr().err == "error: data.csv, row 3: no id\n"


def test_a_run_that_a_mistake_stopped_is_2_and_names_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(raising(RunFailed(Path("runs/a/b/c"), UserError("no such file")))) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: no such file\n")
    assert str(Path("runs/a/b/c")) in err
    assert "Traceback" not in err


def test_a_run_that_broke_is_1_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as error:
        failed = RunFailed(Path("runs/a/b/c"), error)
    assert run_guarded(raising(failed)) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: by nothing" in err
    assert err.rstrip().endswith(str(Path("runs/a/b/c")))


def test_a_trace_of_a_mistake_is_shown_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert run_guarded(raising(UserError("wrong"))) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: wrong\n")


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_being_told_to_stop_is_143_by_way_of_an_exception() -> None:
    """An exception, so that the run's record gets to say `interrupted`."""
    with pytest.raises(SystemExit) as stop:
        run_guarded(lambda: os.kill(os.getpid(), signal.SIGTERM) or 0)
    assert stop.value.code == 143


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_guarded(raising(ZeroDivisionError()))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_there_is_no_room_for_is_said_without_a_trace(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("ratchet")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([program], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: the output: No space left on device. Make room there, or write it elsewhere\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes close differently on Windows")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [[], ["data", "list"], ["runs", "list"]], ids=lambda value: " ".join(value))
def test_a_reader_that_goes_away_is_no_error(arguments: list[str], unbuffered: str, tmp_path: Path) -> None:
    """As in `ratchet ... | head -0`. Where output is buffered, only the last flush finds out."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("ratchet"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == ""

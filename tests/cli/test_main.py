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
def _restore_signals_and_tracebacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def make_raiser(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["--help"]])
def test_overview_lists_every_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: ratchet VERB")
    for verb in VERBS:
        assert re.search(rf"^  {verb}\s+\S", out, re.MULTILINE)
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("verb", VERBS)
def test_every_listed_verb_has_a_run_function(verb: str) -> None:
    assert callable(import_module(f"ratchet.cli.{verb}").run)


def test_misspelt_verb_error_suggests_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    captured = capsys.readouterr()
    assert "no verb 'trian'; did you mean 'train'?" in captured.err
    assert captured.out == ""


def test_action_in_place_of_verb_is_answered_with_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe"]) == 2
    assert main(["list"]) == 2
    describe, several = capsys.readouterr().err.splitlines()
    assert describe.endswith("no verb 'describe'; use ratchet data describe")
    assert "ratchet sweep list or ratchet runs list" in several


def test_unknown_verb_error_lists_all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qqq"]) == 2
    assert ", ".join(sorted(VERBS)) in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 3])
def test_exit_code_of_action_is_returned(code: int) -> None:
    assert run_guarded(lambda: code) == code


def test_user_error_prints_message_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(make_raiser(UserError("data.csv, row 3: no id"))) == 2
    assert capsys.readouterr().err == "error: data.csv, row 3: no id\n"


def test_run_failed_by_user_error_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(make_raiser(RunFailed(Path("runs/a/b/c"), UserError("no such file")))) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: no such file\n")
    assert str(Path("runs/a/b/c")) in err
    assert "Traceback" not in err


def test_run_failed_by_bug_exits_with_1_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as error:
        failed = RunFailed(Path("runs/a/b/c"), error)
    assert run_guarded(make_raiser(failed)) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: by nothing" in err
    assert err.rstrip().endswith(str(Path("runs/a/b/c")))


def test_hydra_full_error_shows_traceback_of_user_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert run_guarded(make_raiser(UserError("wrong"))) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: wrong\n")


def test_keyboard_interrupt_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(make_raiser(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_sigterm_raises_system_exit_143() -> None:
    """With an exception, the record of the run gets the status `interrupted`."""
    with pytest.raises(SystemExit) as stop:
        run_guarded(lambda: os.kill(os.getpid(), signal.SIGTERM) or 0)
    assert stop.value.code == 143


def test_unexpected_exception_is_not_caught() -> None:
    with pytest.raises(ZeroDivisionError):
        run_guarded(make_raiser(ZeroDivisionError()))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk_error_has_no_traceback(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("ratchet")
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([program], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 1
    assert process.stderr == "error: the output: No space left on device. Make room there, or write it elsewhere\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes close differently on Windows")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [[], ["data", "list"], ["runs", "list"]], ids=lambda value: " ".join(value))
def test_closed_output_pipe_is_not_an_error(arguments: list[str], unbuffered: str, tmp_path: Path) -> None:
    """As in `ratchet ... | head -0`. Buffered output fails only at the last flush."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        process = subprocess.run(
            [Path(sys.executable).with_name("ratchet"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write_end)
    assert process.stderr == ""

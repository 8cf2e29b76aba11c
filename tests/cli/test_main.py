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


_EVERYWHERE = ["models", "data list", "models --help", "data describe --help", "compare --help", "train --help"]
_EVERYWHERE += ["completion bash", "runs list", "promote show", "sweep list", "train --cfg=job", "data describe"]
_BROKEN = {
    "bad": b"name: [\n", "binary": b"\xff\xfe", "list": b"- name\n", "empty": b"", "cyclic": b"name: &a [*a]\n",
    "open": b"name: ${oops\n", "date": b"name: 2020-13-45\n",
}  # fmt: skip


@pytest.mark.parametrize("is_own", [True, False], ids=["own", "config-dir"])
@pytest.mark.parametrize("command", _EVERYWHERE)
def test_broken_file_concerns_only_what_needs_it(
    command: str,
    is_own: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ratchet.yaml").touch()
    conf = tmp_path / ("conf" if is_own else "mine")
    for group in ("model", "data", "objective", "tracker", "sweep", "launcher", "experiment", "trainer"):
        (conf / group).mkdir(parents=True)
        for name, content in _BROKEN.items():
            (conf / group / f"{name}.yaml").write_bytes(content)
        (conf / group / "dangling.yaml").symlink_to("nowhere")
        (conf / group / "folder.yaml").mkdir()
    takes_directory = command.split()[0] in ("models", "data", "train", "compare")
    code = main([*command.split(), *([] if is_own or not takes_directory else ["--config-dir", "mine"])])
    out, err = capfd.readouterr()
    assert code in ((0, 2) if command in ("sweep list", "runs list", "promote show") else (0,))
    assert "Traceback" not in out + err
    assert out or err


@pytest.mark.parametrize("group", ["model", "data", "objective"])
@pytest.mark.parametrize("name", [name for name in _BROKEN if name not in ("empty", "date")])
def test_broken_file_is_named_where_it_is_needed(
    group: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ratchet.yaml").touch()
    (tmp_path / "conf" / group).mkdir(parents=True)
    for broken, content in _BROKEN.items():
        (tmp_path / "conf" / group / f"{broken}.yaml").write_bytes(content)
    command = {"model": ["models", name], "data": ["data", "describe", f"data={name}"]}
    assert main(command.get(group, ["gate", f"objective={name}"])) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"conf/{group}/{name}.yaml" in err


@pytest.mark.parametrize(
    "command", ["models", "completion bash", "doctor", "init", "train", "compare --help", "runs list", "config schema"]
)
def test_deleted_working_directory_is_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "error: the working directory: No such file or directory: change to another one (cd DIR)\n",
    )

"""Tests for commands under any locale, in a directory of any name, and without a home directory."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import PROJECT, run_command

Done = CompletedProcess[str]
RATCHET = Path(sys.executable).with_name("ratchet")
FEW = "evaluation.resamples=100"
ODD = "a b é \"q\" 'x' =[1],$HOME %s {z} #h"
TEXTS = 'id,text\n1,"Café résumé 🚀 image classification"\n2,naïve Bayes über Straße\n'


def run_successfully(directory: Path, *arguments: str | Path, **environment: str) -> Done:
    done = run_command(*arguments, cwd=directory, **environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def use_locale(directory: Path, locale: str) -> dict[str, str]:
    """Return variables that make Python print in this locale's encoding; create the locale if it is not installed."""
    environment = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": locale}
    if locale == "C":
        return environment
    if shutil.which("localedef") is None:
        pytest.skip("no localedef to make a locale with")
    name, _, charset = locale.partition(".")
    made = subprocess.run(
        ["localedef", "-i", name, "-f", charset, directory / locale], capture_output=True, check=False
    )
    if not (directory / locale).is_dir():
        pytest.skip(f"{locale} cannot be made: {made.stderr.decode(errors='replace').strip()}")
    return {**environment, "LOCPATH": str(directory)}


@pytest.fixture(scope="module")
def accented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with runs whose name and hypothesis are not ASCII, made under UTF-8."""
    directory = tmp_path_factory.mktemp("accented")
    (directory / "texts.csv").write_text(TEXTS, encoding="utf-8")
    run_successfully(
        directory,
        sys.executable,
        PROJECT / "train.py",
        FEW,
        "-m",
        "name='modèle'",
        "hypothesis='größer 🚀'",
        "seed=0,1",
    )
    return directory


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_files_are_utf8_under_any_locale(locale: str, accented: Path, tmp_path: Path) -> None:
    environment, is_ascii = use_locale(tmp_path, locale), locale == "C"

    def read_output(*arguments: str | Path) -> str:
        done = subprocess.run(
            arguments, cwd=accented, env={**os.environ, **environment}, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return done.stdout.decode("ascii" if is_ascii else "latin-1")

    table = read_output(RATCHET, "runs", "list", "ladder=true")
    assert ("0.666 \\xb1 0.000" if is_ascii else "0.666 ± 0.000") in table
    assert ("mod\\xe8le" if is_ascii else "modèle") in table
    run = json.loads(read_output(RATCHET, "runs", "list", "format=json"))[0]
    assert (run["name"], run["hypothesis"]) == ("modèle", "größer 🚀")
    read_output(RATCHET, "predict", run["id"], "input=texts.csv", f"output={tmp_path}/out.csv", "text=text")
    written = (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert [line.split(",")[1] for line in written.splitlines()[1:]] == [
        "Café résumé 🚀 image classification",
        "naïve Bayes über Straße",
    ]
    if is_ascii:
        assert "F1 weighted" in read_output(sys.executable, PROJECT / "train.py", FEW, f"runs_dir={tmp_path}/runs")


def test_working_directory_may_have_any_name(tmp_path: Path) -> None:
    directory, train = tmp_path / ODD, PROJECT / "train.py"
    directory.mkdir()
    broken = run_command(sys.executable, train, FEW, "data.records.path=own.jsonl", "run_dir=one", cwd=directory)
    assert broken.returncode == 2
    assert ODD in broken.stderr
    shutil.copy(PROJECT / "data/sample/projects.jsonl", directory / "own.jsonl")
    run_successfully(directory, sys.executable, train, f"resume={directory / 'one'}")
    assert json.loads((directory / "one/record.json").read_text())["status"] == "finished"

    quoted = "'" + ODD.replace("'", "\\'") + "'"
    grid = run_successfully(directory, sys.executable, train, FEW, "-m", f"runs_dir={quoted}", "split.seed=0,1")
    assert grid.stdout.rstrip().splitlines()[-1].split()[:2] == ["rule", "2"]
    assert sorted(path.name for path in directory.iterdir()) == sorted(["one", "own.jsonl", "runs", ODD])
    assert len(list((directory / ODD).glob("sample/rule/*/record.json"))) == 2


def test_checkout_may_have_any_name(tmp_path: Path) -> None:
    checkout = tmp_path / "check out é =[1],%s"
    checkout.mkdir()
    for name in ("src", "conf", "data"):
        shutil.copytree(PROJECT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "train.py", checkout)
    grid = run_successfully(
        checkout, sys.executable, "train.py", FEW, "-m", "split.seed=0,1", PYTHONPATH=str(checkout / "src")
    )  # fmt: skip
    assert grid.stdout.rstrip().splitlines()[-1].split()[:2] == ["rule", "2"]


def test_no_home_directory_is_needed(tmp_path: Path) -> None:
    """HOME is below a file, so that not even root can create it."""
    (tmp_path / "file").touch()
    cleared = {name: "" for name in os.environ if name.startswith(("XDG_", "WANDB_", "HF_"))}
    environment = {**cleared, "HOME": str(tmp_path / "file" / "home")}
    (tmp_path / "texts.csv").write_text(TEXTS, encoding="utf-8")
    arguments = ("model=cnn", "debug=fast_dev_run", "tracker=wandb")  # it also loads the encoder's embeddings
    done = run_command(sys.executable, PROJECT / "train.py", FEW, *arguments, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("wandb: offline; upload with: wandb sync ")
    assert list(tmp_path.glob("runs/sample/*/*/wandb/offline-run-*")) != []
    run_successfully(
        tmp_path, RATCHET, "predict", "last", "input=texts.csv", "output=out.csv", "text=text", **environment
    )
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 3

"""Where a command may be run: under any locale, in a directory of any name, by somebody without a home."""

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


def command(directory: Path, *arguments: str | Path, **environment: str) -> Done:
    done = run_command(*arguments, cwd=directory, **environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def without_utf8(directory: Path, locale: str) -> dict[str, str]:
    """Variables under which Python prints in this locale's encoding; one that is not installed is made."""
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
    """A directory with runs whose name and hypothesis are not in ASCII, made under UTF-8."""
    directory = tmp_path_factory.mktemp("accented")
    (directory / "texts.csv").write_text(TEXTS, encoding="utf-8")
    command(
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
def test_under_a_locale_that_is_not_utf8_nothing_breaks_and_files_are_utf8(
    locale: str, accented: Path, tmp_path: Path
) -> None:
    there, plain = without_utf8(tmp_path, locale), locale == "C"

    def said(*arguments: str | Path) -> str:
        done = subprocess.run(arguments, cwd=accented, env={**os.environ, **there}, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return done.stdout.decode("ascii" if plain else "latin-1")

    table = said(RATCHET, "runs", "list", "ladder=true")
    assert ("0.666 \\xb1 0.000" if plain else "0.666 ± 0.000") in table
    assert ("mod\\xe8le" if plain else "modèle") in table
    run = json.loads(said(RATCHET, "runs", "list", "format=json"))[0]
    assert (run["name"], run["hypothesis"]) == ("modèle", "größer 🚀")
    said(RATCHET, "predict", run["id"], "input=texts.csv", f"output={tmp_path}/out.csv", "text=text")
    written = (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert [line.split(",")[1] for line in written.splitlines()[1:]] == [
        "Café résumé 🚀 image classification",
        "naïve Bayes über Straße",
    ]
    if plain:
        assert "F1 weighted" in said(sys.executable, PROJECT / "train.py", FEW, f"runs_dir={tmp_path}/runs")


def test_a_directory_may_have_any_name(tmp_path: Path) -> None:
    directory, train = tmp_path / ODD, PROJECT / "train.py"
    directory.mkdir()
    broken = run_command(sys.executable, train, FEW, "data.records.path=own.jsonl", "run_dir=one", cwd=directory)
    assert broken.returncode == 2
    assert ODD in broken.stderr
    shutil.copy(PROJECT / "data/sample/projects.jsonl", directory / "own.jsonl")
    command(directory, sys.executable, train, f"resume={directory / 'one'}")
    assert json.loads((directory / "one/record.json").read_text())["status"] == "finished"

    quoted = "'" + ODD.replace("'", "\\'") + "'"
    grid = command(directory, sys.executable, train, FEW, "-m", f"runs_dir={quoted}", "split.seed=0,1")
    assert grid.stdout.rstrip().splitlines()[-1].split()[:2] == ["rule", "2"]
    assert sorted(path.name for path in directory.iterdir()) == sorted(["one", "own.jsonl", "runs", ODD])
    assert len(list((directory / ODD).glob("sample/rule/*/record.json"))) == 2


def test_the_checkout_may_have_any_name(tmp_path: Path) -> None:
    checkout = tmp_path / "check out é =[1],%s"
    checkout.mkdir()
    for name in ("src", "conf", "data"):
        shutil.copytree(PROJECT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "train.py", checkout)
    found = command(
        checkout, sys.executable, "train.py", FEW, "-m", "split.seed=0,1", PYTHONPATH=str(checkout / "src")
    )  # fmt: skip
    assert found.stdout.rstrip().splitlines()[-1].split()[:2] == ["rule", "2"]


def test_no_home_is_needed(tmp_path: Path) -> None:
    """A home that nobody can make, root included: it would have to be in a file."""
    (tmp_path / "file").touch()
    unset = {name: "" for name in os.environ if name.startswith(("XDG_", "WANDB_", "HF_"))}
    there = {**unset, "HOME": str(tmp_path / "file" / "home")}
    (tmp_path / "texts.csv").write_text(TEXTS, encoding="utf-8")
    arguments = ("model=cnn", "debug=fast_dev_run", "tracker=wandb")  # with the encoder's embeddings
    command(tmp_path, sys.executable, PROJECT / "train.py", FEW, *arguments, **there)
    assert list(tmp_path.glob("runs/sample/*/*/wandb/offline-run-*")) != []
    command(tmp_path, RATCHET, "predict", "last", "input=texts.csv", "output=out.csv", "text=text", **there)
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 3

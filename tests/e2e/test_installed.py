"""Tests of the built wheel: alone in a fresh environment, and with all extras in a project of `ratchet init`."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import HANG_SECONDS, PROJECT, git, read_files

FEW = "evaluation.resamples=100"
DVC = ("python", "-m", "dvc")  # the program of this name is in the environment of CI
NOT_IN_CORE = ("torch", "pytorch_lightning", "transformers", "dvc", "wandb", "altair", "vl_convert", "optuna", "onnx")
TOPICS = {"login": "password sign account", "billing": "invoice charged card", "delivery": "parcel late courier"}
SCORE = """
import json, sys
from ratchet import load_scorer
scored = load_scorer(sys.argv[1]).score(["A segmentation network for tumours in CT scans"])
with open("/proc/self/status") as status:  # unlike getrusage, without the memory of the process that started this one
    [peak] = [int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM")]
print(json.dumps({"labels": scored.decided_labels()[0], "megabytes": peak, "modules": sorted(sys.modules)}))
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a home directory of its own."""

    programs: Path
    home: Path

    def run(self, directory: Path, *command: str | Path, **environment: str) -> CompletedProcess[str]:
        """Run a program of the environment as a user does who has activated it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RATCHET", "PYTHON"))}
        path = os.pathsep.join([str(self.programs), inherited["PATH"]])
        return subprocess.run(
            [str(self.programs / command[0]), *map(str, command[1:])],
            cwd=directory,
            env={**inherited, "PATH": path, "HOME": str(self.home), "XDG_CACHE_HOME": "", **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=HANG_SECONDS,
            check=False,
        )

    def read_output(self, directory: Path, *command: str | Path, **environment: str) -> str:
        """Run a command that must succeed; return what it prints on stdout."""
        done = self.run(directory, *command, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, as the README says."""
    directory = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(directory),
        str(PROJECT),
    ]
    subprocess.run(command, check=True, timeout=HANG_SECONDS)
    [path] = directory.glob("ratchet_ml-*.whl")
    return path


def make_environment(directory: Path, wheel: Path, *options: str) -> Installed:
    environment, home = directory / "environment", directory / "home"
    home.mkdir()
    venv.create(environment, with_pip=True)
    installed = Installed(environment / "bin", home)
    pip = ("python", "-m", "pip", "install", "--quiet", *options, wheel)
    installed.read_output(directory, *pip, HOME=str(Path.home()))  # with its cache
    return installed


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment with the wheel and its own dependencies, without extras."""
    return make_environment(tmp_path_factory.mktemp("core"), wheel)


@pytest.fixture(scope="module")
def complete(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return an environment with the wheel that uses the packages of this one: a real `[all]` takes minutes."""
    directory = tmp_path_factory.mktemp("complete")
    installed = make_environment(directory, wheel, "--no-deps")
    [site] = (directory / "environment").glob("lib/python*/site-packages")
    (site / "packages_of_ci.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return installed


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return an empty directory to work in."""
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


def write_tickets(path: Path, rows: int = 120) -> Path:
    """Write a CSV file of tickets with one to two topics each."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket", "subject", "body", "topics", "opened"])
        for number in range(rows):
            topics = draw.sample(sorted(TOPICS), draw.choice([1, 1, 2]))
            words = [word for topic in topics for word in draw.choices(TOPICS[topic].split(), k=3)]
            opened = f"2026-01-{number % 28 + 1:02d}"
            writer.writerow([f"T{number}", words[0], " ".join(["Please", *words]), ";".join(topics), opened])
    return path


def test_wheel_contains_configurations_and_sample_and_no_leftovers(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "conf").rglob("*.yaml")}
    expected |= {"data/sample/projects.jsonl", "data/sample/tags.json", "data/behaviour/sample.yaml"}
    assert {f"ratchet/packaged/{name}" for name in expected} <= names
    assert "hydra_plugins/ratchet_plugins.py" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".dvc", ".pyc"))]
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))]


def test_core_environment_is_small_and_has_no_heavy_package(core: Installed) -> None:
    listed = json.loads(core.read_output(core.home, "python", "-m", "pip", "list", "--format=json"))
    names = {package["name"].lower().replace("-", "_") for package in listed}
    assert "ratchet_ml" in names
    assert not names & {*NOT_IN_CORE, "vl_convert_python", "pandas"}
    [site] = core.programs.parent.glob("lib/python*/site-packages")
    tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")  # the last three are setuptools
    size = sum(
        path.stat().st_size
        for path in site.rglob("*")
        if path.is_file() and not path.relative_to(site).parts[0].startswith(tools)
    )
    assert size < 500e6, f"{size / 1e6:.0f} MB"


def test_core_trains_compares_exports_and_scores(core: Installed, work: Path) -> None:
    """The commands that a new user types in an empty directory; nothing is written outside of it."""
    assert "train" in core.read_output(work, "ratchet", "--help")
    assert "regression" in core.read_output(work, "ratchet", "models")
    assert "sample" in core.read_output(work, "ratchet", "data", "list")
    assert list(work.iterdir()) == [], "looking around writes nothing"
    core.read_output(work, "ratchet", "train", FEW)
    table = core.read_output(work, "ratchet", "train", "-m", "model=rule,regression", FEW)
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["rule", "regression"]
    assert "regression" in core.read_output(work, "ratchet", "compare", "resamples=200")
    core.read_output(work, "ratchet", "export", "last")
    [export] = work.glob("runs/sample/regression/*/export")
    scored = json.loads(core.read_output(work, "python", "-c", SCORE, export))
    assert "computer-vision" in scored["labels"]
    assert scored["megabytes"] < 200
    heavy = {name for name in scored["modules"] if name.partition(".")[0] in (*NOT_IN_CORE, "hydra", "omegaconf")}
    assert not heavy
    assert {path.name for path in work.iterdir()} == {"runs"}
    assert read_files(core.home) == {}


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["ratchet", "train", "model=cnn"], "neural"),
        (["ratchet", "train", "-m", "model=rule,transformer"], "neural"),
        (["ratchet", "train", "tracker=wandb"], "wandb"),
        (["ratchet", "train", "-m", "model=rule", "sweep=rule"], "search"),
        (["ratchet", "train", "-m", "model=rule", "launcher=joblib"], "launchers"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1],
)
def test_missing_extra_is_reported_before_any_work(
    command: list[str], extra: str, core: Installed, wheel: Path, work: Path
) -> None:
    done = core.run(work, *command, FEW)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"[{extra}]" in done.stderr
    assert wheel.name in done.stderr, "the command installs from where Ratchet was installed"
    assert "Traceback" not in done.stderr
    assert list(work.glob("runs/*/*/*")) == []


def test_report_without_its_extra_names_it(core: Installed, work: Path) -> None:
    core.read_output(work, "ratchet", "train", "-m", "model=rule,regression", FEW)
    done = core.run(work, "ratchet", "report", "resamples=200")
    assert done.returncode == 2
    assert "[report]" in done.stderr
    assert {path.name for path in work.iterdir()} == {"runs"}


def test_init_in_core_environment_needs_no_dvc(core: Installed, work: Path) -> None:
    data = write_tickets(work / "tickets.csv")
    printed = core.read_output(
        work, "ratchet", "init", "shop", f"data={data.name}", "text=subject,body", "labels=topics"
    )
    assert "[pipeline]" in printed, "how to get DVC"
    project = work / "shop"
    assert not (project / "dvc.yaml").exists()
    core.read_output(project, "python", "train.py", "-m", "model=rule,regression", FEW)
    assert "regression" in core.read_output(project, "ratchet", "compare", "resamples=200")


@pytest.mark.parametrize(
    "with_git", [pytest.param(True, id="git"), pytest.param(False, id="no git", marks=pytest.mark.thorough)]
)
def test_project_from_init_trains_repeats_compares_and_reports(with_git: bool, complete: Installed, work: Path) -> None:
    """The path has a space and an umlaut; all commands work in a subdirectory, too."""
    parent = work / "Büro 7"
    parent.mkdir()
    if with_git:
        git(parent, "init", "--quiet")
    data = write_tickets(parent / "tickets.csv")
    complete.read_output(parent, "ratchet", "init", "shop", f"data={data.name}", "text=subject,body", "labels=topics")
    project = parent / "shop"
    data.unlink()  # the project has its own copy
    table = complete.read_output(project, "python", "train.py", "-m", "model=rule,regression", FEW)
    assert "tickets, test" in table
    inside = project / "notebooks"
    complete.read_output(inside, "python", "../train.py", "model=regression", "seed=1", FEW)
    assert "regression" in complete.read_output(inside, "ratchet", "compare", "resamples=200")
    complete.read_output(inside, "ratchet", "report", "out=page.html", "resamples=200")
    assert (inside / "page.html").stat().st_size > 100_000
    if not with_git:  # then one repeat is enough
        params = project / "params.yaml"
        params.write_text(params.read_text(encoding="utf-8").replace("[0, 1, 2]", "[0]"), encoding="utf-8")
    complete.read_output(inside, *DVC, "repro", "--all-pipelines")
    assert (project / "build" / "report.html").is_file()
    assert len(list(project.glob("build/runs/tickets/*/*/record.json"))) == (6 if with_git else 2)
    if with_git:
        again = complete.read_output(project, *DVC, "repro")
        assert "Running stage 'train@" not in again
        assert "shop/data/tickets/tickets.csv" not in git(parent, "ls-files", "--others", "--exclude-standard")


def test_own_model_needs_two_files_and_no_edit(complete: Installed, work: Path) -> None:
    complete.read_output(work, "ratchet", "init", "mine")
    project = work / "mine"
    [module] = project.glob("models/*.py")
    [config] = project.glob("conf/model/*.yaml")
    before = read_files(project)
    shutil.copy(module, module.with_name("another.py"))
    text = config.read_text(encoding="utf-8").replace(f"base_{module.stem}", "base_another")
    (config.with_name("another.yaml")).write_text(
        text.replace(f"name: {module.stem}", "name: another"), encoding="utf-8"
    )
    complete.read_output(project, "ratchet", "models", "check", "another")
    complete.read_output(project, "python", "train.py", "-m", "model=rule,another", FEW)
    assert "another" in complete.read_output(project, "ratchet", "compare", "resamples=200")
    changed = {name for name, content in before.items() if (project / name).read_bytes() != content}
    assert changed == set(), "edits of existing files"


def test_nothing_printed_recommends_another_project_of_that_name(core: Installed, work: Path) -> None:
    """`ratchet` on PyPI is another project."""
    verbs = ["--help", "init --help", "doctor", "models cnn"]
    printed = [core.run(work, "ratchet", *verb.split()) for verb in verbs]
    text = "".join(done.stdout + done.stderr for done in printed)
    assert "pip install ratchet " not in text
    assert "pip install ratchet\n" not in text


def make_place(name: str, complete: Installed, directory: Path) -> tuple[Path, dict[str, str], list[str]]:
    """Return a place to work in: a directory, environment variables, and arguments of every command with runs."""
    if name == "checkout":
        return PROJECT, {}, [f"runs_dir={directory}/runs"]
    odd = directory / ("a b äöü ß" if name == "odd path" else "plain")
    odd.mkdir()
    complete.read_output(odd, "ratchet", "init", "project")
    nowhere = "/proc/1/nowhere"  # not writable, even by root
    environments = {
        "read-only home": {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "XDG_CONFIG_HOME": nowhere},
        "no git": {"PATH": str(complete.programs)},
        "no network": {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "all")},
    }
    place = odd / "project" / "models" if name == "subdirectory" else odd / "project"
    return place, environments.get(name, {}), []


@pytest.mark.parametrize(
    "name", ["checkout", "project", "subdirectory", "odd path", "read-only home", "no git", "no network"]
)
def test_same_commands_work_in_every_place(name: str, complete: Installed, tmp_path: Path) -> None:
    place, environment, runs = make_place(name, complete, tmp_path)
    (tmp_path / "texts.csv").write_text("text\nSpeech recognition with transformers\n", encoding="utf-8")

    def read_output(*command: str) -> str:
        return complete.read_output(place, *command, **environment)

    assert "regression" in read_output("ratchet", "models")
    assert "sample" in read_output("ratchet", "data", "list")
    table = read_output("ratchet", "train", "-m", "model=rule,regression", "data=sample", FEW, *runs)
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["rule", "regression"]
    assert "regression" in read_output("ratchet", "compare", "resamples=200", *runs)
    assert "finished" in read_output("ratchet", "runs", "list", *runs)
    read_output(
        "ratchet", "predict", "last", f"input={tmp_path}/texts.csv", f"output={tmp_path}/out.csv", "text=text", *runs
    )
    assert "Speech recognition" in (tmp_path / "out.csv").read_text(encoding="utf-8")
    if name == "subdirectory":
        assert (place.parent / "runs" / "sample").is_dir(), "runs belong to the project"
        assert not (place / "runs").exists()
    assert read_files(complete.home) == {}

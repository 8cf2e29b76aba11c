"""Tests for missing packages: reported before any work, with the command that installs the extra."""

import json
import shlex
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.commands import run_command
from tests.packages import hide_modules, list_modules_beyond_core, read_extras, read_project_requirements

from ratchet.errors import UserError
from ratchet.extras import (
    DISTRIBUTION,
    MODULES,
    has_modules,
    install_command,
    missing_extra,
    require_extra,
    requirement_of_ratchet,
)

RUN = "from ratchet.cli.main import main\nsys.exit(main())\n"
WHEEL = "file:///tmp/my%20wheels/ratchet_ml-0.1.0-py3-none-any.whl"
GIT = {"vcs": "git", "commit_id": "0123abc"}


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> "Installer":
    return Installer(monkeypatch)


class Installer:
    """Makes Ratchet appear as installed with a direct_url.json of this content (None: there is none)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, origin: str | None) -> None:
        installed = SimpleNamespace(version="0.1.0", read_text=lambda _: origin)
        self._monkeypatch.setattr("importlib.metadata.distribution", lambda _: installed)


def test_every_extra_of_users_names_its_modules(project: Path) -> None:
    assert set(MODULES) == set(read_extras(project)) - {"all", "dev"}


@pytest.mark.parametrize("extra", sorted(MODULES))
def test_modules_of_an_extra_come_with_it(extra: str, project: Path) -> None:
    provided_by = packages_distributions()
    required = {canonicalize_name(requirement.name) for requirement in read_project_requirements(project, extra)}
    for module in MODULES[extra]:
        names = {canonicalize_name(name) for name in provided_by[module.partition(".")[0]]}
        assert names & required, module


def test_has_modules_finds_modules_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_modules("json", "xml.dom.pulldom")
    assert not has_modules("json", "no_such_module")
    assert not has_modules("no_such_package.module")
    monkeypatch.delitem(sys.modules, "this", raising=False)
    assert has_modules("this")
    assert "this" not in sys.modules


def test_module_put_in_place_by_hand_counts_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "put_by_hand", ModuleType("put_by_hand"))
    assert has_modules("put_by_hand")
    monkeypatch.setitem(sys.modules, "put_by_hand", None)
    assert not has_modules("put_by_hand")


def test_require_extra_names_what_needs_it_the_module_and_the_command() -> None:
    require_extra("report", "json", what="the report")
    with pytest.raises(UserError) as caught:
        require_extra("report", "json", "no_such_module", what="the report")
    assert str(caught.value).startswith("the report needs no_such_module")
    assert install_command("report") in str(caught.value)
    assert str(caught.value) == str(missing_extra("report", "no_such_module", "the report"))


def test_require_extra_without_modules_checks_all_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra("report", what="the report")
    monkeypatch.setitem(sys.modules, MODULES["report"][-1], None)
    with pytest.raises(UserError, match=MODULES["report"][-1]):
        require_extra("report", what="the report")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, f"{DISTRIBUTION}[all,dev]==0.1.0"),
        ("not JSON", f"{DISTRIBUTION}[all,dev]==0.1.0"),
        ("[]", f"{DISTRIBUTION}[all,dev]==0.1.0"),
        (json.dumps({"url": WHEEL, "archive_info": {}}), f"{DISTRIBUTION}[all,dev] @ {WHEEL}"),
        (json.dumps({"url": "file:///a%20b", "dir_info": {}}), f"{DISTRIBUTION}[all,dev] @ file:///a%20b"),
        (json.dumps({"url": "file:///a%20b", "dir_info": {"editable": True}}), "-e /a b[all,dev]"),
        (json.dumps({"url": "https://h/r", "vcs_info": GIT}), f"{DISTRIBUTION}[all,dev] @ git+https://h/r@0123abc"),
        (
            json.dumps({"url": "https://h/r", "vcs_info": GIT, "subdirectory": "x"}),
            f"{DISTRIBUTION}[all,dev] @ git+https://h/r@0123abc#subdirectory=x",
        ),
    ],
    ids=["index", "damaged", "list", "wheel", "directory", "editable", "git", "git-subdirectory"],
)
def test_requirement_names_where_ratchet_was_installed_from(
    origin: str | None, expected: str, install: Installer
) -> None:
    install(origin)
    requirement = requirement_of_ratchet(["all", "dev"])
    assert requirement == expected
    assert requirement_of_ratchet() == expected.replace("[all,dev]", "")
    command = shlex.split(install_command("all", "dev"))
    if requirement.startswith("-e "):
        assert command == ["pip", "install", "-e", "/a b[all,dev]"]
    else:
        assert command == ["pip", "install", requirement]
        parsed = Requirement(requirement)
        assert (parsed.name, parsed.extras) == (DISTRIBUTION, {"all", "dev"})


def test_source_that_was_never_installed_is_named_by_its_directory(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.extras.DISTRIBUTION", "no-such-distribution")
    assert requirement_of_ratchet(["neural"]) == f"-e {project}[neural]"


def test_installed_package_has_the_name_that_commands_use() -> None:
    assert distribution(DISTRIBUTION).metadata["Name"] == DISTRIBUTION


@pytest.mark.parametrize(
    ("command", "what", "extra"),
    [
        (["train", "model=cnn"], "model=cnn", "neural"),
        (["train", "model=transformer_tiny"], "model=transformer_tiny", "neural"),
        (["train", "-m", "model=rule,cnn"], "model=cnn", "neural"),
        (["train", "tracker=wandb"], "tracker=wandb", "wandb"),
        (["train", "-m", "tracker=wandb", "model=rule,regression"], "tracker=wandb", "wandb"),
        (["train", "-m", "sweep=regression", "model=regression"], "sweep", "search"),
        (["train", "-m", "sweep=cnn", "model=cnn"], "model=cnn", "neural"),
        (["compare", "tracker=wandb"], "tracker=wandb", "wandb"),
        (["report"], "report", "report"),
        (["pipeline", "report"], "report", "report"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_command_without_its_extra_stops_before_any_work(
    command: list[str], what: str, extra: str, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    program = hide_modules(list_modules_beyond_core(project)) + RUN
    done = run_command(sys.executable, "-c", program, *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert what in line
    assert line.endswith(install_command(extra))
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"], "nothing was written"


def test_charts_without_their_library_name_the_extra(tmp_path: Path) -> None:
    """Notebooks draw them without a command that could check before."""
    program = hide_modules({"altair"}) + "import ratchet.charts.theme"
    done = run_command(sys.executable, "-c", program, cwd=tmp_path)
    assert "UserError: a chart needs altair" in done.stderr
    assert done.stderr.rstrip().endswith(install_command("report"))


@pytest.mark.parametrize("verb", ["export", "explain", "predict"])
def test_run_of_a_network_names_its_extra_when_it_is_loaded(
    verb: str, network_run: Path, project: Path, tmp_path: Path
) -> None:
    program = hide_modules(list_modules_beyond_core(project)) + RUN
    arguments = {"export": [], "explain": ["text=camera"], "predict": ["input=a.csv", "output=b.csv"]}[verb]
    (tmp_path / "a.csv").write_text("title,description\na,b\n", encoding="utf-8")
    done = run_command(sys.executable, "-c", program, verb, str(network_run), *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.rstrip().endswith(install_command("neural"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert not (network_run / "export").exists()


@pytest.mark.parametrize(
    ("verb", "extra", "hidden"),
    [("export", "export", {"onnxruntime"}), ("explain", "explain", {"captum"})],
    ids=["export", "explain"],
)
def test_network_without_a_library_names_the_extra(
    verb: str, extra: str, hidden: set[str], network_run: Path, tmp_path: Path
) -> None:
    arguments = ["text=camera"] if verb == "explain" else []
    program = hide_modules(hidden) + RUN
    done = run_command(sys.executable, "-c", program, verb, str(network_run), *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.rstrip().endswith(install_command(extra))
    assert not (network_run / "export").exists()


@pytest.fixture(scope="module")
def network_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of a small network, trained for one epoch."""
    from ratchet.config import compose
    from ratchet.training import train

    runs_dir = tmp_path_factory.mktemp("network") / "runs"
    overrides = ["model=cnn", "model.tokens=word", "model.max_epochs=1", "evaluate=val", f"runs_dir={runs_dir}"]
    return train(compose([*overrides, "trainer.progress_bar=false"])).path

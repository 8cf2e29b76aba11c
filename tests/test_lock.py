"""Tests for the lock files: complete, hashed, without hosts, and without torch, whose build users choose (README)."""

import itertools
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.packages import INSTALLED_APART, collect_requirements, read_extras, read_project_requirements

from ratchet.extras import DISTRIBUTION

LOCKS = ["requirements.lock", "requirements-dev.lock"]


def read_pins(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Return the pins of a lock file, each with its hashes."""
    logical = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = []
    for line in logical:
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *hashes = re.split(r"\s+--hash=", line.strip())
            pins.append((Requirement(pin), hashes))
    return pins


def select_applicable(pins: Iterable[Requirement], environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield name and version of each pin that applies in `environment`."""
    for pin in pins:
        if pin.marker is None or pin.marker.evaluate(environment):
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            yield canonicalize_name(pin.name), specifier.version


def read_applicable_pins(path: Path) -> dict[str, str]:
    return dict(select_applicable([pin for pin, _ in read_pins(path)], dict(default_environment())))


def read_readme_extras(project: Path) -> list[str]:
    """Return the extras of the README's first command, for which .ci/lock writes requirements.lock."""
    match = re.search(r"^readme=\((.+)\)", (project / ".ci/lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert match
    return match[1].split()


def check_complete(pinned: dict[str, str], requirements: dict[str, list[Requirement]]) -> None:
    missing = sorted(set(requirements) - set(pinned))
    assert not missing, f"not pinned: {', '.join(missing)}"
    unsatisfied = [
        f"{name}=={pinned[name]} is pinned, {requirement} is required"
        for name, declared in requirements.items()
        for requirement in declared
        if not requirement.specifier.contains(pinned[name], prereleases=True)
    ]
    assert not unsatisfied, "; ".join(unsatisfied)


def test_installed_package_matches_pyproject(project: Path) -> None:
    """Install the checkout again if this fails: `ratchet.extras` reads the name of the installed package."""
    installed = distribution(DISTRIBUTION)
    declared = {str(Requirement(text)) for text in installed.requires or [] if "extra ==" not in text}
    assert declared == {str(requirement) for requirement in read_project_requirements(project)}
    assert set(installed.metadata.get_all("Provides-Extra") or []) == set(read_extras(project))


def test_all_contains_every_extra_of_users(project: Path) -> None:
    users = set(read_extras(project)) - {"all", "dev"}
    every = {str(requirement) for requirement in read_project_requirements(project, *users)}
    assert {str(requirement) for requirement in read_project_requirements(project, "all")} == every


def test_core_requires_no_package_of_an_extra(project: Path) -> None:
    core = set(collect_requirements(read_project_requirements(project), project))
    assert core >= {"numpy", "polars", "scikit-learn", "hydra-core"}
    heavy = {INSTALLED_APART, "pytorch-lightning", "transformers", "dvc", "wandb", "altair", "pandas", "pydantic"}
    assert core.isdisjoint(heavy)
    assert INSTALLED_APART not in {requirement.name for requirement in read_project_requirements(project)}


def test_all_dependencies_of_readme_are_pinned(project: Path) -> None:
    """The README installs the lock with --no-deps: what it lacks is not installed."""
    direct = read_project_requirements(project, *read_readme_extras(project))
    requirements = collect_requirements(direct, project)
    assert len(requirements) > 50, "indirect dependencies are included"
    check_complete(read_applicable_pins(project / "requirements.lock"), requirements)


def test_all_dependencies_of_developers_are_pinned(project: Path) -> None:
    pinned = read_applicable_pins(project / "requirements-dev.lock")
    direct = read_project_requirements(project, "dev")
    missing = {canonicalize_name(requirement.name) for requirement in direct} - set(pinned) - {INSTALLED_APART}
    assert not missing, f"not pinned: {', '.join(sorted(missing))}"
    check_complete(pinned, collect_requirements(direct, project))


@pytest.mark.parametrize("name", LOCKS)
def test_ratchet_itself_is_not_pinned(name: str, project: Path) -> None:
    assert not [pin.name for pin, _ in read_pins(project / name) if "ratchet" in pin.name]


@pytest.mark.parametrize("name", LOCKS)
def test_torch_and_its_own_dependencies_are_not_pinned(name: str, project: Path) -> None:
    pinned = {canonicalize_name(pin.name) for pin, _ in read_pins(project / name)}
    assert INSTALLED_APART not in pinned
    assert not {package for package in pinned if package.startswith(("nvidia-", "triton", "cuda-"))}


def test_torch_version_in_readme_matches_pyproject(project: Path) -> None:
    neural = read_project_requirements(project, "neural")
    (pin,) = [requirement for requirement in neural if requirement.name == INSTALLED_APART]
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"torch==([\w.]+)", readme)) == {str(pin.specifier).removeprefix("==")}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_exact_and_has_a_hash(name: str, project: Path) -> None:
    pins = read_pins(project / name)
    assert len(pins) > 100
    for pin, hashes in pins:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), pin


@pytest.mark.parametrize("name", LOCKS)
def test_lock_contains_no_host(name: str, project: Path) -> None:
    text = (project / name).read_text(encoding="utf-8")
    assert "://" not in text
    for pin, _ in read_pins(project / name):
        assert pin.url is None, pin
    options = {line.split()[0].split("=")[0] for line in text.splitlines() if line.lstrip().startswith("-")}
    assert options <= {"--hash"}


@pytest.mark.parametrize("name", LOCKS)
def test_package_has_one_version_per_platform(name: str, project: Path) -> None:
    pins = [pin for pin, _ in read_pins(project / name)]
    platforms = [("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt")]
    for minor, (platform, system, os_name) in itertools.product(("11", "12", "13"), platforms):
        environment = dict(default_environment()) | {
            "python_version": f"3.{minor}",
            "python_full_version": f"3.{minor}.0",
            "sys_platform": platform,
            "platform_system": system,
            "os_name": os_name,
        }
        names = [package for package, _ in select_applicable(pins, environment)]
        assert len(names) == len(set(names)), f"3.{minor} on {platform}"
        direct = read_project_requirements(project, *read_readme_extras(project))
        missing = {canonicalize_name(requirement.name) for requirement in direct} - set(names) - {INSTALLED_APART}
        assert not missing, f"3.{minor} on {platform}: {missing}"


def test_developer_lock_has_the_versions_of_the_user_lock(project: Path) -> None:
    users, developers = (
        {(canonicalize_name(pin.name), str(pin.specifier)): set(hashes) for pin, hashes in read_pins(project / name)}
        for name in LOCKS
    )
    assert set(users) <= set(developers)
    assert all(developers[pin] == hashes for pin, hashes in users.items())

"""The locks: complete, hashed, and free of hosts. torch stands apart, because people choose its build (see README)."""

import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ["requirements.lock", "requirements-dev.lock"]
INSTALLED_APART = "torch"


def entries(path: Path) -> list[tuple[Requirement, list[str]]]:
    """The pins of a lock file, each with its hashes."""
    logical = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found = []
    for line in logical:
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *hashes = re.split(r"\s+--hash=", line.strip())
            found.append((Requirement(pin), hashes))
    return found


def in_force(pins: Iterable[Requirement], environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Name and version of each pin that holds in `environment`."""
    for pin in pins:
        if pin.marker is None or pin.marker.evaluate(environment):
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            yield canonicalize_name(pin.name), specifier.version


def here(path: Path) -> dict[str, str]:
    return dict(in_force([pin for pin, _ in entries(path)], dict(default_environment())))


def required(roots: Iterable[Requirement]) -> dict[str, list[Requirement]]:
    """Everything that `roots` bring with them, by name, as the installed packages say; torch is not looked into."""
    found: dict[str, list[Requirement]] = {}
    waiting, seen = list(roots), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == INSTALLED_APART:
            continue
        found.setdefault(name, []).append(requirement)
        for extra in ["", *requirement.extras]:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in distribution(name).requires or []:
                child = Requirement(text)
                if child.marker is None or child.marker.evaluate({"extra": extra}):
                    waiting.append(child)
    return found


def of_the_project(project: Path, *extras: str) -> list[Requirement]:
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*content["dependencies"], *(text for each in extras for text in content["optional-dependencies"][each])]
    return [Requirement(text) for text in texts]


def check_complete(pinned: dict[str, str], requirements: dict[str, list[Requirement]]) -> None:
    missing = sorted(set(requirements) - set(pinned))
    assert not missing, f"not pinned: {', '.join(missing)}"
    unsatisfied = [
        f"{name}=={pinned[name]} is pinned, {requirement} is required"
        for name, all_of_it in requirements.items()
        for requirement in all_of_it
        if not requirement.specifier.contains(pinned[name], prereleases=True)
    ]
    assert not unsatisfied, "; ".join(unsatisfied)


def test_what_is_installed_was_installed_from_this_pyproject(project: Path) -> None:
    """The tests below ask the installed packages what they need, ratchet itself first."""
    declared = {str(Requirement(text)) for text in distribution("ratchet").requires or [] if "extra ==" not in text}
    assert declared == {str(requirement) for requirement in of_the_project(project)}


def test_everything_that_ratchet_needs_is_pinned(project: Path) -> None:
    """The README installs the lock with --no-deps: whatever is missing there is missing."""
    requirements = required(
        Requirement(text) for text in distribution("ratchet").requires or [] if "extra ==" not in text
    )
    assert len(requirements) > 50, "the walk goes all the way down"
    check_complete(here(project / "requirements.lock"), requirements)


def test_everything_that_developers_need_is_pinned(project: Path) -> None:
    pinned = here(project / "requirements-dev.lock")
    direct = of_the_project(project, "dev")
    missing = {canonicalize_name(each.name) for each in direct} - set(pinned) - {INSTALLED_APART}
    assert not missing, f"not pinned: {', '.join(sorted(missing))}"
    check_complete(pinned, required(direct))


@pytest.mark.parametrize("name", LOCKS)
def test_torch_and_what_only_torch_brings_stand_apart(name: str, project: Path) -> None:
    pinned = {canonicalize_name(pin.name) for pin, _ in entries(project / name)}
    assert INSTALLED_APART not in pinned
    assert not {each for each in pinned if each.startswith(("nvidia-", "triton", "cuda-"))}


def test_torch_has_one_version_everywhere_it_is_named(project: Path) -> None:
    (pin,) = [each for each in of_the_project(project) if each.name == INSTALLED_APART]
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"torch==([\w.]+)", readme)) == {str(pin.specifier).removeprefix("==")}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_exact_and_has_a_hash(name: str, project: Path) -> None:
    found = entries(project / name)
    assert len(found) > 100
    for pin, hashes in found:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), pin


@pytest.mark.parametrize("name", LOCKS)
def test_no_host_stands_in_a_lock(name: str, project: Path) -> None:
    text = (project / name).read_text(encoding="utf-8")
    assert "://" not in text
    for pin, _ in entries(project / name):
        assert pin.url is None, pin
    options = {line.split()[0].split("=")[0] for line in text.splitlines() if line.lstrip().startswith("-")}
    assert options <= {"--hash"}


@pytest.mark.parametrize("name", LOCKS)
def test_nothing_has_two_versions_on_one_machine(name: str, project: Path) -> None:
    pins = [pin for pin, _ in entries(project / name)]
    platforms = [("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt")]
    for minor, (platform, system, os_name) in itertools.product(("11", "12", "13"), platforms):
        environment = dict(default_environment()) | {
            "python_version": f"3.{minor}",
            "python_full_version": f"3.{minor}.0",
            "sys_platform": platform,
            "platform_system": system,
            "os_name": os_name,
        }
        names = [package for package, _ in in_force(pins, environment)]
        assert len(names) == len(set(names)), f"3.{minor} on {platform}"
        missing = {canonicalize_name(each.name) for each in of_the_project(project)} - set(names) - {INSTALLED_APART}
        assert not missing, f"3.{minor} on {platform}: {missing}"


def test_developers_have_the_versions_that_everybody_has(project: Path) -> None:
    everybody, developers = (
        {(canonicalize_name(pin.name), str(pin.specifier)): set(hashes) for pin, hashes in entries(project / name)}
        for name in LOCKS
    )
    assert set(everybody) <= set(developers)
    assert all(developers[pin] == hashes for pin, hashes in everybody.items())

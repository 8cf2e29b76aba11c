"""Test the checks of Python, packages, extras, threads, GPU and disk space, each with a good and a bad machine."""

import shutil
import subprocess
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest

from ratchet.extras import MODULES
from ratchet.scaffold import machine_checks
from ratchet.scaffold.machine_checks import (
    Status,
    check_cache_disk,
    check_extra,
    check_gpu,
    check_machine,
    check_packages,
    check_project_disk,
    check_python,
    check_ratchet,
    check_threads,
    find_gpus,
)

Install = Callable[..., None]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that puts the metadata of a package before that of the installed one."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def add(name: str, version: str, *lines: str) -> None:
        directory = site / f"{name.replace('-', '_')}-{version}.dist-info"
        directory.mkdir()
        text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines, ""])
        (directory / "METADATA").write_text(text, encoding="utf-8")

    return add


@pytest.fixture
def has_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts an `nvidia-smi` with this output on PATH, and a torch that prints a line."""

    def set_up(output: str, *, code: int = 0, torch: str | None = None) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho '{output}'\nexit {code}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setattr(machine_checks, "_TORCH_PROGRAM", f"print({torch!r})" if torch else "import no_torch_here")

    return set_up


def test_this_environment_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path))
    checks = check_machine({"neural": "model=cnn"}, tmp_path)
    assert [check.name for check in checks] == [
        *("Python", "Ratchet", "packages"),
        *(f"extra {extra}" for extra in MODULES),
        *("threads", "GPU", "disk", "cache"),
    ]
    assert all(check.status is Status.ok for check in checks if check.name not in ("threads", "GPU")), checks


def test_python_outside_the_supported_versions_is_a_problem(install: Install) -> None:
    assert check_python().status is Status.ok
    install("ratchet-ml", "0.1", "Requires-Python: >=4")
    check = check_python()
    assert check.status is Status.problem
    assert ">=4" in check.seen
    assert "pip install" in check.remedy


def test_ratchet_is_reported_with_its_origin(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("ratchet-ml", "7.3")
    assert check_ratchet().seen == "7.3, from ratchet-ml==7.3"
    monkeypatch.setattr(machine_checks, "DISTRIBUTION", "ratchet-that-nobody-has")
    check = check_ratchet()
    assert check.status is Status.note
    assert check.remedy.startswith("pip install")
    assert check_extra("neural", "model=cnn").status is Status.ok, "its requirements are not known"


def test_package_with_a_wrong_version_or_missing_is_a_problem(install: Install) -> None:
    assert check_packages().status is Status.ok
    install("polars", "0.1")
    check = check_packages()
    assert check.status is Status.problem
    assert "polars is 0.1, not >=" in check.seen
    assert "pip install" in check.remedy
    install("ratchet-ml", "0.1", "Requires-Dist: package-that-nobody-has>=1")
    assert check_packages().seen == "not installed: package-that-nobody-has"


def test_requirement_for_another_python_or_extra_is_not_checked(install: Install) -> None:
    other = 'Requires-Dist: package-that-nobody-has; python_version < "3"'
    install(
        "ratchet-ml", "0.1", other, 'Requires-Dist: another-that-nobody-has; extra == "report"', "Requires-Dist: numpy"
    )
    assert check_packages().status is Status.ok
    assert check_packages().seen.startswith("1 ")


def test_missing_extra_is_a_problem_only_if_something_needs_it(install: Install) -> None:
    extra = 'Requires-Dist: package-that-nobody-has>=1; extra == "report"'
    install("ratchet-ml", "0.1", "Provides-Extra: report", extra)
    check = check_extra("report")
    assert (check.status, check.seen, check.remedy) == (
        Status.ok,
        "not installed: package-that-nobody-has",
        "",
    )
    check = check_extra("report", "dvc.yaml")
    assert check.status is Status.problem
    assert check.seen.startswith("dvc.yaml needs it; not installed: package-that-nobody-has")
    assert "ratchet-ml[report]" in check.remedy


def test_old_package_of_an_extra_is_a_note_and_a_problem_if_needed(install: Install) -> None:
    install("torch", "1.0")
    check = check_extra("neural")
    assert check.status is Status.note
    assert "torch is 1.0, not ==" in check.seen
    assert "[neural]" in check.remedy
    assert check_extra("neural", "model=cnn").status is Status.problem


def test_build_of_a_version_satisfies_it(install: Install) -> None:
    install("ratchet-ml", "0.1", 'Requires-Dist: torch==2.13.0; extra == "neural"')
    install("torch", "2.13.0+cu130")
    assert check_extra("neural", "model=cnn").status is Status.ok


@pytest.mark.parametrize(
    ("limit", "usable", "status"),
    [
        ("", 4, Status.ok),
        ("4", 4, Status.ok),
        ("1", 2, Status.ok),
        ("2", 2, Status.ok),
        ("5", 4, Status.note),
        ("", 2, Status.note),
        ("4", 2, Status.note),
        ("many", 4, Status.note),
        ("0", 4, Status.note),
    ],
)
def test_more_threads_than_usable_cores_are_a_note(
    monkeypatch: pytest.MonkeyPatch, limit: str, usable: int, status: Status
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    monkeypatch.setattr(joblib, "cpu_count", lambda: usable)
    for module in ("ratchet.machine", "ratchet.scaffold.machine_checks"):
        monkeypatch.setattr(f"{module}.available_cores", lambda: 4)
    check = check_threads()
    assert check.status is status
    assert ("(2 usable)" in check.seen) == (usable == 2)
    assert check.remedy == ("" if status is Status.ok else f"set OMP_NUM_THREADS={usable}")


def test_machine_without_gpu_is_fine_unless_the_configuration_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "find_gpus", list)
    assert check_gpu(is_needed=False).status is Status.ok
    check = check_gpu(is_needed=True)
    assert check.status is Status.problem
    assert "trainer" in check.remedy


def test_gpu_that_torch_uses_is_fine(has_gpu: Callable[..., None]) -> None:
    has_gpu("NVIDIA H100\nNVIDIA H100", torch="2.13.0+cu130 2")
    assert find_gpus() == ["NVIDIA H100", "NVIDIA H100"]
    for is_needed in (False, True):
        check = check_gpu(is_needed=is_needed)
        assert check.status is Status.ok
        assert "torch 2.13.0+cu130 uses 2" in check.seen


@pytest.mark.parametrize(
    ("hidden", "torch", "remedy"),
    [
        (None, "2.13.0+cpu 0", "pytorch.org"),
        ("", "2.13.0+cu130 0", "unset CUDA_VISIBLE_DEVICES"),
        (None, None, "pip install"),
    ],
)
def test_gpu_that_torch_cannot_use_has_a_remedy(
    has_gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch, hidden: str | None, torch: str | None, remedy: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    has_gpu("NVIDIA H100", torch=torch)
    check = check_gpu(is_needed=False)
    assert check.status is Status.note
    assert remedy in check.remedy
    assert check_gpu(is_needed=True).status is Status.problem


def test_gpu_without_torch_is_fine(has_gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise machine_checks.metadata.PackageNotFoundError(name)

    has_gpu("NVIDIA H100")
    monkeypatch.setattr(machine_checks.metadata, "version", version)
    check = check_gpu(is_needed=False)
    assert check.status is Status.ok
    assert "torch is not installed" in check.seen


def test_driver_that_does_not_work_is_reported(has_gpu: Callable[..., None]) -> None:
    has_gpu("Failed to initialize NVML: Driver/library version mismatch", code=18)
    check = check_gpu(is_needed=False)
    assert check.status is Status.note
    assert "version mismatch" in check.seen
    assert check_gpu(is_needed=True).status is Status.problem


def test_driver_without_devices_is_no_gpu(has_gpu: Callable[..., None]) -> None:
    has_gpu("No devices were found")
    assert find_gpus() == []


def test_program_that_hangs_is_reported(has_gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 20)

    has_gpu("NVIDIA H100")
    monkeypatch.setattr(subprocess, "run", hang)
    assert "no answer in 20 s" in check_gpu(is_needed=False).seen


def test_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path / "not" / "there"))
    sizes = {tmp_path: Usage(9e9, 0, 1.5e9)}
    monkeypatch.setattr(shutil, "disk_usage", sizes.__getitem__)
    for check in (check_project_disk(tmp_path), check_cache_disk()):
        assert check.status is Status.ok
        assert check.seen.startswith("1.5 GB")
    sizes[tmp_path] = Usage(9e9, 0, 0.4e9)
    for check, word in ((check_project_disk(tmp_path), "ratchet runs prune"), (check_cache_disk(), "RATCHET_CACHE")):
        assert check.status is Status.problem
        assert check.seen.startswith("0.4 GB")
        assert word in check.remedy
    assert not (tmp_path / "not").exists()


def test_directory_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(machine_checks.os, "access", lambda path, mode: Path(path) != tmp_path)
    assert check_project_disk(tmp_path).status is Status.problem
    assert "runs_dir" in check_project_disk(tmp_path).remedy
    assert check_cache_disk().status is Status.note
    assert "RATCHET_CACHE" in check_cache_disk().remedy

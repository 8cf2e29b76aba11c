"""Check the machine of a project: Python, packages and extras, threads, GPU, disk space.

No heavy library is imported: versions are read from the metadata of installed packages. Only if the machine has a GPU,
torch is asked in a process of its own whether it can use it, which takes some seconds.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ratchet.extras import DISTRIBUTION, MODULES, install_command, requirement_of_ratchet
from ratchet.machine import available_cores, wanted_threads

LEAST_FREE = 1e9  # bytes; a few runs of a network fill less
_TORCH_PROGRAM = "import torch; print(torch.__version__, torch.cuda.device_count())"


class Status(Enum):
    """The outcome of a check: fine; fine, but worth knowing; or something that commands fail on."""

    ok = "ok"
    note = "note"
    problem = "problem"


@dataclass(frozen=True)
class Check:
    """The outcome of one check: what was seen, and the remedy unless it is ok."""

    name: str
    status: Status
    seen: str
    remedy: str = ""


def check_machine(needs: Mapping[str, str], root: Path, *, needs_gpu: bool = False) -> list[Check]:
    """Return the checks of the machine and the packages for the project in `root`; `needs` has what needs an extra."""
    return [
        check_python(),
        check_ratchet(),
        check_packages(),
        *(check_extra(extra, needs.get(extra)) for extra in MODULES),
        check_threads(),
        check_gpu(is_needed=needs_gpu),
        check_project_disk(root),
        check_cache_disk(),
    ]


# --- packages ---------------------------------------------------------------------------------------------------------


def check_python() -> Check:
    """Check that the version of Python is supported."""
    version, installed = platform.python_version(), _find_ratchet()
    supported = SpecifierSet(installed.metadata["Requires-Python"] if installed else "")
    seen = f"{version}, {sys.executable}"
    if supported.contains(version, prereleases=True):
        return Check("Python", Status.ok, seen)
    return Check(
        "Python",
        Status.problem,
        f"{seen}; Ratchet needs {supported}",
        f"make an environment with another Python, and in it: {install_command()}",
    )


def check_ratchet() -> Check:
    """Report which Ratchet runs, and where it was installed from."""
    installed = _find_ratchet()
    if installed is not None:
        return Check("Ratchet", Status.ok, f"{installed.version}, from {requirement_of_ratchet()}")
    return Check("Ratchet", Status.note, "imported from its source, not installed", install_command())


def check_packages() -> Check:
    """Check the packages that Ratchet always needs."""
    requirements = [requirement for requirement in _list_requirements() if _applies(requirement)]
    missing, wrong = _find_unmet(requirements)
    if not missing and not wrong:
        return Check("packages", Status.ok, f"{len(requirements)} packages as required")
    return Check("packages", Status.problem, _describe_unmet(missing, wrong), install_command())


def check_extra(extra: str, needed_by: str | None = None) -> Check:
    """Check the packages of an extra. If they are missing, that is a problem only if something needs the extra."""
    name = f"extra {extra}"
    all_requirements = _list_requirements()
    requirements = [entry for entry in all_requirements if _applies(entry, extra) and not _applies(entry)]
    missing, wrong = _find_unmet(requirements)
    if all_requirements and not missing and not wrong:
        return Check(name, Status.ok, "installed")
    unmet = _describe_unmet(missing, wrong) if all_requirements else "not known: Ratchet is not installed"
    if needed_by is not None and all_requirements:
        return Check(name, Status.problem, f"{needed_by} needs it; {unmet}", install_command(extra))
    if wrong:
        return Check(name, Status.note, unmet, install_command(extra))
    return Check(name, Status.ok, unmet)


def _find_ratchet() -> metadata.Distribution | None:
    try:
        return metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


def _list_requirements() -> list[Requirement]:
    installed = _find_ratchet()
    return [Requirement(text) for text in (installed.requires or [] if installed else [])]


def _applies(requirement: Requirement, extra: str = "") -> bool:
    """Return whether a requirement applies on this machine if `extra` is installed."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _find_unmet(requirements: list[Requirement]) -> tuple[list[str], list[str]]:
    """Return the packages that are not installed, and descriptions of those that have another version than required."""
    missing, wrong = [], []
    for requirement in requirements:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(requirement.name)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    return missing, wrong


def _describe_unmet(missing: list[str], wrong: list[str]) -> str:
    return "; ".join([*([f"not installed: {', '.join(missing)}"] if missing else []), *wrong])


# --- the computer -----------------------------------------------------------------------------------------------------


def check_threads() -> Check:
    """Check that the limit of threads is not above the number of cores, which a container may limit."""
    from joblib import cpu_count  # it knows the limits of cgroups

    cores, usable = available_cores(), cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS", "")
    seen, remedy = f"{cores} cores", f"set OMP_NUM_THREADS={usable}"
    if usable < cores:
        seen += f" ({usable} usable)"
    if limit:
        seen += f", OMP_NUM_THREADS={limit}"
    if limit and not (limit.isdecimal() and int(limit)):
        return Check("threads", Status.note, f"{seen}, which is not a number of threads", remedy)
    if wanted_threads() > usable:
        return Check("threads", Status.note, f"{seen}: more threads than cores are slow", remedy)
    return Check("threads", Status.ok, seen)


def check_gpu(*, is_needed: bool) -> Check:
    """Check whether torch can use the GPU, if there are both."""
    try:
        gpus = find_gpus()
    except OSError as error:
        return Check("GPU", _severity(is_needed), str(error), "install the driver again, or restart the machine")
    if not gpus:
        if is_needed:
            remedy = "set trainer=cpu, or run it on a machine with a GPU"
            return Check("GPU", Status.problem, "none, but trainer.accelerator=gpu", remedy)
        return Check("GPU", Status.ok, "none: networks train on the CPU")
    seen = ", ".join(gpus)
    with suppress(metadata.PackageNotFoundError):
        metadata.version("torch")
        return _ask_torch(seen, is_needed=is_needed)
    return Check("GPU", Status.ok, f"{seen}; torch is not installed")


def find_gpus() -> list[str]:
    """Return the names of the NVIDIA GPUs: of their devices, if `nvidia-smi` is not installed.

    Raises:
        OSError: `nvidia-smi` fails, as it does if the driver does not work.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return [path.name for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]
    done = _run(program, "--query-gpu=name", "--format=csv,noheader", seconds=20)
    if "No devices were found" in done.stdout + done.stderr:
        return []
    if done.returncode != 0:
        raise OSError(f"nvidia-smi fails: {_last_line(done.stdout + done.stderr)}")
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _ask_torch(seen: str, *, is_needed: bool) -> Check:
    done = _run(sys.executable, "-P", "-c", _TORCH_PROGRAM, seconds=120)
    if done.returncode != 0:
        reason = f"{seen}; torch cannot be imported: {_last_line(done.stderr)}"
        return Check("GPU", _severity(is_needed), reason, install_command("neural"))
    version, count = done.stdout.split()[-2:]
    if int(count):
        return Check("GPU", Status.ok, f"{seen}; torch {version} uses {count}")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return Check(
            "GPU",
            _severity(is_needed),
            f"{seen}; CUDA_VISIBLE_DEVICES={hidden} hides it",
            "unset CUDA_VISIBLE_DEVICES",
        )
    remedy = "install a build of torch for its driver: https://pytorch.org/get-started/locally"
    return Check("GPU", _severity(is_needed), f"{seen}; torch {version} cannot use it", remedy)


def _severity(is_needed: bool) -> Status:
    return Status.problem if is_needed else Status.note


def _run(*command: str, seconds: int) -> "subprocess.CompletedProcess[str]":
    """Run a program that only reads; one that does not end in time counts as failed."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer in {seconds} s")


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no message"])[-1]


def check_project_disk(root: Path) -> Check:
    """Check that the directory of the project can be written and has room."""
    if not os.access(root, os.W_OK):
        return Check(
            "disk",
            Status.problem,
            f"{root} cannot be written, so runs cannot be stored",
            "make it writable, or work in a copy; runs_dir=DIR stores runs elsewhere",
        )
    return _check_room("disk", root, "the project", "make room there: `ratchet runs prune` lists runs to delete")


def check_cache_disk() -> Check:
    """Check that the directory of downloaded data sets can be written and has room. It need not exist."""
    import platformdirs

    cache = Path(os.environ.get("RATCHET_CACHE") or platformdirs.user_cache_dir("ratchet")).absolute()
    directory = next(path for path in (cache, *cache.parents) if path.is_dir())
    remedy = "set RATCHET_CACHE to a directory"
    if not os.access(directory, os.W_OK):
        return Check("cache", Status.note, f"{cache} cannot be written", f"{remedy} that can be written")
    return _check_room("cache", directory, str(cache), f"make room there, or {remedy} on another disk")


def _check_room(name: str, directory: Path, what: str, remedy: str) -> Check:
    free = shutil.disk_usage(directory).free
    seen = f"{free / 1e9:,.1f} GB free for {what}"
    return Check(name, Status.ok, seen) if free >= LEAST_FREE else Check(name, Status.problem, seen, remedy)

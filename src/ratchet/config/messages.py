"""Turn exceptions of Hydra and OmegaConf into messages for users: file, key, nearest valid name."""

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import GrammarParseError, MissingMandatoryValue, OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from ratchet.config.directories import find_config, list_directories, show_config
from ratchet.config.suggestions import find_field, is_mapping, suggest_key
from ratchet.errors import UserError, did_you_mean
from ratchet.extras import install_command

_SUBMITIT = "hydra-submitit-launcher"
_LAUNCHERS = {"joblib": "hydra-joblib-launcher", "submitit_local": _SUBMITIT, "submitit_slurm": _SUBMITIT}
_ADVICE = {  # keys that people give a value of another type
    "data.labels.column": "data.labels.column is one column: for several, set data.labels.columns, and "
    "data.labels.kind=columns (1 or 0 in each) or names (a label or nothing in each)",
    "data.records": "data.records holds several keys: the file is data.records.path",
}
_UNNAMED = (UnicodeDecodeError, RecursionError, GrammarParseError)  # they do not name the file
_NESTED = "an alias (*name) in it stands for a part of itself, or it is nested too deeply"
ROOTS = ("config", "project_config", "gate")  # composed themselves; all other files are options of a group
UNUSABLE_MODELS: dict[str, UserError] = {}  # module of a project that cannot be imported -> why (see `register`)


@dataclasses.dataclass
class Origin:
    """Where values came from: the command line, or a file of the configuration directories."""

    overrides: list[str]
    choices: dict[str, Any] = dataclasses.field(default_factory=dict)
    config_dir: Path | None = None

    def of(self, *keys: str) -> str:
        """Return the location that set the first of `keys` that is set anywhere, as messages name it."""
        group = keys[-1].partition(".")[0]
        choice = self.choices.get(group)
        source = next((source for key in keys if (source := self.source(key))), None)
        if source is None:
            return self.file(f"{group}/{choice}" if choice else "config")
        return source if isinstance(source, str) else show_config(source)

    def source(self, key: str) -> str | Path | None:
        """Return what set a key: the text of an override, or a file; None if it has its default."""
        for override in self.overrides:
            name = override.split("=")[0].lstrip("+~").split("@")[0]
            if ("." in name or "." not in key) and (key == name or key.startswith(f"{name}.")):
                return f"command line, {override}"
        group, _, rest = key.partition(".")
        choice = self.choices.get(group)
        experiment = self.choices.get("experiment")
        files = [(f"experiment/{experiment}", key)] if experiment else []
        files += [(f"{group}/{choice}", rest)] if choice else []
        for name, inner in files:
            path = self._find_setter(name, inner, ())
            if path is not None:
                return path
        for directory in list_directories(self.config_dir):  # each config.yaml extends the ones after it
            path = directory / "config.yaml"
            if path.is_file() and _has(path, key):
                return path
        return None

    def _find_setter(self, name: str, key: str, heirs: tuple[str, ...]) -> Path | None:
        """Return the file that sets a key: that of the configuration `name`, or one of its group that it inherits."""
        path = find_config(name, self.config_dir)
        if not path.is_file() or not key or _has(path, key):
            return path if path.is_file() else None
        content = _read_if_possible(path)
        defaults = content.get("defaults") or [] if isinstance(content, dict) else []
        parents = [f"{name.rpartition('/')[0]}/{entry}" for entry in defaults if isinstance(entry, str)]
        inherited = [parent for parent in reversed(parents) if parent not in (name, *heirs)]
        setters = (self._find_setter(parent, key, (*heirs, name)) for parent in inherited)
        return next((setter for setter in setters if setter is not None), None)

    def file(self, name: str) -> str:
        """Return the YAML file of a config such as `data/sample`, as messages name it."""
        return show_config(find_config("config" if name == "project_config" else name, self.config_dir))


def _has(path: Path, key: str) -> bool:
    node = _read_if_possible(path)
    for name in key.split("."):
        if not isinstance(node, dict) or node.get(name, MISSING) == MISSING:
            return False
        node = node[name]
    return True


def _read_if_possible(path: Path) -> Any:
    """Return the content of a YAML file, or None: whoever needs the file reports what is wrong with it.

    It must not be changed: a file is parsed once, as long as it stays the same.
    """
    try:
        state = path.stat()
    except OSError:
        return None
    return _parse_if_possible(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


@cache
def _parse_if_possible(path: Path, _state: tuple[int, ...]) -> Any:
    try:
        return read_yaml(path, str(path))
    except UserError:
        return None


def read_yaml(path: Path, shown: str) -> Any:
    """Return the content of a YAML file as plain values, with `${...}` as text; None for a single number or word.

    Raises:
        UserError: the file cannot be read; begins with `shown`, the path as messages show it.
    """
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        location = f"{shown}, line {mark.line + 1}" if mark else shown
        raise UserError(f"{location}: not valid YAML: {problem or _first_line(error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: not UTF-8: {error.reason}") from error
    except OSError as error:
        if error.strerror is None:  # OmegaConf raises it for a file that holds a number or a word
            return None
        raise UserError(f"{shown}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise UserError(f"{shown}: cannot be read: {_NESTED}") from error
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(f"{shown}: cannot be read: {_first_line(error)}") from error


# Hydra raises a bare ValueError or AssertionError for some wrong overrides, such as `model=null`.
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, ValueError, AssertionError, RecursionError)


def explain(error: BaseException, origin: Origin) -> UserError:
    """Return the `UserError` that explains a composition error; unknown kinds keep their first line."""
    if isinstance(error, MissingConfigException):
        return _missing(error, origin)
    if isinstance(error, OverrideParseException):
        return UserError(
            f"command line: {error.override!r} cannot be read: {_first_line(error)}. Quote it: 'key=\"...\"'"
        )
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark
        location = f"{show_config(Path(mark.name))}, line {mark.line + 1}" if mark else "a file under conf/"
        return UserError(f"{location}: not valid YAML: {error.problem}")
    if isinstance(error, ReaderError):
        return UserError(f"{show_config(Path(error.name))}: not valid YAML: {_first_line(error)}")
    if "Config group override must be" in str(error):
        empty = [override for override in origin.overrides if override.endswith(("=null", "="))]
        return UserError(f"command line, {' '.join(empty)}: does not choose an option of its group")
    several = re.match(r"Ambiguous value for argument ('.*')", str(error))
    if several:
        return UserError(
            f"command line: {several[1]} holds several values: quote text with a comma ('key=\"a, b\"'), write a list "
            "in brackets (key=[a,b]), or use -m to run one job for each"
        )
    cause = _omegaconf_error(error)
    for unnamed in (error, cause):
        if isinstance(unnamed, _UNNAMED) and (unreadable := _find_unreadable(type(unnamed), origin)) is not None:
            return unreadable
    if ignored := _explain_ignored_package(error, origin):
        return ignored
    where = _locate(error, cause, origin)
    if cause is None:
        return UserError(f"{where}: {_first_line(error)}")
    key = str(cause.full_key or cause.key or "")
    if isinstance(cause, MissingMandatoryValue):
        return UserError(f"{where}: {key or _first_line(cause)} has no value: set it there or on the command line")
    if (advice := _explain_mapping(key, _first_line(cause), origin)) is not None:
        return UserError(f"{where}: {advice}")
    if "is not in struct" in _first_line(cause) and not dataclasses.is_dataclass(cause.object_type):
        return UserError(f"{where}: there is no {key}; put a + before it to add one: +{key}=...")
    if "not in" in _first_line(cause) and dataclasses.is_dataclass(cause.object_type):
        valid = [field.name for field in dataclasses.fields(cause.object_type)]
        return UserError(f"{where}: unknown key {key!r}; {suggest_key(key, valid)}")
    if key in _ADVICE and re.search("not a subclass of|Cannot convert", _first_line(cause)):
        return UserError(f"{where}: {_ADVICE[key]}")
    if "NoneType is not a subclass of str" in _first_line(cause):
        return UserError(
            f"{where}: {key} is empty: `null`, `NULL`, `~` and nothing at all mean no value in YAML. Put quotation "
            'marks around it where the text is meant: "NULL"'
        )
    if not key and "list is not a subclass of" in _first_line(cause):
        return UserError(f"{where}: must have keys with values, but is a list")
    what = f"{key}: {_first_line(cause)}" if key else _first_line(cause)
    return UserError(f"{where}: {what}{_nearest_choice(_first_line(cause))}")


def _explain_mapping(key: str, problem: str, origin: Origin) -> str | None:
    """Return what is wrong with a mapping, such as the slices of a data set; None if it is something else."""
    given = [key, *(override.lstrip("+").partition("=")[0] for override in origin.overrides)]
    names = [
        ".".join(parts[:depth]) for parts in (name.split(".") for name in given) for depth in range(len(parts), 0, -1)
    ]
    for name in names:
        declared = find_field(name)
        if declared is None or not is_mapping(declared):
            continue
        if "is not Optional" in problem and key == name:
            return f"{key} holds entries by name: write {{}} for none, or remove single ones, as ~{key}.NAME"
        holds_objects = any(dataclasses.is_dataclass(kind) for kind in get_args(declared.type))
        if holds_objects and re.search("is not in struct|not a subclass of", problem):
            return f"entries of {name} cannot be added on the command line: write them in a YAML file of conf/"
    return None


def _explain_ignored_package(error: BaseException, origin: Origin) -> UserError | None:
    """Return the error for a file whose line `# @package` Hydra ignores, so that its keys are in the wrong place."""
    in_file = re.match(r"In '([^']+)'", str(error))
    names = [in_file[1]] if in_file else []
    names += [override.lstrip("+").replace("=", "/", 1) for override in origin.overrides]
    names += [f"{group}/{choice}" for group, choice in origin.choices.items()]
    for name in names:
        path = find_config(name, origin.config_dir)
        line = find_ignored_package(path) if path.is_file() else None
        if line == 1:
            return UserError(
                f"{show_config(path)}, line 1: `# @package` after a byte order mark has no effect: save the file as "
                "UTF-8 without one"
            )
        if line is not None:
            return UserError(
                f"{show_config(path)}, line {line}: `# @package` below another comment has no effect: it must be the "
                "first line"
            )
    return None


def find_ignored_package(path: Path) -> int | None:
    """Return the number of a line `# @package` that Hydra ignores, because it is below another comment."""
    is_at_top = True
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            text = line.strip()
            if number == 1 and text.startswith("\ufeff"):
                is_at_top, text = False, text.removeprefix("\ufeff")
            if re.match(r"#\s*@package\b", text):
                return None if is_at_top else number
            if text and not text.startswith("#"):
                return None
            is_at_top = is_at_top and (not text or re.match(r"#\s*@", text) is not None)
    return None


def _missing(error: MissingConfigException, origin: Origin) -> UserError:
    name = str(error.missing_cfg_file or "")
    group, _, choice = name.rpartition("/")
    schemas = choice.startswith("base_")
    stored = ConfigStore.instance().list(group) if schemas and group else error.options or []
    options = [option.removesuffix(".yaml") for option in stored if option.startswith("base_") == schemas]
    if not group:
        return UserError(_first_line(error))
    if group == "hydra/launcher" and choice in _LAUNCHERS:
        return UserError(f"launcher={choice} needs {_LAUNCHERS[choice]}: {install_command('launchers')}")
    if schemas and (unusable := UNUSABLE_MODELS.get(choice.removeprefix("base_"))) is not None:
        return unusable
    asked_by = re.match(r"In '([^']+)'", str(error))
    typed = [override for override in origin.overrides if override.lstrip("+").replace("=", "/", 1) == name]
    if asked_by and asked_by[1] not in ROOTS:
        location = origin.file(asked_by[1])
    elif typed:  # also a name with a slash, whose beginning looks like a group
        location = f"command line, {typed[-1]}"
    else:
        experiment = [override for override in origin.overrides if override.startswith("experiment=")]
        location = origin.file(experiment[-1].replace("=", "/")) if experiment else origin.of(group)
    what = f"there is no schema {choice}" if schemas else f"there is no conf/{name}.yaml"
    return UserError(f"{location}: {what}; {did_you_mean(choice, options)}")


def _find_unreadable(kind: type[BaseException], origin: Origin) -> UserError | None:
    """Return the error of the configuration file that raises an exception of this kind: first of those chosen."""
    if kind is GrammarParseError and any("${" in override for override in origin.overrides):
        return None  # the command line has it
    chosen = [
        find_config(override.lstrip("+").replace("=", "/", 1), origin.config_dir) for override in origin.overrides
    ]
    others = [path for folder in list_directories(origin.config_dir) for path in sorted(folder.rglob("*.yaml"))]
    for path in [path for path in chosen if path.is_file()] + others:
        try:
            read_yaml(path, show_config(path))
        except UserError as error:
            if isinstance(error.__cause__, kind):
                return error
    return None


def _omegaconf_error(error: BaseException | None) -> OmegaConfBaseException | None:
    while error is not None and not isinstance(error, OmegaConfBaseException):
        error = error.__cause__ or error.__context__
    return error


def _locate(error: BaseException, cause: OmegaConfBaseException | None, origin: Origin) -> str:
    in_file = re.match(r"In '([^']+)'", str(error))
    if in_file:
        return origin.file(in_file[1])
    merging = re.match(r"Error merging override (.+)", _first_line(error))
    if merging:
        return f"command line, {merging[1]}"
    missing = re.match(r"Could not override '([^']+)'", _first_line(error))
    if missing:
        return origin.of(missing[1])
    if cause is not None and cause.full_key:
        return origin.of(str(cause.full_key))
    named = [override for override in origin.overrides if override in str(error)]
    return f"command line, {named[0]}" if named else "command line" if origin.overrides else "configuration"


def _nearest_choice(message: str) -> str:
    listed = re.match(r"Invalid value '([^']*)', expected one of \[(.*)\]", message)
    return f"; {did_you_mean(listed[1], listed[2].split(', '))}" if listed else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")

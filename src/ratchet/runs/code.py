"""Identify the code of a run: which definitions it can reach, and a hash of each.

The only answer to "which code made this": grids and searches use it to find finished runs, records and comparisons to
name what changed, the pipeline to decide what is out of date.

From its roots (the function that trains, the module of the model) every name is followed to its definition, through
imports, re-exports and tables of lazy names, also inside functions. A definition is a function, a class or an
assignment at the top level of a module, always complete: a class with all of its methods, decorators and bases. What a
reached module executes on import counts as well. Only code of this package and of the project is followed; other
packages count by their version, which the record holds.

A definition's hash covers its syntax tree without comments, docstrings, help texts below fields, imports, and the texts
in `raise`, `assert` and log calls. A name that was imported counts as the name of its definition, and each definition
lists the hashes of those it uses. So nothing changes when code moves to another module, when files are merged, or when
a message is rewritten, and everything that uses a changed definition is seen to use another one.

Not seen: names that are built at run time (`getattr(x, name)`); modules that are named by a variable, such as the
model's, are roots that the caller passes. The trees are written without empty fields, which makes them equal on
Python 3.11 to 3.13. Only the standard library is used, so that any interpreter can check this.
"""

import ast
import hashlib
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ratchet.project import current_project

# None of these changes a prediction: a tracker observes, a check of devices refuses, an export is made after the run.
ONLOOKERS = (
    "ratchet.runs.code",
    "ratchet.extras",
    "ratchet.tracking",
    "ratchet.neural.devices",
    "ratchet.neural.export",
    "ratchet.neural.onnx_export",
)
_LOGGERS = {"log", "logger", "logging", "warnings"}
_PROJECT = "project"  # package under which the project's own modules are followed, wherever it is
_EVERYTHING = "*"  # all definitions of a module


@dataclass
class _Module:
    """What the top level of a module binds, and what it executes."""

    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # local name -> module, name in it
    executed: list[ast.stmt] = field(default_factory=list)
    lazy_names: dict[str, str] = field(default_factory=dict)  # of a table {"name": "module"}, as __getattr__ uses it


@dataclass(frozen=True)
class _Reference:
    """A definition, or with `name` "*" a complete module."""

    module: str
    name: str


@dataclass(frozen=True)
class _Reading:
    """The definitions that were read, and the state of every file that was read or looked for (None: missing)."""

    definitions: dict[str, str]
    files: Mapping[Path, tuple[int, ...] | None]


def code_of_run(model_module: str) -> Mapping[str, str]:
    """Return the definitions that training a model uses, with their hashes.

    Computed once per process and project: what was imported at its start is what runs until its end.
    """
    return _read_code(_list_roots(model_module), current_project().root).definitions


def find_changed_code(model_module: str) -> list[str]:
    """Return the definitions whose files changed since `code_of_run` was first called in this process, sorted.

    A module that is imported where it is used may have been loaded before or after such a change.
    """
    roots, project = _list_roots(model_module), current_project().root
    before = _read_code(roots, project)
    if all(_read_state(path) == state for path, state in before.files.items()):
        return []
    try:
        now = _read(roots, code_sources(project)).definitions
    except (OSError, LookupError, SyntaxError, ValueError) as error:  # a file is being edited, or was deleted
        return [f"not readable: {error}"]
    if hash_definitions(now) == hash_definitions(before.definitions):
        return []
    return changed_definitions(before.definitions, now, same_model=True) or ["the names that definitions stand for"]


def _list_roots(model_module: str) -> tuple[str, ...]:
    return ("ratchet.training:train", *model_roots(model_module))


@cache
def _read_code(roots: tuple[str, ...], project: Path) -> _Reading:
    return _read(roots, code_sources(project))


def model_roots(model_module: str) -> list[str]:
    """Return the root of a model's code, `project.models.<name>` if it is an own model, and that of own metrics."""
    project = current_project()
    is_own = project.is_marked and (project.models / f"{model_module}.py").is_file()
    metrics = [f"{_PROJECT}.metrics"] if project.is_marked and (project.root / "metrics.py").is_file() else []
    return [f"{_PROJECT if is_own else 'ratchet'}.models.{model_module}", *metrics]


def code_sources(project: Path) -> dict[str, Path]:
    """Return the directories of the code that is followed: of the package, and of the project in `project`."""
    return {"ratchet": Path(__file__).resolve().parents[1], _PROJECT: project}


def hash_definitions(definitions: Mapping[str, str]) -> str:
    """Return the identity of the code: sha256 over the hashes of its definitions, wherever they are."""
    return hashlib.sha256("\n".join(sorted(definitions.values())).encode()).hexdigest()


def changed_definitions(before: Mapping[str, str], now: Mapping[str, str], *, same_model: bool) -> list[str]:
    """Return the names of the definitions that differ, sorted. Definitions that only moved do not differ.

    Of two models, what only one of them uses is no change, nor is the module of the model.
    """
    old, new = _own_hashes(before, with_model=same_model), _own_hashes(now, with_model=same_model)
    if same_model:
        return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return sorted(name for name in old.keys() & new.keys() if old[name].isdisjoint(new[name]))


def _own_hashes(definitions: Mapping[str, str], *, with_model: bool) -> dict[str, set[str]]:
    hashes: dict[str, set[str]] = {}
    for key, value in definitions.items():
        module, _, name = key.partition(":")
        if with_model or ".models." not in module:
            hashes.setdefault(name, set()).add(value.partition("-")[0])
    return hashes


def definitions_of(roots: Iterable[str], sources: Mapping[str, Path] | None = None) -> dict[str, str]:
    """Return the hash of every definition that `roots` can reach, by `module:name`.

    A hash has two parts, `own-uses`: of the definition itself, and of those that it uses.

    Args:
        roots: `module` for everything in a module, `module:name` for one definition.
        sources: directory of each top-level package that is followed; by default the installed `ratchet`.

    Raises:
        LookupError: a root does not exist.
    """
    return _read(roots, sources or {"ratchet": Path(__file__).resolve().parents[1]}).definitions


def _read(roots: Iterable[str], sources: Mapping[str, Path]) -> _Reading:
    code = _Code(sources)
    waiting = []
    for root in roots:
        module, _, name = root.partition(":")
        if code.module(module) is None:
            raise LookupError(f"{root}: no such module")
        waiting += list(code.resolve(module, name or _EVERYTHING))
        if not waiting:
            raise LookupError(f"{root}: no such definition")
    reached: dict[_Reference, tuple[str, list[_Reference]]] = {}
    while waiting:
        reference = waiting.pop()
        if reference not in reached:
            reached[reference] = code.describe(reference)
            waiting += reached[reference][1]
    hashes = {}
    for reference, (own, uses) in reached.items():
        used = "\n".join(sorted({f"{other.name} {reached[other][0]}" for other in uses}))
        hashes[f"{reference.module}:{reference.name}"] = f"{own}-{_short_hash(used)}"
    return _Reading(dict(sorted(hashes.items())), code.files)


def _read_state(path: Path) -> tuple[int, ...] | None:
    """Return what differs after any change of a file; None if it does not exist."""
    try:
        state = path.stat()
    except OSError:
        return None
    return (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino) if stat.S_ISREG(state.st_mode) else None


class _Code:
    """The modules of some packages: finds definitions by name, and describes each."""

    def __init__(self, sources: Mapping[str, Path]) -> None:
        self._sources = sources
        self._modules: dict[str, _Module | None] = {}
        self.files: dict[Path, tuple[int, ...] | None] = {}

    def module(self, name: str) -> _Module | None:
        """Return a module of the packages; None for one of other packages, of onlookers, or that does not exist."""
        if name not in self._modules:
            path = None if name.startswith(ONLOOKERS) else self._path(name)
            self._modules[name] = _parse(name, path, self.files[path]) if path else None
        return self._modules[name]

    def _path(self, name: str) -> Path | None:
        package, *rest = name.split(".")
        if package in self._sources:
            stem = self._sources[package].joinpath(*rest)
        elif _PROJECT in self._sources:  # on sys.path in `python train.py`: `import features` works
            stem = self._sources[_PROJECT].joinpath(package, *rest)
            rest = [package, *rest]
        else:
            return None
        candidates = (stem / "__init__.py", stem.with_suffix(".py") if rest else stem / "__init__.py")
        self.files |= {path: _read_state(path) for path in candidates}
        return next((path for path in candidates if self.files[path] is not None), None)

    def resolve(self, module_name: str, name: str) -> Iterator[_Reference]:
        """Yield the definitions that `name` in a module stands for: one, or all for a module or an unknown name."""
        seen = set()
        while (module_name, name) not in seen:
            seen.add((module_name, name))
            if self.module(f"{module_name}.{name}") is not None and not self._binds(module_name, name):
                module_name, name = f"{module_name}.{name}", _EVERYTHING
            module = self.module(module_name)
            if module is None:
                return
            if name in module.definitions:
                yield _Reference(module_name, name)
                return
            if name in module.imports:
                target, attribute = module.imports[name]
                module_name, name = target, attribute or _EVERYTHING
            elif name in module.lazy_names:
                module_name = module.lazy_names[name]
            elif name == _EVERYTHING:
                yield from (_Reference(module_name, other) for other in [*module.definitions, *_executed(module)])
                return
            else:
                return

    def _binds(self, module_name: str, name: str) -> bool:
        module = self.module(module_name)
        if module is None:
            return False
        return name in module.definitions or name in module.imports or name in module.lazy_names

    def describe(self, reference: _Reference) -> tuple[str, list[_Reference]]:
        """Return the hash of a definition's own tree, and the definitions that it uses."""
        module = self.module(reference.module)
        assert module is not None
        nodes = module.executed if reference.name == "<executed>" else module.definitions[reference.name]
        names = dict(module.imports)
        for node in nodes:
            names |= _imports_in(node, reference.module)
        uses: dict[_Reference, None] = {}
        renamed = {}
        for target in self._used(nodes, module, names):
            uses |= dict.fromkeys(target)
        for local, (target_module, attribute) in names.items():
            found = list(self.resolve(target_module, attribute)) if attribute else []
            if len(found) == 1:
                renamed[local] = found[0].name
            if local.startswith("*"):  # `from .features import *`: which of its names are used is not known
                uses |= dict.fromkeys(found)
        uses |= dict.fromkeys(_Reference(reference.module, name) for name in _executed(module))
        uses.pop(reference, None)
        tree = "".join(_write(node, renamed) for node in nodes)
        return _short_hash(f"{reference.name} {tree}"), list(uses)

    def _used(
        self, nodes: list[ast.stmt], module: _Module, imports: Mapping[str, tuple[str, str | None]]
    ) -> Iterator[list[_Reference]]:
        for node in (child for statement in nodes for child in ast.walk(statement)):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attribute) if self._is_module(imports.get(name)):
                    target, inner = imports[name]
                    yield list(self.resolve(f"{target}.{inner}" if inner else target, attribute))
                case ast.Name(id=name) if name in imports and not self._is_module(imports[name]):
                    target, inner = imports[name]
                    yield list(self.resolve(target, inner or _EVERYTHING))
                case ast.Name(id=name) if name in module.definitions:
                    yield [_Reference(module.name, name)]
                case ast.Constant(value=str(text)) if re.fullmatch(r"ratchet(\.\w+)+", text):
                    yield list(self.resolve(text, _EVERYTHING))  # a module that is loaded by its name

    def _is_module(self, target: tuple[str, str | None] | None) -> bool:
        if target is None:
            return False
        module, name = target
        return name is None or (self.module(f"{module}.{name}") is not None and not self._binds(module, name))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _executed(module: _Module) -> list[str]:
    return ["<executed>"] if module.executed else []


@cache
def _parse(name: str, path: Path, _state: tuple[int, ...] | None) -> _Module:
    """Parse a module once for as long as its file stays the same."""
    module = _Module(name)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _only_imports(node):
            module.imports |= _imports_in(node, package)
        elif bound := _bound_by(node):
            for target in bound:
                module.definitions.setdefault(target, []).append(node)
        elif not _is_text(node) and not _is_main(node):
            module.executed.append(node)
            module.imports |= _imports_in(node, package)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            module.lazy_names |= _table_of_names(node.value)
    return module


def _bound_by(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [child.id for target in targets for child in ast.walk(target) if isinstance(child, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _imports_in(node: ast.AST, package: str) -> dict[str, tuple[str, str | None]]:
    names: dict[str, tuple[str, str | None]] = {}
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0],
                    None,
                )
        elif isinstance(child, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - child.level + 1]) if child.level else ""
            target = ".".join(filter(None, [base, child.module]))
            for alias in child.names:
                local = f"*{target}" if alias.name == _EVERYTHING else alias.asname or alias.name
                names[local] = (target, alias.name)
    return names


def _only_imports(node: ast.stmt) -> bool:
    """Tell whether it is `if TYPE_CHECKING:` and the like, around imports alone."""
    return isinstance(node, ast.If) and all(isinstance(child, ast.Import | ast.ImportFrom) for child in node.body)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _table_of_names(node: ast.Dict) -> dict[str, str]:
    pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True)]
    return {
        key.value: value.value
        for key, value in pairs
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(key.value, str)
        and isinstance(value.value, str) and value.value.startswith("ratchet.")
    }  # fmt: skip


def _write(node: object, renamed: Mapping[str, str], *, silent: bool = False) -> str:
    """Write a syntax tree as text: no positions, empty fields, imports or bare strings; `silent` drops all texts."""
    match node:
        case list():
            return "[" + "".join(_write(item, renamed, silent=silent) for item in node if not _is_left_out(item)) + "]"
        case ast.JoinedStr() | ast.Constant(value=str()) if silent:
            return "text"
        case ast.Name(id=name):
            return f"Name({renamed.get(name, name)})"
        case ast.Constant(value=value):
            return f"{type(value).__name__}({value!r})"
        case ast.Raise():
            silent = True
        case ast.Assert(test=test):
            return f"Assert({_write(test, renamed)})"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in _LOGGERS:
            silent = True
        case ast.AST():
            pass
        case _:
            return repr(node)
    fields = [
        f"{name}={_write(value, renamed, silent=silent)}"
        for name, value in ast.iter_fields(node)
        if value is not None and value != [] and name not in ("ctx", "kind", "type_comment")
    ]
    return f"{type(node).__name__}({','.join(fields)})"


def _is_left_out(node: object) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.AST) and _is_text(node))

"""Write the signatures of the public names as docs/reference/api.md prints them."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

import ratchet

# These classes serve the package as well: only these members are part of the public API.
MEMBERS = {
    "Project": ("root", "find", "conf", "models", "runs_dir", "promotions_dir"),
    "Scorer": ("labels", "identity", "score"),
    "RunFailed": (),
    "UserError": (),
}


def list_signatures() -> list[str]:
    """Return a line for each function and for each public member of a class, in the order of `__all__`."""
    return [line for name in ratchet.__all__ for line in _list_of(name, getattr(ratchet, name))]


def _list_of(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, type):
        yield f"{name}{_write_signature(value)}"
        return
    public = [member for member in {**_fields_of(value), **vars(value)} if not member.startswith("_")]
    for member in MEMBERS.get(name, public):
        yield f"{name}.{member}{_write_member(value, member)}"


def _fields_of(value: type) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else {}


def _write_member(value: type, member: str) -> str:
    fields = _fields_of(value)
    if member in fields:
        return f": {_write_annotation(fields[member])}"
    defined = vars(value)[member]
    if isinstance(defined, property):
        return f": {_write_annotation(inspect.signature(defined.fget).return_annotation)}"  # type: ignore[arg-type]
    if isinstance(defined, classmethod):
        return _write_signature(getattr(value, member))
    return _write_signature(defined, without_self=True)


def _write_signature(function: Any, *, without_self: bool = False) -> str:
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_Bare(_write_annotation(parameter.annotation)))
        for parameter in list(signature.parameters.values())[int(without_self) :]
    ]
    returned = _Bare(_write_annotation(signature.return_annotation))
    return str(signature.replace(parameters=parameters, return_annotation=returned))


def _write_annotation(annotation: Any) -> str:
    """Return an annotation without the modules of its names, which differ between versions of Python."""
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    short = re.sub(r"\b(?:\w+\.)+(?=\w)", "", written)
    return re.sub(r"^Optional\[(.*)\]$", r"\1 | None", short)


class _Bare(str):
    """A text that `inspect` prints without quotes."""

    def __repr__(self) -> str:
        return str(self)

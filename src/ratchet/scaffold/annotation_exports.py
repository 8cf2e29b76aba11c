"""Recognise exports of annotation tools by their columns: Label Studio, doccano, Prodigy, Argilla, spaCy."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from ratchet.config import LabelKind, LabelsConfig
from ratchet.data.label_cells import parse_cell
from ratchet.data.values import get_value, is_plain, to_string
from ratchet.errors import UserError
from ratchet.scaffold.column_roles import Column, holds_scores, make_path
from ratchet.scaffold.data_yaml import count
from ratchet.scaffold.label_columns import detect_layout
from ratchet.scaffold.label_layouts import Layout, make_exclusive

Columns = Mapping[str, Column]
_VERDICTS = {"accept", "reject", "ignore"}
_STUDIO = {"annotation_id", "annotator", "lead_time", "created_at", "updated_at"}
_STUDIO_TASK = _STUDIO | {"annotations", "predictions", "drafts", "meta", "project", "file_upload", "inner_id"}
_STUDIO_TASK |= {"total_annotations", "cancelled_annotations", "total_predictions", "comment_count", "updated_by"}
_STUDIO_TASK |= {"unresolved_comment_count", "last_comment_updated_at", "comment_authors", "allow_skip"}
_DOCCANO = {"Comments", "comments", "annotation_approver", "Approved", "is_approved", "is_confirmed", "entities"}
_APPROVED = ("Approved", "is_approved", "approved", "is_confirmed")
_PRODIGY = {"answer", "accept", "options", "spans", "tokens", "meta", "html", "image", "config", "_timestamp"}
_PRODIGY |= {"_input_hash", "_task_hash", "_view_id", "_session_id", "_annotator_id", "_is_binary", "priority", "score"}
_ARGILLA = {"status", "fields", "responses", "suggestions", "metadata", "vectors", "_server_id", "inserted_at"}
_ARGILLA |= {"updated_at", "external_id"}


@dataclass(frozen=True)
class Export:
    """The export of a tool: the labels, the columns of the text (none: guess them), and the values that rows must have.

    `comments` has the evidence by key of the configuration; `own` are columns that describe the annotation; several
    annotations of a task are rows with the same `id`.
    """

    tool: str
    labels: Layout
    text: Sequence[str] = ()
    id: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    suggestions: Sequence[tuple[str, Any, str]] = ()
    own: Set[str] = frozenset()


def recognise_export(file: str, columns: Columns, chosen: str | None = None) -> Export | None:
    """Return the export of an annotation tool; None if the columns are not those of a known tool.

    `chosen` is the column of the labels that the user named, if any; the export is None if it reads another.

    Raises:
        UserError: it holds no labels of texts, or answers to several questions, and nothing is chosen.
    """
    for recognise in (_read_studio_tasks, _read_argilla, _read_prodigy, _read_studio_rows, _read_spacy, _read_doccano):
        try:
            export = recognise(file, columns, chosen)
        except UserError:
            if chosen is None:
                raise
            continue
        if export is not None and chosen in (None, export.labels.config.column):
            return export
    return None


def _list_paths(columns: Columns, root: str) -> list[str]:
    return [name for name in columns if name.startswith(f"{root}.")]


def _list_texts(columns: Columns, root: str) -> list[str]:
    """Return the paths into a column that hold texts."""
    paths = [name for name in _list_paths(columns, root) if columns[name].is_plain]
    texts = [name for name in paths if columns[name].is_text]
    return texts or [name for name in paths if name in (f"{root}.text", f"{root}.content")] or paths[:1]


def _find_id(columns: Columns) -> str | None:
    return "id" if "id" in columns else None


# --- Label Studio -----------------------------------------------------------------------------------------------------
def _read_studio_tasks(file: str, columns: Columns, chosen: str | None) -> Export | None:
    """Read Label Studio's JSON: a task with the text below `data`, and a list of annotations."""
    column = columns.get("annotations")
    if column is None or not any(name.startswith("data.") for name in columns):
        return None
    tasks = [value if isinstance(value, list) else [] for value in column.values]
    annotations = [item for task in tasks for item in task if isinstance(item, dict)]
    results = [result for item in annotations for result in item.get("result") or [] if isinstance(result, dict)]
    choices = [result for result in results if isinstance(get_value(result, "value.choices"), list)]
    if not annotations or "result" not in annotations[0]:
        return None
    if not choices:
        kinds = sorted({str(result.get("type", "no type")) for result in results})
        raise UserError(
            f"{file}: an export of Label Studio without choices ({', '.join(kinds) or 'no results'}): Ratchet gives "
            "labels to whole texts, and reads results of the type choices"
        )
    questions = sorted({str(result.get("from_name", "")) for result in choices})
    if len(questions) > 1:
        raise UserError(
            f"{file}: the annotations answer several questions ({', '.join(questions)}): export as JSON_MIN or CSV, "
            "which have a column for each, and choose one with labels=NAME"
        )
    cancelled = [any(item.get("was_cancelled") is True for item in task if isinstance(item, dict)) for task in tasks]
    has_key = any("was_cancelled" in item for item in annotations)
    config = LabelsConfig(column="annotations.result.value.choices", kind=LabelKind.list)
    kept = [task for task, is_cancelled in zip(tasks, cancelled, strict=True) if task and not is_cancelled]
    layout = _describe_tasks(Layout(config, "as Label Studio writes choices in JSON"), kept)
    where, comments = (
        ({"annotations.was_cancelled": False}, {"filter": _count_left_out(tasks, cancelled)}) if has_key else ({}, {})
    )
    texts = _list_texts(columns, "data")
    return Export("Label Studio (JSON)", layout, texts, _find_id(columns), where, comments, own=_STUDIO_TASK)


def _count_left_out(tasks: Sequence[Sequence[Any]], cancelled: Sequence[bool]) -> str:
    """Return how many tasks are left out, and why; without counts that are zero."""
    numbers = {"without an annotation": sum(not task for task in tasks), "with a cancelled annotation": sum(cancelled)}
    reasons = [f"{count(number, 'task')} {what}" for what, number in numbers.items() if number]
    return f"left out: {' and '.join(reasons) or 'tasks with a cancelled annotation, none so far'}"


def _describe_tasks(layout: Layout, tasks: Sequence[Sequence[Any]]) -> Layout:
    """Add how many labels a task has, and the rule that joins those of several annotations."""
    labels_of = [[frozenset(_list_choices(item)) for item in task] for task in tasks]
    several = sum(len(labels) > 1 for labels in labels_of)
    differing = sum(len(set(labels)) > 1 for labels in labels_of)
    if several:
        layout = replace(
            layout,
            seen=f"{layout.seen}; {count(several, 'task')} with several annotations: a record has the labels of all "
            f"of them ({differing:,} where they differ)",
        )
    if differing and all(len(names) == 1 for labels in labels_of for names in labels):
        strict = (replace(layout.config, one=True), f"to stop at the {differing:,} tasks whose annotations differ")
        return replace(layout, alternatives=[strict])
    return make_exclusive(layout, [len(frozenset().union(*labels)) for labels in labels_of])


def _list_choices(annotation: Any) -> list[str]:
    choices = get_value({"annotation": annotation}, "annotation.result.value.choices")
    return [to_string(item) for item in choices if is_plain(item)] if isinstance(choices, list) else []


def _read_studio_rows(file: str, columns: Columns, chosen: str | None) -> Export | None:
    """Read Label Studio's CSV and JSON_MIN: one choice is a word, and several are {"choices": [...]}."""
    answers = [column for column in columns.values() if chosen in (None, column.name) and _has_choices(column)]
    if not answers:  # answers that are all words need no special layout
        return None
    if len(answers) > 1:
        names = ", ".join(f"labels={column.name}" for column in answers)
        raise UserError(f"{file}: the annotations answer several questions: choose one of {names}")
    config = LabelsConfig(column=answers[0].name, kind=LabelKind.list, key="choices")
    layout = Layout(config, "as Label Studio writes choices: one as a word, several below the key choices")
    own = {*_STUDIO, *_list_paths(columns, answers[0].name)}
    return _join_annotations(Export("Label Studio", layout, own=own), columns)


def _has_choices(column: Column) -> bool:
    def is_choices(value: Any) -> bool:
        parsed = parse_cell(value.strip()) if isinstance(value, str) else value
        return isinstance(parsed, dict) and list(parsed) == ["choices"] and isinstance(parsed["choices"], list)

    is_answer = [is_choices(value) or isinstance(value, str) for value in column.sample]
    return bool(is_answer) and all(is_answer) and any(map(is_choices, column.sample))


def _join_annotations(export: Export, columns: Columns) -> Export:
    """Join the rows of a task that has several annotations: they have the same id."""
    ids = columns["id"].texts if "id" in columns and columns["id"].is_plain else []
    repeated = len(ids) - len(set(ids))
    if not repeated:
        return export
    rule = f"{count(repeated, 'row')} repeat the id of a task: a record has the labels of all its rows"
    seen = f"{export.labels.seen}; {rule}"
    config = replace(export.labels.config, kind=LabelKind.rows)
    return replace(export, labels=replace(export.labels, config=config, seen=seen), id="id")


# --- Prodigy, doccano -------------------------------------------------------------------------------------------------
def _read_prodigy(file: str, columns: Columns, chosen: str | None) -> Export | None:
    """Read Prodigy's JSON Lines: an answer about one label, or a list of accepted options."""
    answer = columns.get("answer")
    if answer is None or not set(answer.counts) <= _VERDICTS or not set(answer.counts) & {"accept"}:
        return None
    accepted = [to_string(value) == "accept" for value in answer.values]
    has_options = "accept" in columns and columns["accept"].is_list
    name = "accept" if has_options else "label"
    if name not in columns:
        raise UserError(
            f"{file}: an export of Prodigy without label or accept (perhaps spans): Ratchet gives labels to whole texts"
        )
    labels = Column(name, _select(columns[name].values, accepted))
    what = "accepted options" if has_options else "the label that was asked about"
    layout = _name_tool(f"Prodigy writes {what}", detect_layout(file, labels))
    if has_options:
        layout = make_exclusive(layout, [len(value or []) for value in labels.values])
    others = [f"{number:,} with {verdict}" for verdict, number in answer.counts.items() if verdict != "accept"]
    comments = {"filter": f"rows with another answer are left out: {' and '.join(others) or 'none so far'}"}
    text = ["text"] if "text" in columns else ()
    return Export("Prodigy", layout, text, None, {"answer": "accept"}, comments, own=_PRODIGY | {"label"})


def _select(values: Sequence[Any], kept: Sequence[bool]) -> list[Any]:
    return [value for value, is_kept in zip(values, kept, strict=True) if is_kept]


def _name_tool(what: str, layout: Layout) -> Layout:
    return replace(layout, seen=f"as {what}; {layout.seen}")


def _read_doccano(file: str, columns: Columns, chosen: str | None) -> Export | None:
    """Read doccano's JSON or JSON Lines: a text (or `data`) with a list of labels."""
    if not _DOCCANO & set(columns) or not {"text", "data"} & set(columns):
        return None
    column = next((columns[name] for name in ("label", "labels", "cats") if name in columns), None)
    if column is None or not column.sample:
        if "entities" not in columns:
            return None
        raise UserError(
            f"{file}: an export of doccano with entities, which are labels of some words: Ratchet gives labels to "
            "whole texts: export a project of the type text classification"
        )
    layout = _name_tool("doccano writes labels", detect_layout(file, column))
    where: dict[str, Any] = {}
    comments: dict[str, str] = {}
    suggestions: list[tuple[str, Any, str]] = []
    approved = next((name for name in _APPROVED if name in columns), None)
    if approved is not None:
        values = columns[approved].counts
        number = sum(count for value, count in values.items() if value.lower() == "true")
        rest = len(columns[approved].values) - number
        reason = f"{count(rest, 'row')} without approval"
        if rest and number >= rest:
            where[approved] = True
            comments["filter"] = f"{reason} are left out"
        elif rest and number:
            suggestions.append((approved, True, f"to leave out the {reason}"))
    text = "text" if "text" in columns else "data"
    return Export("doccano", layout, [text], None, where, comments, suggestions, own=_DOCCANO)


# --- Argilla, spaCy ---------------------------------------------------------------------------------------------------
def _read_argilla(file: str, columns: Columns, chosen: str | None) -> Export | None:
    """Read Argilla's records: the text below `fields`, the answers below `responses`, and perhaps `suggestions`."""
    if not any(name.startswith("fields.") for name in columns) or not {"responses", "suggestions"} & set(columns):
        return None
    answers = _find_answers(file, columns, "responses", chosen)
    what = "Argilla writes responses: a record has the labels of all of them"
    if not answers:
        answers = _find_answers(file, columns, "suggestions", chosen)
        what = "Argilla writes suggestions: no record has a response of a person"
    if not answers:
        raise UserError(f"{file}: an export of Argilla without an answer that is a label: choose one with labels=NAME")
    if len(answers) > 1:
        names = ", ".join(f"labels={layout.config.column}" for layout, _ in answers)
        raise UserError(f"{file}: the records answer several questions: choose one of {names}")
    layout, column = answers[0]
    where: dict[str, Any] = {}
    comments: dict[str, str] = {}
    status = columns.get("status")
    if column.name.startswith("responses.") and status is not None and len(status.counts) > 1:
        done = next((value for value in ("completed", "submitted", "Validated") if value in status.counts), None)
        if done is not None:
            where["status"] = done
            number = len(status.values) - sum(to_string(value) == done for value in status.values if is_plain(value))
            comments["filter"] = f"left out: {count(number, 'record')} with another status than {done}"
    kept = [to_string(value) == where["status"] for value in status.values] if where and status else None
    values = column.values if kept is None else _select(column.values, kept)
    layout = make_exclusive(layout, [len(set(map(str, value))) if isinstance(value, list) else 2 for value in values])
    own = _ARGILLA | {name for name in columns if name.startswith(("responses.", "suggestions.", "vectors."))}
    texts = _list_texts(columns, "fields")
    return Export("Argilla", _name_tool(what, layout), texts, _find_id(columns), where, comments, own=own)


def _find_answers(file: str, columns: Columns, root: str, chosen: str | None) -> list[tuple[Layout, Column]]:
    """Return the questions whose answers are labels; the chosen one alone, if any."""
    answers = []
    for name in _list_paths(columns, root):
        if name.count(".") > 1:
            continue
        column = make_path(columns, f"{name}.value")
        if column is None or chosen not in (None, column.name):
            continue
        try:
            layout = detect_layout(file, column)
        except UserError:
            continue
        if layout.config.kind in (LabelKind.list, LabelKind.single) and not column.is_text:
            config = LabelsConfig(column=column.name, kind=layout.config.kind)
            answers.append((Layout(config, layout.seen), column))
    return answers


def _read_spacy(file: str, columns: Columns, chosen: str | None) -> Export | None:
    """Read spaCy's categories: an object `cats` with a score for each label."""
    candidates = [column for name, column in columns.items() if name.rpartition(".")[2] == "cats"]
    if len(candidates) != 1 or not candidates[0].sample:
        return None
    column = candidates[0]
    if not all(isinstance(value, dict) for value in column.sample) or not holds_scores(column.sample):
        return None
    root = column.name.partition(".")[0]
    own = {"entities", "spans", "meta", "tokens"} | set(_list_paths(columns, root))
    return Export("spaCy", _name_tool("spaCy writes categories", detect_layout(file, column)), own=own)

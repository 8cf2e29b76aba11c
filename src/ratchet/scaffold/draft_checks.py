"""Check the draft of a data set on all its records: unusable rows, rare labels, and whether they can be divided."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ratchet.config import DataConfig, Leaks, SplitConfig, SplitMethod
from ratchet.data.label_findings import is_missing_word
from ratchet.data.labels import is_multiclass
from ratchet.data.prepared import prepare
from ratchet.data.problems import Problem
from ratchet.data.records import Record
from ratchet.data.splits import make_split
from ratchet.errors import UserError
from ratchet.scaffold.data_files import DataFiles
from ratchet.scaffold.data_yaml import count, quote
from ratchet.scaffold.drafting import Draft

RECORD_PATHS = ("path", "train", "val", "test")
_FEWEST_RECORDS = 10
_SPLIT_UP_TO = 50_000  # records; above, dividing them takes too long for an inspection
_RARE = 3  # a label on fewer records cannot be in each of train, val and test


def check_draft(draft: Draft, files: DataFiles, records: list[Record], problems: list[Problem]) -> None:
    """Check a draft on its records, and add to it what they show: unusable rows, rare labels, a refused split.

    Raises:
        UserError: there are fewer than 10 records, or only one label.
    """
    _check_records(files.named, records, problems)
    _report_problems(draft, problems)
    _limit_rare_labels(draft, records)
    if not any(problem.outcome == "stops" for problem in problems):
        _check_split(draft, files, records)
    _report_repeated_texts(draft, records)
    _check_labels(draft, files.named, records)


def make_readable(draft: Draft, files: DataFiles) -> DataConfig:
    """Return the configuration with the paths of the files themselves instead of their copies."""
    config, actual = draft.config, files.make_records()
    records = replace(config.records, **{key: getattr(actual, key) for key in RECORD_PATHS})
    names = config.labels.names
    if names is None or names.path is None:
        return replace(config, records=records)
    names = replace(names, path=str(draft.files.get(Path(names.path), names.path)))
    return replace(config, records=records, labels=replace(config.labels, names=names))


def _check_records(file: str, records: list[Record], problems: list[Problem]) -> None:
    if len(records) < _FEWEST_RECORDS:
        unusable = ""
        if problems:
            unusable = f" ({len(problems):,} rows cannot be used: {problems[0].place}: {problems[0].message})"
        raise UserError(
            f"{file}: {len(records)} records{unusable} are too few: a data set needs at least {_FEWEST_RECORDS}"
        )


def _check_labels(draft: Draft, file: str, records: list[Record]) -> None:
    labels = [label for label, number in _count_labels(records).items() if number >= draft.config.filter.min_records]
    if len(labels) < 2:
        columns = draft.config.labels.columns
        where = f"column {draft.config.labels.column!r}" if columns is None else f"columns {', '.join(columns)}"
        only = f"only one label, {labels[0]!r}" if labels else "no label"
        rare = "" if draft.config.filter.min_records == 1 else f" that {_RARE} records or more have"
        raise UserError(
            f"{file}: {where} has {only}{rare}: a classifier needs at least two. Choose another column with labels=NAME"
        )


def _report_problems(draft: Draft, problems: list[Problem]) -> None:
    """Count the rows that cannot be used, with the first location and the remedy."""
    for kind, number in Counter(problem.kind for problem in problems).most_common():
        first = next(problem for problem in problems if problem.kind == kind)
        draft.findings.append((kind, f"{count(number, 'row')}, the first is {_locate(first.place)}: {first.message}"))
    bad = [problem for problem in problems if problem.outcome == "stops"]
    if bad:
        draft.comments["drop_bad_rows"] = (
            f"{count(len(bad), 'row')} cannot be used, and training stops because of that. The first is "
            f"{_locate(bad[0].place)}: {bad[0].message}. Correct the file, or set true to skip and count such rows"
        )


def _report_repeated_texts(draft: Draft, records: list[Record]) -> None:
    number = len(records) - len({record.text for record in records})
    if not number:
        return
    verb = "repeats" if number == 1 else "repeat"
    where = "equal texts are in one part of a split"
    if draft.config.split.method is SplitMethod.given:
        where = "the given parts stay as they are (split.leaks: what happens to a text in two of them)"
    draft.findings.append(("repeated text", f"{count(number, 'record')} {verb} an earlier text; {where}"))


def _limit_rare_labels(draft: Draft, records: list[Record]) -> None:
    """Suggest leaving out labels on few records; do so where a stratified split refuses them (multi-class)."""
    counts = _count_labels(records)
    rare = {label: number for label, number in counts.items() if number < _RARE}
    if not rare:
        return
    doubts = {label: doubt for label in rare if (doubt := _find_doubt(label, counts))}
    shown = [*doubts, *(label for label in rare if label not in doubts)][:5]
    names = ", ".join(f"{_show(label)} ({rare[label]}{doubts.get(label, '')})" for label in shown)
    seen = f"{count(len(rare), 'label')} on fewer than {_RARE} records: {names}{', ...' if len(rare) > 5 else ''}"
    line = f"filter: {{min_records: {_RARE}}}"
    others = [item for item in draft.alternatives.pop("filter", []) if item[0] != line]  # of an earlier call
    if is_multiclass(draft.config.labels) and draft.config.split.method is SplitMethod.stratified:
        draft.config.filter.min_records = _RARE
        seen = f"left out, because a stratified split needs more: {seen}"
        draft.comments["filter"] = "; ".join([*filter(None, [draft.comments.get("filter")]), seen])
    else:
        others.append((line, seen))
    if others:
        draft.alternatives["filter"] = others
    draft.findings = [*(finding for finding in draft.findings if finding[0] != "rare labels"), ("rare labels", seen)]


def _show(label: str) -> str:
    """Return a label as it is if every character can be seen, or else with escapes."""
    return label if label.isprintable() and label == label.strip() else ascii(label)


def _fold(label: str) -> str:
    """Return a label without case, characters that cannot be seen, and other forms of a letter or space."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    visible = "".join(character for character in folded if character.isprintable() or character.isspace())
    return " ".join(visible.split())


def _find_doubt(label: str, counts: Mapping[str, int]) -> str:
    """Return why a rare label may not be meant, to follow its number of records; "" if nothing tells."""
    if is_missing_word(label):
        return ", which looks like a missing value"
    folded = _fold(label)
    others = [other for other in counts if other != label and _fold(other) == folded]
    other = max(others, key=lambda name: counts[name], default=None)
    return "" if other is None else f", which looks like {_show(other)}"


def _count_labels(records: list[Record]) -> Counter[str]:
    return Counter(label for record in records for label in record.labels)


def _locate(place: str) -> str:
    """Return a location without the directories of the file."""
    return place.rpartition("/")[2]


# --- the split --------------------------------------------------------------------------------------------------------
def _check_split(draft: Draft, files: DataFiles, records: list[Record]) -> None:
    """Divide the records as training does, unless they are very many; replace or report a split that is refused."""
    reason = _find_reason_not_to_split(draft, files, records)
    if reason is not None and draft.config.split.method is SplitMethod.given and draft.config.split.column is not None:
        _replace_given_split(draft, reason)
        _limit_rare_labels(draft, records)
        reason = _find_reason_not_to_split(draft, files, records)
    if reason is not None:
        draft.comments["split"] = f"training refuses this split: {reason}"
        draft.findings.append(("split", draft.comments["split"]))


def _replace_given_split(draft: Draft, reason: str) -> None:
    line = f"split: {{method: given, column: {quote(str(draft.config.split.column))}}}"
    draft.suggest("split", line, f"not used: {reason}")
    draft.findings = [finding for finding in draft.findings if finding[0] != "split"]
    draft.findings.append(("split, not used", f"{draft.config.split.column}: {reason}"))
    draft.config.split = replace(draft.config.split, method=SplitMethod.stratified, column=None, leaks=Leaks.stop)
    draft.comments.pop("split")


def _find_reason_not_to_split(draft: Draft, files: DataFiles, records: list[Record]) -> str | None:
    """Return the reason why training would refuse the split, if any. Leaks of given parts are dropped and reported."""
    config = draft.config
    if len(records) > _SPLIT_UP_TO:
        num_labels = sum(number >= config.filter.min_records for number in _count_labels(records).values())
        smallest = round(min(config.split.val, config.split.test) * len(records))
        if (
            is_multiclass(draft.config.labels)
            and config.split.method is SplitMethod.stratified
            and num_labels > smallest
        ):
            return f"{num_labels:,} labels are more than the {smallest:,} records of test: raise filter.min_records"
        return None
    split = config.split
    leaks = Leaks.drop_from_train if split.method is SplitMethod.given else split.leaks
    try:
        prepared = prepare(make_readable(draft, files))
        parts = make_split(
            prepared,
            SplitConfig(0, split.method, split.val, split.test, leaks, split.duplicates, split.similarity),
            split.column,
            split.group,
        )
    except UserError as error:
        return " ".join(str(error).split())
    if parts.dropped:
        _drop_leaks(draft, len(parts.dropped), len(records), parts.problems)
    return None


def _drop_leaks(draft: Draft, dropped: int, number: int, problems: Sequence[Problem]) -> None:
    """Leave out the records of train that are also in val or test: training would stop because of them."""
    draft.config.split.leaks = Leaks.drop_from_train
    first = next(problem for problem in problems if problem.kind == "leak between given parts")
    reason = (
        f"leaks: {dropped:,} of {number:,} records of train or val have a (nearly) identical text in a later part, and "
        f"are left out: {_locate(first.place)}, for example. leaks: stop would refuse them, and report keeps them"
    )
    draft.comments["split"] = f"{draft.comments['split']}. {reason}"
    draft.findings.append(("leaks", reason.removeprefix("leaks: ")))

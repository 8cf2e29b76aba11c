"""The format of a file by its name; adding one edits this table and nothing else."""

from pathlib import Path

from ratchet.config import Format
from ratchet.data.reading import SUFFIXES
from ratchet.errors import UserError
from ratchet.predicting.delimited import DelimitedWriter, delimited_reader
from ratchet.predicting.json_lines import JsonLinesWriter, json_lines_reader
from ratchet.predicting.parquet import ParquetReader, ParquetWriter
from ratchet.predicting.reading import Reader, Survey
from ratchet.predicting.results import Layout
from ratchet.predicting.writing import Writer

_SEPARATORS = {Format.csv: ",", Format.tsv: "\t"}
_KNOWN = ".csv, .tsv, .jsonl (these also with .gz) or .parquet"


def format_of(path: Path, what: str) -> Format:
    """The format that the name of a file tells; `what` is the option that names it.

    Raises:
        UserError: a name that tells none, or one that cannot be read in a stream.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    suffix = next(reversed(suffixes[:-1] if gzipped else suffixes), "")
    form = SUFFIXES.get(suffix)
    if form is Format.json:
        raise UserError(f"{what}={path}: a JSON list cannot be read or written in parts: one object a line, as .jsonl")
    if form is None or (gzipped and form is Format.parquet):
        raise UserError(f"{what}={path}: the name must tell the format: {_KNOWN}")
    return form


def reader_of(path: Path) -> Reader:
    """What reads the input.

    Raises:
        UserError: a name that tells no format.
    """
    form = format_of(path, "input")
    if form is Format.parquet:
        return ParquetReader(path)
    return json_lines_reader(path) if form is Format.jsonl else delimited_reader(path, _SEPARATORS[form])


def writer_of(path: Path, reader: Reader, survey: Survey, layout: Layout) -> Writer:
    """What writes the output.

    Raises:
        UserError: a name that tells no format, or new columns that would be ambiguous beside those of the input.
    """
    form = format_of(path, "output")
    writer: ParquetWriter | JsonLinesWriter | DelimitedWriter
    if form is Format.parquet:
        writer = ParquetWriter(reader.schema(survey), layout)
    elif form is Format.jsonl:
        writer = JsonLinesWriter(path, list(survey.columns), layout)
    else:
        writer = DelimitedWriter(path, _SEPARATORS[form], list(survey.columns), layout)
    writer.check()
    return writer

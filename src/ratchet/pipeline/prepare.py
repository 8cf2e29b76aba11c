"""Stage `prepare`: the data set as it is trained on, with its version; later stages read nothing else of it."""

import json
from pathlib import Path

from ratchet.config import DataConfig, load_data
from ratchet.data.prepared import prepare
from ratchet.data.storing import prepared_files
from ratchet.errors import UserError
from ratchet.evaluation.behaviour import cases_of, read_tests
from ratchet.inputs import known_labels
from ratchet.pipeline.layout import BEHAVIOUR, CONFIG, DATA
from ratchet.runs.files import write_text


def prepare_data() -> str:
    """Write build/data; a line that says what is there.

    Raises:
        UserError: a file that is missing or wrong, bad rows, nothing left to learn from.
    """
    data, _ = load_data(CONFIG / "data.yaml")
    _check_there(data)
    prepared = prepare(data)
    name, tests = read_tests(data.behaviour)
    cases_of(name, tests, prepared.labels, known_labels(prepared))  # what is wrong is told here, by the file's own name
    DATA.mkdir(parents=True, exist_ok=True)
    for name, text in prepared_files(prepared).items():
        write_text(DATA / name, text)
    write_text(BEHAVIOUR, json.dumps(tests, indent=1, ensure_ascii=False) + "\n")
    return f"{data.name}: {len(prepared.records):,} records, {len(prepared.labels)} labels, {prepared.version[:12]}"


def _check_there(data: DataConfig) -> None:
    for file in (data.records, data.taxonomy, data.labels.names, data.behaviour):
        if file is not None and file.path is not None and not Path(file.path).is_file():
            raise UserError(
                f"{file.path}: not there. The pipeline reads data/{data.name}/ alone: `ratchet data fetch "
                f"data={data.name}` puts the files there, or `dvc pull` where they are tracked by DVC"
            )

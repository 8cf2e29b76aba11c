"""Run the stages `prepare` and `split`: read, check and version the records, and divide them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ratchet.config.data_schema import DataConfig
from ratchet.config.saved import read_checked, read_recorded
from ratchet.config.schema import SplitConfig
from ratchet.data.prepared import list_known_labels, prepare
from ratchet.data.sources import locate
from ratchet.data.splits import make_split
from ratchet.data.storing import read_prepared, split_to_json, write_prepared
from ratchet.data.watched import list_watched_files
from ratchet.errors import UserError
from ratchet.evaluation.behaviour import parse_cases, read_tests
from ratchet.files import write_json, write_text
from ratchet.pipeline.plan import BEHAVIOUR, CONFIG, DATA, SPLITS


@dataclass
class _Data:
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)


def load_data(path: Path) -> tuple[DataConfig, SplitConfig]:
    """Return a frozen data set and the settings of its split.

    Raises:
        UserError: no such file, an unknown key, a wrong type, a value out of range, an interpolation.
    """
    read_recorded(path)
    found = read_checked(path, _Data)
    return found.data, found.split


def prepare_data() -> str:
    """Write build/data, and return a one-line summary.

    Raises:
        UserError: a file that is missing or wrong, bad rows, no records left.
    """
    data, _ = load_data(CONFIG / "data.yaml")
    _check_there(data)
    prepared = prepare(data, packaged=False)  # DVC watches only files of the project
    name, tests = read_tests(data.behaviour, packaged=False)
    parse_cases(name, tests, prepared.labels, list_known_labels(prepared))  # here messages name the original file
    DATA.mkdir(parents=True, exist_ok=True)
    write_prepared(prepared, DATA)
    write_text(BEHAVIOUR, json.dumps(tests, indent=1, ensure_ascii=False) + "\n")
    return f"{data.name}: {len(prepared.records):,} records, {len(prepared.labels)} labels, {prepared.version[:12]}"


def _check_there(data: DataConfig) -> None:
    paths = [file.configured for file in list_watched_files(data)]
    if data.behaviour is not None and data.behaviour.path is not None:
        paths.append(data.behaviour.path)
    for path in paths:
        if locate(path, packaged=False) is None:
            raise UserError(
                f"{path}: not there. The pipeline reads data/{data.name}/ alone: `ratchet data fetch "
                f"data={data.name}` puts the files there, or `dvc pull` where they are tracked by DVC"
            )


def split_data(repeat: int) -> None:
    """Write build/splits/<repeat>.json.

    Raises:
        UserError: too few records, a part that would be empty, given parts that share a text.
    """
    data, settings = load_data(CONFIG / "data.yaml")
    settings.seed = repeat
    split = make_split(read_prepared(DATA), settings, data.split.column, data.split.group, leaks_dir=SPLITS.parent)
    SPLITS.mkdir(parents=True, exist_ok=True)
    write_json(SPLITS / f"{repeat}.json", split_to_json(split))

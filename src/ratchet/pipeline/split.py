"""Stage `split@k`: which records a repeat trains on, chooses by and is measured on."""

from ratchet.config import load_data
from ratchet.data.splits import make_split
from ratchet.data.storing import read_prepared, split_to_json
from ratchet.pipeline.layout import CONFIG, DATA, SPLITS
from ratchet.runs.files import write_json


def split_data(repeat: int) -> None:
    """Write build/splits/<repeat>.json.

    Raises:
        UserError: too few records, a part that would be empty, given parts that share a text.
    """
    data, settings = load_data(CONFIG / "data.yaml")
    settings.seed = repeat
    split = make_split(read_prepared(DATA), settings, data.split.column)
    SPLITS.mkdir(parents=True, exist_ok=True)
    write_json(SPLITS / f"{repeat}.json", split_to_json(split))

"""What a run is trained and measured on: read from the files that its configuration names, or prepared beforehand."""

from dataclasses import dataclass

from ratchet.config import Config
from ratchet.data.prepared import Prepared, prepare
from ratchet.data.splits import Split, make_split
from ratchet.evaluation.behaviour import Case, read_behaviour


@dataclass(frozen=True)
class Inputs:
    """The prepared records, how they are divided, and the behavioural cases."""

    prepared: Prepared
    split: Split
    behaviour: list[Case]


def read_inputs(config: Config) -> Inputs:
    """Prepare and divide the data set of `config`.

    Raises:
        UserError: a file that is missing or wrong, or nothing to learn from.
    """
    prepared = prepare(config.data)
    split = make_split(prepared, config.split, config.data.split.column)
    return Inputs(prepared, split, read_behaviour(config.data.behaviour, prepared.labels, known_labels(prepared)))


def known_labels(prepared: Prepared) -> set[str]:
    """All labels that the data set knows of, those included that a filter left out."""
    return {*prepared.labels, *prepared.taxonomy.aliases, *prepared.report.labels_left_out}

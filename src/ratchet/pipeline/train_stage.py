"""Run the stage `train`: one run from a frozen configuration and prepared data.

A module of its own: the code identity of a stage is what its module imports.
"""

import json

from ratchet.config import Config, load, register
from ratchet.data.prepared import list_known_labels
from ratchet.data.storing import read_prepared, read_split
from ratchet.errors import UserError
from ratchet.evaluation.behaviour import parse_cases
from ratchet.models import all_settings
from ratchet.pipeline.plan import BEHAVIOUR, CONFIG, DATA, SPLITS, run_directory
from ratchet.runs.stored import read_run
from ratchet.training import Inputs, Outcome, train


def train_run(model: str, repeat: int) -> Outcome:
    """Train, measure and record a run. Test-set accesses are counted together with those of all other runs.

    Raises:
        UserError: no such configuration, the directory of the run exists already, or the code changed during the run:
            the pipeline must not keep its results.
        RunFailed: any error after that.
    """
    register(all_settings())
    config = load(CONFIG / "model" / f"{model}.yaml", all_settings())
    config.seed = config.split.seed = repeat
    config.run_dir = str(run_directory(config.data.name, model, repeat))
    outcome = train(config, [f"model={model}", f"repeat={repeat}"], read=_prepared_inputs)
    if read_run(outcome.path).record.code_changed:
        raise UserError(f"{outcome.path}: the code changed during the run (see above): `dvc repro` trains it again")
    return outcome


def _prepared_inputs(config: Config) -> Inputs:
    prepared = read_prepared(DATA)
    split = read_split(SPLITS / f"{config.split.seed}.json", prepared)
    tests = json.loads(BEHAVIOUR.read_text(encoding="utf-8"))
    return Inputs(prepared, split, parse_cases(str(BEHAVIOUR), tests, prepared.labels, list_known_labels(prepared)))

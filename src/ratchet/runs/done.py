"""Whether a run has been made already: the same candidate, by the same code, on the same data, with the same seeds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ratchet.config import Config, dump
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.stored import StoredRun, find_runs

# What of a configuration says where, when, why or for whom a run happens: the figures are the same without it.
_BESIDE = {
    *("runs_dir", "run_dir", "promotions_dir", "sweep_id", "resume", "fresh"),
    *("parent", "hypothesis", "tracker", "threads", "sweep"),
}


DataIdentity = tuple[str, str, str | None]  # version of the data, hash of the split, hash of the behavioural cases


def find_done(config: Config, threads: int, data_of: Callable[[], DataIdentity]) -> StoredRun | None:
    """The newest finished run that `config` would only make again, or None.

    Compared are the configuration, the number of threads, the code that they use, the versions of the packages
    that results depend on, and, last, since they must be read for it, the data, the split and the behavioural cases:
    what `data_of` gives. A record of a time when cases were not hashed is taken for one without any.
    """
    made_with = (hash_definitions(code_of_run(config.model.module)), provenance.package_versions(), threads)
    wanted = _identity(dump(config))
    like = [
        run
        for run in find_runs(Path(config.runs_dir), config.data.name, config.name)
        if run.status == "finished"
        and (run.record.code_hash, run.record.packages, run.record.threads) == made_with
        and _identity_of(run) == wanted
    ]
    if not like:
        return None
    data = data_of()
    same = [run for run in like if _data_of(run) == data]
    return same[-1] if same else None


def _data_of(run: StoredRun) -> tuple[str | None, str | None, str | None]:
    return run.record.dataset_version, run.record.split_hash, run.record.behaviour_hash


def _identity_of(run: StoredRun) -> dict[str, Any] | None:
    try:
        return _identity((run.path / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):  # it is damaged: it is no match
        return None


def _identity(text: str) -> dict[str, Any]:
    """What of a configuration's YAML the figures hang on."""
    content = {key: value for key, value in yaml.safe_load(text).items() if key not in _BESIDE}
    trainer = {key: value for key, value in content["trainer"].items() if key != "progress_bar"}
    return {**content, "trainer": trainer}

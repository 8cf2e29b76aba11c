"""`ratchet evaluate RUN [part=test] [data=...]`: score a finished run on other records."""

from pathlib import Path

from ratchet.config import Config, compose, is_option, load, register, take_config_dir
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.reporting.run_details import describe_accesses, metric_tables
from ratchet.reporting.terminal import print_blocks, print_facts, print_text
from ratchet.runs import find_run


def _config(path: Path, overrides: list[str], config_dir: Path | None) -> Config:
    """The run's own configuration with `overrides`; with another data set, that one's, and the run's split seed."""
    if not any(each.startswith("data=") for each in overrides):
        return load(path, all_settings(), overrides)
    seed = load(path, all_settings()).split.seed
    return compose([f"split.seed={seed}", *overrides], config_dir)


def run(arguments: list[str]) -> int:
    """The verb `evaluate`. Everything but `part` and `runs_dir` is a configuration override, of the data above all."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet evaluate RUN [part=test] [data=...]`; RUN is an id, a directory or `last`")
    options = dict(argument.split("=", 1) for argument in arguments[1:] if argument.startswith(("part=", "runs_dir=")))
    overrides = [argument for argument in arguments[1:] if not argument.startswith(("part=", "runs_dir="))]
    stored = find_run(Path(options.get("runs_dir", "runs")), arguments[0])
    register(all_settings())
    overrides, config_dir = take_config_dir(overrides)
    config = _config(stored.path / "config.yaml", overrides, config_dir)

    from ratchet.rescoring import rescore

    part = options.get("part", "test")
    done = rescore(stored, config, part)
    print_text(f"{stored.record.name} ({stored.record.id}) on {config.data.name}, {part}: {done.records} records")
    print()
    print_blocks(metric_tables(done.figures, [part]))
    print()
    if done.seen_in_training:
        seen, records = done.seen_in_training, done.records
        print_text(f"not an estimate of new data: the run was trained on {seen} of {records} records")
    if done.unknown_labels:
        missed = sum(done.unknown_labels.values())
        print_text(f"labels that the run does not know ({missed} times): {', '.join(sorted(done.unknown_labels))}")
    if done.test_readings is not None:
        print_facts([("test set", describe_accesses(done.test_readings))])
    print_facts([("written to", str(done.directory))])
    return 0

"""`ratchet evaluate RUN [part=test] [data=...]`: evaluate a finished run on other records."""

from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.config import is_option, register, take_config_dir
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.reporting.run_details import describe_accesses, metric_tables
from ratchet.reporting.terminal import print_blocks, print_facts, print_text
from ratchet.runs import find_run

if TYPE_CHECKING:
    from ratchet.runs.trained_texts import Seen


def run(arguments: list[str]) -> int:
    """Run the verb `evaluate`. Every key except `part` and `runs_dir` overrides the configuration."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet evaluate RUN [part=test] [data=...]`; RUN is an id, a directory or `last`")
    options = dict(argument.split("=", 1) for argument in arguments[1:] if argument.startswith(("part=", "runs_dir=")))
    overrides = [argument for argument in arguments[1:] if not argument.startswith(("part=", "runs_dir="))]
    stored = find_run(Path(options.get("runs_dir", "runs")), arguments[0])
    register(all_settings())
    overrides, config_dir = take_config_dir(overrides)

    from ratchet.evaluating import compose_evaluation, evaluate_run

    config = compose_evaluation(stored, overrides, config_dir)
    part = options.get("part", "test")
    evaluation = evaluate_run(stored, config, part)
    records = evaluation.records
    print_text(f"{stored.record.name} ({stored.record.id}) on {config.data.name}, {part}: {records} records")
    print()
    print_blocks(metric_tables(evaluation.metrics, [part]))
    print()
    if warning := _describe_seen(evaluation.seen, records):
        print_text(warning)
    if unknown := evaluation.unknown_labels:
        print_text(f"labels that the run does not know ({sum(unknown.values())} times): {', '.join(sorted(unknown))}")
    if evaluation.test_accesses is not None:
        print_facts([("test set", describe_accesses(evaluation.test_accesses))])
    print_facts([("written to", str(evaluation.directory))])
    return 0


def _describe_seen(seen: "Seen | None", records: int) -> str:
    """Return what the metrics cannot be an estimate of, because the run has seen the records; "" if it has not."""
    if seen is None:
        return "it is not known whether the run was trained on these records: it stored no hashes of its texts"
    tuned = f"its thresholds were chosen on {seen.val}" if seen.val else ""
    if seen.train:
        return f"not an estimate of new data: the run was trained on {seen.train} of {records} records" + (
            f", and {tuned} others" if tuned else ""
        )
    return f"a little too good for new data: {tuned} of {records} records" if tuned else ""

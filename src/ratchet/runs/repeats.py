"""Which runs are repeats of one candidate: the same configuration under the same name, split and seed differ."""

from ratchet.runs.stored import StoredRun, find_runs


def candidate_key(run: StoredRun) -> tuple[str, str]:
    """Which candidate a run belongs to."""
    return run.record.name, run.record.config_hash


def repeat_key(run: StoredRun) -> tuple[str | None, int | None]:
    """Which of its candidate's repeats it is; a run of a model without randomness stands for every seed."""
    return run.record.split_hash, None if run.record.deterministic else run.record.seed


def repeats_of(run: StoredRun) -> list[StoredRun]:
    """A finished run, then its candidate's newest finished run of every other split and seed, in their order.

    They are those on the same version of the data in the same runs directory; a run that lies in none is alone.
    """
    path, record = run.path.resolve(), run.record
    if path.parts[-3:-1] != (record.data, record.name):
        return [run]
    same = [
        each for each in find_runs(path.parents[2])
        if candidate_key(each) == candidate_key(run) and each.status == "finished"
        and (each.record.data, each.record.dataset_version) == (record.data, record.dataset_version)
    ]  # fmt: skip
    newest = {repeat_key(each): each for each in same if repeat_key(each) != repeat_key(run)}
    return [run, *sorted(newest.values(), key=lambda each: (each.record.split_seed, each.record.seed))]

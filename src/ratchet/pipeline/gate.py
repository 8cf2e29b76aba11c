"""Stage `gate`: the verdict under the frozen objective; a model that does not ship is an outcome, not a failure."""

from ratchet.comparison.evidence import RESAMPLES
from ratchet.config import PipelineConfig, load_objective, plain
from ratchet.objective.verdict import Verdict, gather_and_judge
from ratchet.pipeline.compare import Begin, selected
from ratchet.pipeline.layout import CONFIG, VERDICT
from ratchet.runs.files import write_json


def judge_runs(plan: PipelineConfig, begin: Begin) -> Verdict:
    """Write build/verdict.json.

    Raises:
        UserError: runs that cannot be compared, or a label of the objective that the data do not have.
    """
    objective = load_objective(CONFIG / "objective.yaml")
    verdict = gather_and_judge(selected(plan), objective, resamples=RESAMPLES, begin=begin)
    write_json(VERDICT, plain(verdict))
    return verdict

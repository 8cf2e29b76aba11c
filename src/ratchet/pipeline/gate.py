"""Stage `gate`: the verdict under the frozen objective, and under others; a model that does not ship is no failure."""

from ratchet.comparison.evidence import gather
from ratchet.config import PipelineConfig, load_objective, plain
from ratchet.objective.review import review
from ratchet.objective.verdict import Verdict, judge
from ratchet.pipeline.compare import Begin, selected
from ratchet.pipeline.layout import CONFIG, OBJECTIVES, REVIEW, VERDICT
from ratchet.runs.files import write_json


def judge_runs(plan: PipelineConfig, begin: Begin) -> Verdict:
    """Write build/verdict.json and build/review.json.

    Raises:
        UserError: runs that cannot be compared, or a label of the objective that the data do not have.
    """
    objective = load_objective(CONFIG / "objective.yaml")
    evidence = gather(selected(plan), begin=begin)
    verdict = judge(evidence, objective)
    named = {path.stem: load_objective(path).settings for path in sorted(OBJECTIVES.glob("*.yaml"))}
    write_json(VERDICT, plain(verdict))
    write_json(REVIEW, plain(review(evidence, objective.settings, named)))
    return verdict

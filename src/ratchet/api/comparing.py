"""Compare runs, judge them by an objective, and draw both.

`compare` selects runs as `ratchet compare` does. The comparison keeps the resampled metrics, so that a verdict and a
review of the objective are judged by the same bootstrap samples, and cost no further resampling.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ratchet.api import display
from ratchet.api.runs import Run, acting_in, find_project, find_runs_dir
from ratchet.errors import UserError
from ratchet.extras import require_extra
from ratchet.project import Project
from ratchet.reporting.blocks import TextBlock
from ratchet.reporting.markdown import to_markdown

if TYPE_CHECKING:
    import polars as pl

    from ratchet.charts.theme import Chart
    from ratchet.comparison.evidence import Evidence
    from ratchet.comparison.results import CandidateResult
    from ratchet.comparison.results import Comparison as ComparisonResult
    from ratchet.config import Objective
    from ratchet.objective.gate import Verdict as GateVerdict
    from ratchet.objective.review import Review
    from ratchet.runs.selection import Selection


@dataclass(frozen=True, repr=False, eq=False)
class Verdict:
    """The decision of the gate: which candidate ships under an objective, and why.

    `result` is what `ratchet gate format=json` prints.
    """

    result: "GateVerdict"

    @property
    def outcome(self) -> str:
        """Return `ships`, `nothing ships` or `too little evidence`."""
        return self.result.decision.outcome

    @property
    def ships(self) -> str | None:
        """Return the name of the candidate that ships; None if none does."""
        return self.result.decision.ships

    @property
    def why(self) -> str:
        """Return the reason in words."""
        return self.result.decision.why

    def to_polars(self) -> "pl.DataFrame":
        """Return a row for each criterion of each candidate: name, ships, criterion, state, evidence, needed."""
        import polars as pl

        columns = dict.fromkeys(("name", "ships", "criterion", "state", "evidence", "needed"), pl.String)
        return pl.DataFrame(list(self._list_criteria()), schema={**columns, "ships": pl.Boolean}, orient="row")

    def _list_criteria(self) -> Iterator[tuple[Any, ...]]:
        for judgement in self.result.decision.judgements:
            for criterion in judgement.clauses:
                state = (criterion.name, str(criterion.state), criterion.evidence, criterion.needed)
                yield judgement.name, judgement.ships, *state

    def to_pandas(self) -> Any:
        """Return `to_polars()` as a `pandas.DataFrame`.

        Raises:
            UserError: pandas is not installed.
        """
        return display.to_pandas(self.to_polars())

    def __repr__(self) -> str:
        return f"<Verdict {self._describe()}>"

    def __str__(self) -> str:
        return to_markdown(self._list_blocks()).rstrip()

    def _repr_html_(self) -> str:
        return display.to_html(self._list_blocks())

    def _describe(self) -> str:
        from ratchet.reporting.verdict_tables import verdict_headline

        return verdict_headline(self.result.data, self.ships, self.outcome, self.why)

    def _list_blocks(self) -> list[TextBlock]:
        from ratchet.reporting.verdict_tables import verdict_blocks

        return verdict_blocks(self.result)


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """Candidates compared with the baseline, with the steps below them, and with their parents.

    `result` is what `ratchet compare format=json` prints. The charts are those of the report. In a notebook they are
    pictures that need no network, unless another renderer of altair is enabled.
    """

    result: "ComparisonResult"
    _selection: "Selection"
    _evidence: "Evidence"
    _objective: "Objective"
    _project: Project

    @property
    def runs(self) -> list[Run]:
        """Return the runs that were compared, those of the simplest candidate first."""
        return [Run(stored, self._project) for stored in self._selection.runs]

    def verdict(self) -> Verdict:
        """Judge the candidates by the objective, as `ratchet gate` does.

        Raises:
            UserError: the objective names a label that the data do not have.
        """
        from ratchet.objective.gate import judge

        return Verdict(judge(self._evidence, self._objective))

    def review(self) -> "Review":
        """Judge under other plausible objectives, as `ratchet objective review` does; `in_words` is the answer.

        Raises:
            UserError: an objective names a label that the data do not have.
        """
        from ratchet.config import named_objectives
        from ratchet.objective.review import review

        with acting_in(self._project):
            return review(self._evidence, self._objective.settings, named_objectives())

    # --- frames and tables --------------------------------------------------------------------------------------------

    def to_polars(self) -> "pl.DataFrame":
        """Return a row for each candidate, the simplest first.

        Columns: name, model, complexity, runs, metric, value with low and high; difference to the baseline with
        difference_low and difference_high, p (adjusted) and verdict; promoted; and each cost, such as fit_seconds.
        """
        import polars as pl

        from ratchet.comparison.results import COST_TITLES

        columns = {
            **dict.fromkeys(("name", "model"), pl.String),
            **dict.fromkeys(("complexity", "runs"), pl.Int64),
            "metric": pl.String,
            **dict.fromkeys(("value", "low", "high"), pl.Float64),
            **dict.fromkeys(("difference", "difference_low", "difference_high", "p"), pl.Float64),
            **dict.fromkeys(("verdict", "promoted"), pl.String),
            **dict.fromkeys(COST_TITLES, pl.Float64),
        }
        rows = [
            (*self._summarise(candidate), *(candidate.costs.get(name) for name in COST_TITLES))
            for candidate in self.result.candidates
        ]
        return pl.DataFrame(rows, schema=columns, orient="row")

    def _summarise(self, candidate: "CandidateResult") -> Iterator[Any]:
        yield from (candidate.name, candidate.model, candidate.complexity, len(candidate.runs), self.result.metric)
        measured, against = candidate.metrics[self.result.metric], candidate.baseline
        yield from (measured.value, measured.low, measured.high)
        if against is None:
            yield from [None] * 5
        else:
            p = against.p if against.p_adjusted is None else against.p_adjusted
            yield from (against.value, against.low, against.high, p, against.verdict)
        yield candidate.promoted

    def to_pandas(self) -> Any:
        """Return `to_polars()` as a `pandas.DataFrame`.

        Raises:
            UserError: pandas is not installed.
        """
        return display.to_pandas(self.to_polars())

    def __repr__(self) -> str:
        result = self.result
        names = ", ".join(candidate.name for candidate in result.candidates)
        return f"<Comparison on {result.data}, {result.part}, {result.metric}: {names}>"

    def __str__(self) -> str:
        return to_markdown(self._list_blocks()).rstrip()

    def _repr_html_(self) -> str:
        return display.to_html(self._list_blocks())

    def _list_blocks(self) -> list[TextBlock]:
        from ratchet.reporting.comparison_tables import comparison_blocks

        return comparison_blocks(self.result)

    # --- charts -------------------------------------------------------------------------------------------------------

    def ladder(self) -> "Chart":
        """Draw the metric of each candidate with its interval, the simplest on top.

        Raises:
            UserError: altair, which draws all charts, is not installed.
        """
        _prepare_charts()
        from ratchet.charts.comparison_charts import ladder

        return ladder(self.result, self._selection)

    def differences(self) -> "Chart | None":
        """Draw the difference of each candidate to the baseline or to the next simpler one; None without any."""
        _prepare_charts()
        from ratchet.charts.comparison_charts import differences

        return differences(self.result)

    def group_differences(self, kind: Literal["label", "slice"] = "label") -> "Chart | None":
        """Draw the largest differences to the baseline in labels or slices; None without any."""
        _prepare_charts()
        from ratchet.charts.comparison_charts import group_differences

        return group_differences(self.result, kind)

    def quality_and_cost(self) -> "Chart | None":
        """Draw the metric over each cost, with the budgets of the objective; None if no cost was measured."""
        _prepare_charts()
        from ratchet.charts.comparison_charts import quality_and_cost
        from ratchet.config import plain

        return quality_and_cost(self.result, plain(self._objective.settings)["budgets"])

    def confusions(self) -> "Chart | None":
        """Draw the most frequent errors of each candidate; None without errors."""
        _prepare_charts()
        from ratchet.charts.run_charts import confusions

        return confusions(self._selection)

    def threshold_curves(self) -> "Chart | None":
        """Draw F1, precision and recall over the threshold; None if no threshold decides."""
        _prepare_charts()
        from ratchet.charts.run_charts import threshold_curves

        return threshold_curves(self._selection, self.result.metric)

    def calibration(self) -> "Chart | None":
        """Draw how often a score is right; None without scores."""
        _prepare_charts()
        from ratchet.charts.run_charts import calibration

        return calibration(self._selection)

    def learning_curves(self) -> "Chart | None":
        """Draw the curves of models that train in epochs; None without any."""
        _prepare_charts()
        from ratchet.charts.run_charts import learning_curves

        return learning_curves(self._selection)


def _prepare_charts() -> None:
    """Check that altair is installed. Show charts as pictures, unless the user has enabled another renderer."""
    require_extra("report", "altair", "vl_convert", what="a chart")
    import altair as alt

    from ratchet.charts.theme import in_notebooks

    if alt.renderers.active == "default":
        in_notebooks()


def compare(
    data: str | None = None,
    *,
    name: str | Sequence[str] | None = None,
    runs: str | Sequence[str | Run] | None = None,
    all: bool = False,
    objective: str = "default",
    baseline: str = "rule",
    part: Literal["test", "val"] = "test",
    resamples: int = 10_000,
    project: Project | str | Path | None = None,
    runs_dir: str | Path | None = None,
    config_dir: str | Path | None = None,
) -> Comparison:
    """Compare candidates with a baseline, as `ratchet compare` does; by default the newest runs of each name.

    Candidates with fewer repeats than the objective requires are set aside, as the gate does, unless they are named.

    Args:
        data: name of the data set; needed only if there are runs of several.
        name: names of the candidates to use; None uses all.
        runs: ids of the runs to use, or the runs; None uses the newest of each candidate.
        all: use all configurations of a name instead of the newest one.
        objective: name of the objective, which sets the metric, the budgets and the gate.
        baseline: name of the candidate that all others are compared with.
        part: part whose metrics are compared.
        resamples: number of bootstrap resamples and of permutations, at least 100.
        project: the root of another project than the current one.
        runs_dir: where runs are, if not in the project's `runs`; a relative path is in the project.
        config_dir: a further directory of configurations, which is searched first.

    Raises:
        UserError: nothing to compare, runs that cannot be compared, or no such baseline or objective.
    """
    from ratchet.comparison.compare import compare_selected
    from ratchet.config import compose_objective, register, take_config_dir
    from ratchet.runs.selection import select

    if resamples < 100:
        raise UserError(f"compare, resamples={resamples}: too few for an interval: at least 100")
    found = find_project(project)
    directory = take_config_dir([] if config_dir is None else ["--config-dir", str(config_dir)])[1]
    located = find_runs_dir(found, runs_dir)
    with acting_in(found):
        register()
        composed = compose_objective([f"objective={objective}"], directory)
    names, ids = _split_list(name), [_identify(run) for run in _split_list(runs)]
    selection = select(
        located,
        data=data,
        names=names,
        ids=ids,
        every=all,
        part=part,
        min_splits=composed.settings.evidence.repeats,
    )
    evidence, result = compare_selected(
        selection,
        runs_dir=located,
        metric=composed.settings.metric.name,
        baseline=baseline,
        promotions_dir=found.promotions_dir,
        resamples=resamples,
    )
    return Comparison(result, selection, evidence, composed, found)


def _split_list(value: str | Sequence[str | Run] | None) -> list[Any]:
    """Return the items of a list, or of a text in which commas separate them, as on the command line."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return list(value or [])


def _identify(run: str | Run) -> str:
    """Return what names a run: its directory finds it wherever it is."""
    return str(run.path) if isinstance(run, Run) else run

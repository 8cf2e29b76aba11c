"""`ratchet explain RUN text="..."`: which words are behind a run's labels."""

from dataclasses import dataclass
from pathlib import Path

from ratchet.config import is_option, parse_options
from ratchet.errors import UserError
from ratchet.reporting.terminal import Format, print_json, print_table
from ratchet.runs import find_run
from ratchet.taggers import Explainer


@dataclass
class Options:
    """Arguments of `explain` besides the text, which is taken as it is typed."""

    format: Format = Format.table
    """How the result is printed."""
    runs_dir: str = "runs"
    """Directory of all runs."""


def run(arguments: list[str]) -> int:
    """The verb `explain`."""
    if len(arguments) < 2 or is_option(arguments[0]):
        raise UserError("which run, which text? `ratchet explain RUN text='...'`; RUN is an id, a directory or `last`")
    name, *rest = arguments
    texts = [argument.removeprefix("text=") for argument in rest if argument.startswith("text=")]
    options = parse_options(Options, [argument for argument in rest if not argument.startswith("text=")])
    if not texts:
        raise UserError("which text? `ratchet explain RUN text='...'`")
    text = texts[-1]
    stored = find_run(Path(options.runs_dir), name)

    from ratchet.scoring import load_scorer

    scorer = load_scorer(stored)
    tagger, labels = scorer.tagger, scorer.labels
    if not isinstance(tagger, Explainer):
        raise UserError(f"{stored.record.name} cannot explain itself (its tagger has no explain)")
    scores = scorer.scores([text])
    decided = {label for label, yes in zip(labels, scorer.thresholds.decide(scores)[0], strict=True) if yes}
    score_of = dict(zip(labels, scores[0].tolist(), strict=True))
    evidence = tagger.explain([text])[0]
    if options.format is Format.json:
        print_json(
            {
                "labels": sorted(decided),
                "scores": score_of,
                "evidence": [{"label": e.label, "words": e.words, "weight": e.weight} for e in evidence],
            }
        )
        return 0
    rows = [
        {
            "label": each.label,
            "words": each.words,
            "weight": f"{each.weight:.2f}",
            "score": f"{score_of[each.label]:.3f}",
            "decided": "yes" if each.label in decided else "no",
        }
        for each in evidence
    ]
    if rows:
        print_table(rows, markdown=options.format is Format.md, left=2)
    else:
        print("no words speak for any label")
    return 0

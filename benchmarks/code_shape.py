"""Measure how the code is divided and named: `python benchmarks/code_shape.py [src]`.

The numbers are indicators, not limits: a short file may be a real module, and a noun may be the best name.
"""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Verbs that open a docstring or the name of a function.
VERBS = """
accept add adjust agree align allow analyse answer append apply ask assemble assert assign attach average await
begin block bound broadcast build buffer cache calculate calibrate call cap catch center change check choose claim
clean clear clip close collect combine compare compile complete compose compress compute concatenate configure
confirm connect construct contain continue convert copy correct count create cut decide declare decode decrease
define delete derive describe destroy detach detect determine discard display distribute divide do download draw
drop dump edit embed emit empty enable encode end ensure enter enumerate erase escape estimate evaluate exclude
execute exit expand expect explain export expose extend extract fail fetch fill filter find finish fit fix flatten
flush fold follow forget format free freeze fuse gather generate get give go group guard guess handle hash have hide
hold identify ignore import include increase index infer inherit initialise insert inspect install interpolate
interrupt intersect is issue iterate join judge keep kill launch leave let limit list listen load locate lock log
look make map mark mask match measure merge mix move name normalise note notify number observe offer open order
overwrite pack pad parse pass patch pause pick plan plot point pool pop prepare print produce promote propose prune
publish pull push put quantise query quote raise rank reach read receive recompute record reduce refer refuse
register relay release reload remember remove rename render repeat replace reply report represent reproduce request
require resample rescale reserve reset resize resolve restore restrict resume retrieve return reverse review rewrite
roll rotate round run sample save say scale scan score search see select send separate serialise serve set settle
share shorten show shuffle shut sign simulate skip sleep solve sort split start state stop store strip submit
subtract suggest sum summarise supply swap take tell terminate test throw tokenise touch trace track train transform
translate truncate try tune turn unescape unite unlink unpack unregister unwrap update upload use validate verify
visit wait walk warm warn watch weight wrap write yield acquire explore visualise
"""


def main(root: Path = Path("src")) -> None:
    """Print every measure of the packages in `root`."""
    files = {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}
    sizes = {path: len(text.splitlines()) for path, text in files.items()}
    names = Counter(path.name for path in files if path.name != "__init__.py")
    functions = [node for text in files.values() for node in _functions(ast.parse(text))]
    lengths = sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)
    documented = [doc for node in functions if (doc := ast.get_docstring(node))]
    named = [node.name.strip("_") for node in functions if not node.name.startswith("__")]
    short = sum(size <= 60 for path, size in sizes.items() if path.name != "__init__.py")
    facts = {
        "modules": f"{len(files)}, {sum(path.name == '__init__.py' for path in files)} of them __init__",
        "files of at most 60 lines, without __init__": str(short),
        "file names that occur more than once": str(sum(count > 1 for count in names.values())),
        "lines of a file, median / p90": _median_and_p90(sorted(sizes.values())),
        "lines of a function, median / p90": _median_and_p90(lengths),
        "lines": f"{sum(sizes.values()):,}",
        "comment lines": _percent(
            [line.lstrip().startswith("#") for text in files.values() for line in text.splitlines()]
        ),
        "function docstrings that open with a verb": _percent([_opens_with_verb(doc.split()[0]) for doc in documented]),
        "function names that open with a verb": _percent([_opens_with_verb(name.split("_")[0]) for name in named]),
    }
    for name, value in facts.items():
        print(f"{name:46} {value}")


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _opens_with_verb(word: str) -> bool:
    return word.strip(".,:;`'\"").lower() in VERBS.split()


def _median_and_p90(values: list[int]) -> str:
    return f"{statistics.median(values):.0f} / {statistics.quantiles(values, n=10)[-1]:.0f}"


def _percent(truths: list[bool]) -> str:
    return f"{statistics.mean(truths):.1%}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

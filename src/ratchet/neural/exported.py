"""A network that was exported: scores texts through ONNX Runtime, without torch.

Every text is scored by itself, so nothing is padded, and its scores do not depend, to the last bit, on the texts
beside it. One text has all threads; many texts have one each and share the threads among them, so that no thread waits
for another one within a text.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ratchet.data.dataset import Task
from ratchet.errors import UserError
from ratchet.machine import wanted_threads
from ratchet.neural.tokens import TokenIds, token_ids
from ratchet.taggers import ExportPrecision

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NETWORK = "network.onnx"
IDS, MASK, LOGITS = "ids", "mask", "logits"  # what goes into the network and comes out
# Fused with the sum before it, a layer norm takes three times as long as the two apart (onnxruntime 1.32).
_SLOWER = ["SkipLayerNormFusion"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ExportedClassifier:
    """`network`, an ONNX file, maps ids and mask of shape (1, length) to logits of shape (1, num_labels)."""

    tokenizer: Tokenizer
    padding: int
    network: Path
    labels: list[str]
    task: Task
    num_parameters: int
    size_bytes: int
    threads: int

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Scores float32 of shape (num_texts, num_labels), in [0, 1]."""
        from scipy.special import expit, softmax

        logits = self.logits(texts)
        scores: Floats = softmax(logits, axis=1) if self.task is Task.multiclass else expit(logits)
        return scores

    def logits(self, texts: Sequence[str]) -> Floats:
        """What the scores are made of, float32 of shape (num_texts, num_labels)."""
        found = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        encoded = token_ids(self.tokenizer, texts, self.padding)
        if len(encoded) == 1:
            found[0] = _logits(self._for_one, encoded[0])
        elif encoded:
            session = self._for_many
            with ThreadPoolExecutor(self.threads) as pool:
                for row, logits in enumerate(pool.map(lambda ids: _logits(session, ids), encoded)):
                    found[row] = logits
        return found

    @cached_property
    def _for_one(self) -> "InferenceSession":
        return self._for_many if self.threads == 1 else _open(self.network, self.threads)

    @cached_property
    def _for_many(self) -> "InferenceSession":
        return _open(self.network, 1)

    def trained(self) -> NoReturn:
        """Refuse: there is no network to look into."""
        raise UserError("an export only scores: explain the run that it was made of")

    def save(self, directory: Path) -> NoReturn:
        """Refuse: its files are all there is."""
        raise UserError("a tagger that was loaded from an export cannot be saved: copy the export's directory")

    def export(self, directory: Path, precision: ExportPrecision) -> NoReturn:
        """Refuse, as `save` does."""
        raise UserError("a tagger that was loaded from an export cannot be exported: export the run that it is of")


def is_exported(directory: Path) -> bool:
    """Whether a tagger's directory holds an exported network."""
    return (directory / NETWORK).is_file()


def load_exported(directory: Path) -> ExportedClassifier:
    """What `ratchet.neural.export` wrote.

    Raises:
        UserError: ONNX Runtime is not installed.
    """
    with export_extra("scoring with an exported network needs onnxruntime"):
        import onnxruntime  # noqa: F401  # said here, not when the first text comes
    content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    return ExportedClassifier(
        tokenizer=Tokenizer.from_file(str(directory / "tokenizer.json")),
        padding=content["padding"],
        network=directory / NETWORK,
        labels=content["labels"],
        task=Task(content["task"]),
        num_parameters=content["num_parameters"],
        size_bytes=(directory / NETWORK).stat().st_size,
        threads=wanted_threads(),
    )


def _open(network: Path, threads: int) -> "InferenceSession":
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors: what it says besides is of nodes that it leaves as they are
    return InferenceSession(str(network), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER)


def _logits(session: "InferenceSession", ids: TokenIds) -> Floats:
    """The logits of one text, shape (num_labels,)."""
    [logits] = session.run([LOGITS], {IDS: ids[None], MASK: np.ones((1, len(ids)), dtype=bool)})
    one: Floats = logits[0]
    return one


@contextmanager
def export_extra(what: str) -> Iterator[None]:
    """Imports that the extra `export` brings; `what` says who needs which of them."""
    try:
        yield
    except ImportError as error:
        remedy = "in the checkout, pip install -e '.[export]'"  # by name it would be somebody else's package
        raise UserError(f"{what}, the extra ratchet[export]: {remedy}") from error

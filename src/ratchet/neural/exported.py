"""An exported network: scores texts with ONNX Runtime, without torch.

Each text is scored independently, so nothing is padded, and its scores are bit-identical whatever texts are scored with
it. A single text uses all threads. Several texts use one thread each, so that no thread waits for another one within a
text.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ratchet.data.dataset import Task
from ratchet.errors import UserError
from ratchet.extras import require_extra
from ratchet.machine import wanted_threads
from ratchet.neural.tokens import TokenIds, token_ids

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NETWORK = "network.onnx"
IDS, MASK, LOGITS = "ids", "mask", "logits"  # the inputs and the output of the network
# A layer norm that is fused with the sum before it takes three times as long as the two separately (onnxruntime 1.32).
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
        """Return scores in [0, 1], float32 of shape (num_texts, num_labels)."""
        from scipy.special import expit, softmax

        logits = self.logits(texts)
        scores: Floats = softmax(logits, axis=1) if self.task is Task.multiclass else expit(logits)
        return scores

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the logits, float32 of shape (num_texts, num_labels)."""
        all_logits = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        encoded = token_ids(self.tokenizer, texts, self.padding)
        if len(encoded) == 1:
            all_logits[0] = _logits(self._for_one, encoded[0])
        elif encoded:
            session = self._for_many
            with ThreadPoolExecutor(self.threads) as pool:
                for row, logits in enumerate(pool.map(lambda ids: _logits(session, ids), encoded)):
                    all_logits[row] = logits
        return all_logits

    @cached_property
    def _for_one(self) -> "InferenceSession":
        return self._for_many if self.threads == 1 else _open(self.network, self.threads)

    @cached_property
    def _for_many(self) -> "InferenceSession":
        return _open(self.network, 1)

    def trained(self) -> NoReturn:
        """Refuse: there is no torch network to explain."""
        raise UserError("an export only scores: explain the run that it was made from")

    def save(self, directory: Path) -> NoReturn:
        """Refuse: its files cannot be written again."""
        raise UserError("a tagger that was loaded from an export cannot be saved: copy the export's directory")


def is_exported(directory: Path) -> bool:
    """Return whether a tagger's directory contains an exported network."""
    return (directory / NETWORK).is_file()


def load_exported(directory: Path) -> ExportedClassifier:
    """Load what `ratchet.neural.onnx_export` wrote.

    Raises:
        UserError: ONNX Runtime is not installed.
    """
    require_extra("export", "onnxruntime", what=f"{directory}: scoring with an exported network")
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
    options.log_severity_level = 3  # errors only: its warnings are about nodes that it leaves unchanged
    return InferenceSession(str(network), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER)


def _logits(session: "InferenceSession", ids: TokenIds) -> Floats:
    """Return the logits of one text, shape (num_labels,)."""
    [logits] = session.run([LOGITS], {IDS: ids[None], MASK: np.ones((1, len(ids)), dtype=bool)})
    one: Floats = logits[0]
    return one

"""Store which texts a run was trained and tuned on, as hashes, and find them among other records.

Ids and names of data sets say nothing about content: the same records may have others elsewhere.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratchet.data.near_duplicates import normalise
from ratchet.errors import UserError
from ratchet.files import replacing
from ratchet.runs.stored import StoredRun

_FILE = "seen_texts.npz"
_BYTES = 8  # per hash: among a million texts, two of different words have one hash with a probability of 3e-8


@dataclass(frozen=True)
class Seen:
    """How many of some texts a run was trained on, and how many others were in its val part."""

    train: int
    val: int


def write_trained_texts(directory: Path, train: Sequence[str], val: Sequence[str]) -> None:
    """Write the sorted hashes of the texts of train and val into a run directory."""
    path = directory / _FILE
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, train=np.unique(_hash_texts(train)), val=np.unique(_hash_texts(val)))


def count_trained_texts(run: StoredRun, texts: Sequence[str]) -> Seen | None:
    """Count the texts that the run was trained on, whatever their case and punctuation; None if it has no hashes.

    Raises:
        UserError: the file of hashes is damaged.
    """
    path = run.path / _FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            train, val = arrays["train"], arrays["val"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read: {error}. Restore it, or delete it: ids are compared then") from error
    hashes = _hash_texts(texts)
    in_train = np.isin(hashes, train)
    return Seen(int(in_train.sum()), int((np.isin(hashes, val) & ~in_train).sum()))


def _hash_texts(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return a hash of the words of each text, of shape (num_texts,)."""
    digests = (
        hashlib.blake2b(normalise(text).encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest() for text in texts
    )
    return np.frombuffer(b"".join(digests), dtype="<u8")

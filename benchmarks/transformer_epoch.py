"""Time a training epoch of the transformer, against the Hugging Face Trainer.

    pip install accelerate                             # the peer needs it, Ratchet does not
    python benchmarks/transformer_epoch.py             # on data=madewithml, 3 epochs each
    python benchmarks/transformer_epoch.py sample 2    # another data set, number of epochs

Both have the same encoder, batch size, maximum length, optimizer and number of threads. Both train all weights, on
texts tokenised beforehand. The peer pads each batch to its longest text (DataCollatorWithPadding); ours also groups
texts of similar length. The two take turns, an epoch each, without checkpoints and validation. Prints the seconds per
epoch (median) and the median of the ratios ours / peer, then ours with frozen embeddings, as in conf/model.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    TrainingArguments,
)
from transformers import Trainer as PeerTrainer
from transformers.utils import logging as transformers_logging

from ratchet.config import compose, register
from ratchet.data.prepared import prepare
from ratchet.data.splits import make_split
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings
from ratchet.models.transformer import Tagger
from ratchet.neural import modules
from ratchet.neural.encoders import packaged_directory
from ratchet.taggers import FitContext, ValidationMetric


def time_ours(settings, train, val, epochs: int) -> list[float]:
    """Return the seconds of each epoch, from its first training step to the start of validation."""
    marks: list[float] = []
    start, end = modules.Fit.on_train_epoch_start, modules.Fit.on_validation_epoch_start

    def started(self):
        start(self)
        marks.append(time.perf_counter())

    def ended(self):
        marks.append(time.perf_counter())
        end(self)

    modules.Fit.on_train_epoch_start, modules.Fit.on_validation_epoch_start = started, ended
    try:
        with tempfile.TemporaryDirectory() as directory:
            metric = ValidationMetric("nothing", lambda targets, scores: 0.0)
            context = FitContext(Path(directory), 0, lambda step, metrics: None, metric, threads=available_cores())
            settings.max_epochs = settings.patience = epochs
            Tagger(settings).fit(train, val, context)
    finally:
        modules.Fit.on_train_epoch_start, modules.Fit.on_validation_epoch_start = start, end
    return np.diff(marks)[::2].tolist()


def time_peer(settings, train, epochs: int) -> list[float]:
    """Return the seconds of each epoch of the Hugging Face Trainer."""
    path = str(packaged_directory())
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(
        path, num_labels=len(train.labels), problem_type="multi_label_classification"
    )
    encoded = tokenizer(train.texts, truncation=True, max_length=settings.max_length)
    items = [
        {"input_ids": ids, "attention_mask": mask, "labels": target.astype(np.float32)}
        for ids, mask, target in zip(encoded["input_ids"], encoded["attention_mask"], train.targets, strict=True)
    ]
    seconds = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(epochs):
            arguments = TrainingArguments(
                directory,
                num_train_epochs=1,
                per_device_train_batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            )
            trainer = PeerTrainer(
                model, arguments, data_collator=DataCollatorWithPadding(tokenizer), train_dataset=items
            )
            trainer.remove_callback(PrinterCallback)
            started = time.perf_counter()
            trainer.train()
            seconds.append(time.perf_counter() - started)
    return seconds


def main(data: str = "madewithml", epochs: str = "3") -> None:
    register(all_settings())
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    config = compose([f"data={data}", "model=transformer"])
    prepared = prepare(config.data)
    split = make_split(prepared, config.split, config.data.split.column)
    train, val = prepared.select(split.train), prepared.select(split.val[:32])
    print(f"{data}, {len(train)} texts, {available_cores()} threads, seconds an epoch")
    with limited_threads(available_cores()):
        torch.set_num_threads(available_cores())
        ours, theirs, frozen = [], [], []
        for _ in range(int(epochs)):
            config.model.freeze_embeddings = False
            ours += time_ours(config.model, train, val, 1)
            theirs += time_peer(config.model, train, 1)
            config.model.freeze_embeddings = True
            frozen += time_ours(config.model, train, val, 1)
    for name, seconds in (("ours", ours), ("frozen embeddings", frozen)):
        ratio = np.median(np.array(seconds) / np.array(theirs))
        print(f"{name:18} {np.median(seconds):6.2f}  peer {np.median(theirs):6.2f}  ours / peer {ratio:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])

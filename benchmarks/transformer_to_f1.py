"""Time fine-tuning until the F1 on val reaches the best of the Hugging Face Trainer, against that Trainer.

    pip install accelerate                          # the peer needs it, Ratchet does not
    python benchmarks/transformer_to_f1.py          # data=madewithml, split and seed 0, as in conf/model
    python benchmarks/transformer_to_f1.py sample 1   # another data set, another seed

Both have the same network (encoder, mean pooling, one linear layer that starts at the base rates), batch size, maximum
length, epochs, warm-up, weight decay and learning rates. (AutoModelForSequenceClassification, with its pooler and a
layer that starts at 0, stays at the F1 of predicting every label, with these and with lower rates.) The peer trains all
its weights on labels, with batches padded to their longest text; ours is as in conf/model. Each side loads the encoder,
trains, and scores val after each epoch. The seconds include all of this, and for ours the n-gram model that teaches it.
F1 is weighted, at the best threshold on val, and of the network alone: the n-grams of the final ensemble do not count.
Prints both curves and the seconds to the best F1 of the peer. No test record is read.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
    set_seed,
)
from transformers import Trainer as PeerTrainer
from transformers.utils import logging as transformers_logging

from ratchet.config import compose, register
from ratchet.data.prepared import prepare
from ratchet.data.splits import make_split
from ratchet.evaluation.thresholds import compute_tuned_f1
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings
from ratchet.models.transformer import Tagger
from ratchet.models.transformer_network import initial, learning_rates
from ratchet.neural.encoders import packaged_directory
from ratchet.neural.losses import prior_logits
from ratchet.neural.modules import make_optimizer, parameter_groups
from ratchet.taggers import FitContext, ValidationMetric

Curve = list[tuple[float, float]]  # seconds since the start, F1 on val


def train_ours(config, train, val, f1) -> Curve:
    curve: Curve = []
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        context = FitContext(
            Path(directory),
            config.seed,
            lambda step, metrics: curve.append((time.perf_counter() - started, metrics["f1"])),
            ValidationMetric("f1", f1),
            threads=available_cores(),
        )
        Tagger(config.model).fit(train, val, context)
    return curve


class Peer(nn.Module):
    """Our network with the interface that the peer's Trainer expects, and with the loss of its models."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids, attention_mask, labels=None, **_):
        logits = self.network(input_ids, attention_mask.bool())
        if labels is None:
            return {"logits": logits}
        return {"loss": functional.binary_cross_entropy_with_logits(logits, labels), "logits": logits}


class Scores(TrainerCallback):
    """Record the F1 on val after each epoch of the peer."""

    def __init__(self, curve: Curve, started: float, val, batches, f1) -> None:
        self._curve, self._started, self._val, self._batches, self._f1 = curve, started, val, batches, f1

    def on_epoch_end(self, arguments, state, control, model=None, **kwargs):
        model.eval()
        with torch.inference_mode():
            logits = torch.cat([model(**batch)["logits"] for batch in self._batches])
        model.train()
        value = self._f1(self._val.targets, torch.sigmoid(logits).numpy())
        self._curve.append((time.perf_counter() - self._started, value))


def make_peer_optimizer(model: Peer, settings, steps: int):
    """Return AdamW and a linear schedule. The new layer has its own learning rate."""
    names = ("learning_rate", "head_learning_rate", "layer_decay")
    rates = learning_rates(model.network, **{name: getattr(settings, name) for name in names})
    optimizer = make_optimizer(parameter_groups(model.network, rates, settings.weight_decay))
    return optimizer, get_linear_schedule_with_warmup(optimizer, int(settings.warmup * steps), steps)


def train_peer(config, train, val, f1) -> Curve:
    settings, path, curve = config.model, str(packaged_directory()), []
    started = time.perf_counter()
    set_seed(config.seed)
    tokenizer, encoder = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
    bias = prior_logits(train.targets, train.task)
    model = Peer(initial(encoder, pooling="mean", dropout=settings.dropout, bias=bias, seed=config.seed))
    collator = DataCollatorWithPadding(tokenizer)
    truncation = {"truncation": True, "max_length": settings.max_length}
    encoded = tokenizer(train.texts, **truncation)
    items = [
        {"input_ids": ids, "attention_mask": mask, "labels": target.astype(np.float32)}
        for ids, mask, target in zip(encoded["input_ids"], encoded["attention_mask"], train.targets, strict=True)
    ]
    batches = [collator(tokenizer(val.texts[i : i + 32], **truncation)) for i in range(0, len(val), 32)]
    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            directory,
            num_train_epochs=settings.max_epochs,
            per_device_train_batch_size=settings.batch_size,
            seed=config.seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = PeerTrainer(
            model,
            arguments,
            data_collator=collator,
            train_dataset=items,
            optimizers=make_peer_optimizer(
                model, settings, -(-len(train) // settings.batch_size) * settings.max_epochs
            ),
            callbacks=[Scores(curve, started, val, batches, f1)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return curve


def main(data: str = "madewithml", seed: str = "0") -> None:
    register(all_settings())
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    config = compose([f"data={data}", "model=transformer", f"split.seed={seed}", f"seed={seed}"])
    prepared = prepare(config.data)
    split = make_split(prepared, config.split, config.data.split.column)
    train, val = prepared.select(split.train), prepared.select(split.val)
    print(f"{data}, split {seed}, {len(train)} train and {len(val)} val texts, {available_cores()} threads")

    def f1(targets, scores) -> float:
        return compute_tuned_f1(targets, scores, config.threshold, train.task)

    with limited_threads(available_cores()):
        torch.set_num_threads(available_cores())
        ours, theirs = train_ours(config, train, val, f1), train_peer(config, train, val, f1)
    print("epoch  ours s  F1      peer s  F1")
    for epoch in range(max(len(ours), len(theirs))):
        cells = [f"{c[epoch][0]:6.1f}  {c[epoch][1]:.4f}" if epoch < len(c) else " " * 14 for c in (ours, theirs)]
        print(f"{epoch + 1:5}  {cells[0]}  {cells[1]}")
    best = max(f1 for _, f1 in theirs)
    peer_seconds = next(seconds for seconds, f1 in theirs if f1 >= best)
    our_seconds = next((seconds for seconds, f1 in ours if f1 >= best), None)
    print(f"the peer's best F1 is {best:.4f}, after {peer_seconds:.1f} s")
    if our_seconds is None:
        print(f"ours does not come to it: {max(f1 for _, f1 in ours):.4f}")
    else:
        print(f"ours has it after {our_seconds:.1f} s: peer / ours {peer_seconds / our_seconds:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])

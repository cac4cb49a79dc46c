"""A BERT that trains in seconds, labelled texts for it, and a run that can be started as a program.

    python tests/tiny.py FOLDER RESULT [EPOCHS]     trains with checkpoints in FOLDER, saves the weights to RESULT
"""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate.state import AcceleratorState
from datasets import ClassLabel, Dataset, Features, Value
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from sft_helpers import models, resources, training

WORDS = ("tea", "cup", "lamp", "bus", "road", "soup", "bread", "door", "key", "good", "bad", "warm", "cold", "late")


def backbone(folder, dropout=0.1, layers=2, d=32):
    """Write a small BERT with random weights, and the embedded backbone's tokenizer, as a model folder."""
    folder = Path(folder)
    embedded = resources.find_backbone().folder
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(7)
        config = BertConfig(vocab_size=30522, hidden_size=d, num_hidden_layers=layers, num_attention_heads=2,
                            intermediate_size=2 * d, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        BertModel(config).save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            if (embedded / name).is_file():
                shutil.copy(embedded / name, folder / name)
    return resources.find_backbone(str(folder))


def texts(count, seed=0):
    """Texts of 2 to 12 words; label 1 where "good" stands among them, else 0."""
    random = np.random.default_rng(seed)
    made = [" ".join(random.choice(WORDS, random.integers(2, 13))) for _ in range(count)]
    features = Features({"text": Value("string"), "label": ClassLabel(names=["without", "with"])})
    return Dataset.from_dict({"text": made, "label": [int("good" in text.split()) for text in made]}, features=features)


def classifier(folder, seed=0, **how):
    options = {"trained_layers": "all", "max_length": 32, **how}
    source = backbone(folder, options.pop("dropout", 0.1))
    torch.manual_seed(seed)  # for the head, whether or not the backbone had to be made first
    return models.TextClassifier(source, {0: "without", 1: "with"}, **options)


def weights(model):
    return {name: weight.detach().cpu().clone() for name, weight in model.named_parameters()}


CONFIG = training.Config(epochs=3, batch_size=8, lr=1e-3, head_lr=1e-2)


def launch(processes, *program):
    """Start a program with so many processes as ``accelerate launch`` does (gloo, on the CPU); return how it ended."""
    several = ["--multi_gpu"] if processes > 1 else []  # the launcher's name for several processes on one machine
    command = [sys.executable, "-m", "accelerate.commands.launch", *several, "--num_processes", str(processes),
               "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", *map(str, program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"})


def main(folder, result, dropout="0.1"):
    model = classifier(Path(folder) / "model", dropout=float(dropout))
    if "RANK" in os.environ:
        torch.set_num_threads(1)
    # odd numbers and parts of batches: of several processes one has more rows than another, and empty parts
    training.fit(model, texts(61), texts(33, seed=1), replace(CONFIG, accumulation=2),
                 checkpoints=Path(folder) / "checkpoints", checkpoint_steps=1)
    if int(os.environ.get("RANK", 0)) == 0:
        state = AcceleratorState()
        print(f"{state.num_processes} processes, {state.distributed_type.value}")
        save_file(weights(model), result)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The training loop beside what a user would pick instead, in one run, as ratios.

    python -m benchmarks.bench [--only full frozen few-shot inference growth gpu] [--data reviews] [--repeats 3]

Both sides of a row train the same weights on the same texts, with the same number of updates, cut at the same length
and in the same number format; they take turns, and the medians are compared. A ratio above 1 means ours is better.
Writes results/bench.json; rows that a run does not measure stay, each with its own date and machine, and those of a GPU
stand beside those of a CPU.
"""

import argparse
import contextlib
import csv
import io
import itertools
import json
import logging
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from datasets import concatenate_datasets
from torch import nn

from sft_helpers import data, environment, features, models, resources, training

from . import common

LENGTH, BATCH, RATE, MOST = 128, 32, 1e-4, 3000
TEXTS, FROZEN_TEXTS, FROZEN_EPOCHS = 1024, 512, 10  # of the slower peers, of the frozen ones
SHOTS, DRAWS = 16, 3  # few-shot: texts a label, draws
MILLION = 1_000_000
MEMORY_SEEDS = 4  # each seed has its own order of long and short batches, and leaves other gaps in memory
GPU_TEXTS = 32_768


def row(task, peer, ours, theirs, unit, better="higher", name="fit"):
    """Return a row of the table; the ratio is above 1 where ours is better."""
    ratio = None if None in (ours, theirs) else ours / theirs if better == "higher" else theirs / ours
    made = {"task": task, "ours": name, "peer": peer, "ours_value": ours, "peer_value": theirs, "unit": unit,
            "ratio": ratio}
    shown = ["not measured" if value is None else f"{value:.4g}" for value in (ours, theirs)]
    print(f"{task:28} {name:16} {shown[0]:>12}   {peer:24} {shown[1]:>12}   {unit:22}"
          f"{'' if ratio is None else f'{ratio:8.2f} ×'}", flush=True)
    return made


def in_turn(repeats, *sides):
    """Call each side once a round; return the medians of what they return."""
    found = [[] for _side in sides]
    for _round in range(repeats):
        for side, values in zip(sides, found, strict=True):
            values.append(side())
    return [statistics.median(values) for values in found]


def synchronise():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Timed:
    """Seconds of a block, a GPU's outstanding work included."""

    def __enter__(self):
        synchronise()
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_):
        synchronise()
        self.seconds = time.perf_counter() - self.began


# ---- the sides -----------------------------------------------------------------------------------------------


def classifier(rows, layers="all", backbone=None, seed=0, length=LENGTH):
    torch.manual_seed(seed)
    names = dict(enumerate(rows.features["label"].names))
    return models.TextClassifier(backbone or resources.find_backbone(), names, layers, max_length=length)


def fit(rows, precision, batch_size=BATCH, backbone=None, seed=0, length=LENGTH):
    """Train everything for one epoch with our loop; return seconds, from texts on, and the losses."""
    model = classifier(rows, backbone=backbone, seed=seed, length=length)
    config = training.Config(epochs=1, batch_size=batch_size, lr=RATE, head_lr=None, precision=precision, seed=seed)
    with Timed() as timed:
        history = training.fit(model, rows, config=config)
    return timed.seconds, [step["loss"] for step in history.steps]


class ForTrainer(nn.Module):
    """The classifier as Trainer wants it: labels go in, the loss comes out."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, input_ids, attention_mask, labels):
        logits = self.inner(input_ids, attention_mask)
        return {"loss": nn.functional.cross_entropy(logits.float(), labels), "logits": logits}


BEST = {"optim": "adamw_torch_fused", "train_sampling_strategy": "group_by_length"}


def trainer(rows, precision, best, batch_size=BATCH, backbone=None, seed=0):
    """The same epoch with ``transformers.Trainer``, at its defaults or at its best."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    model = classifier(rows, backbone=backbone, seed=seed)
    tokenizer = model.tokenizer
    updates = -(-len(rows) // batch_size)

    def tokenize(part):
        found = tokenizer(part["text"], truncation=True, max_length=LENGTH)
        return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"], "labels": part["label"]}

    with tempfile.TemporaryDirectory() as folder, Timed() as timed:
        arguments = TrainingArguments(
            output_dir=folder, seed=seed, num_train_epochs=1, per_device_train_batch_size=batch_size,
            learning_rate=RATE, weight_decay=0.01, warmup_steps=round(0.1 * updates), max_grad_norm=1.0,
            bf16=precision == "bf16", fp16=precision == "fp16", use_cpu=environment.device().type == "cpu",
            disable_tqdm=True, report_to="none", save_strategy="no", logging_steps=4,
            dataloader_pin_memory=torch.cuda.is_available(),
            **(BEST if best else {}))
        multiple = 8 if best and torch.cuda.is_available() else None  # on a CPU it is slower with 8
        made = Trainer(ForTrainer(model), arguments, train_dataset=rows.map(tokenize, batched=True,
                                                                           remove_columns=rows.column_names),
                       data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple))
        made.remove_callback(PrinterCallback)
        made.train()
    return timed.seconds, [entry["loss"] for entry in made.state.log_history if "loss" in entry]


def tutorial_loop(rows, batch_size=BATCH):
    """The loop of most tutorials: everything padded to the longest that is allowed, AdamW as it comes, fp32."""
    model = classifier(rows)
    with Timed() as timed:
        inputs = model.tokenizer(list(rows["text"]), padding="max_length", truncation=True, max_length=LENGTH,
                                 return_tensors="pt")
        labels = torch.tensor(list(rows["label"]))
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(inputs["input_ids"], inputs["attention_mask"], labels), batch_size,
            shuffle=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
        model.train()
        for batch in loader:
            ids, mask, answers = (part.to(model.backbone.device) for part in batch)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(ids, mask), answers).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return timed.seconds


# ---- full fine-tuning ----------------------------------------------------------------------------------------


def matrix_rate(precision):
    """Operations per second that torch reaches in one large matrix product, the best of several."""
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    size = 8192 if torch.cuda.is_available() else 2048
    a, b = (torch.randn(size, size, device=environment.device()).to(kind) for _ in range(2))
    seconds = []
    for _try in range(12):
        with Timed() as timed:
            a @ b
        seconds.append(timed.seconds)
    return 2 * size**3 / min(seconds)


def operations(rows, model):
    """Operations of one training epoch over the real tokens.

    Six for each weight outside the embeddings and token (two forward, four backward), and attention's products of
    tokens with tokens, 12 · layers · d · T² for a text of T tokens. Padding counts as nothing.
    """
    ids = model.tokenizer(list(rows["text"]), truncation=True, max_length=LENGTH)["input_ids"]
    lengths = np.array([len(one) for one in ids])
    weights = sum(weight.numel() for weight in model.backbone.encoder.parameters())
    shape = model.backbone.config
    attention = 12 * shape.num_hidden_layers * shape.hidden_size * (lengths.astype(float) ** 2).sum()
    return 6.0 * weights * lengths.sum() + attention, int(lengths.sum())


def profile(rows, precision, backbone=None, batch_size=BATCH):
    """Share of the time of training that each kind of operation takes, in per cent."""
    groups = {"matrix products": ("addmm", "aten::mm", "bmm", "linear", "matmul", "mkldnn"),
              "attention": ("scaled_dot_product", "flash", "efficient_attention", "softmax"),
              "optimizer and clipping": ("adamw", "_foreach", "norm_except", "linalg_vector_norm"),
              "GELU": ("gelu",), "layer norm": ("layer_norm",), "dropout": ("dropout", "bernoulli"),
              "embedding table": ("embedding", "index_select"),
              "copies and number formats": ("copy", "_to_copy", "aten::to", "fill", "zero", "cat", "clone"),
              "sums and products": ("aten::add", "aten::mul", "aten::sum", "aten::div")}
    on_gpu = torch.cuda.is_available()
    activities = [torch.profiler.ProfilerActivity.CPU] + [torch.profiler.ProfilerActivity.CUDA] * on_gpu
    with torch.profiler.profile(activities=activities) as profiler:
        fit(rows.select(range(min(len(rows), 8 * batch_size))), precision, batch_size, backbone)
    spent = {}
    for event in profiler.key_averages():
        if event.device_type != torch.autograd.DeviceType.CPU:
            continue  # a kernel's time stands with the operation that called it
        name = event.key.lower()
        group = next((group for group, marks in groups.items() if any(mark in name for mark in marks)), "other")
        took = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        spent[group] = spent.get(group, 0.0) + took
    whole = sum(spent.values())
    return {group: round(100 * value / whole, 1) for group, value in sorted(spent.items(), key=lambda g: -g[1])}


def full(splits, repeats, of):
    """Samples a second of full fine-tuning, peak memory, and the share of the machine's matrix rate."""
    rows = concatenate_datasets(list(splits.values()))  # for speed it does not matter which split a text is from
    rows = rows.shuffle(seed=0).select(range(min(MOST, len(rows))))
    part = rows.select(range(min(TEXTS, len(rows))))
    best = common.best_precision()
    few = rows.select(range(min(len(rows), 10 * BATCH)))
    for precision in {best, "fp32"}:
        fit(few, precision)  # libraries choose their kernels when they first meet a shape
    trainer(few, best, best=True)
    curves, made = {}, []

    def samples(name, texts, run):
        def once():
            curve = curves.setdefault(name, [])
            seconds, losses = run(texts, seed=len(curve))  # another seed each round
            curve.append([float(np.mean(quarter)) for quarter in np.array_split(losses, 4)])
            return len(texts) / seconds
        return once
    ours, theirs = in_turn(repeats, samples("fit", rows, lambda texts, seed: fit(texts, best, seed=seed)),
                           samples("trainer-best", rows, lambda texts, seed: trainer(texts, best, True, seed=seed)))
    made.append(row(f"full, {best}{of}", "trainer-best", ours, theirs, "samples/s"))
    plain, default = in_turn(max(1, repeats // 2),
                             samples("fit, fp32", rows, lambda texts, seed: fit(texts, "fp32", seed=seed)),
                             samples("trainer-default", rows,
                                     lambda texts, seed: trainer(texts, "fp32", False, seed=seed)))
    made.append(row(f"full, fp32{of}", "trainer-default", plain, default, "samples/s"))
    if environment.device().type == "cpu":
        plain = len(part) / fit(part, "fp32")[0]
        made.append(row(f"full, fp32{of}", "tutorial-loop", plain, len(part) / tutorial_loop(part), "samples/s"))
    if not of and environment.device().type == "cpu":
        memory = [statistics.mean(alone(memory_of, side=side, precision=best, seed=seed)["peak_mib"]
                                  for seed in range(MEMORY_SEEDS)) for side in ("fit", "trainer-best")]
        made.append(row(f"full, {best}, peak memory", "trainer-best", *memory, "MiB", better="lower"))
    work, tokens = operations(rows, classifier(rows))
    rate = matrix_rate(best)
    about = {"precision": best, "texts": len(rows), "tokens": tokens, "samples_per_second": ours,
             "tokens_per_second": ours * tokens / len(rows),
             "operations_per_second": work * ours / len(rows), "matrix_rate": rate,
             "share": work * ours / len(rows) / rate, "profile_per_cent": profile(rows, best),
             "loss_by_quarter": {name: np.mean(curve, axis=0).round(4).tolist() for name, curve in curves.items()}}
    print(f"  utilisation {about['share']:.1%} of {rate / 1e9:.0f} · 10⁹ operations/s in {best}\n"
          f"  loss by quarter of the epoch, mean over the rounds: {about['loss_by_quarter']}")
    print(f"  where the time goes: {about['profile_per_cent']}")
    return made, {f"full{of}": about}


# ---- frozen --------------------------------------------------------------------------------------------------


def frozen(splits, repeats, _of):
    """Ten epochs of a head on a frozen backbone, in seconds."""
    rows = splits["train"].shuffle(seed=0).select(range(min(FROZEN_TEXTS, len(splits["train"]))))
    texts, labels = list(rows["text"]), torch.tensor(list(rows["label"]))

    def ours():
        model = classifier(rows, 0)
        features.forget()
        config = training.Config(epochs=FROZEN_EPOCHS, batch_size=BATCH, head_lr=1e-3, precision="fp32")
        with Timed() as timed:
            training.fit(model, rows, config=config)
        return timed.seconds

    def recompute(bucketing):
        """Ask the backbone anew in each epoch."""
        model = classifier(rows, 0)
        device = model.backbone.device
        with Timed() as timed:
            optimizer = torch.optim.AdamW(model.head.parameters(), lr=1e-3)
            lengths = [len(ids) for ids in model.tokenizer(texts, truncation=True, max_length=LENGTH)["input_ids"]]
            for epoch in range(FROZEN_EPOCHS):
                for chosen in training.batches(lengths, BATCH, 0, epoch, bucketing):
                    inputs = model.tokenizer([texts[i] for i in chosen], truncation=True, max_length=LENGTH,
                                             padding=True if bucketing else "max_length", return_tensors="pt")
                    with torch.no_grad():
                        hidden = model.backbone(**inputs.to(device)).last_hidden_state
                        vectors = models.mean_pooling(hidden, inputs["attention_mask"])
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model.head(vectors), labels[chosen].to(device)).backward()
                    optimizer.step()
        return timed.seconds
    ours()
    kept, even = in_turn(repeats, ours, lambda: recompute(True))
    return [row("frozen, 10 epochs", "tutorial-loop", kept, recompute(False), "seconds", "lower"),
            row("frozen, 10 epochs", "equally-batched-loop", kept, even, "seconds", "lower")], {}


# ---- few texts -----------------------------------------------------------------------------------------------


def few_shot(splits, _repeats, _of):
    """Learning from a few texts a label: seconds, and accuracy on validation texts."""
    rows, validation = splits["train"], splits["validation"]
    labels, truth, texts = np.array(rows["label"]), np.array(validation["label"]), list(validation["text"])
    scores, seconds = {"probe": [], "setfit": []}, {"probe": [], "setfit": []}
    try:
        from setfit import SetFitModel, Trainer, TrainingArguments

        logging.getLogger("setfit").setLevel(logging.ERROR)
    except ImportError:
        SetFitModel = None  # noqa: N806
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        chosen = np.concatenate([random.choice(np.flatnonzero(labels == label), SHOTS, replace=False)
                                 for label in np.unique(labels)])
        few = rows.select(chosen)
        model = classifier(rows, 0)
        features.forget()
        with Timed() as timed:
            features.probe(model, list(few["text"]), list(few["label"]))
        seconds["probe"].append(timed.seconds)
        scores["probe"].append(float(np.mean(model.probabilities(texts).argmax(dim=1).numpy() == truth)))
        if SetFitModel is None:
            continue
        peer = SetFitModel(model_body=common.sentence_transformer(LENGTH), model_head=_logistic())
        with Timed() as timed, tempfile.TemporaryDirectory() as folder:
            # the settings of SetFit's own quick start
            made = Trainer(model=peer, args=TrainingArguments(batch_size=32, num_epochs=1, report_to="none",
                                                              output_dir=folder, show_progress_bar=False, seed=draw),
                           train_dataset=few.select_columns(["text", "label"]))
            with contextlib.redirect_stdout(io.StringIO()):  # a dict a step
                made.train()
        seconds["setfit"].append(timed.seconds)
        scores["setfit"].append(float(np.mean(torch.as_tensor(peer.predict(texts)).numpy() == truth)))
    task = f"few-shot, {SHOTS} a label"

    def middle(values):
        return statistics.median(values) if values else None

    def mean(values):
        return 100 * float(np.mean(values)) if values else None
    about = {"shots": SHOTS, "draws": DRAWS, "accuracy": scores, "seconds": seconds}
    return [row(task, "setfit", middle(seconds["probe"]), middle(seconds["setfit"]), "seconds", "lower",
                "frozen probe"),
            row(f"{task}, accuracy", "setfit", mean(scores["probe"]), mean(scores["setfit"]), "% right",
                name="frozen probe")], {"few_shot": about}


def _logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


# ---- inference -----------------------------------------------------------------------------------------------


def inference(splits, repeats, _of):
    """Texts a second, and the time until one call has answered, for one text and for 64 at once."""
    from transformers import BertConfig, BertForSequenceClassification, pipeline

    rows = splits["train"]
    model = classifier(rows, 0).eval()
    texts = list(rows.shuffle(seed=1).select(range(min(640, len(rows))))["text"])
    folder = str(model.source.folder)
    config = BertConfig.from_pretrained(folder, num_labels=len(model.id2label))
    pipe = pipeline("text-classification", tokenizer=model.tokenizer, device=environment.device(),
                    model=BertForSequenceClassification.from_pretrained(folder, config=config).eval())
    sides = {"fit": model.predict, "pipeline": lambda part: pipe(part, batch_size=64, truncation=True,
                                                                 max_length=LENGTH)}
    try:
        encoder = common.sentence_transformer(LENGTH)
        head = model.head

        def encoded(part):
            with torch.no_grad():
                return head(encoder.encode(part, batch_size=64, convert_to_tensor=True,
                                           show_progress_bar=False)).argmax(dim=1).tolist()
        sides["sentence-transformers"] = encoded
    except ImportError:
        sides["sentence-transformers"] = None
    made = []
    for size in (1, 64):
        calls = [texts[i:i + size] for i in range(0, 200 * size, size) if len(texts[i:i + size]) == size]
        took = {name: [] for name, side in sides.items() if side}
        for side in filter(None, sides.values()):
            side(calls[0])
        for _round in range(repeats):
            for call in calls:
                for name in took:  # in turn, call by call
                    with Timed() as timed:
                        sides[name](call)
                    took[name].append(timed.seconds)
        for peer in ("pipeline", "sentence-transformers"):
            per_second, median, slow = (
                [f(np.array(took[name])) if name in took else None for name in ("fit", peer)]
                for f in (lambda s, size=size: float(size * len(s) / s.sum()),
                          lambda s: 1000 * float(np.median(s)), lambda s: 1000 * float(np.quantile(s, 0.99))))
            task = f"inference, batch {size}"
            ours = "predict"
            made += [row(task, peer, *per_second, "texts/s", name=ours),
                     row(f"{task}, median", peer, *median, "ms a call", "lower", ours),
                     row(f"{task}, 99th percentile", peer, *slow, "ms a call", "lower", ours)]
    return made, {}


# ---- cost as the work grows ----------------------------------------------------------------------------------


def growth(_splits, _repeats, _of):
    """Seconds and memory for 1, 2, 4, 8 times the texts, for longer texts, and for a CSV of a million rows."""
    found = {"texts": [], "tokens": []}
    for times in (1, 2, 4, 8):
        found["texts"].append({"times": times, **alone(cost_of_texts, times=times)})
        print("  ", found["texts"][-1], flush=True)
    for tokens in (16, 32, 64, 128, 256):
        found["tokens"].append({"tokens": tokens, **alone(cost_of_tokens, tokens=tokens)})
        print("  ", found["tokens"][-1], flush=True)
    found["million_rows"] = alone(million)
    print("  ", found["million_rows"], flush=True)
    return [], {"growth": found}


def alone(measure, **options):
    """Call one of the functions below in a process of its own, with the shipped reviews, and return what it found."""
    code = (f"import json, warnings; warnings.filterwarnings('ignore'); from benchmarks import bench; "
            f"print(json.dumps(bench.{measure.__name__}(bench.data.load('reviews')['train'], **{options!r})))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=common.ROOT)
    if done.returncode:
        sys.exit(f"{measure.__name__} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def peak_mib():
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count the parent process in
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1)) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def memory_of(rows, side, precision, seed):
    rows = rows.shuffle(seed=0).select(range(min(512, len(rows))))
    # twice the same texts: the longest batch comes when the optimizer's moments are there as well
    rows = concatenate_datasets([rows, rows])
    fit(rows, precision, seed=seed) if side == "fit" else trainer(rows, precision, best=True, seed=seed)
    return {"peak_mib": round(peak_mib())}


def cost_of_texts(rows, times):
    count = len(rows) // 8 * times
    fit(rows.select(range(64)), "fp32")
    seconds, _losses = fit(rows.select(range(count)), "fp32")
    return {"texts": count, "seconds": round(seconds, 2), "ms_per_text": round(1000 * seconds / count, 2),
            "peak_mib": round(peak_mib())}


def cost_of_tokens(rows, tokens):
    few = rows.select(range(64)).map(lambda one: {"text": "good " * (tokens - 2)})
    fit(few.select(range(BATCH)), "fp32", length=256)
    seconds, _losses = fit(few, "fp32", length=256)
    return {"seconds": round(seconds, 2), "ms_per_text": round(1000 * seconds / len(few), 2),
            "us_per_token": round(1e6 * seconds / len(few) / tokens, 1), "peak_mib": round(peak_mib())}


class EnoughError(Exception):
    """The first update is done."""


def million(rows):
    """Read a CSV of a million rows, tokenise it and make the first update."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        names = rows.features["label"].names
        pairs = list(zip(rows["text"], (names[label] for label in rows["label"]), strict=True))
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(itertools.islice(itertools.cycle(pairs), MILLION))
        model = classifier(rows)
        before, updates = peak_mib(), []

        def count(*_):
            updates.append(1)
            if len(updates) > 1:
                raise EnoughError
        model.head.register_forward_pre_hook(count)
        began = time.perf_counter()
        splits = data.load(path)
        read = time.perf_counter() - began
        with contextlib.suppress(EnoughError):
            training.fit(model, splits["train"], config=training.Config(epochs=1, batch_size=BATCH))
        return {"rows": MILLION, "csv_mib": round(path.stat().st_size / 2**20), "seconds_to_read": round(read),
                "seconds_to_first_update": round(time.perf_counter() - began), "model_mib": round(before),
                "mib_above_model": round(peak_mib() - before)}


# ---- a GPU ---------------------------------------------------------------------------------------------------


def gpu(splits, repeats, _of):
    """bert-base's shape with random weights, 128 tokens, on a GPU; elsewhere the row says "not measured"."""
    names = ("full, bert-base on a GPU", "trainer-best")
    if not torch.cuda.is_available():
        return [row(*names, None, None, "samples/s")], {}
    from transformers import BertConfig, BertModel

    with tempfile.TemporaryDirectory() as folder:
        BertModel(BertConfig()).save_pretrained(folder)
        models.load_tokenizer(resources.find_backbone()).save_pretrained(folder)
        backbone, precision = resources.find_backbone(folder), common.best_precision()
        base = splits["train"].select([0] * GPU_TEXTS).map(lambda one: {"text": "good " * (LENGTH - 2)})

        def seconds(count, size):
            return fit(base.select(range(count)), precision, size, backbone)[0]
        speed, few = {}, len(base) // 8
        for size in (32, 64, 128, 256, 512):
            seconds(2 * size, size)
            speed[size] = few / seconds(few, size)
        size = max(speed, key=speed.get)
        memory = []

        def side(run):
            def once():
                torch.cuda.reset_peak_memory_stats()
                taken, _losses = run()
                memory.append(torch.cuda.max_memory_allocated() / 2**20)
                return len(base) / taken
            return once
        ours, theirs = in_turn(repeats, side(lambda: fit(base, precision, size, backbone)),
                               side(lambda: trainer(base, precision, True, size, backbone)))
        # without what a run costs once (loading, tokenising the first texts, keeping the best weights)
        going = (len(base) - few) / (len(base) / ours - few / speed[size])
        work, _tokens = operations(base, classifier(base, backbone=backbone))
        rate = matrix_rate(precision)
        made = [row(*names, ours, theirs, "samples/s"),
                row(f"{names[0]}, peak memory", names[1], max(memory[::2]), max(memory[1::2]), "MiB", "lower")]
        about = {"batch_size": size, "precision": precision, "texts": len(base), "matrix_rate": rate,
                 "share": work * ours / len(base) / rate, "share_once_going": work * going / len(base) / rate,
                 "samples_per_second_by_batch": speed,
                 "profile_per_cent": profile(base, precision, backbone, size)}
        print(f"  {about}")
        return made, {"gpu": about}


# ---- the assistant -------------------------------------------------------------------------------------------------


def reply(_splits, repeats, _of):
    """Milliseconds from a message to the assistant's answer, once it is loaded; nothing to compare it with."""
    from sft_helpers import assistant, messages

    general = messages.load()
    train = general["train"]
    made = assistant.Assistant(resources.find_backbone(), train["text"], train["intent"], train["sentiment"],
                               messages.load_shop(messages.SHOPS[0]))
    taken = []
    for text in (general["test"]["text"][:100]) * repeats:
        with Timed() as timed:
            made.reply(text)
        taken.append(1000 * timed.seconds)
    found = {"median_ms": round(statistics.median(taken), 1), "slowest_ms": round(max(taken), 1),
             "replies": len(taken)}
    print(f"a reply of the assistant: median {found['median_ms']} ms, slowest of {len(taken)} {found['slowest_ms']} ms")
    return [], {"reply": found}


PARTS = {"full": full, "frozen": frozen, "few-shot": few_shot, "inference": inference, "growth": growth, "reply": reply,
         "gpu": gpu}


def main():
    warnings.filterwarnings("ignore")  # the peers' notes to their developers
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="reviews", help="a CSV or hub name, read as in a lesson (default: reviews)")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--name", help="what to call other data in the table")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    try:
        splits = data.load(arguments.data, label_column=arguments.label_column)
    except (data.DataError, resources.ResourceError) as error:
        sys.exit(str(error))
    of = "" if arguments.data == "reviews" else f", {arguments.name or Path(arguments.data).stem}"
    place = ", on a GPU" if torch.cuda.is_available() else ""
    found = common.read("bench.json")
    for part in arguments.only:
        made, about = PARTS[part](splits, arguments.repeats, of)
        rows = {(one["task"], one["peer"]): one for one in found.get("rows", [])}
        for one in made:
            task = one["task"] if "GPU" in one["task"] else one["task"] + place
            if one["ours_value"] is not None or (task, one["peer"]) not in rows:  # what was measured elsewhere stays
                rows[task, one["peer"]] = {**one, "task": task, **common.measured()}
        found = {**found, **{name + place * (part != "gpu"): value for name, value in about.items()},
                 "rows": list(rows.values())}
        common.write("bench.json", found)


if __name__ == "__main__":
    main()

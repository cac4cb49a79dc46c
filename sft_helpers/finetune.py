"""Fine-tune a classifier on labelled texts of your own, from the command line.

Writes a model folder that ``TextClassifier.from_pretrained`` loads, and a report to read. The same settings as in the
lessons, the same training loop; start it under ``accelerate launch`` for several processes or GPUs.
"""

import argparse
import dataclasses
import html
import json
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from accelerate import PartialState
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from . import data, environment, evaluation, models, plots, resources, training
from .storage import StorageError, write_text

EXAMPLE = """examples:
  python -m sft_helpers.finetune --train my.csv --output out
  python -m sft_helpers.finetune --train a.csv --validation b.csv --test c.csv --output out --mode top-k --layers 3

on four GPUs, each with a quarter of every batch:
  accelerate launch --num_processes 4 -m sft_helpers.finetune --train my.csv --output out \\
      --backbone google-bert/bert-base-uncased

a model too large for one GPU, cut up among four:
  accelerate launch --num_processes 4 --use_fsdp --fsdp_version 2 \\
      --fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP --fsdp_transformer_layer_cls_to_wrap BertLayer \\
      -m sft_helpers.finetune --train my.csv --output out

An interrupted run goes on when the same command is given again.
"""
MODES = {"frozen": "the head alone, on features computed once", "top-k": "the head and the --layers topmost layers",
         "full": "everything"}
HELP = {"epochs": "passes over the training texts", "batch_size": "texts per update, over all processes",
        "accumulation": "parts a batch is cut into, to save memory", "lr": "highest learning rate of the backbone",
        "head_lr": "highest learning rate of the head",
        "layer_decay": "each layer's rate as a share of that of the layer above it",
        "weight_decay": "AdamW's; not on biases and norms",
        "label_smoothing": "share of the target spread over all labels",
        "warmup": "share of the updates with a rising learning rate", "schedule": "after the warm-up",
        "max_grad_norm": "longer gradients are shortened to this", "metric": "by which the best epoch is chosen",
        "patience": "stop after so many epochs without a better one",
        "precision": "auto: bf16 or fp16 on a GPU, fp32 elsewhere", "seed": "for splits, batches and dropout"}
FROZEN = {"epochs": 30, "head_lr": 1e-2}  # a head alone is cheap, and learns slowly at the other modes' rate
WORST = 15  # errors shown in the report
SHOWN_LABELS = 40  # a confusion matrix with more labels cannot be read


def parser():
    """Return the command line's parser; each field of ``training.Config`` is an option of the same name."""
    made = argparse.ArgumentParser(prog="python -m sft_helpers.finetune", description=__doc__.split("\n")[0],
                                   epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    texts = made.add_argument_group("texts")
    texts.add_argument("--train", required=True, metavar="FILE",
                       help="CSV with the columns text and label; or 'reviews', or a hub name. Alone, it is split into "
                            "train, validation and test (or by its column 'split')")
    texts.add_argument("--validation", metavar="FILE", help="CSV for choosing the best epoch")
    texts.add_argument("--test", metavar="FILE", help="CSV for the final score; looked at once")
    texts.add_argument("--text-column", default="text", metavar="NAME")
    texts.add_argument("--label-column", default="label", metavar="NAME")
    made.add_argument("--output", required=True, type=os.path.expanduser, metavar="FOLDER",
                      help="for the model, the report and the checkpoints")
    model = made.add_argument_group("model")
    model.add_argument("--backbone", default=resources.EMBEDDED, metavar="NAME",
                       help="'embedded' (default), a folder or a hub name")
    model.add_argument("--mode", choices=MODES, default="full",
                       help="what is trained: " + "; ".join(f"{name}: {what}" for name, what in MODES.items())
                            + " (default: full)")
    model.add_argument("--layers", type=int, metavar="K", help="with --mode top-k: how many layers")
    model.add_argument("--pooling", choices=models.POOLINGS, default="mean", help="default: mean")
    model.add_argument("--max-length", type=int, default=models.MAX_LENGTH, metavar="TOKENS",
                       help="longer texts are cut (default: %(default)s)")
    settings = made.add_argument_group("settings (those of sft_helpers.training.Config)")
    for field in dataclasses.fields(training.Config):
        name, default = "--" + field.name.replace("_", "-"), field.default
        if field.name == "bucketing":
            settings.add_argument("--no-bucketing", dest="bucketing", action="store_false",
                                  help="do not put texts of like length together")
            continue
        choices = {"schedule": training.SCHEDULES, "metric": training.METRICS,
                   "precision": training.PRECISIONS}.get(field.name)
        kind = str if choices else int if field.type in ("int", int) or field.name == "patience" else float
        shown = "off" if default is None else f"{default:g}" if kind is float else str(default)
        if field.name in FROZEN:
            shown += f", with --mode frozen {FROZEN[field.name]:g}"
        letter = None if choices else "N" if kind is int else "X"
        settings.add_argument(name, type=kind, choices=choices, metavar=letter,
                              help=f"{HELP[field.name]} (default: {shown})")
    made.add_argument("--checkpoint-steps", type=int, metavar="N",
                      help="updates between two checkpoints, beside those after each epoch")
    return made


def main(arguments=None):
    """Run the command; whatever the user can mend ends it with one sentence."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _as_interrupt)  # a machine room's way of saying stop
    try:
        _run(options)
    except (data.DataError, resources.ResourceError, training.TrainingError, StorageError, MemoryError,
            ValueError) as error:
        sys.exit(str(error) or "There is not enough memory.")
    except RuntimeError as error:
        if not models.out_of_memory(error):
            raise
        sys.exit(f"There is not enough memory for the model itself ({environment.device_label()}); end what else uses "
                 "it, name a smaller --backbone, or set SFT_DEVICE=cpu.")
    except KeyboardInterrupt:
        sys.exit(f"Interrupted. Run the same command again: it goes on from the last checkpoint in "
                 f"{Path(options.output) / 'checkpoints'}, if there is one.")


def _as_interrupt(_signal, _frame):
    raise KeyboardInterrupt


def _run(options):
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(training.Config)}
    given = {name: value for name, value in given.items() if value is not None}
    for name in ("train", "validation", "test", "output"):
        if getattr(options, name) == "":
            raise ValueError(f"--{name} is empty; is a variable of the shell not set?")
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if launched != "no":
        if launched not in training.PRECISIONS:
            raise ValueError(f"accelerate launch asks for {launched}, which the training loop has not.")
        if given.get("precision", "auto") not in ("auto", launched):
            raise ValueError(f"accelerate launch asks for {launched}, --precision for {given['precision']}; "
                             "ask for one.")
        given["precision"] = launched
    if options.mode == "frozen" and given.keys() & {"lr", "layer_decay"}:
        raise ValueError("--lr and --layer-decay are the backbone's, and --mode frozen trains none of it; --head-lr is "
                         "the head's rate.")
    config = training.Config(**{**(FROZEN if options.mode == "frozen" else {}), **given})
    if (options.mode == "top-k") != (options.layers is not None):
        raise ValueError("--mode top-k and --layers K belong together.")
    if options.layers == 0:
        raise ValueError("--layers is 1 or more; to train no layer is --mode frozen.")
    if options.checkpoint_steps is not None and options.checkpoint_steps < 1:
        raise ValueError("--checkpoint-steps is 1 or more.")
    state = PartialState(cpu=environment.device().type == "cpu")  # picks this process's own GPU
    output = Path(options.output)
    _check_folder(output)
    say = print if state.is_main_process else lambda *_: None
    splits = _texts(options, config.seed)
    names = splits["train"].features["label"].names
    say(f"{len(splits['train'])} training, {len(splits['validation'])} validation and "
        f"{len(splits.get('test', ()))} test texts; labels: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}")
    environment.seed_everything(config.seed)
    layers = {"frozen": 0, "top-k": options.layers, "full": "all"}[options.mode]
    backbone = resources.find_backbone(options.backbone)
    model = models.TextClassifier(backbone, dict(enumerate(names)), layers, options.pooling, options.max_length)
    say(f"training {options.mode} on {environment.device_label()}, {state.num_processes} process"
        f"{'es' if state.num_processes > 1 else ''}")
    try:
        history = training.fit(model, splits["train"], splits["validation"], config, output / "checkpoints",
                               options.checkpoint_steps, output / "features")
    except training.NotFiniteError as error:
        if not error.epoch:
            raise
        if state.is_main_process:
            model.save_pretrained(output / "model")
        state.wait_for_everyone()  # a launcher ends all processes as soon as one has ended with an error
        raise training.TrainingError(f"{error} They are in {output / 'model'}.") from error
    if state.is_main_process:
        judged = "test" if "test" in splits else "validation"
        model.save_pretrained(output / "model")  # first of all: what comes now may run out of memory
        probabilities = model.probabilities(list(splits[judged]["text"])).numpy()
        scores = summary(splits[judged], probabilities)
        page = report(options, config, splits, history, judged, probabilities, scores, backbone, model)
        _write(output / "report.html", page)
        _write(output / "report.json", json.dumps({
            "judged_on": judged, "scores": scores, "best_epoch": history.best_epoch, "epochs": history.epochs,
            "settings": dataclasses.asdict(config), "mode": options.mode, "backbone": options.backbone,
            "versions": environment.versions(), "device": history.device, "precision": history.precision},
            indent=1) + "\n")
        say(f"{judged} accuracy {evaluation.Interval(*scores['accuracy'])}, macro F1 "
            f"{evaluation.Interval(*scores['macro_f1'])}")
        say(f"model: {output / 'model'}   report: {output / 'report.html'}")
    state.wait_for_everyone()


def _check_folder(output):
    """Find out before the training, not after it, that nothing can be written."""
    try:
        for folder in (output, *(output / part for part in ("model", "checkpoints", "features"))):
            if folder.exists() and not folder.is_dir():
                raise StorageError(f"{folder} is a file; name another folder for --output.")
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"Nothing can be written into {output} ({error.strerror or error}); name another folder for "
                           "--output.") from error


def _write(path, content):
    try:
        write_text(content, path)
    except StorageError as error:
        raise StorageError(f"{error} The model is in {path.parent / 'model'}.") from error


def _texts(options, seed):
    columns = {"text_column": options.text_column, "label_column": options.label_column, "seed": seed}
    try:
        if options.validation is None and options.test is None:
            return data.load(options.train, **columns)
        if not data.is_path(options.train):
            raise data.DataError("--validation and --test need --train to be a CSV file as well, and "
                                 f"{options.train[:80]!r} is none; leave them out for the splits that it brings.")
        return data.load_files(options.train, options.validation, options.test, **columns)
    except data.DataError as error:  # its sentence names Python's arguments
        raise data.DataError(re.sub(r"\b(text|label)_column=…", r"--\1-column", str(error))) from error


def summary(rows, probabilities):
    """Return accuracy and macro F1 with 95 % intervals, as {"accuracy": [value, low, high], …}."""
    labels, predicted = np.array(rows["label"]), probabilities.argmax(axis=1)
    random = np.random.default_rng(0)
    draws = (random.integers(0, len(labels), len(labels)) for _draw in range(500))
    f1 = [evaluation.macro_f1(labels[draw], predicted[draw]) for draw in draws]
    return {"accuracy": list(evaluation.accuracy(labels, predicted)),
            "macro_f1": [evaluation.macro_f1(labels, predicted), *map(float, np.quantile(f1, [0.025, 0.975]))]}


# ---- The report ----------------------------------------------------------------------------------------------


def report(options, config, splits, history, judged, probabilities, scores, backbone, model):
    """Return the run as one HTML page that needs nothing beside it."""
    names, rows = splits["train"].features["label"].names, splits[judged]
    labels, predicted = np.array(rows["label"]), probabilities.argmax(axis=1)
    scores = {name: evaluation.Interval(*values) for name, values in scores.items()}
    worst = sorted(np.flatnonzero(labels != predicted), key=lambda i: probabilities[i, labels[i]])[:WORST]
    looked = "looked at once, after training" if judged == "test" else \
        "the best epoch was chosen on it, so the score is somewhat too good; give --test for an honest one"
    count = {split: Counter(part["label"]) for split, part in splits.items()}
    settings = {"mode": options.mode + (f", {options.layers} layers" if options.layers else ""),
                "pooling": options.pooling, "max_length": options.max_length, **dataclasses.asdict(config)}
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    words = [len(text.split()) for text in splits["train"]["text"]]
    cut = sum(_cut(model, part["text"]) for part in splits.values())
    origin = {"training texts": options.train, "backbone": f"{options.backbone} ({backbone.source})",
              "trained weights": f"{trained:,}", "device": history.device, "precision": history.precision,
              "seconds of this run": f"{history.seconds:.0f}",
              **{name: version for name, version in environment.versions().items() if version != "not installed"}}
    per_label = zip(names, *(score(labels, predicted, labels=range(len(names)), average=None, zero_division=0)
                             for score in (precision_score, recall_score, f1_score)), strict=True)
    parts = [
        f"<p class=score>{judged} accuracy <b>{scores['accuracy']}</b>, macro F1 <b>{scores['macro_f1']}</b></p>",
        f"<p>{len(rows)} {judged} texts ({looked}); in brackets the 95 % bootstrap interval. Always giving the "
        f"commonest training label would be right for {_majority(splits, judged):.1%}.</p>",
        "<h2>Data</h2>",
        _table(["label", *count], [[name, *(count[split][i] for split in count)] for i, name in enumerate(names)]
               + [["all", *(len(part) for part in splits.values())]]),
        f"<p>Training texts have {np.median(words):.0f} words (median), the longest {max(words)}. Of all texts {cut:,} "
        f"are longer than {options.max_length} tokens and were cut there.</p>",
        "<h2>Training</h2>", _picture(history.plot(), "Loss and validation score over the run"),
        f"<p>Kept: epoch {history.best_epoch} of {len(history.epochs)}, the best by {html.escape(config.metric)}."
        + " The training loss is that of smoothed labels, which never comes to 0; the validation loss is the plain one."
        * (config.label_smoothing > 0) + "</p>",
        _table(["epoch", "training loss", "validation loss", "accuracy", "macro F1"],
               [[e["epoch"], f"{e['train_loss']:.3f}", f"{e['loss']:.3f}", f"{e['accuracy']:.1%}", f"{e['f1']:.1%}"]
                for e in history.epochs]),
        f"<h2>Labels ({judged})</h2>",
        _table(["label", "precision", "recall", "F1"], [[name, *(f"{v:.1%}" for v in values)]
                                                        for name, *values in per_label])]
    if len(names) <= SHOWN_LABELS:
        parts.append(_confusion(confusion_matrix(labels, predicted, labels=range(len(names))), names))
    else:
        often = Counter(zip(labels.tolist(), predicted.tolist(), strict=True))
        parts += [f"<p>A confusion matrix of {len(names)} labels cannot be read; these are confused most often.</p>",
                  _table(["right", "predicted", "times"],
                         [[names[was], names[said], times] for (was, said), times in often.most_common()
                          if was != said][:WORST])]
    parts += ["<h2>Worst errors</h2>",
              _table(["probability of the right label", "right", "predicted", "text"],
                     [[f"{probabilities[i, labels[i]]:.3f}", names[labels[i]], names[predicted[i]],
                       rows[int(i)]["text"][:400]] for i in worst]) if worst else "<p>There are none.</p>",
              "<h2>Settings</h2>", _table(["setting", "value"], settings.items()),
              "<h2>Where this comes from</h2>", _table(["", ""], origin.items())]
    name = html.escape(Path(options.output).resolve().name)
    return PAGE.format(title=f"Fine-tuning report: {name}", body="\n".join(parts))


def _cut(model, texts):
    """How many texts are longer than the model reads."""
    longest = model.max_length
    return sum(sum(len(ids) > longest for ids in model.tokenizer(
        list(texts[i:i + 1000]), truncation=True, max_length=longest + 1)["input_ids"])
               for i in range(0, len(texts), 1000))


def _majority(splits, judged):
    commonest = Counter(splits["train"]["label"]).most_common(1)[0][0]
    return float(np.mean(np.array(splits[judged]["label"]) == commonest))


def _table(head, rows):
    def line(cells, kind):
        return "<tr>" + "".join(f"<{kind}>{html.escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"
    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _confusion(counts, names):
    """The confusion matrix as a table: a browser has the letters of any script, a figure's font has not."""
    def cell(count, share):
        return (f'<td class={"dark" if share > 0.6 else "light"} style="background: rgb(0 114 178 / {share:.2f})">'
                f'{count or ""}</td>')
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    across = "".join(f"<th scope=col><span>{html.escape(name)}</span></th>" for name in names)
    lines = "".join(f"<tr><th scope=row>{html.escape(name)}</th>{''.join(map(cell, *line))}</tr>"
                    for name, *line in zip(names, counts.tolist(), shares.tolist(), strict=True))
    return ("<p>Confusion matrix: in each row the texts of a label, by the label that was predicted.</p>"
            f"<table class=confusion><tr><th>right ↓ predicted →</th>{across}</tr>{lines}</table>")


def _picture(figure, alt):
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{plots.base64_png(figure)}">'


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }}
th, td {{ text-align: left; padding: 0.25rem 0.8rem; border-bottom: 1px solid #ddd; vertical-align: top; }}
.confusion {{ display: block; overflow-x: auto; }}
.confusion td {{ text-align: center; min-width: 1.5rem; border-bottom: 0; padding: 0.3rem; }}
.confusion td.dark {{ color: white; }}
.confusion th {{ vertical-align: bottom; }} .confusion th[scope=col] {{ padding: 0.4rem; }}
.confusion th span {{ writing-mode: vertical-rl; }}
img {{ max-width: 100%; }} .score {{ font-size: 1.25rem; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


if __name__ == "__main__":
    main()

"""The command line: a model folder, a report to read, and one sentence for whatever the user can mend."""

import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from sft_helpers import environment, finetune, models, plots, training

sys.path.insert(0, str(Path(__file__).parent))
import tiny  # noqa: E402


def write_csv(path, rows, header=("text", "label")):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def labelled(count, seed):
    rows = tiny.texts(count, seed)
    names = rows.features["label"].names
    return list({text: (text, names[label]) for text, label in zip(rows["text"], rows["label"], strict=True)}.values())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    rows = labelled(170, 0)
    tiny.backbone(place / "bert")
    return {"bert": str(place / "bert"), "train": write_csv(place / "train.csv", rows[:90]),
            "validation": write_csv(place / "validation.csv", rows[90:120]),
            "test": write_csv(place / "test.csv", rows[120:150])}


def options(files, output, *more, test=True):
    chosen = ["--train", files["train"], "--validation", files["validation"], "--output", str(output),
              "--backbone", files["bert"], "--epochs", "2", "--batch-size", "8", "--max-length", "32", *more]
    return chosen + (["--test", files["test"]] if test else [])


@pytest.mark.slow
@pytest.mark.parametrize("mode", [("--mode", "frozen"), ("--mode", "top-k", "--layers", "1"), ("--mode", "full")])
def test_it_writes_a_model_that_loads_and_a_report_that_agrees(files, tmp_path, mode, capsys):
    finetune.main(options(files, tmp_path / "out", *mode))
    said = capsys.readouterr().out
    model = models.TextClassifier.from_pretrained(tmp_path / "out" / "model")
    about = json.loads((tmp_path / "out" / "report.json").read_text())
    with open(files["test"], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = sum(a == row["label"] for a, row in zip(model.predict([row["text"] for row in rows]), rows, strict=True))
    assert about["scores"]["accuracy"][0] == pytest.approx(right / len(rows))
    assert about["judged_on"] == "test" and f"{100 * right / len(rows):.1f} %" in said
    assert model.trained_layers == {"frozen": 0, "top-k": 1, "full": "all"}[mode[1]]
    settings = {**training.Config().__dict__, **(finetune.FROZEN if mode[1] == "frozen" else {})}
    assert about["settings"] == {**settings, "epochs": 2, "batch_size": 8} and about["mode"] == mode[1]
    page = (tmp_path / "out" / "report.html").read_text()
    for part in ("test accuracy", "Worst errors", "Settings", "macro F1", "data:image/png;base64", "torch", "device"):
        assert part in page
    assert "http" not in page and "<script" not in page


EPOCHS = [{"epoch": i, "train_loss": 0.1 * i, "loss": 0.5 + 0.1 * i, "accuracy": 0.7, "f1": 0.65} for i in (1, 2, 3)]


def run_of(epochs, best_epoch):
    return types.SimpleNamespace(device="a machine", precision="bf16", seconds=3.0, best_epoch=best_epoch,
                                 epochs=epochs, plot=lambda: plots.subplots()[0])


def page_of(splits, probabilities, history, config=None, **changed):
    """Written from probabilities that are given: no model has to be trained for it."""
    options = types.SimpleNamespace(**{"mode": "full", "layers": None, "pooling": "mean", "max_length": 2,
                                       "train": "mine.csv", "backbone": "embedded", "output": "out", **changed})
    model = torch.nn.Linear(2, 2)
    model.frozen = torch.nn.Linear(9, 9).requires_grad_(False)
    model.max_length, model.tokenizer = 2, lambda some, max_length, truncation: {
        "input_ids": [text.split()[:max_length] for text in some]}
    return finetune.report(options, config or training.Config(), splits, history, "test", probabilities,
                           finetune.summary(splits["test"], probabilities), types.SimpleNamespace(source="here"), model)


def rows_of(labels, texts=None, names=("calm", "angry")):
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=list(names))})
    texts = texts or [f"text {i}" for i in range(len(labels))]
    return Dataset.from_dict({"text": texts, "label": labels}, features=kinds)


def test_the_report_is_right_about_labels_predictions_and_errors():
    texts = ["far off", "a near miss", "right one", "right two", "the farthest", "right three", "right four"]
    truth, first = [0, 0, 0, 0, 1, 1, 1], [0.2, 0.4, 0.9, 0.6, 0.95, 0.3, 0.1]
    rows = rows_of(truth, texts)
    probabilities = np.column_stack([first, 1 - np.array(first)])
    predicted = probabilities.argmax(axis=1)
    page = page_of({"train": rows.select(range(5)), "test": rows}, probabilities, run_of(EPOCHS[:1], 1))
    by_label = precision_recall_fscore_support(truth, predicted)[:3]
    for name, *scores in zip(("calm", "angry"), *by_label, strict=True):
        assert f"<tr><td>{name}</td>" + "".join(f"<td>{score:.1%}</td>" for score in scores) in page
    worst = re.findall(r"<td>([\d.]+)</td><td>(\w+)</td><td>(\w+)</td><td>([^<]+)</td>", page.split("Worst errors")[1])
    assert worst == [("0.050", "angry", "calm", "the farthest"), ("0.200", "calm", "angry", "far off"),
                     ("0.400", "calm", "angry", "a near miss")]
    assert [re.findall(r">(\d*)</td>", line) for line in re.findall("<tr><th scope=row>(.*?)</tr>", page)] == [
        ["2", "2"], ["1", "2"]]
    assert "would be right for 57.1%" in page  # the commonest training label is calm
    assert "<td>precision</td><td>bf16</td>" in page and "<td>mode</td><td>full</td>" in page
    for row in (("calm", 4, 4), ("angry", 1, 3), ("all", 5, 7), ("trained weights", 6)):
        assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" in page, row
    assert "Of all texts 2 are longer than 2 tokens and were cut there" in page  # one, in both splits
    assert "have 2 words (median), the longest 3" in page and "Kept: epoch 1 of 1, the best by accuracy" in page
    scores = finetune.summary(rows, probabilities)
    assert scores["accuracy"][0] == accuracy_score(truth, predicted)
    assert scores["macro_f1"][0] == pytest.approx(f1_score(truth, predicted, average="macro"))
    for value, low, high in scores.values():
        assert 0 <= low < value < high <= 1


def test_the_report_keeps_apart_what_is_alike():
    """Accuracy and F1, the two losses, the commonest labels of training and test, the best epoch and the last."""
    splits = {"train": rows_of([1, 1, 0]), "test": rows_of([0, 0, 0, 1])}
    page = page_of(splits, np.array([[0.9, 0.1]] * 4), run_of(EPOCHS, 2))
    assert re.search(r"test accuracy <b>([\d.]+) %.*macro F1 <b>([\d.]+) %", page).groups() == ("75.0", "42.9")
    assert "<tr><td>2</td><td>0.200</td><td>0.700</td><td>70.0%</td><td>65.0%</td></tr>" in page
    assert "commonest training label would be right for 25.0%" in page and "Kept: epoch 2 of 3" in page
    assert "smoothed labels" not in page
    assert "smoothed labels" in page_of(splits, np.array([[0.9, 0.1]] * 4), run_of(EPOCHS, 2),
                                        training.Config(label_smoothing=0.1))


def test_the_report_shows_the_worst_errors_and_the_beginning_of_long_texts():
    texts = ["a" * 390 + "b" * 10 + "c"] + [f"text {i}" for i in range(1, 20)]
    given = np.linspace(0.01, 0.4, 20)
    rows = rows_of([0] * 20, texts)
    page = page_of({"train": rows, "test": rows}, np.column_stack([given, 1 - given]), run_of(EPOCHS, 1), mode="top-k",
                   layers=3)
    errors = page.split("Worst errors")[1].split("Settings")[0]
    assert re.findall(r"<td>([^<]*)</td></tr>", errors) == [texts[0][:400], *texts[1:15]]
    assert "<td>mode</td><td>top-k, 3 layers</td>" in page


def test_every_text_that_was_cut_is_counted():
    rows = rows_of([0, 1] * 600, ["one two three"] * 1100 + ["one"] * 100)
    page = page_of({"train": rows, "test": rows.select(range(2))}, np.eye(2), run_of(EPOCHS, 1))
    assert "Of all texts 1,102 are longer than 2 tokens" in page


def test_the_summary_of_the_same_answers_is_the_same():
    random = np.random.default_rng(5)
    truth, answers = random.integers(0, 2, (2, 60))
    first, again = (finetune.summary({"label": truth}, np.eye(2)[answers]) for _ in range(2))
    assert first == again


def test_texts_of_a_single_label_can_be_judged():
    page = page_of({"train": rows_of([1, 0]), "test": rows_of([0, 0])}, np.array([[0.9, 0.1]] * 2), run_of(EPOCHS, 1))
    assert "test accuracy <b>100.0 %" in page


def test_the_intervals_of_the_summary_have_the_width_of_a_bootstraps():
    random = np.random.default_rng(5)
    truth = random.integers(0, 2, 300)
    predicted = np.where(random.random(300) < 0.7, truth, 1 - truth)
    scores = finetune.summary({"label": truth}, np.eye(2)[predicted])
    draws = [random.integers(0, 300, 300) for _ in range(500)]
    for name, score in (("accuracy", accuracy_score), ("macro_f1", lambda *two: f1_score(*two, average="macro"))):
        spread = np.std([score(truth[draw], predicted[draw]) for draw in draws])
        value, low, high = scores[name]
        assert value == pytest.approx(score(truth, predicted))
        assert low == pytest.approx(value - 1.96 * spread, abs=0.01)
        assert high == pytest.approx(value + 1.96 * spread, abs=0.01)


# ---- what was asked for --------------------------------------------------------------------------------------


@pytest.fixture
def asked(files, tmp_path, monkeypatch):
    """Gives what ``fit`` would have got from a command line; nothing is trained."""
    def asked(*more, train=files["train"]):
        got = {}

        def fit(model, train, validation, config, checkpoints, checkpoint_steps, feature_folder):
            got.update(locals())
            raise training.TrainingError("that is enough")
        monkeypatch.setattr(training, "fit", fit)
        with pytest.raises(SystemExit, match="that is enough"):
            finetune.main(["--train", train, "--output", str(tmp_path / "out"), "--backbone", files["bert"], *more])
        return types.SimpleNamespace(**got)
    return asked


def test_every_setting_reaches_the_run(asked):
    other = {"epochs": 5, "batch_size": 6, "accumulation": 2, "lr": 2e-4, "head_lr": 3e-3, "layer_decay": 0.8,
             "weight_decay": 0.2, "label_smoothing": 0.1, "warmup": 0.3, "schedule": "constant", "max_grad_norm": 2.0,
             "patience": 3, "metric": "f1", "precision": "fp32", "bucketing": False, "seed": 4}
    given = [part for name, value in other.items() if name != "bucketing"
             for part in ("--" + name.replace("_", "-"), str(value))]
    assert dataclasses.asdict(asked(*given, "--no-bucketing").config) == other
    assert all(getattr(training.Config(), name) != value for name, value in other.items())


def test_the_model_is_the_one_that_was_asked_for(asked, files, tmp_path):
    got = asked("--pooling", "cls", "--max-length", "17", "--mode", "top-k", "--layers", "1", "--checkpoint-steps", "7")
    assert (got.model.pooling, got.model.max_length, got.model.trained_layers) == ("cls", 17, 1)
    assert got.checkpoints == tmp_path / "out" / "checkpoints" and got.checkpoint_steps == 7
    assert got.feature_folder == tmp_path / "out" / "features"
    usual = asked()
    assert (usual.model.pooling, usual.model.max_length) == ("mean", models.MAX_LENGTH)
    assert usual.checkpoint_steps is None


def test_other_columns_and_files_are_read(asked, files, tmp_path):
    texts = [(name, "x", text) for text, name in labelled(40, 7)]
    train = write_csv(tmp_path / "other.csv", texts[:30], ("kind", "text", "said"))
    check = write_csv(tmp_path / "check.csv", texts[30:], ("kind", "text", "said"))
    got = asked("--text-column", "said", "--label-column", "kind", "--validation", check, train=train)
    names = got.train.features["label"].names
    for rows, wanted in ((got.train, texts[:30]), (got.validation, texts[30:])):
        assert [(names[row["label"]], row["text"]) for row in rows] == [(kind, said) for kind, _x, said in wanted]


def test_test_texts_are_read_without_validation_texts_too(files):
    chosen = finetune.parser().parse_args(["--train", files["train"], "--test", files["test"], "--output", "out"])
    assert {split: len(rows) for split, rows in finetune._texts(chosen, 0).items()} == {
        "train": 81, "validation": 9, "test": 30}


def test_a_head_alone_has_settings_of_its_own_unless_others_are_given(asked):
    frozen = asked("--mode", "frozen").config
    assert (frozen.epochs, frozen.head_lr) == (30, 0.01)
    assert asked("--mode", "frozen", "--epochs", "3").config.epochs == 3


def test_what_is_printed_and_report_json_say_what_the_run_was(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "fit", lambda *_: run_of(EPOCHS, 2))
    finetune.main(options(files, tmp_path / "out"))
    first, *_, last, _where = capsys.readouterr().out.splitlines()
    assert first == "90 training, 30 validation and 30 test texts; labels: with, without"
    about = json.loads((tmp_path / "out" / "report.json").read_text())
    with open(files["test"], encoding="utf-8") as file:
        texts, truth = zip(*list(csv.reader(file))[1:], strict=True)
    predicted = models.TextClassifier.from_pretrained(tmp_path / "out" / "model").predict(list(texts))
    accuracy, f1 = accuracy_score(truth, predicted), f1_score(truth, predicted, average="macro")
    assert about["scores"]["macro_f1"][0] == pytest.approx(f1)
    assert re.findall(r"(accuracy|macro F1) ([\d.]+) %", last) == [
        ("accuracy", f"{100 * accuracy:.1f}"), ("macro F1", f"{100 * f1:.1f}")] and round(accuracy, 3) != round(f1, 3)
    wanted = {"best_epoch": 2, "epochs": EPOCHS, "backbone": files["bert"], "device": "a machine", "precision": "bf16"}
    assert {name: about[name] for name in wanted} == wanted


def test_a_home_in_the_name_of_the_output_is_found():
    found = finetune.parser().parse_args(["--train", "mine.csv", "--output", "~/out"])
    assert found.output == os.path.expanduser("~/out") != "~/out"


def test_the_seed_decides_the_split_and_the_heads_first_weights(asked):
    def start(seed):
        got = asked("--seed", seed)
        return got.train["text"][:], got.model.head.weight.detach()
    (texts, head), (texts_again, head_again), (other_texts, other_head) = map(start, ("1", "1", "2"))
    assert texts == texts_again and torch.equal(head, head_again)
    assert set(texts) != set(other_texts) and not torch.equal(head, other_head)


@pytest.mark.slow
def test_without_test_texts_the_report_says_what_the_score_is_worth(files, tmp_path):
    finetune.main(options(files, tmp_path / "out", "--mode", "frozen", test=False))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "validation accuracy" in page and "somewhat too good" in page


@pytest.mark.slow
def test_a_text_is_shown_and_not_run(files, tmp_path):
    rows = [("<script>alert(1)</script> good", "with"), ("<script>alert(2)</script> tea", "with"),
            ("<script>alert(3)</script> cup", "without")]
    test = write_csv(tmp_path / "odd.csv", rows)
    finetune.main([*options(files, tmp_path / "out", "--mode", "frozen", test=False), "--test", test])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page


@pytest.mark.parametrize(("change", "said"), [
    (["--mode", "top-k"], "--mode top-k and --layers K belong together"),
    (["--layers", "2"], "belong together"),
    (["--mode", "top-k", "--layers", "9"], "between 0 and the backbone's 2 layers"),
    (["--precision", "fp16"], "fp16 needs a CUDA GPU"),
    (["--lr", "-1"], "lr = -1.0 makes no sense"),
    (["--backbone", "no such/model"], "no such/model"),
    (["--train", "missing.csv"], "missing.csv: there is no such file"),
    (["--train", "reviews"], "--validation and --test need --train to be a CSV file as well, and 'reviews' is none"),
    (["--train", "stanfordnlp/sst2"], "a CSV file as well, and 'stanfordnlp/sst2' is none"),
    (["--text-column", "review"], "or give its name with --text-column."),
    (["--label-column", "kind"], "or give its name with --label-column."),
    (["--max-length", "9999"], "max_length lies between 3 and the 512 positions"),
    (["--checkpoint-steps", "0"], "--checkpoint-steps is 1 or more"),
    (["--validation", ""], "--validation is empty"), (["--test", ""], "--test is empty"),
    (["--train", ""], "--train is empty"), (["--output", ""], "--output is empty"),
    (["--mode", "frozen", "--lr", "0.1"], "--mode frozen trains none of it"),
    (["--mode", "frozen", "--layer-decay", "0.9"], "--mode frozen trains none of it"),
    (["--mode", "top-k", "--layers", "0"], "--layers is 1 or more"),
    (["--seed", "-1"], "seed = -1 makes no sense")])
def test_what_cannot_be_had_ends_it_with_one_sentence(files, tmp_path, change, said):
    if said.startswith("fp16") and environment.device().type == "cuda":
        pytest.skip("there is a GPU")
    with pytest.raises(SystemExit) as end:
        finetune.main(options(files, tmp_path / "out") + change)
    assert said in str(end.value) and "\n" not in str(end.value)


def test_a_file_whose_rows_are_meant_for_another_split_is_refused(files, tmp_path):
    """Else its test rows would be trained on."""
    rows = [(text, label, split) for (text, label), split in zip(labelled(30, 9), ["train", "test"] * 15, strict=False)]
    mixed = write_csv(tmp_path / "mixed.csv", rows, ("text", "label", "split"))
    with pytest.raises(SystemExit, match=r"mixed.csv, row 3: the column 'split' says 'test'.* given for 'train'"):
        finetune.main([*options(files, tmp_path / "out"), "--train", mixed])


@pytest.mark.parametrize("part", [".", "model", "checkpoints", "features"])
def test_a_place_that_cannot_be_written_is_found_before_the_training(files, tmp_path, monkeypatch, part):
    monkeypatch.setattr(training, "fit", lambda *_: pytest.fail("trained all the same"))
    place = tmp_path / "out" / part
    place.parent.mkdir(parents=True, exist_ok=True)
    if part != ".":
        place.touch()
        with pytest.raises(SystemExit, match=f"{part} is a file; name another folder"):
            finetune.main(options(files, tmp_path / "out"))

    with pytest.raises(SystemExit, match="Nothing can be written into .*xxx"):
        finetune.main(options(files, tmp_path / ("x" * 300)))

    def full(**_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(finetune.tempfile, "TemporaryFile", full)
    with pytest.raises(SystemExit, match=r"Nothing can be written into .*new \(No space left"):
        finetune.main(options(files, tmp_path / "new"))


def test_the_launchers_precision_is_taken_and_no_other_beside_it(asked, files, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert asked().config.precision == asked("--precision", "bf16").config.precision == "bf16"
    assert asked("--precision", "auto").config.precision == "bf16"
    with pytest.raises(SystemExit, match="accelerate launch asks for bf16, --precision for fp32"):
        finetune.main([*options(files, tmp_path / "out"), "--precision", "fp32"])
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(SystemExit, match="accelerate launch asks for fp8, which the training loop has not"):
        finetune.main(options(files, tmp_path / "out"))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert asked().config.precision == "auto"


def test_a_run_whose_loss_is_no_number_leaves_its_best_model(files, tmp_path, monkeypatch):
    def fit(model, *_):
        raise training.NotFiniteError("The loss became nan. The model keeps its best weights, those of epoch 1.", best)
    monkeypatch.setattr(training, "fit", fit)
    best = 1
    with pytest.raises(SystemExit, match="those of epoch 1. They are in .*model"):
        finetune.main(options(files, tmp_path / "out"))
    assert models.TextClassifier.from_pretrained(tmp_path / "out" / "model").predict(["well"])
    best = 0
    with pytest.raises(SystemExit, match="epoch 1.$"):
        finetune.main(options(files, tmp_path / "other"))
    assert not (tmp_path / "other" / "model").exists()


@pytest.mark.parametrize(("error", "said"), [
    (MemoryError(), "There is not enough memory."),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), "not enough memory for the model itself"),
    (MemoryError("There is not enough memory for a single text"), "for a single text")])
def test_memory_that_is_full_before_the_training_is_one_sentence(files, tmp_path, monkeypatch, error, said):
    def full(*_):
        raise error
    monkeypatch.setattr(models, "TextClassifier", full)
    with pytest.raises(SystemExit) as end:
        finetune.main(options(files, tmp_path / "out"))
    assert said in str(end.value) and "\n" not in str(end.value)


def test_a_fault_of_the_program_is_not_taken_for_a_lack_of_memory(files, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "TextClassifier", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        finetune.main(options(files, tmp_path / "out"))


def test_the_confusion_matrix_has_true_labels_down_and_is_shaded_by_their_share():
    page = finetune._confusion(np.array([[9, 1, 0], [2, 0, 2], [0, 0, 0]]), ["退款", "a < b", "late"])
    head, *lines = re.findall("<tr>(.*?)</tr>", page)
    assert re.findall("<span>(.*?)</span>", head) == ["退款", "a &lt; b", "late"]
    found = {re.search("<th scope=row>(.*?)</th>", line)[1]:
             re.findall(r"<td class=(\w+) style=.*?/ ([\d.]+)\)\">(\d*)</td>", line) for line in lines}
    assert found == {"退款": [("dark", "0.90", "9"), ("light", "0.10", "1"), ("light", "0.00", "")],
                     "a &lt; b": [("light", "0.50", "2"), ("light", "0.00", ""), ("light", "0.50", "2")],
                     "late": [("light", "0.00", "")] * 3}


def test_up_to_forty_labels_have_a_confusion_matrix():
    rows = rows_of(list(range(40)), names=[f"label {i}" for i in range(40)])
    assert "<table class=confusion>" in page_of({"train": rows, "test": rows}, np.eye(40), run_of([], 1))


def test_of_many_labels_the_report_names_what_is_confused_most():
    names = [rf"label {i} costs $\frac$" for i in range(41)]
    truth = np.arange(82) % 41
    rows = rows_of(truth.tolist(), names=names)
    page = page_of({"train": rows, "test": rows}, np.eye(41)[np.where(truth == 3, 5, truth)], run_of([], 1))
    assert f"<tr><td>{names[3]}</td><td>{names[5]}</td><td>2</td></tr>" in page
    assert "of 41 labels cannot be read" in page
    plots.base64_png(plots.confusion(np.eye(2, dtype=int), names[:2]))  # a dollar is no formula


def test_a_report_is_named_after_its_folder_however_that_was_named(tmp_path, monkeypatch):
    (tmp_path / "my_model").mkdir()
    monkeypatch.chdir(tmp_path / "my_model")
    rows = rows_of([0, 1])
    for output in (".", "../my_model", str(tmp_path / "my_model")):
        page = page_of({"train": rows, "test": rows}, np.eye(2), run_of([], 1), output=output)
        assert "<title>Fine-tuning report: my_model</title>" in page


def test_of_many_labels_only_the_commonest_confusions_are_listed():
    truth = np.arange(82) % 41
    rows = rows_of(truth.tolist(), names=[f"label {i}" for i in range(41)])
    page = page_of({"train": rows, "test": rows}, np.eye(41)[np.where(truth < 20, truth + 20, truth)], run_of([], 1))
    assert page.split("confused most often")[1].split("</table>")[0].count("<td>2</td>") == finetune.WORST == 15


def test_a_text_in_two_files_is_found(files, tmp_path):
    with open(files["train"], encoding="utf-8") as file:
        first = list(csv.reader(file))[1]
    leaking = write_csv(tmp_path / "leaking.csv", [first, ("another one", "with"), ("a third", "without")])
    with pytest.raises(SystemExit, match=r"train.csv row 2 and leaking.csv row 2: the same text stands in 'train'"):
        finetune.main([*options(files, tmp_path / "out", test=False), "--test", leaking])


@pytest.mark.skipif(os.name != "posix", reason="this system ends a process without asking it")
@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on_and_does(files, tmp_path):
    command = [sys.executable, "-m", "sft_helpers.finetune", *options(files, tmp_path / "out"), "--epochs", "40",
               "--checkpoint-steps", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/checkpoints/step-*.safetensors")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _out, error = process.communicate(timeout=120)
    assert process.returncode == 1 and "Interrupted. Run the same command again" in error
    assert "Traceback" not in error
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Going on from update" in done.stdout
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.skipif(os.name != "posix", reason="several processes are tried where torch brings gloo and libuv")
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full", "frozen"])
def test_two_processes_write_one_report(files, tmp_path, mode):
    done = tiny.launch(2, "-m", "sft_helpers.finetune", *options(files, tmp_path / "out", "--mode", mode))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 processes" in done.stdout and done.stdout.count("test accuracy") == 1
    assert (tmp_path / "out" / "report.html").is_file()
    assert models.TextClassifier.from_pretrained(tmp_path / "out" / "model").predict(["a good cup"])


def test_help_names_the_defaults_that_are_used(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        finetune.main(["--help"])
    said = capsys.readouterr().out
    for field in dataclasses.fields(training.Config):
        if field.name in finetune.HELP:
            shown = re.search(re.escape(finetune.HELP[field.name]) + r" \(default: ([^,)]+)", said).group(1)
            assert shown == "off" if field.default is None else type(field.default)(shown) == field.default, field.name
    for name, value in finetune.FROZEN.items():
        default = getattr(training.Config(), name)
        assert f"{finetune.HELP[name]} (default: {default:g}, with --mode frozen {value:g})" in said


def test_help_names_every_setting(capsys):
    with pytest.raises(SystemExit) as end:
        finetune.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    for word in ("--mode", "--validation", "--precision", "--warmup", "--patience", "accelerate launch", "goes on"):
        assert word in said

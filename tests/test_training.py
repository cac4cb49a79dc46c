"""The training loop: what it computes, and what it does when something goes wrong."""

import gc
import math
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from tokenizers import normalizers

from sft_helpers import environment, features, models, storage, training

sys.path.insert(0, str(Path(__file__).parent))
import tiny  # noqa: E402

KILLS = int(os.environ.get("SFT_KILLS", "6"))  # `make test-deep` tries 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny") / "model"
    tiny.backbone(place)
    return place


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """The same without dropout."""
    place = tmp_path_factory.mktemp("still") / "model"
    tiny.backbone(place, dropout=0.0)
    return place


def largest_difference(first, second):
    return max((first[name] - second[name]).abs().max().item() for name in first)


def trained(place, config=tiny.CONFIG, train=60, **how):
    model = tiny.classifier(place, **how)
    history = training.fit(model, tiny.texts(train), tiny.texts(30, seed=1), config)
    return model, history


# ---- order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bucketing", [True, False])
@pytest.mark.parametrize("count", [1, 7, 8, 100, 1000])
def test_each_row_once_an_epoch_in_an_order_of_seed_and_epoch(count, bucketing):
    lengths = np.random.default_rng(0).integers(3, 60, count)
    plan = training.batches(lengths, 8, seed=1, epoch=0, bucketing=bucketing)
    assert sorted(np.concatenate(plan)) == list(range(count))
    assert sorted(map(len, plan), reverse=True)[:-1] == [8] * (len(plan) - 1)
    again = training.batches(lengths, 8, seed=1, epoch=0, bucketing=bucketing)
    assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))
    if count >= 100:
        for seed, epoch in ((1, 1), (2, 0), (0, 1)):
            other = training.batches(lengths, 8, seed=seed, epoch=epoch, bucketing=bucketing)
            assert not np.array_equal(np.concatenate(plan), np.concatenate(other))


def test_bucketing_saves_padding_and_keeps_some_chance():
    lengths = np.random.default_rng(0).integers(3, 120, 2000)

    def computed(bucketing):
        return sum(len(rows) * lengths[rows].max() for rows in training.batches(lengths, 32, 0, 0, bucketing))
    assert computed(True) < 1.1 * lengths.sum() < 1.6 * lengths.sum() < computed(False)
    means = [lengths[rows].mean() for rows in training.batches(lengths, 32, 0, 0)]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5  # not from short to long
    assert 0.3 < np.mean(np.diff(means) > 0) < 0.7  # nor so within each pool


@pytest.mark.parametrize(("count", "pool"), [(64, 16), (8000, 400)])
def test_no_batch_mixes_two_pools(count, pool):
    """A pool is 50 batches of shuffled rows, or a quarter of all rows where these are few."""
    order = np.random.default_rng([3, 1]).permutation(count)
    pools = [set(order[i:i + pool].tolist()) for i in range(0, count, pool)]
    plan = training.batches(np.random.default_rng(0).integers(3, 60, count), 8, seed=3, epoch=1)
    assert all(any(set(rows.tolist()) <= rows_of for rows_of in pools) for rows in plan)


# ---- what it computes ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_fit_is_the_plain_loop(still):
    """The same updates as a loop written out: AdamW, warm-up and decay, clipping, no decay on biases and norms."""
    config = training.Config(**{**tiny.CONFIG.__dict__, "weight_decay": 0.5, "label_smoothing": 0.1})
    data = tiny.texts(60)
    model, history = trained(still, config)
    plain = tiny.classifier(still)
    lengths = [len(ids) for ids in plain.tokenizer(list(data["text"]), truncation=True, max_length=32)["input_ids"]]
    groups = [{"params": [w], "lr": config.head_lr if name.startswith("head.") else config.lr,
               "weight_decay": config.weight_decay if w.ndim > 1 else 0.0}
              for name, w in plain.named_parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(groups)
    steps, warmup, losses, sizes = 24, 2, [], []
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (step + 1) / (warmup + 1) if step < warmup else (steps - step) / (steps - warmup))
    plain.train()
    states = []
    for epoch in range(3):
        for rows in training.batches(lengths, 8, 0, epoch):
            chosen = data.select(rows)
            inputs = plain.tokenizer(list(chosen["text"]), padding=True, return_tensors="pt")
            loss = torch.nn.functional.cross_entropy(plain(**inputs), torch.tensor(list(chosen["label"])),
                                                     label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            sizes.append(len(rows))
        states.append(tiny.weights(plain))
    assert np.allclose([step["loss"] for step in history.steps], losses, atol=1e-5)
    sums = np.multiply(losses, sizes).reshape(3, 8).sum(axis=1)  # of texts: the last batch is a small one
    assert [entry["train_loss"] for entry in history.epochs] == pytest.approx(sums / 60, abs=1e-5)
    assert largest_difference(tiny.weights(model), states[history.best_epoch - 1]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_the_rate_rises_and_then_falls_or_stays(still, schedule):
    """What the history tells: the backbone's rate, and the gradient's length before it is shortened."""
    config = training.Config(**{**tiny.CONFIG.__dict__, "schedule": schedule, "warmup": 0.25, "max_grad_norm": 1e-4})
    _model, history = trained(still, config)
    rising = np.arange(1, 7) / 7
    after = np.ones(18) if schedule == "constant" else np.arange(18, 0, -1) / 18
    assert [step["lr"] for step in history.steps] == pytest.approx(config.lr * np.concatenate([rising, after]))
    assert min(step["grad_norm"] for step in history.steps) > 1e-2


@pytest.mark.slow
def test_it_learns_and_keeps_the_best_epoch(folder):
    model, history = trained(folder, training.Config(epochs=12, batch_size=8, lr=2e-3, head_lr=1e-2), train=200)
    validation = tiny.texts(30, seed=1)
    scores = [entry["accuracy"] for entry in history.epochs]
    assert max(scores) > 0.9 and history.best["accuracy"] == max(scores)
    assert scores.index(max(scores)) == history.best_epoch - 1
    right = np.array(model.predict(validation["text"])) == np.array(["without", "with"])[validation["label"]]
    assert right.mean() == pytest.approx(max(scores))
    assert history.best_epoch < len(scores)  # or the last weights would do
    given = model.probabilities(validation["text"])[range(30), validation["label"]]
    assert history.best["loss"] == pytest.approx(-given.log().mean().item(), abs=1e-4)  # of these weights, at rest
    assert not model.training
    assert len(history.steps) == 12 * 25 and history.plot() is not None


@pytest.mark.slow
def test_the_best_weights_are_kept_where_no_file_can_be_written(folder, monkeypatch):
    config = training.Config(epochs=12, batch_size=8, lr=2e-3, head_lr=1e-2)
    expected, history = trained(folder, config, train=200)
    assert history.best_epoch < 12  # or the last weights would do

    def full(*_):
        raise SafetensorError("no space left on device")
    monkeypatch.setattr(training, "save_file", full)
    model, _ = trained(folder, config, train=200)
    assert largest_difference(tiny.weights(expected), tiny.weights(model)) == 0


@pytest.mark.slow
def test_loss_and_f1_can_be_the_measure(folder):
    _model, history = trained(folder, training.Config(epochs=3, batch_size=8, lr=2e-3, metric="loss"))
    assert history.best["loss"] == min(entry["loss"] for entry in history.epochs)
    _model, history = trained(folder, training.Config(epochs=3, batch_size=8, lr=2e-3, metric="f1"))
    assert history.best["f1"] == max(entry["f1"] for entry in history.epochs)


def scored(monkeypatch, **scores):
    """Let the epochs have these validation scores, whatever was learnt."""
    given = {"accuracy": [0.5] * 9, "f1": [0.5] * 9, "loss": [0.5] * 9, **scores}
    monkeypatch.setattr(training._Run, "_evaluate",
                        lambda self, _part: {name: values[self.epoch] for name, values in given.items()})


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "best"), [("accuracy", 1), ("f1", 2), ("loss", 3)])
def test_the_best_epoch_is_that_of_the_measure_asked_for(folder, monkeypatch, metric, best):
    scored(monkeypatch, accuracy=[0.9, 0.8, 0.7], f1=[0.7, 0.9, 0.8], loss=[0.9, 0.8, 0.7])
    _model, history = trained(folder, training.Config(epochs=3, batch_size=30, metric=metric), trained_layers=0)
    assert history.best_epoch == best


@pytest.mark.slow
def test_validation_scores_are_those_of_the_models_answers(folder):
    model, rows = tiny.classifier(folder, trained_layers=0), tiny.texts(30, seed=1)
    rows = rows.select(np.argsort(rows["label"], kind="stable")[:22])
    history = training.fit(model, tiny.texts(60), rows, training.Config(epochs=1, batch_size=8, label_smoothing=0.2))
    truth, answers = np.array(["without", "with"])[rows["label"]], np.array(model.predict(rows["text"]))
    accuracy, f1 = (truth == answers).mean(), f1_score(truth, answers, average="macro")
    assert (history.best["accuracy"], history.best["f1"]) == pytest.approx((accuracy, f1)) and abs(accuracy - f1) > 0.01
    given = model.probabilities(rows["text"])[range(22), rows["label"]]
    assert history.best["loss"] == pytest.approx(-given.log().mean().item(), abs=1e-5)  # no share of it is smoothed


@pytest.mark.slow
def test_a_head_alone_is_trained_at_its_own_rate_and_its_features_are_kept_where_asked(tmp_path, folder):
    features.forget()
    config = training.Config(epochs=1, batch_size=8, lr=0.5, head_lr=0.25, weight_decay=0.0, warmup=0.0,
                             schedule="constant")
    model = tiny.classifier(folder, trained_layers=0)
    before = tiny.weights(model)["head.weight"]
    history = training.fit(model, tiny.texts(8), tiny.texts(8, seed=1), config, feature_folder=tmp_path)
    assert [step["lr"] for step in history.steps] == [0.25]
    moved = (tiny.weights(model)["head.weight"] - before).abs().max().item()
    assert moved == pytest.approx(0.25, rel=0.01)  # Adam's first step is as long as the rate
    assert len(list(tmp_path.glob("features-*.safetensors"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("trained_layers", "pooling"), [("all", "mean"), ("all", "pooler"), (1, "pooler")])
def test_each_layer_below_another_learns_at_a_share_of_its_rate(still, trained_layers, pooling):
    """Adam's first step is as long as the rate, wherever there is a gradient."""
    model = tiny.classifier(still, trained_layers=trained_layers, pooling=pooling)
    before = tiny.weights(model)
    history = training.fit(model, tiny.texts(8), None, training.Config(
        epochs=1, batch_size=8, lr=1e-4, head_lr=1e-3, layer_decay=0.5, weight_decay=0.0, warmup=0.0))
    expected = {"head.": 1e-3, "backbone.pooler.": 1e-4 * (pooling == "pooler"), "backbone.encoder.layer.1.": 1e-4,
                "backbone.encoder.layer.0.": 5e-5 * (trained_layers == "all"),
                "backbone.embeddings.": 2.5e-5 * (trained_layers == "all")}
    for part, rate in expected.items():
        steps = [(weight - before[name]).abs().max().item() for name, weight in tiny.weights(model).items()
                 if name.startswith(part)]
        assert max(steps) == pytest.approx(rate, rel=0.01)
    assert [step["lr"] for step in history.steps] == [1e-4]  # the topmost layer's


@pytest.mark.slow
@pytest.mark.parametrize("bucketing", [True, False])
def test_texts_of_like_length_share_a_batch_unless_told_otherwise(folder, monkeypatch, bucketing):
    asked, batches = [], training.batches
    monkeypatch.setattr(training, "batches", lambda *given: asked.append(given) or batches(*given))
    training.fit(tiny.classifier(folder, trained_layers=0), tiny.texts(16), None,
                 training.Config(epochs=2, batch_size=8, seed=3, bucketing=bucketing))
    assert [given[1:] for given in asked] == [(8, 3, 0, bucketing), (8, 3, 1, bucketing)]


@pytest.mark.slow
def test_patience_ends_a_run_that_gains_nothing(folder):
    _model, history = trained(folder, training.Config(epochs=9, batch_size=8, lr=0.0, head_lr=0.0, patience=2))
    assert len(history.epochs) == 3 and history.best_epoch == 1


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [2, 3, 8])
def test_parts_of_a_batch_give_the_batch(still, accumulation):
    whole, _ = trained(still)
    parts, _ = trained(still, training.Config(**{**tiny.CONFIG.__dict__, "accumulation": accumulation}))
    assert largest_difference(tiny.weights(whole), tiny.weights(parts)) < 1e-5


@pytest.mark.slow
def test_what_is_frozen_stays_and_rests(folder):
    before = tiny.weights(tiny.classifier(folder, trained_layers=1))
    model, _ = trained(folder, trained_layers=1)
    moved = {name for name, weight in tiny.weights(model).items() if not torch.equal(weight, before[name])}
    assert moved and all(name.startswith(("head.", "backbone.encoder.layer.1.")) for name in moved)
    model.train()
    assert model.backbone.encoder.layer[1].training and not model.backbone.encoder.layer[0].training
    assert not model.backbone.embeddings.training


@pytest.mark.slow
def test_a_frozen_backbone_is_asked_once_for_each_text(folder):
    model = tiny.classifier(folder, trained_layers=0)
    asked = []
    model.backbone.register_forward_hook(lambda *_: asked.append(1))
    features.forget()
    training.fit(model, tiny.texts(64), tiny.texts(32, seed=1), training.Config(epochs=5, batch_size=8))
    assert len(asked) == 2 + 1
    training.fit(model, tiny.texts(64), tiny.texts(32, seed=1), training.Config(epochs=5, batch_size=8))
    assert len(asked) == 2 + 1


@pytest.mark.slow
def test_a_rate_of_zero_for_the_head_is_no_missing_rate(still):
    before = tiny.weights(tiny.classifier(still, dropout=0.0))
    model, _ = trained(still, training.Config(**{**tiny.CONFIG.__dict__, "head_lr": 0.0}))
    moved = {name for name, weight in tiny.weights(model).items() if not torch.equal(weight, before[name])}
    assert moved and not {"head.weight", "head.bias"} & moved


@pytest.mark.slow
def test_without_a_longest_gradient_none_is_shortened(still):
    """A head that answers forty times as loudly makes gradients longer than 1."""
    def run(longest):
        model = tiny.classifier(still, dropout=0.0)
        with torch.no_grad():
            model.head.weight *= 40
        config = training.Config(**{**tiny.CONFIG.__dict__, "epochs": 1, "max_grad_norm": longest})
        history = training.fit(model, tiny.texts(32), None, config)
        return tiny.weights(model), max(step["grad_norm"] for step in history.steps)
    (free, length), (bounded, _), (short, _) = run(None), run(1e9), run(1.0)
    assert length > 1.5 and largest_difference(free, bounded) == 0 and largest_difference(free, short) > 1e-6


@pytest.mark.slow
def test_two_runs_are_equal_and_other_seeds_differ(folder):
    first, _ = trained(folder)
    second, _ = trained(folder)
    other, _ = trained(folder, training.Config(**{**tiny.CONFIG.__dict__, "seed": 1}))
    assert largest_difference(tiny.weights(first), tiny.weights(second)) == 0
    assert largest_difference(tiny.weights(first), tiny.weights(other)) > 1e-4


@pytest.mark.slow
def test_runs_of_both_precisions_in_one_process(folder, capsys):
    config = {**tiny.CONFIG.__dict__, "epochs": 1}
    for precision, asked in (("bf16", {"precision": "bf16"}), ("fp32", {})):
        model, history = trained(folder, training.Config(**{**config, **asked}))
        assert history.precision == precision and math.isfinite(history.best["loss"])
        plain, inputs = tiny.classifier(folder).eval(), model.tokenizer("a good cup", return_tensors="pt")
        plain.load_state_dict(model.state_dict())
        assert torch.allclose(model(**inputs), plain(**inputs), atol=1e-6)  # what it became for training is gone
    if not training.cpu_has_bf16():
        assert "emulated" in capsys.readouterr().out


@pytest.mark.slow
def test_each_update_drops_other_places_and_the_seed_decides_which(folder):
    """Every batch is the same and nothing is learnt: what differs between the losses is dropout's doing."""
    rows = tiny.texts(1).select([0] * 32)

    def losses(seed):
        config = training.Config(epochs=1, batch_size=8, lr=0.0, head_lr=0.0, seed=seed)
        return [step["loss"] for step in training.fit(tiny.classifier(folder), rows, config=config).steps]
    assert losses(0) == losses(0)
    assert len({round(loss, 5) for seed in (0, 1) for loss in losses(seed)}) == 8


@pytest.mark.slow
def test_the_quicker_dropout_is_dropout_and_is_taken_back(folder):
    model = tiny.classifier(folder)
    attention = model.backbone.config._attn_implementation
    before = tiny.weights(model)
    as_before = training._quicken(model)
    part = model.backbone.embeddings.dropout
    x = torch.ones(300, 401, requires_grad=True)
    torch.manual_seed(3)
    y = part.train()(x)
    y.sum().backward()
    assert abs((y == 0).float().mean().item() - 0.1) < 0.005
    assert torch.allclose(y[y != 0], torch.tensor(1 / 0.9)) and torch.equal(x.grad, y.detach())
    torch.manual_seed(3)
    assert torch.equal(part(x), y) and not torch.equal(part(x), y)
    assert torch.equal(part.eval()(x), x)
    as_before()
    assert "forward" not in vars(part) and model.backbone.config._attn_implementation == attention
    assert not any(part._forward_pre_hooks for part in model.modules())
    assert largest_difference(before, tiny.weights(model)) == 0
    config = training.Config(**{**tiny.CONFIG.__dict__, "epochs": 1, "precision": "bf16"})
    training.fit(model, tiny.texts(20), config=config)
    assert "forward" not in vars(part) and model.backbone.config._attn_implementation == attention


def test_attention_written_out_is_attention_and_drops_some_of_its_weights(folder):
    model = tiny.classifier(folder)
    inputs = model.tokenizer(["good", "not so good , and much longer"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model.eval()(inputs["input_ids"], inputs["attention_mask"])
        training._quicken(model)
        with torch.autocast("cpu", torch.bfloat16):
            got = model(inputs["input_ids"], inputs["attention_mask"])
        assert torch.allclose(got.float(), expected, atol=0.01) and not torch.equal(got.float(), expected)
    query, key, value = (torch.randn(4, 2, 50, 8) for _ in range(3))
    mask = torch.zeros(4, 1, 1, 50)
    mask[:, :, :, 40:] = -torch.inf
    got, weights = training._attention(None, query, key, value, mask, 0.3, dropout=0.25)
    whole = torch.softmax(query @ key.transpose(2, 3) * 0.3 + mask, dim=-1)
    kept = weights != 0
    assert torch.allclose(weights[kept], whole[kept] / 0.75) and not weights[..., 40:].any()
    assert abs(kept[..., :40].float().mean().item() - 0.75) < 0.02
    assert torch.allclose(got, (weights @ value).transpose(1, 2))


@pytest.mark.parametrize("count", range(1, 9))
def test_the_quicker_dropout_has_dice_for_any_number_of_entries(count):
    assert set(training._dropped(torch.ones(1, count), 0.5).unique().tolist()) <= {0.0, 2.0}
    assert not training._dropped(torch.ones(1, count), 1).any()


def test_of_attention_nothing_is_kept_in_fp32_for_the_backward_pass(folder):
    model = tiny.classifier(folder).train()
    inputs = model.tokenizer(["good", "not so good , and much longer"], padding=True, return_tensors="pt")
    kept, length = [], inputs["input_ids"].shape[1]
    training._quicken(model)
    with (torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor),
          torch.autocast("cpu", torch.bfloat16)):
        model(inputs["input_ids"], inputs["attention_mask"])
    weights = {part.dtype for part in kept if part.shape[-2:] == (length, length)}
    assert torch.bfloat16 in weights and torch.float32 not in weights


def test_attention_written_out_bears_a_row_that_is_all_padding():
    query, key, value = (torch.randn(1, 1, 3, 4).bfloat16() for _ in range(3))
    mask = torch.full((1, 1, 1, 3), torch.finfo(torch.float32).min)
    got, weights = training._attention(None, query, key, value, mask, 0.5)
    assert torch.equal(weights.float(), torch.full((1, 1, 3, 3), 1 / 3).bfloat16().float()) and got.isfinite().all()


# ---- settings that make no sense -----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"accumulation": 33}, {"lr": -1.0},
                                   {"lr": math.nan}, {"warmup": 1.5}, {"schedule": "cosine"}, {"metric": "recall"},
                                   {"precision": "int8"}, {"patience": 0}, {"max_grad_norm": 0.0}, {"lr": math.inf},
                                   {"head_lr": -1.0}, {"head_lr": math.nan}, {"weight_decay": -1.0},
                                   {"weight_decay": math.inf}, {"accumulation": 0}, {"warmup": -0.1}, {"epochs": 2.5},
                                   {"batch_size": 8.0}, {"accumulation": 1.5}, {"patience": 1.5}, {"seed": 0.5},
                                   {"lr": "1e-4"}, {"lr": None}, {"head_lr": "1e-3"}, {"weight_decay": None},
                                   {"warmup": "0.1"}, {"max_grad_norm": "1"}, {"max_grad_norm": math.nan},
                                   {"bucketing": "no"}, {"seed": 2**32}, {"layer_decay": 0.0}, {"layer_decay": 1.1},
                                   {"layer_decay": "0.9"}, {"layer_decay": None}, {"label_smoothing": -0.1},
                                   {"label_smoothing": 1}, {"label_smoothing": "0.1"}])
def test_a_setting_that_makes_no_sense_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        training.Config(**wrong)


@pytest.mark.parametrize("limit", [{"warmup": 0}, {"warmup": 1}, {"accumulation": 32}, {"seed": 2**32 - 1}, {"lr": 0},
                                   {"max_grad_norm": math.inf}, {"head_lr": None}, {"bucketing": np.bool_(False)},
                                   {"layer_decay": 1}, {"layer_decay": np.float32(0.5)}, {"label_smoothing": 0}])
def test_a_setting_at_its_limit_is_taken(limit):
    assert {**training.Config().__dict__, **limit} == training.Config(**limit).__dict__


@pytest.mark.parametrize(("warmup", "rising"), [(0.0, 0), (0.15, 4), (0.1, 2), (1.0, 24)])
def test_the_warm_up_takes_the_nearest_whole_number_of_updates(warmup, rising):
    run = types.SimpleNamespace(config=training.Config(epochs=24, warmup=warmup), steps_per_epoch=1)
    rates = [training._Run._schedule(run, step) for step in range(24)]
    assert rates[:rising] == pytest.approx(np.arange(1, rising + 1) / (rising + 1))
    assert rates[rising:] == pytest.approx(np.arange(24 - rising, 0, -1) / (24 - rising) if rising < 24 else [])


@pytest.mark.parametrize(("rows", "said"), [
    ({"text": ["tea", "cup"], "label": [0, 2]}, "Row 1 of the {} data has the label 2; .* numbers from 0 to 1"),
    ({"text": ["tea", "cup"], "label": [-100, 1]}, "Row 0 of the {} data has the label -100"),
    ({"text": ["tea", "cup"], "label": ["without", "with"]}, "has the label 'without'"),
    ({"text": ["tea", "cup"], "label": [0.0, 1.0]}, "has the label 0.0"),
    ({"text": ["tea", "cup"], "label": [False, True]}, "has the label False"),
    ({"text": ["tea", "cup"], "label": [1, None]}, "Row 1 of the {} data has the label None"),
    ({"text": ["tea", None], "label": [0, 1]}, "Row 1 of the {} data holds no text, but None; leave it out"),
    ({"review": ["tea", "cup"], "label": [0, 1]}, "The {} data lack the column 'text'"),
    ({"text": ["tea", "cup"], "sentiment": [0, 1]}, "The {} data lack the column 'label'")])
def test_rows_that_cannot_be_learnt_from_are_named(folder, rows, said):
    model, good, bad = tiny.classifier(folder), tiny.texts(8), Dataset.from_dict(rows)
    for name, splits in (("training", (bad, good)), ("validation", (good, bad))):
        with pytest.raises(training.TrainingError, match=said.format(name)):
            training.fit(model, *splits, tiny.CONFIG)


@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_checkpoint_steps_that_would_be_ignored_are_refused(tmp_path, folder, steps):
    with pytest.raises(training.TrainingError, match=f"checkpoint_steps = {steps} makes no sense: it is 1 or more"):
        training.fit(tiny.classifier(folder), tiny.texts(8), None, tiny.CONFIG, tmp_path, steps)
    with pytest.raises(training.TrainingError, match="checkpoint_steps = 3 .* with a folder for checkpoints"):
        training.fit(tiny.classifier(folder), tiny.texts(8), None, tiny.CONFIG, checkpoint_steps=3)


def test_fp16_without_a_gpu_is_refused(folder):
    if environment.device().type == "cuda":
        pytest.skip("there is a GPU")
    with pytest.raises(training.TrainingError, match="fp16 needs a CUDA GPU"):
        trained(folder, training.Config(precision="fp16"))


def test_validation_without_texts_and_patience_without_validation_are_refused(folder):
    with pytest.raises(training.TrainingError, match="no validation examples"):
        training.fit(tiny.classifier(folder), tiny.texts(20), tiny.texts(20).select([]), tiny.CONFIG)
    with pytest.raises(training.TrainingError, match="patience needs validation"):
        training.fit(tiny.classifier(folder), tiny.texts(20), config=training.Config(patience=2))


def test_tokens_that_find_no_room_are_an_error_that_names_the_way_out(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")
    rows = tiny.texts(20)
    monkeypatch.setattr(type(rows), "map", full)
    with pytest.raises(storage.StorageError, match=r"No space left on device\); make room there.*TMPDIR"):
        training.fit(tiny.classifier(folder), rows, None, tiny.CONFIG)


# ---- what goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_best(folder):
    model = tiny.classifier(folder)
    config = training.Config(epochs=4, batch_size=8, lr=1e30, head_lr=1e30, warmup=0.0, max_grad_norm=None)
    before = tiny.weights(model)
    with pytest.raises(training.TrainingError, match=r"at update 2 \(epoch 1\).*learning rate.*it started with"):
        training.fit(model, tiny.texts(60), tiny.texts(30, seed=1), config)
    assert largest_difference(tiny.weights(model), before) == 0
    assert not model.training


def test_it_names_damaged_features(folder):
    model = tiny.classifier(folder, trained_layers=0)
    with torch.no_grad():
        model.backbone.embeddings.LayerNorm.bias[0] = math.nan
    with pytest.raises(training.TrainingError, match="features that are not finite"):
        training.fit(model, tiny.texts(20), None, training.Config(epochs=1, batch_size=8))


class Small(models.TextClassifier):
    """A device that has room for so many examples only, and for twice as many without their gradients."""

    room, seen, words = 3, [], "CUDA out of memory. Tried to allocate 9 GiB"

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        if len(input_ids) > self.room * (1 if self.training else 2):
            raise RuntimeError(self.words)
        if self.training:
            self.seen.append(len(input_ids))
        return super().forward(input_ids, attention_mask, token_type_ids)


@pytest.mark.slow
@pytest.mark.parametrize("words", [
    "CUDA out of memory. Tried to allocate 9 GiB", "MPS backend out of memory (MPS allocated: 9 GB",
    "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."])
def test_out_of_memory_halves_the_part_and_keeps_the_batch(still, capsys, words):
    model = tiny.classifier(still)
    model.__class__ = Small
    Small.room, Small.seen, Small.words = 3, [], words
    history = training.fit(model, tiny.texts(60), tiny.texts(30, seed=1), tiny.CONFIG)
    said = capsys.readouterr().out
    assert "with 4 examples at a time, 8 an update" in said and "with 2 examples" in said
    assert set(Small.seen) <= {1, 2} and sum(Small.seen) == 3 * 60 and len(history.steps) == 24
    whole, _ = trained(still)
    assert largest_difference(tiny.weights(whole), tiny.weights(model)) < 1e-5


@pytest.mark.slow
def test_no_room_for_one_example_is_said(still):
    model = tiny.classifier(still)
    model.__class__ = Small
    Small.room = 0
    with pytest.raises(training.TrainingError, match="not enough memory for a single example"):
        training.fit(model, tiny.texts(20), None, tiny.CONFIG)


# ---- interrupted ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start():
    """Start ``tiny.main`` in a process of its own, forked from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiny"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)

        def begin(place, result):
            process = context.Process(target=tiny.main, args=(str(place), str(result)))
            process.start()
            return process
        yield begin


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, start):
    """The final weights of an undisturbed run, and its seconds."""
    for place in (tmp_path_factory.mktemp("undisturbed") for _run in range(2)):  # the first one warms up
        began = time.perf_counter()
        process = start(place, place / "weights.safetensors")
        process.join(300)
        assert process.exitcode == 0
    return load_file(place / "weights.safetensors"), time.perf_counter() - began


@pytest.mark.skipif(os.name != "posix", reason="no forkserver and no SIGKILL on this system")
@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path, start, uninterrupted):
    """One run after another is killed up to five times, at any moment from its start on, and then left alone."""
    expected, seconds = uninterrupted
    chance, killed = random.Random(time.time_ns()), 0
    while killed < KILLS:
        place, result = tmp_path / "run", tmp_path / "weights.safetensors"
        tiny.backbone(place / "model")  # whole before the first kill: what may be cut short is the training
        for _time in range(chance.randint(1, 5)):
            process = start(place, result)
            process.join(chance.uniform(0, seconds))
            process.kill()
            process.join()
            killed += process.exitcode == -signal.SIGKILL
        process = start(place, result)
        process.join(300)
        assert process.exitcode == 0
        assert largest_difference(load_file(result), expected) == 0
        shutil.rmtree(place)
        result.unlink()
    print(f"killed {killed} times")


class StopError(Exception):
    pass


def interrupted(place, folder, after, checkpoint_steps=1, config=tiny.CONFIG):
    """Train and stop after so many updates."""
    model = tiny.classifier(folder)
    count = []

    def stop(*_):
        count.append(1)
        if len(count) > after:
            raise StopError
    handle = model.head.register_forward_pre_hook(lambda *_: stop() if model.training else None)
    with pytest.raises(StopError):
        training.fit(model, tiny.texts(60), tiny.texts(30, seed=1), config, place, checkpoint_steps)
    handle.remove()


def resumed(place, folder, config=tiny.CONFIG, train=60):
    model = tiny.classifier(folder, seed=99)  # another head to start from: the checkpoint decides
    history = training.fit(model, tiny.texts(train), tiny.texts(30, seed=1), config, place, 1)
    return model, history


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 8, 11, 16, 23])
def test_resumed_it_ends_with_the_same_weights_and_history(tmp_path, folder, after, capsys):
    whole, history = trained(folder)
    interrupted(tmp_path, folder, after)
    model, again = resumed(tmp_path, folder)
    assert f"Going on from update {after} (epoch {-(-after // 8)})" in capsys.readouterr().out
    assert largest_difference(tiny.weights(whole), tiny.weights(model)) == 0
    assert again.steps == history.steps and again.epochs == history.epochs
    assert again.best_epoch == history.best_epoch
    finished, once_more = resumed(tmp_path, folder)
    assert once_more.steps == history.steps
    assert largest_difference(tiny.weights(whole), tiny.weights(finished)) == 0


@pytest.mark.slow
def test_after_an_interruption_the_best_weights_are_those_of_the_best_epoch(tmp_path, folder, monkeypatch):
    scored(monkeypatch, accuracy=[0.9, 0.8, 0.7])
    first, _history = trained(folder, training.Config(**{**tiny.CONFIG.__dict__, "patience": 1}))
    config = training.Config(**{**tiny.CONFIG.__dict__, "patience": 2})
    expected, _history = trained(folder, config)
    assert largest_difference(tiny.weights(expected), tiny.weights(first)) == 0  # both are those of the first epoch
    interrupted(tmp_path, folder, 11, config=config)
    model, history = resumed(tmp_path, folder, config)
    assert history.best_epoch == 1 and largest_difference(tiny.weights(model), tiny.weights(expected)) == 0


@pytest.mark.slow
def test_a_checkpoint_of_another_precision_is_refused_though_the_setting_is_the_same(tmp_path, folder, monkeypatch):
    """Begun on a GPU, where "auto" is bf16, and taken up on a CPU."""
    config = training.Config(epochs=1, batch_size=8)
    training.fit(tiny.classifier(folder, trained_layers=0), tiny.texts(8), None, config, tmp_path)
    monkeypatch.setattr(training, "_precision", lambda *_: "bf16")
    with pytest.raises(training.TrainingError, match="changed since: precision fp32 → bf16"):
        training.fit(tiny.classifier(folder, trained_layers=0), tiny.texts(8), None, config, tmp_path)


@pytest.mark.slow
def test_patience_and_the_best_score_go_on_counting_after_an_interruption(tmp_path, folder):
    config = training.Config(epochs=6, batch_size=8, lr=0.0, head_lr=0.0, patience=2)  # none beats the first
    interrupted(tmp_path, folder, 18, config=config)  # in the third epoch of 8 updates
    _, history = resumed(tmp_path, folder, config)
    assert history.best_epoch == 1 and [entry["epoch"] for entry in history.epochs] == [1, 2, 3]
    assert [entry["step"] for entry in history.steps] == list(range(1, 25))


@pytest.mark.slow
@pytest.mark.parametrize("damage", [lambda raw: raw[:len(raw) // 2], lambda raw: b"",
                                    lambda raw: raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:],
                                    lambda raw: raw[:40] + b"~" + raw[41:]])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(tmp_path, folder, damage, capsys):
    whole, _history = trained(folder)
    interrupted(tmp_path, folder, 12)
    newest = sorted(tmp_path.glob("step-*"))[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    (tmp_path / "step-00000099.part").write_bytes(b"left over")
    model, _ = resumed(tmp_path, folder)
    said = capsys.readouterr().out
    assert f"{newest.name} is damaged; the one before it is used" in said and "from update 11" in said
    assert largest_difference(tiny.weights(whole), tiny.weights(model)) == 0
    assert not list(tmp_path.glob("*.part")) and len(list(tmp_path.glob("step-*"))) == 2


@pytest.mark.slow
def test_without_any_whole_checkpoint_it_says_so_and_begins_again(tmp_path, folder, capsys):
    interrupted(tmp_path, folder, 3)
    for path in tmp_path.glob("step-*"):
        path.write_bytes(b"")
    training.fit(tiny.classifier(folder), tiny.texts(60), tiny.texts(30, seed=1), tiny.CONFIG, tmp_path)
    assert "training starts from the beginning" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("config", "train", "named"), [
    ({"lr": 5e-4}, 60, "lr 0.001 → 0.0005"), ({"epochs": 4}, 60, "epochs 3 → 4"), ({}, 61, "training data")])
def test_a_checkpoint_of_another_run_is_refused(tmp_path, folder, config, train, named):
    interrupted(tmp_path, folder, 3)
    with pytest.raises(training.TrainingError, match=f"belong to another run; changed since: .*{named}"):
        resumed(tmp_path, folder, training.Config(**{**tiny.CONFIG.__dict__, **config}), train)
    assert list(tmp_path.glob("step-*"))


def turned(rows):
    return rows.map(lambda row: {"label": 1 - row["label"]})


@pytest.mark.slow
@pytest.mark.parametrize(("train", "validation", "named"), [
    (turned(tiny.texts(60)), tiny.texts(30, seed=1), "training data"),  # the same texts
    (tiny.texts(60), turned(tiny.texts(30, seed=1)), "validation data"),
    (tiny.texts(60), tiny.texts(30, seed=2), "validation data"),
    (tiny.texts(60), None, "validation data")])
def test_a_checkpoint_of_a_run_on_other_data_is_refused(tmp_path, folder, train, validation, named):
    interrupted(tmp_path, folder, 3)
    with pytest.raises(training.TrainingError, match=f"belong to another run; changed since: {named}"):
        training.fit(tiny.classifier(folder), train, validation, tiny.CONFIG, tmp_path)


def reread(model, how):
    if how == "another activation":
        model.backbone.config.hidden_act = "relu"
    elif how == "cut on the left":
        model.tokenizer.truncation_side = "left"
    elif how == "other labels":
        model.id2label = {i: f"{label}!" for i, label in model.id2label.items()}
    return model


@pytest.mark.slow
@pytest.mark.parametrize("how", ["another activation", "cut on the left", "other labels"])
def test_a_checkpoint_is_refused_where_the_same_weights_are_read_otherwise(tmp_path, folder, how):
    interrupted(tmp_path, folder, 3)
    with pytest.raises(training.TrainingError, match="belong to another run"):
        training.fit(reread(tiny.classifier(folder), how), tiny.texts(60), tiny.texts(30, seed=1), tiny.CONFIG,
                     tmp_path)


@pytest.mark.slow
def test_a_checkpoint_is_refused_on_top_of_other_weights_of_the_same_shape(tmp_path, folder):
    interrupted(tmp_path / "run", folder, 3)
    shutil.copytree(folder, tmp_path / "other")
    weights = load_file(tmp_path / "other" / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7] += 1
    save_file(weights, tmp_path / "other" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(training.TrainingError, match="belong to another run; changed since: backbone"):
        resumed(tmp_path / "run", tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"pooling": "cls"}, {"max_length": 16}, {"trained_layers": 1}])
def test_a_checkpoint_of_another_model_is_refused(tmp_path, folder, how):
    interrupted(tmp_path, folder, 3)
    with pytest.raises(training.TrainingError, match="belong to another run"):
        training.fit(tiny.classifier(folder, **how), tiny.texts(60), tiny.texts(30, seed=1), tiny.CONFIG, tmp_path)


@pytest.mark.slow
def test_checkpoints_come_every_so_many_updates_and_after_each_epoch(tmp_path, folder, monkeypatch):
    saved, save = [], storage.Checkpoints.save
    monkeypatch.setattr(storage.Checkpoints, "save", lambda self, step, *rest: saved.append(step) or save(self, step,
                                                                                                        *rest))
    training.fit(tiny.classifier(folder), tiny.texts(60), None, tiny.CONFIG, tmp_path, 3)
    assert sorted(set(saved)) == [3, 6, 8, 9, 12, 15, 16, 18, 21, 24]


@pytest.mark.slow
def test_a_checkpoint_on_top_of_another_frozen_backbone_is_refused(tmp_path, folder):
    config = training.Config(epochs=1, batch_size=8)
    training.fit(tiny.classifier(folder, trained_layers=1), tiny.texts(20), None, config, tmp_path)
    other = tiny.classifier(folder, trained_layers=1)
    with torch.no_grad():
        other.backbone.embeddings.word_embeddings.weight[7] += 1
    with pytest.raises(training.TrainingError, match="belong to another run"):
        training.fit(other, tiny.texts(20), None, config, tmp_path)


FULL_DISK = """
import pathlib, resource, signal, sys
sys.path.insert(0, {tests!r})
import tiny
from sft_helpers import training
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
model = tiny.classifier({model!r})
def fill(*_):
    if list(pathlib.Path({place!r}).glob("step-*")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, -1))
model.head.register_forward_pre_hook(fill)
training.fit(model, tiny.texts(60), None, tiny.CONFIG, {place!r}, 1)
"""


@pytest.mark.skipif(os.name != "posix", reason="this system has no limit on the size of files")
@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_leaves_the_last_checkpoint_whole(tmp_path, folder):
    place = tmp_path / "checkpoints"
    code = FULL_DISK.format(tests=str(Path(__file__).parent), model=str(folder), place=str(place))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    last = done.stderr.strip().splitlines()[-1]
    assert "StorageError" in last and "what was there before is whole" in last and "run the same call again" in last
    assert [path.name[:13] for path in place.iterdir()] == ["step-00000001"]
    tensors, state = storage.Checkpoints(place).load()
    assert state["step"] == 1 and tensors


# ---- features ------------------------------------------------------------------------------------------------


def test_features_are_kept_under_all_that_they_depend_on(tmp_path, folder):
    model, texts = tiny.classifier(folder, trained_layers=0), list(tiny.texts(20)["text"])
    asked = []
    model.backbone.register_forward_hook(lambda *_: asked.append(1))

    def computed(texts=texts):
        before = len(asked)
        features.forget()
        vectors = features.compute(model, texts, tmp_path)
        return len(asked) > before, vectors
    assert computed()[0] and not computed()[0]
    assert computed(texts[::-1])[0]
    assert not computed(texts[::-1])[0]
    for how in ("another activation", "cut on the left"):
        reread(model, how)
        assert computed()[0] and not computed()[0]
    model.pooling = "cls"
    assert computed()[0]
    model.pooling, model.max_length = "mean", 4
    assert computed()[0]
    model.max_length = 32
    fresh, before = computed()
    assert not fresh
    with torch.no_grad():
        model.backbone.encoder.layer[0].output.dense.weight[0, 0] += 1.0
    fresh, after = computed()
    assert fresh and not torch.equal(before, after)
    model.tokenizer(["a text"], padding="max_length", max_length=9, truncation=True)  # leaves its mark, but on no token
    assert not computed()[0]
    backend = model.tokenizer.backend_tokenizer
    backend.normalizer = normalizers.Sequence([backend.normalizer, normalizers.Replace("tea", "soup")])
    fresh, other = computed()
    assert fresh and not torch.equal(after, other)


@pytest.mark.parametrize("damage", [lambda raw: raw[:200], lambda raw: raw[:-2] + b"??"])
def test_damaged_features_are_computed_anew(tmp_path, folder, damage, capsys):
    model, texts = tiny.classifier(folder, trained_layers=0), list(tiny.texts(20)["text"])
    right = features.compute(model, texts, tmp_path).clone()
    features.forget()
    features.compute(model, texts, tmp_path)
    (path,) = tmp_path.glob("features-*") if list(tmp_path.glob("features-*")) else (None,)
    path.write_bytes(damage(path.read_bytes()))
    features.forget()
    assert torch.equal(features.compute(model, texts, tmp_path), right)
    assert "damaged and are computed anew" in capsys.readouterr().out


def test_a_probe_is_the_logistic_regression_on_standardised_features(folder):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, model = tiny.texts(80), tiny.classifier(folder, trained_layers=0)
    features.probe(model, list(rows["text"]), rows["label"], C=1.0)
    x = features.compute(model, list(rows["text"])).numpy()
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=10_000)).fit(x, list(rows["label"]))
    assert np.allclose(model.probabilities(list(rows["text"])).numpy(), peer.predict_proba(x), atol=1e-3)


def test_a_probes_features_are_kept_on_disk_where_a_folder_is_named(tmp_path, folder):
    features.forget()
    rows = tiny.texts(20)
    features.probe(tiny.classifier(folder, trained_layers=0), list(rows["text"]), rows["label"], folder=tmp_path)
    (kept,) = tmp_path.glob("features-*.safetensors")
    assert len(load_file(kept)["features"]) == 20


def test_a_label_that_no_text_has_is_never_predicted():
    random = np.random.default_rng(0)
    vectors, labels = torch.tensor(random.normal(size=(60, 5))).float(), random.choice([0, 2], 60)
    weight, bias = features.fit_head(vectors, labels, 4)
    logits = torch.tensor(random.normal(size=(500, 5))).float() * 20 @ weight.T + bias
    assert set(logits.argmax(dim=1).tolist()) == {0, 2}
    assert logits.softmax(dim=1)[:, [1, 3]].max() < 1e-6


def test_a_feature_that_hardly_varies_is_not_blown_up():
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(60, 5)), random.integers(0, 2, 60)
    x[:, 3] = 0.5 + 1e-9 * labels  # dead, but for a trace that would give the labels away
    weight, bias = features.fit_head(torch.tensor(x), labels, 2)
    moved = x + 0.01 * np.eye(5)[3]
    before, after = (torch.tensor(rows).float() @ weight.T + bias for rows in (x, moved))
    assert torch.allclose(before, after, atol=1e-2)


# ---- several processes ---------------------------------------------------------------------------------------


def launched(place, processes, program="tiny.py", last="0"):
    """Train with so many processes; without dropout, whose dice differ between processes."""
    tiny.backbone(place / "model", dropout=0.0)
    return tiny.launch(processes, Path(__file__).parent / program, place, place / "weights.safetensors", last)


def agree(place, other):
    """True if two runs end with the same weights, and had the same losses, and the same length of gradient at every
    update: the weights alone would not show that an example is counted twice, since clipping and Adam divide a factor
    out."""
    states = [storage.Checkpoints(run / "checkpoints").load()[1] for run in (place, other)]
    steps = [[(step["loss"], step["grad_norm"]) for step in state["steps"]] for state in states]
    validation = [[entry["loss"] for entry in state["epochs"]] for state in states]
    weights = [load_file(run / "weights.safetensors") for run in (place, other)]
    return (largest_difference(*weights) < 1e-5 and np.allclose(*steps, rtol=1e-4, atol=1e-5)
            and np.allclose(*validation, rtol=1e-4, atol=1e-5))


@pytest.fixture(scope="module")
def by_one_process(tmp_path_factory):
    place = tmp_path_factory.mktemp("one")
    done = launched(place, 1)
    assert done.returncode == 0 and "1 processes" in done.stdout, done.stderr[-3000:]
    return place


@pytest.mark.skipif(os.name != "posix", reason="several processes are tried where torch brings gloo and libuv")
@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path, by_one_process):
    done = launched(tmp_path, 2)
    assert done.returncode == 0 and "2 processes, MULTI_CPU" in done.stdout, done.stderr[-3000:]
    assert agree(tmp_path, by_one_process)


@pytest.mark.skipif(os.name != "posix", reason="several processes are tried where torch brings gloo and libuv")
@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [0, 11])
def test_a_model_cut_up_among_two_processes_ends_as_a_whole_one(tmp_path, by_one_process, stop_after):
    """FSDP, without an interruption and with one."""
    if stop_after:
        stopped = launched(tmp_path, 2, "sharded.py", str(stop_after))
        assert stopped.returncode and "TypeError" not in stopped.stderr, stopped.stderr[-3000:]
    done = launched(tmp_path, 2, "sharded.py")
    assert done.returncode == 0 and "2 processes, FSDP" in done.stdout, done.stderr[-3000:]
    assert f"Going on from update {stop_after}" in done.stdout or not stop_after
    assert agree(tmp_path, by_one_process)


# ---- what other machines and other ends of a run would show --------------------------------------------------


@pytest.mark.slow
def test_numbers_of_numpy_are_taken_and_go_into_a_checkpoint(tmp_path, folder):
    config = training.Config(epochs=np.int64(1), batch_size=np.int32(8), seed=np.uint8(0), lr=np.float32(1e-3),
                             bucketing=np.bool_(True))
    training.fit(tiny.classifier(folder), tiny.texts(16), None, config, tmp_path)
    assert list(tmp_path.glob("step-00000002*"))


def test_a_width_is_rounded_up_to_the_multiple_that_a_gpu_likes(tmp_path, folder):
    texts = training._Texts(tiny.texts(9), tiny.classifier(folder), tmp_path / "texts.arrow")
    ids, mask = texts.batch(np.arange(9), 8)
    assert ids.shape[1] == mask.shape[1] == -(-texts.lengths.max() // 8) * 8
    assert mask.sum(dim=1).tolist() == texts.lengths.tolist()


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_are_touched(folder):
    model = tiny.classifier(folder)
    before = tiny.weights(model)
    model.head.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(training.NotFiniteError, match="The gradient became .* at update 1"):
        training.fit(model, tiny.texts(8), None, training.Config(epochs=1, batch_size=8))
    assert largest_difference(before, tiny.weights(model)) == 0


@pytest.mark.slow
def test_weights_that_the_last_update_threw_out_of_range_are_noticed_on_validation(folder):
    config = training.Config(epochs=1, batch_size=60, lr=1e30, head_lr=1e30, warmup=0.0, max_grad_norm=None)
    with pytest.raises(training.NotFiniteError, match=r"validation loss became .* after update 1 \(epoch 1\)"):
        training.fit(tiny.classifier(folder), tiny.texts(60), tiny.texts(30, seed=1), config)


@pytest.mark.slow
def test_without_validation_the_weights_of_the_last_whole_epoch_are_kept_and_named(folder):
    model, calls = tiny.classifier(folder), []

    def spoil(_part, _given, logits):
        calls.append(1)
        return logits * math.nan if len(calls) > 1 else logits
    model.head.register_forward_hook(spoil)
    with pytest.raises(training.NotFiniteError, match="those of epoch 1") as stop:
        training.fit(model, tiny.texts(8), None, training.Config(epochs=3, batch_size=8))
    assert stop.value.epoch == 1


@pytest.mark.slow
def test_with_validation_the_weights_of_the_best_epoch_are_kept_and_named(folder, monkeypatch):
    scored(monkeypatch, accuracy=[0.9, 0.8, 0.7])
    model, calls = tiny.classifier(folder, trained_layers=0), []
    model.head.register_forward_hook(lambda _part, _given, logits: calls.append(1) or (
        logits * math.nan if len(calls) > 2 else logits))
    with pytest.raises(training.NotFiniteError, match=r"update 3 \(epoch 3\).*those of epoch 1") as stop:
        training.fit(model, tiny.texts(8), tiny.texts(8, seed=1), training.Config(epochs=3, batch_size=8))
    assert stop.value.epoch == 1


@pytest.mark.slow
def test_a_frozen_backbones_features_are_trained_on_in_bf16_too(folder):
    config = training.Config(epochs=1, batch_size=8, precision="bf16")
    assert training.fit(tiny.classifier(folder, trained_layers=0), tiny.texts(16), None, config).precision == "bf16"


@pytest.mark.parametrize(("own", "auto"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_trains_in_the_16_bits_that_it_has(monkeypatch, capsys, own, auto):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: own or including_emulation)
    assert training._precision("auto", torch.device("cuda")) == auto and not capsys.readouterr().out
    assert training._precision("bf16", torch.device("cuda")) == "bf16"
    assert ("it is emulated" in capsys.readouterr().out) is not own


def test_one_of_two_instruction_sets_is_enough_for_bf16(monkeypatch):
    for avx, amx in ((True, False), (False, True), (False, False)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert training.cpu_has_bf16() is (avx or amx)


@pytest.mark.slow
def test_a_run_tells_its_seconds_and_leaves_nothing_in_the_folder_for_temporary_files(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    began = time.perf_counter()
    history = training.fit(tiny.classifier(folder), tiny.texts(8), tiny.texts(8, seed=1), training.Config(epochs=1))
    assert 0 < history.seconds < time.perf_counter() - began
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_without_validation_the_last_epoch_is_the_best_and_no_gradient_stays(folder):
    model = tiny.classifier(folder)
    history = training.fit(model, tiny.texts(16), None, training.Config(epochs=2, batch_size=8))
    assert history.best is history.epochs[-1] and len(history.epochs) == 2
    assert all(weight.grad is None for weight in model.parameters())


def test_no_examples_is_said(folder):
    with pytest.raises(training.TrainingError, match="no training examples"):
        training.fit(tiny.classifier(folder), tiny.texts(2).select([]))


@pytest.mark.slow
def test_the_bar_shows_the_newest_loss_and_score(folder, monkeypatch):
    shown, say = [], training._Run._shown
    monkeypatch.setattr(training._Run, "_shown", lambda self: shown.append(say(self)) or shown[-1])
    config = training.Config(epochs=2, batch_size=8)
    history = training.fit(tiny.classifier(folder), tiny.texts(16), tiny.texts(10, seed=1), config)
    assert [one["loss"] for one in shown] == [f"{step['loss']:.3f}" for step in history.steps]
    assert [one.get("accuracy") for one in shown] == [None] * 2 + [f"{history.epochs[0]['accuracy']:.3f}"] * 2


@pytest.mark.slow
def test_processes_throw_dice_of_their_own(folder, monkeypatch):
    """Two processes that dropped the same places would have less noise than one with the whole batch."""
    thrown, sequence = [], np.random.SeedSequence
    monkeypatch.setattr(np.random, "SeedSequence", lambda parts: thrown.append(parts) or sequence(parts))
    for index in (0, 1):
        monkeypatch.setattr(training.Accelerator, "process_index", property(lambda _self, index=index: index))
        training.fit(tiny.classifier(folder), tiny.texts(16), None, training.Config(epochs=1, batch_size=8, seed=5))
    assert thrown == [(5, 0, 0), (5, 1, 0), (5, 0, 1), (5, 1, 1)]
    assert len({int(sequence(parts).generate_state(1)[0]) for parts in thrown}) == 4

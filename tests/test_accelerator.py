"""Training, frozen features and prediction on a device that is not the CPU, without a GPU at hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import standin  # noqa: E402
import tiny  # noqa: E402

from sft_helpers import environment, features, models, training  # noqa: E402

LAYERS = ["all", 1, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("standin") / "model"
    tiny.backbone(place, dropout=0.0)
    return place


def run(folder, layers, config=tiny.CONFIG):
    features.forget()
    model = tiny.classifier(folder, trained_layers=layers)
    history = training.fit(model, tiny.texts(60), tiny.texts(30, seed=1), config)
    return model, history


def test_the_stand_in_notices_what_a_gpu_would():
    with standin.accelerator():
        device = environment.device()
        here = torch.ones(2, 3, device=device)
        assert here.device.type == standin.DEVICE and (here @ here.T).device == here.device
        with pytest.raises(RuntimeError, match="still on the CPU"):
            here + torch.ones(2, 3)
        weight = torch.nn.Linear(3, 2)
        with pytest.raises(RuntimeError, match="still on the CPU"):
            weight(here)
        weight.to(device)(here).sum().backward()
        assert weight.weight.grad.device.type == standin.DEVICE


@pytest.mark.slow
@pytest.mark.parametrize("layers", LAYERS)
def test_a_run_on_another_device_is_the_run_on_the_cpu(folder, layers):
    expected, on_cpu = run(folder, layers)
    with standin.accelerator():
        model, history = run(folder, layers)
        assert {weight.device.type for weight in model.parameters()} == {standin.DEVICE}
        texts = list(tiny.texts(20, seed=2)["text"])
        probabilities = model.probabilities(texts)
        assert probabilities.device.type == "cpu" and model.predict(texts) == expected.predict(texts)
        weights = tiny.weights(model)
    assert np.allclose([step["loss"] for step in history.steps], [step["loss"] for step in on_cpu.steps], atol=1e-5)
    assert history.best_epoch == on_cpu.best_epoch
    assert max((weights[name] - weight).abs().max().item() for name, weight in tiny.weights(expected).items()) < 1e-5
    assert torch.allclose(probabilities, expected.probabilities(texts), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layers", LAYERS)
def test_no_weight_gradient_or_activation_comes_back_in_a_step(folder, layers):
    """What a longer run copies more than a shorter one is what its steps copy."""
    copied = []
    with standin.accelerator() as device:
        features.forget()
        model = tiny.classifier(folder, trained_layers=layers)
        for count in (40, 80):  # the same number of epochs, with 5 and 10 steps
            features.compute(model, list(tiny.texts(count)["text"])) if layers == 0 else None
            device.forget()
            training.fit(model, tiny.texts(count), config=training.Config(epochs=1, batch_size=8))
            copied.append((len(device.down), sum(device.down), device.asked))
    (calls, size, asked), (more_calls, more_size, more_asked) = copied
    assert more_calls == calls and more_size == size
    assert more_asked - asked <= 3 * 5  # loss, length of the gradient, and one for the library


def test_features_of_a_frozen_backbone_are_made_on_the_device_and_kept_on_the_cpu(folder):
    with standin.accelerator() as device:
        features.forget()
        model = tiny.classifier(folder, trained_layers=0)
        device.forget()
        vectors = features.compute(model, list(tiny.texts(40)["text"]))
        assert vectors.device.type == "cpu" and device.operations > 50
        assert len(device.down) <= 2 + sum(1 for _weight in model.backbone.parameters())  # batches, and the checksum
        features.probe(model, list(tiny.texts(40)["text"]), tiny.texts(40)["label"])
        assert model.head.weight.device.type == standin.DEVICE
    assert torch.allclose(vectors, models.encode(list(tiny.texts(40)["text"]),
                                                 tiny.classifier(folder, trained_layers=0).backbone,
                                                 model.tokenizer, max_length=32), atol=1e-5)


@pytest.mark.slow
def test_a_loop_that_forgets_the_device_fails(folder):
    """The faults that this test file is here for are indeed found."""
    code = ("import sys; sys.path.insert(0, {tests!r}); import standin, tiny, torch\n"
            "from sft_helpers import training\n"
            "def forgetful(self, data, rows):\n"
            "    return self.model(*data.batch(rows, 1))\n"
            "training._Run._logits = forgetful\n"
            "with standin.accelerator():\n"
            "    training.fit(tiny.classifier({model!r}), tiny.texts(20), None, tiny.CONFIG)\n")
    done = subprocess.run([sys.executable, "-c", code.format(tests=str(Path(__file__).parent), model=str(folder))],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode and "still on the CPU" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_while_a_device_is_at_work_the_next_batch_is_prepared_and_each_once(folder, accumulation, monkeypatch):
    """What is read ahead is the batch that follows, not one more, and the last batch is followed by none."""
    made, asked_for = [], []
    batch, backward = training._Texts.batch, torch.Tensor.backward

    def counted(self, rows, multiple):
        made.append(tuple(rows))
        return batch(self, rows, multiple)

    def noted(self, *args, **kwargs):
        asked_for.append(len(made))
        return backward(self, *args, **kwargs)
    monkeypatch.setattr(training._Texts, "batch", counted)
    monkeypatch.setattr(torch.Tensor, "backward", noted)
    config = training.Config(epochs=2, batch_size=8, accumulation=accumulation)
    with standin.accelerator():
        training.fit(tiny.classifier(folder), tiny.texts(40), config=config)
    parts = 2 * 5 * accumulation
    assert len(made) == parts and sorted(sum(made, ())) == sorted(2 * list(range(40)))
    assert len(asked_for) == parts


@pytest.mark.slow
def test_what_was_read_ahead_for_a_larger_batch_is_not_used_after_memory_ran_out(folder, monkeypatch):
    expected, on_cpu = run(folder, "all")
    step, full = torch.optim.AdamW.step, [1]

    def crowded(self, *args, **kwargs):
        if full:
            raise torch.OutOfMemoryError(f"CUDA out of memory. {full.pop()}")
        return step(self, *args, **kwargs)
    monkeypatch.setattr(torch.optim.AdamW, "step", crowded)
    with standin.accelerator():
        _model, history = run(folder, "all")
    assert not full
    assert np.allclose([step["loss"] for step in history.steps], [step["loss"] for step in on_cpu.steps], atol=1e-5)

"""Lesson 11's cures: each does what its name says, and without any the loop is the course's own."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
import tiny  # noqa: E402

from sft_helpers import cures, training  # noqa: E402

NAMES = {0: "without", 1: "with"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny.backbone(tmp_path_factory.mktemp("cures") / "model", dropout=0.0)


def run(source, how=None, rows=None, epochs=2, seed=3, **settings):
    return cures.train(source, rows or tiny.texts(40), NAMES, tiny.texts(30, seed=1), how and cures.Cures(**how),
                       epochs=epochs, seed=seed, **{"batch_size": 8, **settings})


@pytest.fixture
def norms(monkeypatch):
    """The length of the gradient at each update, before it is shortened."""
    found, clip = [], nn.utils.clip_grad_norm_
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda weights, longest: found.append(clip(weights, longest)))
    return found


def moved_by(source, how):
    """How far each weight ends up from where it ends up without a cure."""
    plain, cured = tiny.weights(run(source).model), tiny.weights(run(source, how).model)
    return {name: (cured[name] - weight).abs().max().item() for name, weight in plain.items()}


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, 35])  # the last batch is whole, or smaller
def test_without_cures_it_is_the_courses_own_loop(source, count):
    """The same weights as ``fit`` without weight decay, and the same losses."""
    torch.manual_seed(3)
    model = training_model(source)
    history = training.fit(model, tiny.texts(count), None, training.Config(
        epochs=2, batch_size=8, lr=2e-4, head_lr=2e-3, weight_decay=0.0, seed=3))
    plain = run(source, rows=tiny.texts(count))
    assert [entry["epoch"] for entry in plain.history] == [1, 2]
    assert [entry["train_loss"] for entry in plain.history] == pytest.approx(
        [entry["train_loss"] for entry in history.epochs], abs=1e-5)
    expected = tiny.weights(model)
    assert max((weight - expected[name]).abs().max().item()
               for name, weight in tiny.weights(plain.model).items()) < 1e-5


def training_model(source):
    from sft_helpers import models
    return models.TextClassifier(source, NAMES, "all")


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"dropout": 0.3}, {"l1": 1e-3}, {"l2": 1e-2}, {"label_smoothing": 0.2},
                                 {"class_weights": True}, {"deletion": 0.3}, {"adversarial": 1.0},
                                 {"weight_decay": 1.0}])
def test_every_cure_changes_the_result(source, how):
    assert moved_by(source, how)["head.weight"] > 1e-6


@pytest.mark.slow
def test_weight_decay_shrinks_matrices_and_leaves_biases(source):
    """With a decay so strong that it rules: matrices get shorter; what the gradients alone do to biases stays small."""
    plain, decayed = tiny.weights(run(source).model), tiny.weights(run(source, {"weight_decay": 50.0}).model)
    unseen = "backbone.embeddings.word_embeddings.weight"
    steps, lr = 10, 2e-4
    rates = [lr * cures._rate(step, steps) for step in range(steps)]
    row = 20_000  # a word that stands in no text: nothing but the decay moves it
    expected = plain[unseen][row] * np.prod([1 - rate * 50.0 for rate in rates])
    assert torch.allclose(decayed[unseen][row], expected, atol=1e-6)
    assert decayed["head.weight"].norm() < 0.9 * plain["head.weight"].norm()
    norms = [name for name in plain if "LayerNorm.weight" in name]
    assert norms and all((decayed[name] - plain[name]).abs().max() < 0.01 for name in norms)


@pytest.mark.slow
def test_fewer_layers_leave_the_others_where_they_were(source):
    before = tiny.weights(training_model(source))
    after = tiny.weights(run(source, {"trained_layers": 1}).model)
    still = [name for name in before if (before[name] - after[name]).abs().max() == 0]
    assert any("layer.0" in name for name in still) and any("embeddings" in name for name in still)
    assert not any("encoder.layer.1" in name for name in still if name.endswith("dense.weight"))


def test_the_adversarial_step_has_the_length_asked_for_and_raises_the_loss(source):
    torch.manual_seed(0)
    model = training_model(source).eval()
    inputs = model.tokenizer(list(tiny.texts(8)["text"]), padding=True, return_tensors="pt")
    target = torch.tensor(tiny.texts(8)["label"])

    def loss():
        return nn.functional.cross_entropy(model(inputs["input_ids"], inputs["attention_mask"]), target)
    with cures.word_vectors(model) as vectors:
        plain = loss()
        plain.backward()
    step = cures.fgm_step(vectors[0].grad, 0.5)
    assert step.shape == (*inputs["input_ids"].shape, 32)
    assert torch.allclose(step.flatten(1).norm(dim=1), torch.full((8,), 0.5))
    with cures.moved(model, step):
        assert loss() > plain
    with cures.moved(model, -step):
        assert loss() < plain
    assert torch.equal(loss(), plain)  # nothing stays behind
    assert not model.backbone.embeddings.word_embeddings._forward_hooks


def test_a_text_whose_gradient_is_zero_stays_where_it_is():
    assert torch.equal(cures.fgm_step(torch.zeros(2, 3, 4), 0.5), torch.zeros(2, 3, 4))


@pytest.mark.slow
def test_the_adversarial_cure_learns_where_the_loss_is_higher_too(source):
    """One update, written out: the gradients of the texts as they are, and of the texts a step uphill, together."""
    rows = tiny.texts(8)
    found = run(source, {"adversarial": 1.0}, rows, epochs=1).model.head.weight
    torch.manual_seed(3)
    model = training_model(source)
    inputs, target = model.tokenizer(list(rows["text"]), padding=True, return_tensors="pt"), torch.tensor(rows["label"])

    def loss(vectors):
        mask = inputs["attention_mask"]
        hidden = model.backbone(inputs_embeds=vectors, attention_mask=mask).last_hidden_state * mask[:, :, None]
        return nn.functional.cross_entropy(model.head(hidden.sum(dim=1) / mask.sum(dim=1)[:, None]), target)
    vectors = model.backbone.embeddings.word_embeddings(inputs["input_ids"])
    uphill, = torch.autograd.grad(loss(vectors), vectors, retain_graph=True)
    uphill = uphill / uphill.flatten(1).norm(dim=1)[:, None, None]
    (loss(vectors) + loss(vectors + uphill)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.optim.AdamW(model.head.parameters(), lr=2e-3, weight_decay=0.0).step()
    assert torch.isclose(found, model.head.weight, atol=1e-6).double().mean() > 0.95  # Adam's first step goes by signs


@pytest.mark.slow
def test_in_training_the_words_are_moved_along_the_gradient_at_every_update(source, monkeypatch):
    gradients, steps, fgm_step, moved = [], [], cures.fgm_step, cures.moved
    monkeypatch.setattr(cures, "fgm_step", lambda gradient, length: gradients.append(gradient.clone())
                        or fgm_step(gradient, length))
    monkeypatch.setattr(cures, "moved", lambda model, step: steps.append(step) or moved(model, step))
    run(source, {"adversarial": 0.7}, epochs=1)
    assert len(steps) == 5
    for gradient, step in zip(gradients, steps, strict=True):
        assert torch.cosine_similarity(gradient.flatten(1), step.flatten(1)).min() > 0.999
        assert torch.allclose(step.flatten(1).norm(dim=1), torch.tensor(0.7))


@pytest.mark.slow
def test_the_adversarial_cure_works_with_frozen_embeddings_too(source):
    plain, cured = run(source, {"trained_layers": 1}), run(source, {"trained_layers": 1, "adversarial": 1.0})
    assert plain.history[-1]["loss"] != cured.history[-1]["loss"]


def test_dropping_words_keeps_their_order_and_at_least_one():
    random = np.random.default_rng(0)
    text = "A B C D E F G H"
    kept = [cures.drop_words(text, 0.5, random) for _ in range(300)]
    assert all(words.split() == sorted(words.split()) and words for words in kept)
    assert 3.6 < np.mean([len(words.split()) for words in kept]) < 4.4
    assert {cures.drop_words("one two", 0.999, random) for _ in range(40)} == {"one", "two"}
    assert cures.drop_words(text, 0.0, random) == text and cures.drop_words("one", 0.9, random) == "one"


@pytest.mark.slow
def test_each_epoch_drops_other_words(source, monkeypatch):
    seen, dice, drop_words = [], [], cures.drop_words

    def dropped(text, share, random):
        dice.append(str(random.bit_generator.state))
        seen.append((text, drop_words(text, share, random)))
        return seen[-1][1]
    monkeypatch.setattr(cures, "drop_words", dropped)
    run(source, {"deletion": 0.5})
    assert dice[0] != dice[40]
    first, second = dict(seen[:40]), dict(seen[40:])
    assert first.keys() == second.keys() and sum(first[text] != second[text] for text in first) > 10
    before, after = (sum(len(pair[k].split()) for pair in seen) for k in (0, 1))
    assert 0.4 < after / before < 0.7  # one word always stays


@pytest.mark.slow
def test_the_training_loss_told_is_the_cross_entropy_alone(source):
    still = {"lr": 0.0, "head_lr": 0.0}
    plain, cured = run(source, **still), run(source, {"label_smoothing": 0.4, "l1": 1e-3, "l2": 1e-2}, **still)
    assert [entry["train_loss"] for entry in cured.history] == pytest.approx(
        [entry["train_loss"] for entry in plain.history], abs=1e-6)


@pytest.mark.slow
def test_penalties_pull_on_the_matrices_with_their_whole_weight(source, norms):
    """A penalty so strong that nothing else counts: its gradient is 2 · l2 · W on matrices, nothing on the rest."""
    model = run(source, {"l2": 1e4}, lr=0.0, head_lr=0.0).model
    matrices = [weight for weight in model.parameters() if weight.requires_grad and weight.ndim > 1]
    assert norms[0].item() == pytest.approx(2e4 * sum(w.square().sum() for w in matrices).sqrt().item(), rel=1e-3)


def test_penalties_are_sums_over_all_entries():
    matrices = [torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0]])]
    assert float(cures.penalties(matrices, 0.1, 0.0)) == pytest.approx(0.6)
    assert float(cures.penalties(matrices, 0.0, 0.1)) == pytest.approx(1.4)
    assert cures.penalties(matrices, 0.0, 0.0) == 0.0


def test_class_weights_are_scikit_learns_balanced_ones():
    from sklearn.utils.class_weight import compute_class_weight

    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    assert cures._balanced(labels, 3).tolist() == pytest.approx(expected)
    assert len(cures._balanced(labels, 4)) == 4  # a label that no text has


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"label_smoothing": 0.4}, {"class_weights": True}])
def test_smoothing_and_class_weights_enter_the_loss_as_asked(source, norms, how):
    """The length of the first gradient, beside that of PyTorch's own loss."""
    rows = tiny.texts(40)
    run(source, how, rows, epochs=1, batch_size=40)
    torch.manual_seed(3)
    model, target = training_model(source), torch.tensor(rows["label"])
    inputs = model.tokenizer(list(rows["text"]), padding=True, return_tensors="pt")
    share = target.bincount() / len(target)
    nn.functional.cross_entropy(model(inputs["input_ids"], inputs["attention_mask"]), target,
                                weight=1 / (2 * share) if "class_weights" in how else None,
                                label_smoothing=how.get("label_smoothing", 0.0)).backward()
    expected = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]).norm()
    assert norms[0].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.slow
def test_dropout_is_off_unless_asked_for_and_reaches_attention(tmp_path):
    source = tiny.backbone(tmp_path / "model", dropout=0.4)
    twice = [run(source, epochs=1, seed=seed).model for seed in (3, 3)]
    assert all(part.p == 0 for part in twice[0].modules() if isinstance(part, nn.Dropout))
    assert all(torch.equal(a, b) for a, b in zip(*(tiny.weights(model).values() for model in twice), strict=True))
    kept = [part.p for part in run(source, {"dropout": 0.2}, epochs=1).model.modules() if isinstance(part, nn.Dropout)]
    assert len(kept) >= 7 and set(kept) == {0.2}


@pytest.mark.slow
def test_dropout_is_on_in_every_epoch(source, monkeypatch):
    seen, set_dropout = [], cures.set_dropout

    def note(part, _inputs):
        if torch.is_grad_enabled():  # not on validation
            seen.append(part.training)

    def watched(model, share):
        set_dropout(model, share)
        next(part for part in model.modules() if isinstance(part, nn.Dropout)).register_forward_pre_hook(note)
    monkeypatch.setattr(cures, "set_dropout", watched)
    run(source, epochs=3)
    assert seen == [True] * 15


@pytest.mark.slow
def test_the_best_weights_are_those_of_the_lowest_validation_loss(source):
    def losses(found):
        return [entry["loss"] for entry in found.history]

    # which seed's run gets worse at its end, as this test needs it, differs between processors
    runs = (run(source, epochs=8, lr=3e-2, head_lr=3e-2, seed=seed) for seed in range(10))
    found = next(found for found in runs if np.argmin(losses(found)) < len(losses(found)) - 1)
    found.model.load_state_dict(found.best, strict=False)
    assert cures.measure(found.model, tiny.texts(30, seed=1))["loss"] == pytest.approx(min(losses(found)), abs=1e-5)


@pytest.mark.slow
def test_measures_are_scikit_learns(source):
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    model, rows = run(source).model, tiny.texts(30, seed=1)
    probabilities = model.probabilities(list(rows["text"])).double().numpy()
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # scikit-learn is strict about the seventh digit
    found = cures.measure(model, rows)
    assert found["loss"] == pytest.approx(log_loss(rows["label"], probabilities), abs=1e-6)
    assert found["accuracy"] == accuracy_score(rows["label"], probabilities.argmax(axis=1))
    assert found["f1"] == pytest.approx(f1_score(rows["label"], probabilities.argmax(axis=1), average="macro"))


def test_a_certain_mistake_has_a_finite_loss():
    sure = SimpleNamespace(probabilities=lambda texts: torch.tensor([[1.0, 0.0]] * len(texts)))
    assert cures.measure(sure, {"text": ["a", "b"], "label": [0, 1]})["loss"] == pytest.approx(-np.log(1e-12) / 2)


def test_few_and_mislabelled_texts_are_as_many_as_asked_for():
    rows = tiny.texts(60)
    drawn = cures.few(rows, 7, seed=1)
    assert np.bincount(drawn["label"]).tolist() == [7, 7]
    assert set(drawn["text"]) <= set(rows["text"]) and list(cures.few(rows, 7, 1)["text"]) == list(drawn["text"])
    assert list(cures.few(rows, 7, 2)["text"]) != list(drawn["text"])
    places = [list(rows["text"]).index(text) for text in drawn["text"]]
    assert places == sorted(places)
    counts = np.bincount(rows["label"]).tolist()
    for asked in ([2, 9], [2, counts[1]]):
        assert np.bincount(cures.few(rows, asked, seed=1)["label"]).tolist() == asked
    for asked in ([2], [2, 2, 0]):
        with pytest.raises(ValueError, match=f"holds {len(asked)} numbers; give one for each of without, with"):
            cures.few(rows, asked, seed=1)
    with pytest.raises(ValueError, match="'with' has .* texts; 59 were asked for"):
        cures.few(rows, [1, 59], seed=1)
    wrong, chosen = cures.mislabel(drawn, 0.5, seed=1)
    changed = np.flatnonzero(np.array(wrong["label"]) != np.array(drawn["label"]))
    assert changed.tolist() == chosen.tolist() and len(changed) == 7
    assert list(wrong["text"]) == list(drawn["text"])
    assert cures.mislabel(drawn, 0.5, seed=2)[1].tolist() != chosen.tolist()


def test_a_wrong_label_is_drawn_among_all_the_others():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])})
    rows = Dataset.from_dict({"text": [str(i) for i in range(60)], "label": [0] * 60}, features=features)
    wrong, chosen = cures.mislabel(rows, 0.56, seed=0)
    assert len(chosen) == 34 and set(np.array(wrong["label"])[chosen]) == {1, 2}

"""The classifier: saved, loaded, refused when damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sft_helpers import features, models, resources
from tests import tiny

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "review_classifier"
TEXTS = ["Boils fast and the handle stays cool. Love it.", "Broke on the second day.", "Not bad at all for the price!"]


@pytest.fixture(scope="module")
def classifier():
    return models.TextClassifier.from_pretrained(SHIPPED)


def test_the_shipped_classifier_reads_plain_reviews(classifier):
    assert classifier.predict(TEXTS) == ["positive", "negative", "positive"]
    probabilities = classifier.probabilities(TEXTS)
    assert probabilities.shape == (3, 2)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(3), atol=1e-6)


def test_saved_and_loaded_it_gives_equal_probabilities(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "again")
    again = models.TextClassifier.from_pretrained(tmp_path / "again")
    assert torch.equal(again.probabilities(TEXTS), classifier.probabilities(TEXTS))
    assert {p.name for p in (tmp_path / "again").iterdir()} == {"trained.safetensors", "classifier.json"}


def test_only_the_named_layers_may_be_trained():
    free = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"}, trained_layers=2)
    moving = {name.rsplit(".", 3)[0].split(".attention")[0] for name, p in free.named_parameters() if p.requires_grad}
    assert all(name.startswith(("head", "backbone.encoder.layer.4", "backbone.encoder.layer.5")) for name in moving)
    frozen = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"})
    assert [name for name, p in frozen.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


def test_forward_agrees_with_the_batched_prediction(classifier):
    inputs = classifier.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        direct = classifier(**inputs).softmax(dim=1)
    assert torch.allclose(direct, classifier.probabilities(TEXTS), atol=1e-5)


def test_asked_in_the_middle_of_training_it_rests_and_answers_as_ever():
    free = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"}, "all")
    before = free.probabilities(TEXTS)
    assert torch.equal(free.train().probabilities(TEXTS), before)
    assert not any(part.training for part in free.modules())


def test_mean_pooling_leaves_padding_out():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    assert models.mean_pooling(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 3.0]]


def test_each_pooling_is_what_it_is_called():
    backbone = resources.find_backbone()
    free = models.TextClassifier(backbone, {0: "a", 1: "b"}, pooling="pooler")
    inputs = free.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        found = free.backbone(**inputs)
    mask = inputs["attention_mask"][:, :, None]
    mean = (found.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
    for pooling, expected in (("mean", mean), ("cls", found.last_hidden_state[:, 0]), ("pooler", found.pooler_output)):
        vectors = models.encode(TEXTS, free.backbone, free.tokenizer, pooling=pooling)
        assert torch.allclose(vectors, expected, atol=1e-5), pooling
        free.pooling = pooling
        with torch.no_grad():
            logits = free(inputs["input_ids"], inputs["attention_mask"])
        assert torch.allclose(logits, free.head(expected), atol=1e-5), pooling
        assert torch.allclose(free.probabilities(TEXTS), logits.softmax(dim=1), atol=1e-5), pooling
    assert torch.equal(models.encode(TEXTS, free.backbone, free.tokenizer),
                       models.encode(TEXTS, free.backbone, free.tokenizer, pooling="mean"))  # the default
    with pytest.raises(ValueError, match="mean, cls, pooler, not 'max'"):
        models.pool(found.last_hidden_state, inputs["attention_mask"], free.backbone, "max")


def test_what_is_longer_than_the_limit_is_cut_and_nothing_else():
    free = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"}, max_length=8)
    long = ["one two three four five six", "one two three four five six seven eight"]
    same, other = free.probabilities(long), free.probabilities(["one two three four five", long[1]])
    assert torch.allclose(same[0], same[1], atol=1e-6) and not torch.allclose(other[0], other[1], atol=1e-4)
    far = ["word " * 100 + end for end in ("lovely", "awful")]  # 101 pieces: within the default of 128
    free = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"})
    assert not torch.allclose(*free.probabilities(far), atol=1e-6)
    assert free.tokenizer.padding_side == "right"


def test_pooling_length_and_labels_are_saved_and_half_precision_halves_the_file(tmp_path):
    made = models.TextClassifier(resources.find_backbone(), {0: "no", 1: "yes", 2: "perhaps"}, 1, "cls", 12)
    for half in (False, True):
        made.save_pretrained(tmp_path / str(half), half)
    whole, halved = (models.TextClassifier.from_pretrained(tmp_path / name) for name in ("False", "True"))
    assert (whole.pooling, whole.max_length, whole.trained_layers) == ("cls", 12, 1)
    assert whole.id2label == {0: "no", 1: "yes", 2: "perhaps"} and not whole.training
    assert torch.equal(whole.probabilities(TEXTS), made.probabilities(TEXTS))
    assert torch.allclose(halved.probabilities(TEXTS), made.probabilities(TEXTS), atol=1e-2)
    sizes = [(tmp_path / name / "trained.safetensors").stat().st_size for name in ("False", "True")]
    assert sizes[0] == pytest.approx(2 * sizes[1], rel=0.01)


def test_an_untrained_backbone_is_another_one_of_the_same_shape():
    backbone = resources.find_backbone()
    trained, untrained = models.load_backbone(backbone), models.load_backbone(backbone, pretrained=False)
    assert untrained.config.num_hidden_layers == trained.config.num_hidden_layers and not untrained.training
    weight = "encoder.layer.0.attention.self.query.weight"
    assert not torch.allclose(untrained.state_dict()[weight], trained.state_dict()[weight], atol=1e-3)


def trainable(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_the_number_of_trained_layers_can_be_changed_and_dropout_follows_it():
    free = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"}, pooling="pooler")
    assert trainable(free) == {"head.weight", "head.bias"}
    free.train_layers("all")
    assert trainable(free) == {name for name, _ in free.named_parameters()}
    free.train_layers(1)
    assert any("pooler" in name for name in trainable(free))  # used, so trained
    free.train()
    assert [layer.training for layer in free.backbone.encoder.layer] == [False] * 5 + [True]
    assert not free.backbone.embeddings.training
    plain = models.TextClassifier(resources.find_backbone(), {0: "a", 1: "b"}, "all")
    assert not any("pooler" in name for name in trainable(plain))
    for wrong in (-1, 7, 2.0, "none"):
        with pytest.raises(ValueError, match="backbone's 6 layers"):
            free.train_layers(wrong)


def rewrite(folder, **changes):
    path = folder / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(("damage", "says"), [
    (lambda f: (f / "classifier.json").unlink(), "is not a saved classifier"),
    (lambda f: (f / "classifier.json").write_text("[]"), "is damaged or of another kind"),
    (lambda f: rewrite(f, format_version=9), "format version 9"),
    (lambda f: rewrite(f, backbone_sha256="0"), "other weights"),
    (lambda f: rewrite(f, trained_layers=1), "does not fit"),
    (lambda f: (f / "trained.safetensors").unlink(), "is missing or damaged"),
    (lambda f: (f / "trained.safetensors").write_bytes((f / "trained.safetensors").read_bytes()[:999]), "damaged"),
])
def test_a_damaged_folder_is_refused(tmp_path, damage, says):
    folder = tmp_path / "copy"
    shutil.copytree(SHIPPED, folder)
    damage(folder)
    with pytest.raises(resources.ResourceError, match=says):
        models.TextClassifier.from_pretrained(folder)


def test_the_weights_of_one_and_the_description_of_another_model_are_not_taken_for_one(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "one")
    torch.nn.init.zeros_(classifier.head.bias)
    classifier.save_pretrained(tmp_path / "two")
    shutil.copy(tmp_path / "two" / "trained.safetensors", tmp_path / "one")
    with pytest.raises(resources.ResourceError, match="not the one that classifier.json beside it describes"):
        models.TextClassifier.from_pretrained(tmp_path / "one")
    assert models.TextClassifier.from_pretrained(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize("said", [
    "CUDA out of memory. Tried", "MPS backend out of memory (MPS allocated: 9 GB",
    "DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory"])
@pytest.mark.parametrize("room", [4, 1])
def test_a_batch_for_which_there_is_no_room_is_halved(tmp_path, room, said):
    model, seen = tiny.classifier(tmp_path), []
    texts = list(tiny.texts(11)["text"])
    expected = models.encode(texts, model.backbone, model.tokenizer)

    def crowd(_part, _given, named):
        if len(named["input_ids"]) > room:
            raise RuntimeError(f"{said} to allocate 9 GiB")
        seen.append(len(named["input_ids"]))
    hook = model.backbone.register_forward_pre_hook(crowd, with_kwargs=True)
    assert torch.allclose(models.encode(texts, model.backbone, model.tokenizer), expected, atol=1e-6)
    assert max(seen) <= room and sum(seen) == 11
    room = 0
    with pytest.raises(MemoryError, match="a single text; shorten"):
        models.encode(texts, model.backbone, model.tokenizer)
    hook.remove()
    model.backbone.register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        models.encode(texts, model.backbone, model.tokenizer)


def test_a_pair_of_texts_is_read_as_two_segments(tmp_path):
    model = tiny.classifier(tmp_path).eval()
    inputs = model.tokenizer("tea", "cup", return_tensors="pt")
    with torch.no_grad():
        assert not torch.allclose(model(**inputs), model(inputs["input_ids"], inputs["attention_mask"]))


@pytest.mark.parametrize("change", [{"pooling": "max"}, {"max_length": 9999}, {"max_length": "32"},
                                    {"trained_layers": 9}, {"id2label": ["a", "b"]}, {"id2label": {"one": "a"}}])
def test_a_description_that_makes_no_sense_is_damaged(tmp_path, change):
    tiny.classifier(tmp_path / "backbone").save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(resources.ResourceError, match="classifier.json is damaged"):
        models.TextClassifier.from_pretrained(tmp_path / "model")


def test_a_text_has_room_for_its_two_marks_and_a_token(tmp_path):
    for length in (2, 0, -1):
        with pytest.raises(ValueError, match="between 3 and"):
            tiny.classifier(tmp_path, max_length=length)
    assert tiny.classifier(tmp_path, max_length=3).max_length == 3 and models.MAX_LENGTH == 128


def test_dropout_follows_the_layers_that_come_to_be_trained(tmp_path):
    model = tiny.classifier(tmp_path, trained_layers=0).train()
    assert not model.backbone.embeddings.training
    model.train_layers("all")
    assert model.backbone.embeddings.training


def test_padding_stands_on_the_right_whatever_the_tokenizers_folder_says(tmp_path):
    place = tmp_path / "model"
    plain = tiny.classifier(place, pooling="cls")
    settings = place / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "padding_side": "left"}))
    texts = ["tea", "a good cup of tea and soup"]
    assert torch.equal(tiny.classifier(place, pooling="cls").probabilities(texts), plain.probabilities(texts))


def test_vectors_of_several_depths_stand_end_to_end(tmp_path):
    model, texts = tiny.classifier(tmp_path), ["tea", "a good cup"]
    inputs = model.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model.backbone.eval()(**inputs, output_hidden_states=True).hidden_states
    expected = torch.cat([hidden[depth][:, 0] for depth in (2, 0)], dim=1)
    got = models.encode(texts, model.backbone, model.tokenizer, pooling="cls", depths=(2, 0))
    assert torch.allclose(got, expected, atol=1e-6) and not torch.allclose(got, expected.roll(32, dims=1), atol=1e-3)


@pytest.mark.parametrize("gap", [None, float("nan"), 7])
def test_a_gap_among_the_texts_is_named(tmp_path, gap):
    model = tiny.classifier(tmp_path, trained_layers=0)
    for read in (model.predict, lambda texts: features.compute(model, texts)):
        with pytest.raises(TypeError, match=f"Row 1 of the texts holds no text, but {gap!r}; leave it out"):
            read(["good", gap])
    assert model.predict([]) == []


@pytest.mark.parametrize("id2label", [{1: "a", 2: "b"}, {0: "a", 2: "b"}, {}])
def test_labels_that_are_not_numbered_from_0_on_are_refused(tmp_path, id2label):
    backbone = tiny.backbone(tmp_path)
    with pytest.raises(ValueError, match="id2label numbers the labels from 0 on"):
        models.TextClassifier(backbone, id2label)
    assert models.TextClassifier(backbone, {1: "b", 0: "a"}).predict(["tea"])[0] in ("a", "b")


def test_numbers_of_numpy_are_taken_and_saved(tmp_path):
    model = tiny.classifier(tmp_path / "bert", trained_layers=np.int64(1), max_length=np.int32(16))
    model.save_pretrained(tmp_path / "model")
    again = models.TextClassifier.from_pretrained(tmp_path / "model")
    assert (again.trained_layers, again.max_length) == (1, 16)
    with pytest.raises(ValueError, match="max_length lies between 3 and the 512 positions of .* not 16.5"):
        tiny.classifier(tmp_path / "bert", max_length=16.5)


def test_one_text_alone_is_no_list_of_letters(tmp_path):
    model = tiny.classifier(tmp_path, trained_layers=0)
    for read in (model.predict, model.probabilities, lambda text: features.compute(model, text)):
        with pytest.raises(TypeError, match=r"write \['good'\]"):
            read("good")
    assert len(model.predict(("good", "bad"))) == 2


def test_features_that_were_changed_in_place_are_computed_anew(tmp_path):
    model = tiny.classifier(tmp_path, trained_layers=0)
    features.forget()
    first = features.compute(model, ["tea", "cup"])
    kept = first.clone()
    assert features.compute(model, ["tea", "cup"]) is first
    first -= first.mean(dim=0)
    assert torch.equal(features.compute(model, ["tea", "cup"]), kept)
    features.compute(model, ["tea", "cup"]).numpy()[0, 0] = 9
    assert torch.equal(features.compute(model, ["tea", "cup"]), kept)


def test_features_that_are_remembered_are_written_where_a_folder_is_named_later(tmp_path):
    model = tiny.classifier(tmp_path / "model", trained_layers=0)
    features.forget()
    first = features.compute(model, ["tea", "cup"])
    features.compute(model, ["tea", "cup"], tmp_path / "kept")
    model.backbone.register_forward_hook(lambda *_: pytest.fail("computed once more"))
    features.forget()
    assert torch.equal(features.compute(model, ["tea", "cup"], tmp_path / "kept"), first)


def test_a_file_of_features_that_names_nothing_is_not_used(tmp_path, capsys):
    model = tiny.classifier(tmp_path / "model", trained_layers=0)
    features.forget()
    expected = features.compute(model, ["tea"], tmp_path)
    features.forget()
    (path,) = tmp_path.glob("features-*")
    save_file({"features": torch.zeros(1, expected.shape[1])}, path)
    assert torch.equal(features.compute(model, ["tea"], tmp_path), expected)
    assert "damaged and are computed anew" in capsys.readouterr().out


def test_a_head_for_one_label_or_for_vectors_that_are_all_alike():
    vectors = torch.randn(4, 3)
    weight, bias = features.fit_head(vectors, [1, 1, 1, 1], 3)
    assert (vectors @ weight.T + bias).argmax(dim=1).tolist() == [1] * 4
    weight, bias = features.fit_head(torch.ones(5, 3), [0, 1, 1, 1, 0], 2)
    assert weight.isfinite().all() and (torch.ones(1, 3) @ weight.T + bias).argmax() == 1  # the commoner


@pytest.mark.parametrize("labels", [[0, 1, -1], [0, 1, 2]])
def test_a_head_is_fitted_to_no_label_that_it_has_not(labels):
    """-1, with which a hub set hides the labels of its test texts, would be the last label."""
    with pytest.raises(ValueError, match="The labels lie between 0 and 1, not between"):
        features.fit_head(torch.randn(3, 3), labels, 2)

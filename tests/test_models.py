"""The classifier: saved, loaded, refused when damaged."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from sft_helpers import models, resources

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


def test_mean_pooling_leaves_padding_out():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    assert models.mean_pooling(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 3.0]]


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

"""A BERT backbone, sentence vectors, and the classifier made of backbone, pooling and head."""

import json
import logging
from numbers import Integral
from pathlib import Path

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoTokenizer, BertConfig, BertModel
from transformers.utils import logging as transformers_logging

from . import environment, resources
from .storage import digest, write, write_text

# Loading is reported by the set-up summary; transformers' own report goes to stderr in no fixed order.
transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

FORMAT_VERSION = 1
MAX_LENGTH = 128
POOLINGS = ("mean", "cls", "pooler")


def load_tokenizer(backbone):
    """Return the tokenizer of a backbone.

    Parameters
    ----------
    backbone : resources.Backbone

    Returns
    -------
    transformers.PreTrainedTokenizerBase

    Raises
    ------
    ResourceError
        Files that are damaged or belong to another model.
    """
    try:
        # BERT counts its positions from the left: padding stands on the right, whatever a folder says
        tokenizer = AutoTokenizer.from_pretrained(backbone.folder, local_files_only=True, padding_side="right")
        config = BertConfig.from_pretrained(backbone.folder, local_files_only=True)
    except Exception as error:  # whatever a damaged JSON file leads to
        raise resources.ResourceError(f"The tokenizer in {backbone.folder} is damaged and cannot be read "
                                      f"({type(error).__name__}).") from error
    if len(tokenizer) > config.vocab_size:
        raise resources.ResourceError(f"The tokenizer in {backbone.folder} knows {len(tokenizer)} tokens, the model "
                                      f"{config.vocab_size}: they do not belong together.")
    return tokenizer


def load_backbone(backbone, pretrained=True):
    """Return the BERT of a backbone, in eval mode, on the device at hand.

    Parameters
    ----------
    backbone : resources.Backbone
    pretrained : bool
        False gives the same architecture with random weights, for comparison.

    Returns
    -------
    transformers.BertModel
        Without pooler (None) where the weights have none.

    Raises
    ------
    ResourceError
        Weights that are incomplete, damaged or of another shape: nothing is filled up with random numbers.
    """
    if not pretrained:
        model = BertModel(BertConfig.from_pretrained(backbone.folder, local_files_only=True))
        return model.eval().to(environment.device())
    weights = backbone.folder / "model.safetensors"
    try:
        model, report = BertModel.from_pretrained(backbone.folder, local_files_only=True, use_safetensors=True,
                                                  output_loading_info=True)
    except Exception as error:  # shapes that differ, a configuration that makes no sense
        raise resources.ResourceError(f"{weights} does not fit the config.json beside it "
                                      f"({type(error).__name__}).") from error
    # what a file lacks would be filled with random numbers; the course can do without the pooler alone
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing or report["mismatched_keys"]:
        raise resources.ResourceError(f"{weights} lacks weights of a BERT ({len(missing)} of them, such as "
                                      f"{(missing or ['one of another shape'])[0]}) and is not used.")
    if not all(torch.isfinite(weight).all() for weight in model.parameters()):
        raise resources.ResourceError(f"{weights} is damaged: some of its numbers are not finite.")
    if any(name.startswith("pooler.") for name in report["missing_keys"]):
        model.pooler = None
    return model.eval().to(environment.device())


def mean_pooling(hidden, attention_mask):
    """Average the vectors of the real tokens of each text.

    Parameters
    ----------
    hidden : Tensor, shape (batch, tokens, d)
    attention_mask : Tensor, shape (batch, tokens)
        1 for real tokens, 0 for padding.

    Returns
    -------
    Tensor, shape (batch, d)
    """
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def pool(hidden, attention_mask, model, pooling="mean"):
    """Make one vector of the vectors of a text's tokens (compared in lesson 07).

    Parameters
    ----------
    hidden : Tensor, shape (batch, tokens, d)
        The backbone's ``last_hidden_state``.
    attention_mask : Tensor, shape (batch, tokens)
    model : transformers.BertModel
        Its pooler is asked where ``pooling`` says so.
    pooling : {"mean", "cls", "pooler"}
        The mean over the real tokens, the vector of the first token [CLS], or the latter after the backbone's
        own dense layer and tanh.

    Returns
    -------
    Tensor, shape (batch, d)

    Raises
    ------
    ValueError
        Another name.
    """
    if pooling == "mean":
        return mean_pooling(hidden, attention_mask)
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "pooler":
        return model.pooler(hidden)
    raise ValueError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}.")


@torch.no_grad()
def encode(texts, model, tokenizer, batch_size=32, pooling="mean", max_length=MAX_LENGTH, depths=None):
    """Turn texts into vectors with a frozen backbone.

    Parameters
    ----------
    texts : list of str
    model : transformers.BertModel
        Is put into eval mode.
    tokenizer : transformers.PreTrainedTokenizerBase
    batch_size : int
    pooling : {"mean", "cls", "pooler"}
    max_length : int
        In tokens; what is longer is cut.
    depths : sequence of int, optional
        Read the vectors after these layers (0: the embeddings) and put them end to end; by default after the last.

    Returns
    -------
    Tensor, shape (len(texts), d) or (len(texts), len(depths) · d), on the CPU
        In the order of the texts.

    Raises
    ------
    MemoryError
        There is no room for a single text; batches for which there is none are halved before.
    TypeError
        One text instead of a list of them, or something else than a text in it.
    """
    texts = listed(texts)
    if model.training:
        model.eval()
    vectors = torch.zeros(len(texts), model.config.hidden_size * (len(depths) if depths else 1))
    # texts of like length share a batch, so that little padding is computed
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    starts = range(0, len(order), batch_size)

    fits = batch_size

    def read(chosen):
        inputs = tokenizer([texts[i] for i in chosen], padding=True, truncation=True, max_length=max_length,
                           return_tensors="pt").to(model.device)
        found = model(**inputs, output_hidden_states=bool(depths))
        layers = [found.hidden_states[depth] for depth in depths] if depths else [found.last_hidden_state]
        vectors[chosen] = torch.cat([pool(hidden, inputs["attention_mask"], model, pooling) for hidden in layers],
                                    dim=1).float().cpu()

    for start in environment.progress(starts, "encoding") if len(starts) > 1 else starts:
        waiting = order[start:start + batch_size]
        while waiting:
            try:
                read(waiting[:fits])
                waiting = waiting[fits:]
                continue
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if fits == 1:
                    raise MemoryError("There is not enough memory for a single text; shorten the texts "
                                      "(max_length).") from error
            fits = min(fits, len(waiting)) // 2
            clear_device_cache(garbage_collection=True)  # only here, where the error holds no tensors any more
    return vectors


def listed(texts):
    """Return texts as a list; one text alone, which Python would take for a list of letters, is refused."""
    if isinstance(texts, str):
        raise TypeError(f"A list of texts is needed, not one text; write [{texts[:40]!r}].")
    texts = list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):  # a gap in a table, say
            raise TypeError(f"Row {row} of the texts holds no text, but {text!r}; leave it out.")
    return texts


def out_of_memory(error):
    """Return whether an error says that memory is full; each device puts it differently, and Accelerate knows most."""
    return should_reduce_batch_size(error) or any(words in str(error) for words in (
        "MPS backend out of memory", "DefaultCPUAllocator: not enough memory"))


def fingerprint(model, tokenizer):
    """Return a checksum of what decides on a backbone's vectors beside its weights: architecture and tokenizer.

    How the tokenizer last padded and cut a batch is not part of it; the side on which it does so is.
    """
    config = json.loads(model.config.to_json_string())
    about = json.loads(tokenizer.backend_tokenizer.to_str())
    return digest({name: value for name, value in config.items() if name not in ("transformers_version", "dtype")},
                  {name: value for name, value in about.items() if name not in ("padding", "truncation")},
                  tokenizer.truncation_side, tokenizer.padding_side)


class TextClassifier(nn.Module):
    """A backbone, pooling and a linear head: one score (logit) per label (lesson 08).

    Parameters
    ----------
    backbone : resources.Backbone
    id2label : dict from int to str
    trained_layers : int or "all"
        How many of the backbone's topmost layers may be trained (and are saved); what is below stays frozen, and
        rests in eval mode while the rest trains. "all" trains the embeddings as well.
    pooling : {"mean", "cls", "pooler"}
        As in ``pool``. The pooler's own weights are trained where any layer is.
    max_length : int
        In tokens; what is longer is cut.

    Raises
    ------
    ValueError
        More layers than the backbone has, an unknown pooling, more tokens than it has positions, or labels that are
        not numbered from 0 on.
    ResourceError
        As ``load_backbone``; also a pooler asked for where the weights have none.
    """

    def __init__(self, backbone, id2label, trained_layers=0, pooling="mean", max_length=MAX_LENGTH):
        super().__init__()
        self.source = backbone
        self.id2label = {int(i): label for i, label in id2label.items()}
        if sorted(self.id2label) != list(range(len(id2label))) or not id2label:
            raise ValueError(f"id2label numbers the labels from 0 on, without a gap, and not {list(self.id2label)}.")
        self.tokenizer = load_tokenizer(backbone)
        self.backbone = load_backbone(backbone)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}.")
        positions = self.backbone.config.max_position_embeddings
        if not (isinstance(max_length, Integral) and 2 < max_length <= positions):
            raise ValueError(f"max_length lies between 3 and the {positions} positions of '{backbone.name}', "
                             f"not {max_length}.")
        if pooling == "pooler" and self.backbone.pooler is None:
            raise resources.ResourceError(f"The weights of '{backbone.name}' hold no pooler; use pooling 'mean' or "
                                          "'cls'.")
        self.pooling, self.max_length = pooling, int(max_length)  # NumPy's would not go into JSON
        self.head = nn.Linear(self.backbone.config.hidden_size, len(self.id2label)).to(self.backbone.device)
        self.train_layers(trained_layers)

    def train_layers(self, trained_layers):
        """Say how many of the topmost layers may be trained from now on.

        Parameters
        ----------
        trained_layers : int or "all"

        Raises
        ------
        ValueError
            More layers than there are.
        """
        layers = self.backbone.encoder.layer
        whole = bool(trained_layers == "all")  # a bool of NumPy, where the number is one
        if not whole and not (isinstance(trained_layers, Integral) and 0 <= trained_layers <= len(layers)):
            raise ValueError(f"trained_layers is 'all' or lies between 0 and the backbone's {len(layers)} layers, not "
                             f"{trained_layers!r}.")
        self.trained_layers = trained_layers if whole else int(trained_layers)
        self.backbone.requires_grad_(whole)
        for layer in layers[0 if whole else len(layers) - trained_layers:]:
            layer.requires_grad_(True)
        if self.backbone.pooler is not None:  # trained where it is used, and never without the layers below it
            self.backbone.pooler.requires_grad_(self.pooling == "pooler" and trained_layers != 0)
        self.train(self.training)

    def train(self, mode=True):
        """Switch dropout on, in the trained part alone: what is frozen gives the same vectors every time."""
        super().train(mode)
        for part in (self.backbone.embeddings, *self.backbone.encoder.layer):
            part.train(mode and any(weight.requires_grad for weight in part.parameters()))
        return self

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        """Return the logits, shape (batch, labels)."""
        hidden = self.backbone(input_ids, attention_mask, token_type_ids).last_hidden_state
        return self.head(pool(hidden, attention_mask, self.backbone, self.pooling))

    @torch.no_grad()
    def probabilities(self, texts):
        """Return the probability of each label for each text, Tensor of shape (len(texts), labels), on the CPU."""
        if self.training:
            self.eval()
        features = encode(texts, self.backbone, self.tokenizer, pooling=self.pooling, max_length=self.max_length)
        return self.head(features.to(self.head.weight.device)).softmax(dim=1).cpu()

    def predict(self, texts):
        """Return the most probable label of each text, list of str."""
        return [self.id2label[i] for i in self.probabilities(texts).argmax(dim=1).tolist()]

    def save_pretrained(self, folder, half=False):
        """Write the trained weights (safetensors) and what they belong to (JSON).

        The frozen part of the backbone is not copied: its checksum is noted, and checked when loading.

        Parameters
        ----------
        folder : str or Path
        half : bool
            Write 16-bit numbers: half the size, and predictions that may differ in the last digits.

        Raises
        ------
        StorageError
            No room, say. Weights and description name each other: those of two models are not taken for one.
        """
        folder = Path(folder)
        trained = {name: weight.detach().cpu().contiguous() for name, weight in self.named_parameters()
                   if weight.requires_grad}
        if half:
            trained = {name: weight.half() for name, weight in trained.items()}
        config = {"format_version": FORMAT_VERSION, "backbone": self.source.name,
                  "backbone_sha256": resources.sha256(self.source.folder / "model.safetensors"),
                  "pooling": self.pooling, "max_length": self.max_length, "trained_layers": self.trained_layers,
                  "id2label": self.id2label}
        write(trained, None, folder / "trained.safetensors")
        config["trained_sha256"] = resources.sha256(folder / "trained.safetensors")
        write_text(json.dumps(config, indent=1) + "\n", folder / "classifier.json")

    @classmethod
    def from_pretrained(cls, folder):
        """Load a classifier that ``save_pretrained`` wrote.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        TextClassifier
            In eval mode.

        Raises
        ------
        ResourceError
            A missing, damaged or foreign file, or a backbone with other weights.
        """
        folder = Path(folder)
        about, weights = folder / "classifier.json", folder / "trained.safetensors"
        if not about.is_file():
            raise resources.ResourceError(f"{folder} holds no classifier.json: it is not a saved classifier.")
        try:
            config = json.loads(about.read_text(encoding="utf-8"))
            version, name, checksum = (config[key] for key in ("format_version", "backbone", "backbone_sha256"))
            id2label, trained_layers = config["id2label"], config["trained_layers"]
            pooling, max_length = config["pooling"], config.get("max_length", MAX_LENGTH)
            own = config.get("trained_sha256")
        except (ValueError, KeyError, TypeError) as error:
            raise resources.ResourceError(f"{about} is damaged or of another kind.") from error
        if version != FORMAT_VERSION:
            raise resources.ResourceError(f"{about} has format version {version}; this course reads {FORMAT_VERSION}.")
        try:
            trained = load_file(weights)
        except (SafetensorError, OSError) as error:
            raise resources.ResourceError(f"{weights} is missing or damaged and is not used ({error}).") from error
        if own and resources.sha256(weights) != own:
            raise resources.ResourceError(f"{weights} is damaged, or not the one that {about.name} beside it "
                                          "describes.")
        backbone = resources.find_backbone(name)
        if resources.sha256(backbone.folder / "model.safetensors") != checksum:
            raise resources.ResourceError(f"{folder} was trained on other weights of '{name}' than those found here.")
        try:
            classifier = cls(backbone, id2label, trained_layers, pooling, max_length)
        except (ValueError, TypeError, AttributeError) as error:
            raise resources.ResourceError(f"{about} is damaged: {error}") from error
        expected = {name: weight.shape for name, weight in classifier.named_parameters() if weight.requires_grad}
        if expected != {name: tensor.shape for name, tensor in trained.items()}:
            raise resources.ResourceError(f"{weights} does not fit {about.name} beside it.")
        classifier.load_state_dict({name: tensor.float() for name, tensor in trained.items()}, strict=False)
        return classifier.eval()

"""Train the classifier that lesson 00 shows: the two top layers of the embedded backbone and a head.

    python tools/train_review_classifier.py

Takes a few minutes on two CPU cores. Weights are written as 16-bit numbers to keep the repository small.
"""

import random
from pathlib import Path

import torch

from sft_helpers import data, environment, models, resources

FOLDER = Path(__file__).resolve().parent.parent / "data" / "review_classifier"
EPOCHS, BATCH, LEARNING_RATE = 6, 32, 3e-4


def batches(texts, seed):
    """Return row numbers in batches of texts of like length, in random order."""
    rows = random.Random(seed).sample(range(len(texts)), len(texts))
    rows = [row for start in range(0, len(rows), 16 * BATCH)
            for row in sorted(rows[start:start + 16 * BATCH], key=lambda row: len(texts[row]))]
    found = [rows[start:start + BATCH] for start in range(0, len(rows), BATCH)]
    random.Random(seed).shuffle(found)
    return found


def main():
    environment.seed_everything(0)
    reviews = data.load("reviews")
    names = reviews["train"].features["label"].names
    texts, labels = list(reviews["train"]["text"]), torch.tensor(reviews["train"]["label"])
    classifier = models.TextClassifier(resources.find_backbone(), dict(enumerate(names)), trained_layers=2)
    device = classifier.head.weight.device
    trained = [weight for weight in classifier.parameters() if weight.requires_grad]
    layers = [weight for weight in classifier.backbone.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW([{"params": layers, "lr": LEARNING_RATE},
                                   {"params": classifier.head.parameters(), "lr": 10 * LEARNING_RATE}])
    steps = EPOCHS * len(batches(texts, 0))
    warm_up = steps // 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (steps - step) / (steps - warm_up)))
    best = 0.0
    for epoch in range(EPOCHS):
        classifier.train()
        for rows in batches(texts, epoch):
            inputs = classifier.tokenizer([texts[row] for row in rows], padding=True, truncation=True,
                                          max_length=models.MAX_LENGTH, return_tensors="pt").to(device)
            loss = torch.nn.functional.cross_entropy(classifier(**inputs), labels[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
        classifier.eval()
        predicted = classifier.predict(reviews["validation"]["text"])
        truth = [names[label] for label in reviews["validation"]["label"]]
        score = sum(a == b for a, b in zip(predicted, truth, strict=True)) / len(truth)
        print(f"epoch {epoch + 1} of {EPOCHS}: right for {score:.1%} of the validation reviews", flush=True)
        if score > best:
            best = score
            classifier.save_pretrained(FOLDER, half=True)
    print(f"the best, {best:.1%}, is in {FOLDER.name}; the test split was not touched")


if __name__ == "__main__":
    main()

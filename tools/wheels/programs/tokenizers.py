"""Train and use a tokenizer of its own, on its thread pool."""

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import BpeTrainer

TEXTS = [f"the text number {number} of many" for number in range(500)]


def work():
    tokenizer = Tokenizer(BPE(unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.train_from_iterator(TEXTS, BpeTrainer(vocab_size=200, special_tokens=["?"], show_progress=False))
    assert len(tokenizer.encode_batch(TEXTS)) == len(TEXTS)

# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures
from .bert_files import find_vocabulary
from .sentence_encoder import POOLINGS, SentenceEncoder
from .word_tokenizer import WordTokenizer

_RANGE = 0.08  # of the random vectors at the start


@MODELS.register_module()
class WordEmbeddingEncoder(SentenceEncoder):
    """A learned vector for each word, and nothing else: the words of CMSA-Net
    (Ye et al., CVPR 2019).

    The vector of a word is the same wherever it stands; word order has no
    effect on the features but by their order. Vectors start uniformly in
    -0.08..0.08.

    Args:
        vocab (str): Path of a file with one word a line, or the name of a
            packaged vocabulary ('synthetic'). Words that it lacks share the
            vector of '<unk>'. ``tools/dataset_converters/make_vocabulary.py``
            makes one of the sentences of a dataset.
        channels (int): Width ``C_l`` of the vectors. Defaults to 1000.
        max_tokens (int): Most words of a sentence. Longer ones lose their
            end, with a warning. Defaults to 20.
        lower_case (bool): Whether words are lower-cased. Defaults to True.
        frozen (bool): No gradients. Defaults to False.
        pooling (str): How a sentence becomes one vector: 'mean' of its words
            or 'last', the last one. Defaults to 'mean'.
        pad_to_max (bool): Pad every batch to ``max_tokens`` instead of its
            longest sentence, for fixed shapes. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        FileNotFoundError: There is no such vocabulary.
        ValueError: The vocabulary lacks a special token, or ``max_tokens`` is
            not positive.

    Example:
        >>> from mmrefseg.models import WordEmbeddingEncoder
        >>> encoder = WordEmbeddingEncoder(vocab='synthetic', channels=8)
        >>> encoder.tokens('The red circle.')
        ['the', 'red', 'circle']
        >>> features = encoder(['red circle', 'the large blue star'])
        >>> features.words.shape, features.mask.sum(dim=1).tolist()
        (torch.Size([2, 4, 8]), [2, 4])
    """

    tokenizer: WordTokenizer

    def __init__(self,
                 *,
                 vocab: str,
                 channels: int = 1000,
                 max_tokens: int = 20,
                 lower_case: bool = True,
                 frozen: bool = False,
                 pooling: str = 'mean',
                 pad_to_max: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            frozen=frozen,
            cache=False,  # reading a row of a table costs as much
            pooling=pooling,
            pad_to_max=pad_to_max,
            poolings=('mean', 'last'),
            init_cfg=init_cfg)
        self.tokenizer = WordTokenizer(
            vocab=_find(vocab), lower_case=lower_case, max_tokens=max_tokens)
        self.vectors = nn.Embedding(self.tokenizer.vocab_size, channels)
        nn.init.uniform_(self.vectors.weight, -_RANGE, _RANGE)
        self.vectors.requires_grad_(not frozen)
        self.train(self.training)

    @property
    def out_channels(self) -> int:
        """int: Width ``C_l`` of the word features."""
        return self.vectors.embedding_dim

    @property
    def weight(self) -> Tensor:
        return self.vectors.weight

    def _encode(self, ids: Sequence[Sequence[int]]) -> LanguageFeatures:
        padded, mask = self.pad(ids)
        words = self.vectors(padded).masked_fill(~mask[..., None], 0.)
        return LanguageFeatures(words, mask,
                                POOLINGS[self.pooling](words, mask))


def _find(vocab: str) -> Path:
    try:
        path = find_vocabulary(vocab, None)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error} tools/dataset_converters/make_vocabulary.py makes one '
            'of the sentences of a dataset.') from None
    if not path.is_file():
        raise FileNotFoundError(f"vocab='{vocab}' is a folder: give the path "
                                'of a file with one word a line.')
    return path

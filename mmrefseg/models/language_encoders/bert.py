# Licensed under the Apache License, Version 2.0.
import difflib
from collections.abc import Callable, Sequence

import torch
from mmengine.model import BaseModule, initialize
from torch import Tensor
from transformers import BertConfig, BertModel

from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.fileio.packages import PREFIX, resolve_package_path
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures, masked_mean
from .bert_files import ARCHITECTURE, find_vocabulary, read_architecture
from .bert_weights import load_bert_weights
from .sentence_tokenizer import SentenceTokenizer

# Adding the same number to all logits of a softmax changes nothing, so these
# biases have no gradient but rounding noise; they are kept, because files of
# weights have them, and do not train.
UNTRAINED_PARAMETERS = {
    'attention.self.key.bias': 'cancelled by the softmax over keys',
}


def _at_last(words: Tensor, mask: Tensor) -> Tensor:
    last = mask.sum(dim=1) - 1
    return words[torch.arange(len(words), device=words.device), last]


_POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'mean': masked_mean,
    'cls': lambda words, mask: words[:, 0],
    'last': _at_last,
}


@MODELS.register_module()
class BertLanguageEncoder(BaseModule):
    """BERT: sentences in, one feature for each of their tokens out.

    The features are the last hidden state, without pooler. The tokenizer
    belongs to the encoder, so the two cannot drift apart.

    The constructor builds tokenizer and architecture only. Weights of
    ``pretrained`` are read by :meth:`init_weights`, which training calls and
    testing does not: a checkpoint of the whole model needs no hub.
    'bert-base-uncased' needs none to be built either if ``vocab`` is given.

    Args:
        pretrained (str, optional): BERT to start from: a folder with
            ``config.json``, ``vocab.txt`` (or ``tokenizer.json``) and
            ``model.safetensors`` (or ``pytorch_model.bin``), or a name on the
            Hugging Face hub; ``package:NAME/FOLDER`` lies in an installed
            package. None starts from scratch.
        arch (dict, optional): Keyword arguments of
            :class:`transformers.BertConfig` that differ from ``pretrained``'s
            (from BERT-base's if that is None), e.g.
            ``dict(num_hidden_layers=2, hidden_dropout_prob=0.)``.
        vocab (str, optional): Path of a ``vocab.txt``, or the name of a
            packaged vocabulary ('synthetic'). None takes ``pretrained``'s.
        max_tokens (int): Most tokens of a sentence, [CLS] and [SEP] counted.
            Longer sentences lose their end, with a warning. Defaults to 30.
        lower_case (bool): Whether words are lower-cased. Defaults to True.
        frozen (bool): Freeze the whole encoder: no gradients, no dropout.
            Defaults to False.
        trainable_layers (Sequence[int], optional): Layers that are trained,
            from 0. None trains all.
        train_embeddings (bool): Whether the embeddings are trained.
            Defaults to True.
        with_cp (bool): Recompute the layers in the backward pass to save
            memory. Defaults to False.
        cache (bool): Keep the features of every sentence, for a frozen
            encoder: ``4 * T * C_l`` bytes each. They are computed in the
            precision of the weights, also in autocast. Defaults to False.
        pooling (str): How a sentence becomes one vector: 'mean' of its
            tokens, [CLS] and [SEP] among them, 'cls', the one at [CLS], or
            'last', the one at [SEP]. Defaults to 'mean'.
        pad_to_max (bool): Pad every batch to ``max_tokens`` instead of its
            longest sentence, for fixed shapes. Defaults to False.
        init_cfg (dict, optional): As in BaseModule, e.g. to load a checkpoint
            of this encoder; applied after ``pretrained``.

    Raises:
        FileNotFoundError: Vocabulary or architecture cannot be found.
        ValueError: Arguments contradict each other or the files.

    Example:
        >>> from mmrefseg.models import BertLanguageEncoder
        >>> tiny = dict(hidden_size=8, num_hidden_layers=1,
        ...             num_attention_heads=2, intermediate_size=8)
        >>> encoder = BertLanguageEncoder(vocab='synthetic', arch=tiny)
        >>> encoder.tokens('red circle')
        ['[CLS]', 'red', 'circle', '[SEP]']
        >>> features = encoder(['red circle', 'the large blue star'])
        >>> features.words.shape, features.sentence.shape
        (torch.Size([2, 6, 8]), torch.Size([2, 8]))
    """

    def __init__(self,
                 *,
                 pretrained: str | None = None,
                 arch: dict | None = None,
                 vocab: str | None = None,
                 max_tokens: int = 30,
                 lower_case: bool = True,
                 frozen: bool = False,
                 trainable_layers: Sequence[int] | None = None,
                 train_embeddings: bool = True,
                 with_cp: bool = False,
                 cache: bool = False,
                 pooling: str = 'mean',
                 pad_to_max: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if cache and not frozen:
            raise ValueError('cache=True needs frozen=True: the features of '
                             'an encoder that learns change at every step.')
        if pooling not in _POOLINGS:
            raise ValueError(f"pooling='{pooling}' is none of "
                             f'{", ".join(_POOLINGS)}.')
        self.pooling = pooling
        self._from_package = (pretrained or '').startswith(PREFIX)
        if pretrained is not None:
            pretrained = resolve_package_path(pretrained)
        self.pretrained = pretrained
        self.tokenizer = SentenceTokenizer(
            vocab=find_vocabulary(vocab, pretrained),
            lower_case=lower_case,
            max_tokens=max_tokens)
        config = _build_config(pretrained, dict(arch or {}), self.tokenizer)
        if max_tokens > config.max_position_embeddings:
            raise ValueError(
                f'max_tokens={max_tokens} is more than the '
                f'{config.max_position_embeddings} positions of this BERT: '
                'lower it, or raise arch.max_position_embeddings.')
        self.bert = BertModel(config, add_pooling_layer=False)
        self.frozen = frozen
        self.pad_to_max = pad_to_max
        # Not a buffer: it belongs to this process, not to the checkpoint.
        self._cache: dict[tuple, Tensor] | None = {} if cache else None
        self.register_load_state_dict_post_hook(_forget_features)
        self._freeze(trainable_layers, train_embeddings)
        if with_cp:
            _checkpoint_activations(self.bert)

    @property
    def out_channels(self) -> int:
        """int: Width ``C_l`` of the word features."""
        return self.bert.config.hidden_size

    @property
    def max_tokens(self) -> int:
        """int: Most tokens of a sentence, [CLS] and [SEP] counted."""
        return self.tokenizer.max_tokens

    def tokens(self, text: str) -> list[str]:
        """Tokens of a sentence, [CLS] and [SEP] included, after cutting."""
        return self.tokenizer.tokens(text)

    def unknown_words(self, text: str) -> list[str]:
        """Words of a sentence that the vocabulary cannot express."""
        return self.tokenizer.unknown_words(text)

    def _freeze(self, trainable_layers: Sequence[int] | None,
                train_embeddings: bool) -> None:
        layers = self.bert.encoder.layer
        if trainable_layers is not None:
            wrong = [i for i in trainable_layers if not 0 <= i < len(layers)]
            if wrong:
                raise ValueError(f'trainable_layers names {wrong}, but this '
                                 f'BERT has layers 0 to {len(layers) - 1}.')
            for i, layer in enumerate(layers):
                layer.requires_grad_(i in trainable_layers)
        if not train_embeddings:
            self.bert.embeddings.requires_grad_(False)
        for name, parameter in self.bert.named_parameters():
            if self.frozen or name.endswith(tuple(UNTRAINED_PARAMETERS)):
                parameter.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'BertLanguageEncoder':
        """Switch the mode; a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def init_weights(self) -> None:
        """Load the weights of ``pretrained``, if any.

        Raises:
            FileNotFoundError: They cannot be found; the message says what to
                set.
            ValueError: They do not fit the architecture.
        """
        if self.pretrained is not None:
            load_bert_weights(self.bert, self.pretrained)
        if self.init_cfg is not None:
            with secure_checkpoint_loading():
                initialize(self, self.init_cfg)
        _forget_features(self)
        # Not BaseModule's own: it would descend to transformers'
        # init_weights, which may start over from random numbers.
        self._is_init = True

    def packaged_state(self) -> list[str]:
        """Names of the tensors that an installed package brings."""
        return list(self.state_dict()) if self._from_package else []

    def load_packaged(self) -> None:
        """Load them."""
        assert self.pretrained is not None
        load_bert_weights(self.bert, self.pretrained)
        _forget_features(self)

    def forward(self, texts: Sequence[str]) -> LanguageFeatures:
        """Encode sentences.

        Args:
            texts (Sequence[str]): ``B`` sentences.

        Returns:
            LanguageFeatures: ``words`` ``B x T x C_l``, zero at padding,
            ``mask`` ``B x T``, bool, and ``sentence`` ``B x C_l``; ``T`` is
            the longest sentence of the batch (``max_tokens`` with
            ``pad_to_max``). [CLS] and [SEP] count as words.

        Raises:
            TypeError: ``texts`` is not a sequence of strings.
            ValueError: There is no sentence, or one without a word.
        """
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise TypeError('texts must be a list of sentences, not '
                            f'{type(texts).__name__}: {texts!r}.')
        if len(texts) == 0:
            raise ValueError('There is no sentence to encode: texts is empty.')
        if self._cache is not None:
            return self._forward_cached(texts, self._cache)
        ids = [self.tokenizer.encode(text, i) for i, text in enumerate(texts)]
        return self._encode(ids)

    def _encode(self, ids: Sequence[Sequence[int]]) -> LanguageFeatures:
        device = self.bert.embeddings.word_embeddings.weight.device
        lengths = torch.tensor([len(row) for row in ids], device=device)
        longest = max(len(row) for row in ids)
        if self.pad_to_max:
            longest = self.max_tokens
        padded = torch.tensor(
            [[*row, *[self.tokenizer.pad_id] * (longest - len(row))]
             for row in ids],
            device=device)
        mask = torch.arange(longest, device=device) < lengths[:, None]
        with torch.set_grad_enabled(
                torch.is_grad_enabled() and not self.frozen):
            words = self.bert(
                input_ids=padded,
                attention_mask=mask.long()).last_hidden_state
            words = words.masked_fill(~mask[..., None], 0.)
        return self._pool(words, mask)

    def _pool(self, words: Tensor, mask: Tensor) -> LanguageFeatures:
        sentence = _POOLINGS[self.pooling](words, mask)
        return LanguageFeatures(words, mask, sentence)

    def _forward_cached(self, texts: Sequence[str],
                        cache: dict[tuple, Tensor]) -> LanguageFeatures:
        weight = self.bert.embeddings.word_embeddings.weight
        keys = [(text, weight.device, weight.dtype) for text in texts]
        # Sentences of one length together, and never in autocast: a feature
        # must not depend on the sentences that happened to come with it (no
        # padding), nor on whether training or testing asked first.
        missing: dict[int, dict[tuple, list[int]]] = {}
        for i, (text, key) in enumerate(zip(texts, keys)):
            if key not in cache:
                ids = self.tokenizer.encode(text, i)
                missing.setdefault(len(ids), {})[key] = ids
        for some in missing.values():
            with torch.autocast(weight.device.type, enabled=False):
                encoded = self._encode(list(some.values()))
            for i, key in enumerate(some):
                cache[key] = encoded.words[i][encoded.mask[i]]
        rows = [cache[key] for key in keys]
        longest = max(len(row) for row in rows)
        if self.pad_to_max:
            longest = self.max_tokens
        words = rows[0].new_zeros(len(rows), longest, self.out_channels)
        mask = torch.zeros(
            len(rows), longest, dtype=torch.bool, device=weight.device)
        for i, row in enumerate(rows):
            words[i, :len(row)] = row
            mask[i, :len(row)] = True
        return self._pool(words, mask)


def _forget_features(encoder: BertLanguageEncoder, _=None) -> None:
    if encoder._cache is not None:
        encoder._cache.clear()


def _build_config(pretrained: str | None, arch: dict,
                  tokenizer: SentenceTokenizer) -> BertConfig:
    for key in arch:
        if key not in ARCHITECTURE:
            near = difflib.get_close_matches(key, ARCHITECTURE, cutoff=0.)
            raise ValueError(f"arch has '{key}', which is no part of a BERT: "
                             f'do you mean {" or ".join(near)}?')
    if arch.get('vocab_size', tokenizer.vocab_size) != tokenizer.vocab_size:
        raise ValueError(
            f"arch.vocab_size={arch['vocab_size']} differs from the "
            f'{tokenizer.vocab_size} tokens of the vocabulary: leave it out, '
            'it is taken from there.')
    settings = {**read_architecture(pretrained), **arch}
    # A file of weights may have more rows than its vocabulary has words.
    rows = settings.get('vocab_size', tokenizer.vocab_size)
    if rows < tokenizer.vocab_size:
        raise ValueError(
            f"'{pretrained}' has embeddings for {rows} tokens, but the "
            f'vocabulary has {tokenizer.vocab_size}: give the vocabulary that '
            'belongs to it.')
    settings.update(vocab_size=rows, pad_token_id=tokenizer.pad_id)
    return BertConfig(**settings)


def _checkpoint_activations(bert: BertModel) -> None:
    # The name of the function differs between transformers 4 and 5.
    enable = getattr(bert, 'activation_checkpointing_enable',
                     bert.gradient_checkpointing_enable)
    enable({'use_reentrant': False})

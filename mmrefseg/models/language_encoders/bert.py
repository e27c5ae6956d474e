# Licensed under the Apache License, Version 2.0.
import difflib
from collections.abc import Sequence

from mmengine.model import initialize
from torch import Tensor
from transformers import BertConfig, BertModel

from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.fileio.packages import PREFIX, resolve_package_path
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures
from ..hf import recompute
from .bert_files import ARCHITECTURE, find_vocabulary, read_architecture
from .bert_weights import load_bert_weights
from .sentence_encoder import POOLINGS, SentenceEncoder
from .sentence_tokenizer import SentenceTokenizer

# Adding the same number to all logits of a softmax changes nothing, so these
# biases have no gradient but rounding noise; they are kept, because files of
# weights have them, and do not train.
UNTRAINED_PARAMETERS = {
    'attention.self.key.bias': 'cancelled by the softmax over keys',
}


@MODELS.register_module()
class BertLanguageEncoder(SentenceEncoder):
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
        super().__init__(
            frozen=frozen,
            cache=cache,
            pooling=pooling,
            pad_to_max=pad_to_max,
            init_cfg=init_cfg)
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
        self._freeze(trainable_layers, train_embeddings)
        if with_cp:
            recompute(self.bert)

    @property
    def out_channels(self) -> int:
        """int: Width ``C_l`` of the word features."""
        return self.bert.config.hidden_size

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
        self.forget_features()
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
        self.forget_features()

    @property
    def weight(self) -> Tensor:
        return self.bert.embeddings.word_embeddings.weight

    def _encode(self, ids: Sequence[Sequence[int]]) -> LanguageFeatures:
        padded, mask = self.pad(ids)
        words = self.bert(
            input_ids=padded, attention_mask=mask.long()).last_hidden_state
        words = words.masked_fill(~mask[..., None], 0.)
        return LanguageFeatures(words, mask,
                                POOLINGS[self.pooling](words, mask))


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

# Licensed under the Apache License, Version 2.0.
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import initialize
from torch import Tensor

from mmrefseg.fileio import secure_checkpoint_loading
from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures
from ..hf import add_lora, build_model, load_pretrained, make_config, recompute
from .family_tokenizer import FamilyTokenizer
from .sentence_encoder import POOLINGS, SentenceEncoder
from .text_families import config_class, family_of, most_tokens, text_class


@MODELS.register_module()
class HFTextEncoder(SentenceEncoder):
    """Any text model of ``transformers``: CLIP's and SigLIP's text towers,
    ModernBERT, RoBERTa, the encoder of T5, MiniLM, ...

    Sentences are read as the model was trained: with the special tokens, the
    side of padding and the positions of its tokenizer and architecture. The
    features are the last hidden state; those of padding are left out, and
    real tokens always come first.

    The constructor builds tokenizer and architecture only. Weights of
    ``pretrained`` are read by :meth:`init_weights`, from safetensors, which
    training calls and testing does not.

    Args:
        pretrained (str, optional): Folder or name on the Hugging Face hub
            with ``config.json``, ``model.safetensors`` and the files of a
            tokenizer; of a model of image and text, its text tower. None
            starts from scratch.
        arch (dict, optional): With ``model_type`` the whole architecture,
            such as ``dict(model_type='roberta', hidden_size=128)`` (of CLIP
            'clip_text_model', of SigLIP 'siglip_text_model'), so that nothing
            but the weights is asked of a hub. Without, what differs from
            ``pretrained``'s.
        tokenizer (str, optional): Folder or hub name of the tokenizer, a
            ``vocab.txt`` (WordPiece) or the name of a packaged vocabulary
            ('synthetic'). None takes ``pretrained``'s.
        max_tokens (int): Most tokens of a sentence, special ones counted.
            Longer sentences lose their end, with a warning. Defaults to 30.
        lower_case (bool, optional): Lower-case sentences first. None means
            as the family was trained: SigLIP does.
        pooling (str, optional): How a sentence becomes one vector: 'mean' of
            its tokens, 'cls', the first one, 'last', the last one, or
            'pooler', the model's own output. None means as the family was
            trained: CLIP 'last' (its end of text), SigLIP 'pooler', ModernBERT
            and RoBERTa 'cls', all others 'mean'.
        frozen (bool): Freeze the whole encoder: no gradients, no dropout.
            Defaults to False.
        lora (dict, optional): Train low-rank adapters and nothing else:
            arguments of ``peft.LoraConfig``, such as
            ``dict(r=8, lora_alpha=16)``. Needs the package peft.
        dtype (str, optional): 'bfloat16', ... of the weights; features are
            given out in PyTorch's default dtype. For frozen encoders. None
            means the default dtype.
        attn_implementation (str, optional): 'eager', 'sdpa', ... None leaves
            it to transformers.
        with_cp (bool): Recompute the layers in the backward pass to save
            memory. Defaults to False.
        cache (bool): Keep the features of every sentence, for a frozen
            encoder, as in ``BertLanguageEncoder``. Defaults to False.
        pad_to_max (bool): Pad every batch to ``max_tokens`` instead of its
            longest sentence. Defaults to False.
        local_files_only (bool): Never ask the hub. Defaults to False.
        init_cfg (dict, optional): As in BaseModule; applied after
            ``pretrained``.

    Raises:
        FileNotFoundError: Tokenizer or architecture cannot be found.
        ImportError: ``lora`` needs peft, which is not installed.
        ValueError: Arguments contradict each other, the files, or the
            installed transformers.

    Example:
        >>> from mmrefseg.models import HFTextEncoder
        >>> tiny = dict(model_type='roberta', hidden_size=8,
        ...             num_hidden_layers=1, num_attention_heads=2,
        ...             intermediate_size=8, max_position_embeddings=40)
        >>> encoder = HFTextEncoder(tokenizer='synthetic', arch=tiny)
        >>> features = encoder(['red circle', 'the large blue star'])
        >>> features.words.shape, features.sentence.shape
        (torch.Size([2, 6, 8]), torch.Size([2, 8]))
    """

    tokenizer: FamilyTokenizer

    def __init__(self,
                 *,
                 pretrained: str | None = None,
                 arch: dict | None = None,
                 tokenizer: str | None = None,
                 max_tokens: int = 30,
                 lower_case: bool | None = None,
                 pooling: str | None = None,
                 frozen: bool = False,
                 lora: dict | None = None,
                 dtype: str | None = None,
                 attn_implementation: str | None = None,
                 with_cp: bool = False,
                 cache: bool = False,
                 pad_to_max: bool = False,
                 local_files_only: bool = False,
                 init_cfg: dict | None = None) -> None:
        if tokenizer is None and pretrained is None:
            raise ValueError(
                'An HFTextEncoder needs words: set tokenizer= to a folder, a '
                'hub name, a vocab.txt or a packaged vocabulary '
                "('synthetic'), or pretrained=.")
        if frozen and lora is not None:
            raise ValueError('frozen=True and lora=dict(...) contradict each '
                             'other: an encoder with adapters trains them.')
        config = make_config(
            pretrained,
            arch,
            local_files_only=local_files_only,
            part='language_encoder',
            tower='text_config',
            classes=config_class)
        self._family = family = family_of(config.model_type)
        super().__init__(
            frozen=frozen,
            cache=cache,
            pooling=pooling or family.pooling,
            pad_to_max=pad_to_max,
            poolings=(*POOLINGS, 'pooler'),
            init_cfg=init_cfg)
        self.tokenizer = FamilyTokenizer(
            tokenizer=tokenizer or str(pretrained),
            max_tokens=max_tokens,
            lower_case=(family.lower_case
                        if lower_case is None else lower_case),
            local_files_only=local_files_only)
        self._fit_vocabulary(config, arch or {}, pretrained)
        self.pretrained = pretrained
        self.local_files_only = local_files_only
        self._casts = dtype is not None
        self.config = config
        self._kind = text_class(config)
        whole = build_model(
            self._kind,
            config,
            dtype=dtype,
            attn_implementation=attn_implementation)
        self.model = getattr(whole, family.inner) if family.inner else whole
        self._check_length(max_tokens)
        parameters = inspect.signature(self.model.forward).parameters
        self._takes_positions = 'position_ids' in parameters
        self._freeze(lora)
        if with_cp:
            recompute(self.model)

    def _fit_vocabulary(self, config: Any, arch: dict,
                        pretrained: str | None) -> None:
        words = self.tokenizer.vocab_size
        if pretrained is None and 'vocab_size' not in arch:
            config.vocab_size = words
        if config.vocab_size < words:
            raise ValueError(
                f'The model has embeddings for {config.vocab_size} tokens, '
                f'but its tokenizer has {words}: give the tokenizer that '
                'belongs to it (language_encoder.tokenizer).')
        if pretrained is None and 'pad_token_id' not in arch:
            config.pad_token_id = self.tokenizer.pad_id
        if getattr(config, 'reference_compile', False) is None:
            config.reference_compile = False  # of ModernBERT: no surprises

    def _check_length(self, max_tokens: int) -> None:
        self._positions = most_tokens(self.model, self.config)
        for most, where in ((self._positions, 'positions of this '
                             f'{self._kind.__name__}'),
                            (self.tokenizer.longest,
                             'tokens that the tokenizer admits')):
            if most is not None and max_tokens > most:
                raise ValueError(f'max_tokens={max_tokens} is more than the '
                                 f'{most} {where}: lower it.')

    def _freeze(self, lora: dict | None) -> None:
        for name, module in self.model.named_modules():
            if name.rpartition('.')[2] in self._family.untrained:
                module.requires_grad_(False)
        if lora is not None:
            add_lora(self.model, lora)
        if self.frozen:
            self.model.requires_grad_(False)
        self.train(self.training)

    @property
    def out_channels(self) -> int:
        """int: Width ``C_l`` of the word features."""
        return self.config.hidden_size

    @property
    def weight(self) -> Tensor:
        return self.model.get_input_embeddings().weight

    def init_weights(self) -> None:
        """Load the weights of ``pretrained``, if any.

        Raises:
            FileNotFoundError: They cannot be found as safetensors.
            ValueError: They do not fit the architecture.
        """
        if self.pretrained is not None:
            inner = self._family.inner
            load_pretrained(
                self.model,
                self.pretrained,
                kind=self._kind,
                config=self.config,
                local_files_only=self.local_files_only,
                prefix=f'{inner}.' if inner else '')
        if self.init_cfg is not None:
            with secure_checkpoint_loading():
                initialize(self, self.init_cfg)
        self.forget_features()
        # Not BaseModule's own: it would descend to transformers'
        # init_weights, which may start over from random numbers.
        self._is_init = True

    def _encode(self, ids: Sequence[Sequence[int]]) -> LanguageFeatures:
        full = self._positions if self._family.full_length else None
        padded, mask = self.pad(ids, full)
        lengths = mask.sum(dim=1)
        start = torch.zeros_like(lengths)
        if self.tokenizer.padding_side == 'left':
            start = mask.shape[1] - lengths
        # A row's real tokens stand at start ... start + length.
        place = torch.arange(
            mask.shape[1], device=mask.device) - start[:, None]
        padded = padded.gather(1, place % mask.shape[1])
        options: dict[str, Tensor] = {}
        if not self._family.full_length:
            options['attention_mask'] = (place >= 0).mul(
                place < lengths[:, None]).long()
            if self._takes_positions and self.tokenizer.padding_side == 'left':
                options['position_ids'] = place.clamp(min=0)
        out = self.model(input_ids=padded, **options)
        longest = max(len(row) for row in ids)
        if self.pad_to_max:
            longest = self.max_tokens
        mask = mask[:, :longest]
        back = (start[:, None] + torch.arange(longest, device=mask.device)
                ) % len(place[0])
        words = out.last_hidden_state.gather(
            1, back[..., None].expand(-1, -1, self.out_channels))
        words = words.masked_fill(~mask[..., None], 0.)
        sentence = self._sentence(out, words, mask)
        if self._casts:
            words = words.to(torch.get_default_dtype())
            sentence = sentence.to(words.dtype)
        return LanguageFeatures(words, mask, sentence)

    def _sentence(self, out: Any, words: Tensor, mask: Tensor) -> Tensor:
        if self.pooling != 'pooler':
            return POOLINGS[self.pooling](words, mask)
        pooled = getattr(out, 'pooler_output', None)
        if pooled is None:
            raise ValueError(
                f"{self._kind.__name__} has no output for the whole sentence: "
                "pooling='pooler' is for CLIP and SigLIP, take another one.")
        return pooled

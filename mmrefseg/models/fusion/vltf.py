# Licensed under the Apache License, Version 2.0.
import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrefseg.registry import MODELS
from mmrefseg.structures import FusionOutput, LanguageFeatures
from ..layers import MultiHeadAttention


@MODELS.register_module()
class VLTF(BaseModule):
    """Vision-language token fusion with blank tokens (RefSegformer, Wu et
    al., Towards robust referring image segmentation, TIP 2024).

    With ``V' = BN(W_v V)`` and ``L' = W_l L``:

    - memory: ``Mem = MHA(queries, L', L')``, learned queries over the words
    - tokens: ``Z = IN([blank ; Mem])``, learned blank tokens before them
    - ``F = BN(W_o IN(MHA(V', Z, Z)))``, pixels over the tokens

    A pixel that no word means can attend to the blank tokens: that is how
    the network can say that nothing is there. IN is an instance norm without
    affine, first over the tokens, then over the pixels. Padded words are
    masked, so padding changes nothing. Biases that a norm or a softmax would
    cancel are not built.

    ``F`` starts near 0 (``init_weights``): the weight of the last BN at
    ``init_scale``. The original starts it at 0, which is right for a decoder
    that projects F; one that has a ReLU behind its first convolution, such as
    ``ReferringPixelDecoder``, would have a slope of 0 there for ever, and
    neither fusion nor language encoder would train.

    ``F`` goes to the decoder; with ``gate=None`` the next stage sees
    ``V + F``. On request the tokens are handed on as language queries, for
    whoever judges existence from them: of a single stage, since their width
    is that of its map (``query_stages=(1, )`` and its channels as
    ``query_channels`` of the backbone).

    Args:
        channels (int): Channels ``C`` of the feature map.
        language_channels (int): Width of the word features.
        query_channels (int, optional): ``C`` hands the tokens on. None does
            not.
        num_heads (int): Heads of both attentions; the paper takes those of
            the stage. Defaults to 8.
        num_memory_tokens (int): Learned queries. Defaults to 20.
        num_blank_tokens (int): Learned blank tokens. Defaults to 10.
        init_std (float): Width of the normal distribution from which
            ``init_weights`` draws the weights of both attentions. Defaults to
            0.001.
        init_scale (float): Weight of the last norm after ``init_weights``; 0
            is the original's, see above. Defaults to 0.001.
        norm_cfg (dict): The norm BN. Defaults to BN.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: Queries of another width are asked for, there are too few
            tokens, or ``num_heads`` does not divide ``channels``.

    Example:
        >>> import torch
        >>> from mmrefseg.models import VLTF
        >>> from mmrefseg.structures import LanguageFeatures
        >>> language = LanguageFeatures(
        ...     words=torch.rand(2, 5, 16), mask=torch.ones(2, 5).bool())
        >>> fusion = VLTF(channels=8, language_channels=16, query_channels=8)
        >>> fused, tokens, _ = fusion(torch.rand(2, 8, 6, 6), language)
        >>> fused.shape, tokens.shape
        (torch.Size([2, 8, 6, 6]), torch.Size([2, 30, 8]))
    """

    def __init__(self,
                 *,
                 channels: int,
                 language_channels: int,
                 query_channels: int | None = None,
                 num_heads: int = 8,
                 num_memory_tokens: int = 20,
                 num_blank_tokens: int = 10,
                 init_std: float = 0.001,
                 init_scale: float = 0.001,
                 norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if query_channels not in (None, channels):
            raise ValueError(
                f'VLTF hands on tokens of {channels} channels, those of its '
                f'stage, not {query_channels}: set query_stages=() in the '
                'backbone, or name one stage there and its channels as '
                'query_channels.')
        if num_memory_tokens < 1 or num_blank_tokens < 1:
            raise ValueError(
                f'num_memory_tokens={num_memory_tokens} and num_blank_tokens='
                f'{num_blank_tokens} of VLTF must be at least 1.')
        self.with_query = query_channels is not None
        self.init_scale = init_scale
        self.visual = nn.Linear(channels, channels, bias=False)
        self.visual_norm = build_norm_layer(norm_cfg, channels)[1]
        # What is added to the maps of a whole batch: a batch norm cancels it.
        self.cancels_constants = isinstance(self.visual_norm, _BatchNorm)
        self.words = nn.Linear(language_channels, channels)
        self.memory_queries = nn.Parameter(
            torch.randn(num_memory_tokens, channels))
        self.memory = MultiHeadAttention(
            channels=channels,
            num_heads=num_heads,
            init_std=init_std)
        self.blank_tokens = nn.Parameter(
            torch.randn(num_blank_tokens, channels))
        # Of value and output the norm over pixels cancels the bias.
        self.attention = MultiHeadAttention(
            channels=channels,
            num_heads=num_heads,
            value_bias=False,
            out_bias=False,
            init_std=init_std)
        self.out = nn.Linear(channels, channels, bias=False)
        self.out_norm = build_norm_layer(norm_cfg, channels)[1]

    def init_weights(self) -> None:
        """Initialise; the fused map starts near 0."""
        super().init_weights()
        nn.init.constant_(self.out_norm.weight, self.init_scale)

    @staticmethod
    def _instance_norm(places: Tensor) -> Tensor:
        """Normalise ``B x N x C`` over its N places."""
        return F.instance_norm(places.transpose(1, 2)).transpose(1, 2)

    def _tokens(self, language: LanguageFeatures) -> Tensor:
        """Z, ``B x n x C``."""
        words = self.words(language.words)
        queries, blank = (
            x.expand(len(words), -1, -1)
            for x in (self.memory_queries, self.blank_tokens))
        memory = self.memory(queries, words, language.mask)
        return self._instance_norm(
            torch.cat([blank.to(memory.dtype), memory], dim=1))

    def forward(self, visual: Tensor,
                language: LanguageFeatures) -> FusionOutput:
        """Fuse a map with the words of its sentence.

        Args:
            visual (Tensor): ``B x C x H x W``; H * W is at least 2.
            language (LanguageFeatures): ``B`` sentences.

        Returns:
            FusionOutput: The fused map, ``B x C x H x W``, and on request the
            tokens Z, ``B x n x C``: the blank ones, then those of the memory.
        """
        size = visual.shape[2:]
        pixels = self.visual(visual.flatten(2).transpose(1, 2))
        pixels = self.visual_norm(pixels.transpose(1, 2).unflatten(2, size))
        tokens = self._tokens(language)
        heard = self._instance_norm(
            self.attention(pixels.flatten(2).transpose(1, 2), tokens))
        fused = self.out(heard).transpose(1, 2).unflatten(2, size)
        return FusionOutput(
            self.out_norm(fused), tokens if self.with_query else None)

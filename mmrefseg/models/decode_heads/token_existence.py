# Licensed under the Apache License, Version 2.0.

from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import MultimodalFeatures
from ..layers import MultiHeadAttention
from .existence import BaseExistencePredictor


@MODELS.register_module()
class TokenExistencePredictor(BaseExistencePredictor):
    """Predicts existence from the tokens of a fusion (RefSegformer, Wu et
    al., Towards robust referring image segmentation, TIP 2024).

    ``e = w mean_pixels(MHA(F, Z, Z)) + b``: each pixel of the finest decoded
    map ``F`` attends to the tokens ``Z`` that a fusion such as ``VLTF`` hands
    on as language queries; in the paper those of the second stage. Both are
    detached: what is learned here changes neither backbone nor decoder.

    Args:
        in_channels (int): Channels of the finest map.
        token_channels (int): Width ``C_q`` of a language query.
        channels (int): Width of the attention. Defaults to 256.
        num_heads (int): Its heads, which divide ``channels``. Defaults to 8.
        loss_weight (float): Of the loss. Defaults to 1.0.
        threshold (float): Score below which nothing is there, and the mask
            is emptied. Defaults to 0.5.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: ``threshold`` does not lie in 0..1, ``loss_weight`` is not
            positive, or ``num_heads`` does not divide ``channels``.

    Example:
        >>> import torch
        >>> from mmrefseg.models import TokenExistencePredictor
        >>> from mmrefseg.structures import MultimodalFeatures
        >>> existence = TokenExistencePredictor(
        ...     in_channels=8, token_channels=4, channels=8, num_heads=2)
        >>> features = MultimodalFeatures(
        ...     (torch.rand(3, 8, 16, 16), ), queries=torch.rand(3, 30, 4))
        >>> existence.predict(features).shape
        torch.Size([3])
    """

    def __init__(self,
                 *,
                 in_channels: int,
                 token_channels: int,
                 channels: int = 256,
                 num_heads: int = 8,
                 loss_weight: float = 1.0,
                 threshold: float = 0.5,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            loss_weight=loss_weight, threshold=threshold, init_cfg=init_cfg)
        self.attention = MultiHeadAttention(
            channels=channels,
            num_heads=num_heads,
            query_channels=in_channels,
            memory_channels=token_channels)
        self.score = nn.Linear(channels, 1)

    def forward(self, features: MultimodalFeatures) -> Tensor:
        """Compute the logit of existence.

        Args:
            features (MultimodalFeatures): Decoded maps, finest first
                ``B x C x H_1 x W_1``, and language queries, ``B x n x C_q``.

        Returns:
            Tensor: ``B`` logits; above 0, the thing is likelier there than
            not.

        Raises:
            ValueError: There are no language queries.
        """
        if features.queries is None:
            raise ValueError(
                'TokenExistencePredictor reads tokens as language queries, '
                'but the backbone makes none: name query_stages and their '
                'query_channels there.')
        pixels = features[0].detach().flatten(2).transpose(1, 2)
        seen = self.attention.attend(pixels, features.queries.detach())
        # The output projection of a mean is the mean of the projections.
        return self.score(self.attention.out(seen.mean(dim=1)))[:, 0]

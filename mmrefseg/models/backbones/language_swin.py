# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.utils.checkpoint as cp
from mmengine.logging import print_log
from mmengine.model.weight_init import constant_init, trunc_normal_init
from mmseg.models.backbones import SwinTransformer
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from mmrefseg.structures import LanguageFeatures, MultimodalFeatures
from ..fusion import build_fusions, build_gates
from ..layers import ShiftedWindowAttention
from .swin_weights import load_swin_weights


@MODELS.register_module()
class LanguageSwinTransformer(SwinTransformer):
    """Swin Transformer whose stages listen to a sentence.

    After the blocks of stage i: ``F_i, Q_i = fusion_i(V_i, language)``; all
    stages but the last pass ``V_i + gate_i(F_i, V_i)`` on to patch merging.
    The maps given out are the ungated ``F_i``.

    Parameters of the Swin part keep mmseg's names, so its checkpoints load;
    mmseg's output norms are not built unless ``output_norm`` asks for them.

    Args:
        language_channels (int): Width of the word features. The segmentor
            sets it from its language encoder.
        fusion (dict): Fusion of map and words, one built for each stage.
        gate (dict, optional): Gate of the fused map, one built for each stage
            but the last. None adds the fused map itself.
        frozen_last_gate (bool): Build a gate for the last stage too, which
            feeds nothing and does not train. LAVT has one: it counts among
            its parameters and is in its files. Defaults to False.
        query_channels (int): Width of the language queries. Defaults to 256.
        query_stages (Sequence[int]): Stages, from 0, that give a language
            query. Defaults to all four.
        output_norm (bool): Put a LayerNorm on each map given out (LAVT does,
            MPG-LQGNet does not). Defaults to False.
        embed_dims (int): Channels of the first stage. Defaults to 96.
        depths (Sequence[int]): Blocks of each stage.
        num_heads (Sequence[int]): Attention heads of each stage.
        window_size (int): Side of an attention window. Defaults to 7.
        mlp_ratio (float): Hidden width of the feed-forward layers over their
            width. Defaults to 4.
        patch_size (int): Side of a patch, and stride of the first map.
            Defaults to 4.
        qkv_bias (bool): Whether qkv projections have a bias.
        qk_scale (float, optional): Scale of the attention logits.
        patch_norm (bool): Norm in patch embedding and patch merging.
        drop_rate (float): Dropout. Defaults to 0.
        attn_drop_rate (float): Dropout of attention weights. Defaults to 0.
        drop_path_rate (float): Stochastic depth of the last block, growing
            linearly from 0. Defaults to 0.3.
        with_cp (bool): Recompute the blocks in the backward pass to save
            memory. Defaults to False.
        frozen_stages (int): Stages whose Swin part is frozen; 0 freezes the
            patch embedding, -1 nothing. Defaults to -1.
        act_cfg (dict): Activation of the feed-forward layers.
        norm_cfg (dict): Norm of the blocks.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            loads a Swin file in the key format of mmseg, mmpretrain or
            Microsoft. None starts from scratch.

    Raises:
        ValueError: ``frozen_last_gate`` is asked for without a gate.
    """

    uses_language = True

    def __init__(self,
                 *,
                 language_channels: int,
                 fusion: dict,
                 gate: dict | None = None,
                 frozen_last_gate: bool = False,
                 query_channels: int = 256,
                 query_stages: Sequence[int] = (0, 1, 2, 3),
                 output_norm: bool = False,
                 embed_dims: int = 96,
                 depths: Sequence[int] = (2, 2, 6, 2),
                 num_heads: Sequence[int] = (3, 6, 12, 24),
                 window_size: int = 7,
                 mlp_ratio: float = 4,
                 patch_size: int = 4,
                 qkv_bias: bool = True,
                 qk_scale: float | None = None,
                 patch_norm: bool = True,
                 drop_rate: float = 0.,
                 attn_drop_rate: float = 0.,
                 drop_path_rate: float = 0.3,
                 with_cp: bool = False,
                 frozen_stages: int = -1,
                 act_cfg: dict = dict(type='GELU'),
                 norm_cfg: dict = dict(type='LN'),
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            mlp_ratio=mlp_ratio,
            patch_size=patch_size,
            strides=(patch_size, ) + (2, ) * (len(depths) - 1),
            out_indices=tuple(range(len(depths))) if output_norm else (),
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            patch_norm=patch_norm,
            drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate,
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            act_cfg=act_cfg,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg)
        self.with_cp = with_cp
        self.output_norm = output_norm
        self._use_fused_attention(qkv_bias, qk_scale, attn_drop_rate,
                                  drop_rate)
        self.fusions = build_fusions(
            fusion,
            channels=self.num_features,
            language_channels=language_channels,
            query_channels=query_channels,
            query_stages=query_stages)
        if frozen_last_gate and gate is None:
            raise ValueError('frozen_last_gate=True needs a gate: name one, '
                             'or leave frozen_last_gate out.')
        gated = self.num_features[:None if frozen_last_gate else -1]
        self.gates = build_gates(gate, channels=gated)
        if frozen_last_gate:
            self.gates[-1].requires_grad_(False)
        self._freeze_stages()

    def _use_fused_attention(self, qkv_bias: bool, qk_scale: float | None,
                             attn_drop_rate: float, drop_rate: float) -> None:
        for block in (b for stage in self.stages for b in stage.blocks):
            attn = block.attn
            block.attn = ShiftedWindowAttention(
                embed_dims=attn.w_msa.embed_dims,
                num_heads=attn.w_msa.num_heads,
                window_size=attn.window_size,
                shift_size=attn.shift_size,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                attn_drop_rate=attn_drop_rate,
                proj_drop_rate=drop_rate,
                drop_path_rate=getattr(attn.drop, 'drop_prob', 0.))

    def init_weights(self) -> None:
        """Initialise, or load ``init_cfg``'s checkpoint into, the Swin part;
        fusions and gates initialise themselves.

        Raises:
            ValueError: Nothing in the checkpoint matches this backbone.
        """
        swin = [self.patch_embed, *self.stages]
        for module in (m for part in swin for m in part.modules()):
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=.02, bias=0.)
            elif isinstance(module, nn.LayerNorm):
                constant_init(module, val=1.0, bias=0.)
            elif isinstance(module, ShiftedWindowAttention):
                module.w_msa.init_weights()
        for fusion in self.fusions:
            fusion.init_weights()
        for gate in self.gates or ():
            gate.init_weights()
        if self.init_cfg is None:
            print_log('LanguageSwinTransformer starts from scratch: no '
                      'pretrained weights are named in backbone.init_cfg.',
                      'current')
        else:
            load_swin_weights(self, self.init_cfg['checkpoint'])

    def train(self, mode: bool = True) -> 'LanguageSwinTransformer':
        """Switch the mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        return self  # mmseg's returns None

    def _run_blocks(self, stage: nn.Module, x: Tensor,
                    hw_shape: tuple[int, int]) -> Tensor:
        for block in stage.blocks:
            if self.with_cp and torch.is_grad_enabled():
                x = cp.checkpoint(block, x, hw_shape, use_reentrant=False)
            else:
                x = block(x, hw_shape)
        return x

    def forward(self, images: Tensor,
                language: LanguageFeatures) -> MultimodalFeatures:
        """Extract features of images that depend on the sentences.

        Args:
            images (Tensor): ``N x 3 x H x W``, normalised.
            language (LanguageFeatures): ``B`` sentences; ``image_index``
                tells which image each speaks of, None one to one.

        Returns:
            MultimodalFeatures: Maps of strides 4, 8, 16, 32 (for patch size
            4), ``B x C_i x H_i x W_i``, and queries ``B x n x C_q``.
        """
        x, hw_shape = self.patch_embed(images)
        x = self.drop_after_pos(x)
        maps, queries = [], []
        for i, stage in enumerate(self.stages):
            x = self._run_blocks(stage, x, hw_shape)
            if language.image_index is not None:
                # Up to here the features do not depend on the sentence.
                x = x[language.image_index]
                language = replace(language, image_index=None)
            visual = x.transpose(1, 2).unflatten(2, hw_shape)
            fused, query = self.fusions[i](visual, language)
            if query is not None:
                queries.append(query)
            if stage.downsample is not None:
                increment = fused
                if self.gates is not None:
                    increment = self.gates[i](fused, visual)
                x = x + increment.flatten(2).transpose(1, 2)
                x, hw_shape = stage.downsample(x, hw_shape)
            if self.output_norm:
                norm = getattr(self, f'norm{i}')
                fused = norm(fused.movedim(1, -1)).movedim(-1, 1)
            maps.append(fused)
        return MultimodalFeatures(
            maps=tuple(maps),
            queries=torch.stack(queries, dim=1) if queries else None,
            language=language)

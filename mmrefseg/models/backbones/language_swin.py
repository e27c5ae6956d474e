# Licensed under the Apache License, Version 2.0.
from collections.abc import Sequence

import torch
import torch.utils.checkpoint as cp
from mmengine.logging import print_log
from mmengine.model.weight_init import constant_init, trunc_normal_init
from mmseg.models.backbones import SwinTransformer
from torch import Tensor, nn

from mmrefseg.registry import MODELS
from ..layers import ShiftedWindowAttention
from .language_backbone import LanguageBackbone
from .swin_weights import load_swin_weights


@MODELS.register_module()
class LanguageSwinTransformer(LanguageBackbone, SwinTransformer):
    """Swin Transformer with language fused in between its stages.

    After the blocks of stage i: ``F_i, Q_i = fusion_i(V_i, language)``; all
    stages but the last pass ``V_i + gate_i(F_i, V_i)`` on to patch merging.
    The maps given out are the ungated ``F_i``.

    Parameters of the Swin part keep mmseg's names, so its checkpoints load;
    mmseg's output norms are not built unless ``output_norm`` asks for them.

    Args:
        language_channels (int): Width of the word features. The segmentor
            sets it from its language encoder.
        fusion (dict | Sequence[dict | None]): Fusion of map and words, for
            all stages or for each; None leaves a stage without language.
        gate (dict | Sequence[dict | None], optional): Gate of the fused map,
            for all stages but the last or for each. None adds the fused map
            itself.
        frozen_last_gate (bool): Build a gate for the last stage too, which
            feeds nothing and does not train. LAVT has one: it counts among
            its parameters and is in its files. Defaults to False.
        query_channels (int): Width of the language queries. Defaults to 256.
        query_stages (Sequence[int], optional): Stages, from 0, that give a
            language query. None means all that fuse.
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
            loads a Swin file in the key format of mmseg, mmpretrain,
            Microsoft or transformers; ``checkpoint`` is a path, an address, a
            folder, or a name on the Hugging Face hub such as
            'microsoft/swin-base-patch4-window7-224-in22k'. None starts from
            scratch.

    Raises:
        ValueError: ``frozen_last_gate`` is asked for without a gate.

    Example:
        >>> from mmrefseg.models import LanguageSwinTransformer
        >>> backbone = LanguageSwinTransformer(
        ...     language_channels=16, fusion=dict(type='BSAM'))
    """

    def __init__(self,
                 *,
                 language_channels: int,
                 fusion: dict | Sequence[dict | None],
                 gate: dict | Sequence[dict | None] | None = None,
                 frozen_last_gate: bool = False,
                 query_channels: int = 256,
                 query_stages: Sequence[int] | None = None,
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
        self._build_language(
            channels=self.num_features,
            language_channels=language_channels,
            fusion=fusion,
            gate=gate,
            query_channels=query_channels,
            query_stages=query_stages,
            last_gate=frozen_last_gate)
        if (getattr(self.fusions[-1], 'cancels_constants', False)
                and drop_path_rate == drop_rate == 0):
            # Nothing but this fusion sees the last map. (What is dropped at
            # random would make the bias a different one for each sample.)
            last = self.stages[-1].blocks[-1].ffn.layers[1]
            last.bias.requires_grad_(False)
        if frozen_last_gate:
            if (self.gates is None
                    or isinstance(self.gates[-1], nn.Identity)):
                raise ValueError('frozen_last_gate=True needs a gate: name '
                                 'one, or remove frozen_last_gate.')
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
        for part in (*self.fusions, *(self.gates or ())):
            if not isinstance(part, nn.Identity):
                part.init_weights()
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

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        """Patch embedding or merging, then the blocks of a stage."""
        # Maps are views of contiguous tokens, so that none is copied here.
        if stage == 0:
            x, hw_shape = self.patch_embed(x)
            x = self.drop_after_pos(x)
        else:
            hw_shape = (x.shape[2], x.shape[3])
            x, hw_shape = self.stages[stage - 1].downsample(
                x.flatten(2).transpose(1, 2), hw_shape)
        for block in self.stages[stage].blocks:
            if self.with_cp and torch.is_grad_enabled():
                x = cp.checkpoint(block, x, hw_shape, use_reentrant=False)
            else:
                x = block(x, hw_shape)
        return x.transpose(1, 2).unflatten(2, hw_shape)

    def finish(self, stage: int, fused: Tensor) -> Tensor:
        """The fused map, normed if ``output_norm`` says so."""
        if not self.output_norm:
            return fused
        norm = getattr(self, f'norm{stage}')
        return norm(fused.movedim(1, -1)).movedim(-1, 1)

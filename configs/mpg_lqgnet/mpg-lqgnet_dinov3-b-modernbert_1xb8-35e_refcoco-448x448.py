# DINOv3 ViT-B with a feature pyramid, late fusion; ModernBERT reads. Both are
# trained, their layers recomputed in the backward pass. Of DINOv3's weights
# the hub asks that its licence is accepted.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='HFTextEncoder',
        pretrained='answerdotai/ModernBERT-base',
        arch=dict(model_type='modernbert'),
        with_cp=True),
    backbone=dict(
        _delete_=True,
        type='LateFusionBackbone',
        backbone=dict(
            type='HFBackbone',
            pretrained='facebook/dinov3-vitb16-pretrain-lvd1689m',
            arch=dict(
                model_type='dinov3_vit', hidden_size=768,
                intermediate_size=3072, num_attention_heads=12,
                num_register_tokens=4),
            with_cp=True),
        in_channels=[256, 256, 256, 256],
        fusion=dict(type='BSAM')),
    neck=dict(in_channels=[256, 256, 256, 256], channels=256))

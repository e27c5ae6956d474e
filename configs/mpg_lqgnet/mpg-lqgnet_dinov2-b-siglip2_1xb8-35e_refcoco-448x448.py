# DINOv2-B with a feature pyramid, frozen, late fusion; SigLIP 2 reads, frozen.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='HFTextEncoder',
        pretrained='google/siglip2-base-patch16-224',
        arch=dict(model_type='siglip_text_model', vocab_size=256000),
        frozen=True,
        cache=True),
    backbone=dict(
        _delete_=True,
        type='LateFusionBackbone',
        backbone=dict(
            type='HFBackbone',
            pretrained='facebook/dinov2-base',
            arch=dict(model_type='dinov2', patch_size=14, image_size=518),
            attn_implementation='sdpa',
            frozen=True),
        in_channels=[256, 256, 256, 256],
        fusion=dict(type='BSAM')),
    neck=dict(in_channels=[256, 256, 256, 256], channels=256))

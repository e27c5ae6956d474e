# Hiera-B, early fusion; the encoder of T5-base reads, frozen and in bfloat16.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='HFTextEncoder',
        pretrained='google-t5/t5-base',
        arch=dict(
            model_type='t5', d_model=768, d_ff=3072, num_layers=12,
            num_heads=12),
        frozen=True,
        cache=True,
        dtype='bfloat16'),
    backbone=dict(
        _delete_=True,
        type='EarlyFusionBackbone',
        backbone=dict(
            type='HFBackbone',
            pretrained='facebook/hiera-base-224-hf',
            arch=dict(model_type='hiera', drop_path_rate=0.1)),
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG')),
    neck=dict(in_channels=[96, 192, 384, 768], channels=384))

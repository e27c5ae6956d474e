# Swin-T of transformers, early fusion; MiniLM reads, frozen.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='HFTextEncoder',
        pretrained='sentence-transformers/all-MiniLM-L6-v2',
        arch=dict(
            model_type='bert', hidden_size=384, num_hidden_layers=6,
            num_attention_heads=12, intermediate_size=1536),
        frozen=True,
        cache=True),
    backbone=dict(
        _delete_=True,
        type='EarlyFusionBackbone',
        backbone=dict(
            type='HFBackbone',
            pretrained='microsoft/swin-tiny-patch4-window7-224',
            arch=dict(
                model_type='swin', embed_dim=96, depths=[2, 2, 6, 2],
                num_heads=[3, 6, 12, 24], window_size=7)),
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG')),
    neck=dict(in_channels=[96, 192, 384, 768], channels=384))

# Swin V2-B, early fusion; RoBERTa reads. Both are trained.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='HFTextEncoder',
        pretrained='FacebookAI/roberta-base',
        arch=dict(
            model_type='roberta', vocab_size=50265, type_vocab_size=1,
            max_position_embeddings=514, layer_norm_eps=1e-5)),
    backbone=dict(
        _delete_=True,
        type='EarlyFusionBackbone',
        backbone=dict(
            type='HFBackbone',
            pretrained='microsoft/swinv2-base-patch4-window8-256',
            arch=dict(
                model_type='swinv2', embed_dim=128, depths=[2, 2, 18, 2],
                num_heads=[4, 8, 16, 32], window_size=8, image_size=256)),
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG')))

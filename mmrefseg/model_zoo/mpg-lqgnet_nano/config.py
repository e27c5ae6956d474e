# Licensed under the Apache License, Version 2.0.
# mpg-lqgnet_nano
# The whole model and how it is tested, with nothing inherited.
# Written by tools/model_converters/publish_model.py.
default_hooks = dict(visualization=dict(type='RefVisualizationHook'))
default_scope = 'mmrefseg'
env_cfg = dict(
    cudnn_benchmark=True,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_level = 'INFO'
model = dict(
    backbone=dict(
        depths=[
            1,
            1,
            2,
            1,
        ],
        drop_path_rate=0.0,
        embed_dims=32,
        fusion=dict(type='BSAM'),
        gate=dict(
            norm_cfg=dict(requires_grad=True, type='BN'),
            reduction=4,
            type='CAFG'),
        num_heads=[
            1,
            2,
            4,
            8,
        ],
        query_channels=64,
        type='LanguageSwinTransformer',
        window_size=8),
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[
            123.675,
            116.28,
            103.53,
        ],
        std=[
            58.395,
            57.12,
            57.375,
        ],
        type='RefSegDataPreProcessor'),
    decode_head=dict(
        channels=64,
        ffn_channels=256,
        in_channels=64,
        loss_decode=[
            dict(
                avg_non_ignore=True, loss_weight=1.0, type='CrossEntropyLoss'),
            dict(
                ignore_index=0,
                loss_weight=1.0,
                naive_dice=True,
                type='DiceLoss',
                use_sigmoid=False),
        ],
        norm_cfg=dict(requires_grad=True, type='BN'),
        num_heads=4,
        num_layers=3,
        num_queries=4,
        prior_loss_weight=1.0,
        type='LQPGHead'),
    language_encoder=dict(
        arch=dict(
            attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=0.0,
            hidden_size=128,
            intermediate_size=256,
            max_position_embeddings=64,
            num_attention_heads=4,
            num_hidden_layers=2),
        max_tokens=30,
        type='BertLanguageEncoder',
        vocab='synthetic'),
    neck=dict(
        channels=64,
        in_channels=[
            32,
            64,
            128,
            256,
        ],
        norm_cfg=dict(requires_grad=True, type='BN'),
        out_channels=64,
        out_norm_cfg=dict(num_groups=8, type='GN'),
        type='ReferringPixelDecoder'),
    test_cfg=dict(mode='whole', output_size='original'),
    train_cfg=dict(share_images=True),
    type='ReferringEncoderDecoder')
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=16,
    dataset=dict(
        data_prefix=dict(img_path='images'),
        data_root='data/synthetic_varied',
        pipeline=[
            dict(type='LoadRefImage'),
            dict(keep_ratio=False, scale=(
                128,
                128,
            ), type='Resize'),
            dict(type='LoadRefMask'),
            dict(extra_keys=('split', ), type='PackRefInputs'),
        ],
        split='val',
        split_by='synthetic',
        type='RefCOCODataset'),
    num_workers=2,
    persistent_workers=True,
    sampler=dict(shuffle=False, type='DefaultSampler'))
test_evaluator = dict(breakdown=('kind', ), type='ReferringIoUMetric')
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(keep_ratio=False, scale=(
        128,
        128,
    ), type='Resize'),
    dict(type='LoadRefMask'),
    dict(extra_keys=('split', ), type='PackRefInputs'),
]
visualizer = dict(
    name='visualizer',
    type='RefSegVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
    ])

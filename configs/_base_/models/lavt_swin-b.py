# LAVT with Swin-B, windows of 12, and BERT-base.
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='RefSegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True)
model = dict(
    type='ReferringEncoderDecoder',
    data_preprocessor=data_preprocessor,
    language_encoder=dict(
        type='BertLanguageEncoder',
        pretrained='bert-base-uncased',
        max_tokens=20,
        # LAVT's optimizer steps these layers of BERT and nothing else of it.
        trainable_layers=list(range(10)),
        train_embeddings=False),
    backbone=dict(
        type='LanguageSwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=12,
        drop_path_rate=0.3,
        fusion=dict(type='PWAM'),
        gate=dict(type='LanguageGate'),
        frozen_last_gate=True,
        output_norm=True,
        query_stages=(),
        # ImageNet-22K weights; a local path works as well.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_base_patch4_window12_384_22k.pth')),
    neck=dict(
        type='ReferringPixelDecoder',
        in_channels=[128, 256, 512, 1024],
        channels=512,
        # the finest map as it is
        out_channels=None,
        out_indices=(0, ),
        norm_cfg=norm_cfg,
        align_corners=True),
    # one 1x1 convolution
    decode_head=dict(
        type='CoordMaskHead',
        in_channels=512,
        kernel_size=1,
        with_coords=False,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.9, 1.1])),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))

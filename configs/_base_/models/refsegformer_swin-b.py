# RefSegformer with Swin-B, windows of 12, and BERT-base. The pixel decoder is
# ours, in place of the deformable one, which needs a compiled operator.
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
        max_tokens=20),
    backbone=dict(
        type='LanguageSwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=12,
        drop_path_rate=0.3,
        # not in the first stage; heads are those of the stage
        fusion=[
            None,
            dict(type='VLTF', num_heads=8, norm_cfg=norm_cfg),
            dict(type='VLTF', num_heads=16, norm_cfg=norm_cfg),
            dict(type='VLTF', num_heads=32, norm_cfg=norm_cfg)
        ],
        # tokens of the second stage, for existence
        query_channels=256,
        query_stages=(1, ),
        # ImageNet-22K weights; a local path works as well.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_base_patch4_window12_384_22k.pth')),
    neck=dict(
        type='ReferringPixelDecoder',
        in_channels=[128, 256, 512, 1024],
        channels=512,
        out_channels=256,
        norm_cfg=norm_cfg),
    # one 1x1 convolution; a false sentence has an empty mask
    decode_head=dict(
        type='CoordMaskHead',
        in_channels=256,
        kernel_size=1,
        with_coords=False,
        no_target_weight=0.4,
        existence=dict(type='TokenExistencePredictor', token_channels=256),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    # a mask from each coarser map, to train it sooner
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=256,
            channels=256,
            in_index=i,
            num_convs=0,
            concat_input=False,
            num_classes=2,
            out_channels=2,
            dropout_ratio=0,
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4))
        for i in (1, 2, 3)
    ],
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))

# MPG-LQGNet with Swin-B and BERT-base: 125.3 M parameters without BERT.
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
        max_tokens=30),
    backbone=dict(
        type='LanguageSwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        # 448 / 32 = 14, so windows of 7 need no padding.
        window_size=7,
        drop_path_rate=0.3,
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG', norm_cfg=norm_cfg),
        query_channels=256,
        # ImageNet-22K weights; a local path works as well.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_base_patch4_window7_224_22k.pth')),
    neck=dict(
        type='ReferringPixelDecoder',
        in_channels=[128, 256, 512, 1024],
        channels=512,
        out_channels=256,
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='LQPGHead',
        in_channels=256,
        channels=256,
        num_queries=4,
        num_layers=6,
        num_heads=8,
        ffn_channels=2048,
        prior_loss_weight=0.1,
        norm_cfg=norm_cfg,
        loss_decode=dict(
            type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))

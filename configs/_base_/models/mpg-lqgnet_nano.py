# The whole method in 3 M parameters, for 128 x 128 synthetic scenes on a CPU.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='ReferringEncoderDecoder',
    data_preprocessor=dict(
        type='RefSegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    language_encoder=dict(
        type='BertLanguageEncoder',
        vocab='synthetic',
        max_tokens=30,
        arch=dict(
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=256,
            max_position_embeddings=64,
            hidden_dropout_prob=0.,
            attention_probs_dropout_prob=0.)),
    backbone=dict(
        type='LanguageSwinTransformer',
        embed_dims=32,
        depths=[1, 1, 2, 1],
        # heads of 32 channels: narrower ones are slow matrix products
        num_heads=[1, 2, 4, 8],
        # windows of 8 tile the maps of 32, 16 and 8 without padding
        window_size=8,
        drop_path_rate=0.,
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG', reduction=4, norm_cfg=norm_cfg),
        query_channels=64),
    neck=dict(
        type='ReferringPixelDecoder',
        in_channels=[32, 64, 128, 256],
        channels=64,
        out_channels=64,
        norm_cfg=norm_cfg,
        out_norm_cfg=dict(type='GN', num_groups=8)),
    decode_head=dict(
        type='LQPGHead',
        in_channels=64,
        channels=64,
        num_queries=4,
        num_layers=3,
        num_heads=4,
        ffn_channels=256,
        # From scratch the prior is a second teacher, not a small
        # correction.
        prior_loss_weight=1.0,
        norm_cfg=norm_cfg,
        # A referent covers 3 % of the image: cross-entropy alone predicts
        # only background for thousands of images, Dice does not.
        loss_decode=[
            dict(
                type='CrossEntropyLoss', avg_non_ignore=True,
                loss_weight=1.0),
            dict(
                type='DiceLoss',
                use_sigmoid=False,
                naive_dice=True,
                ignore_index=0,
                loss_weight=1.0)
        ]),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))

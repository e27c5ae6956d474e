# CMSA-Net in 3.3 M parameters, for 128 x 128 synthetic scenes on a CPU:
# everything from scratch, the norms of the backbone in training.
_base_ = './cmsa_r101-d8.py'
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    language_encoder=dict(vocab='synthetic', channels=128),
    backbone=dict(
        backbone=dict(
            depth=18,
            base_channels=32,
            style='pytorch',
            norm_eval=False,
            init_cfg=None),
        in_channels=[64, 128, 256],
        frozen=False,
        fusion=[
            dict(type='CMSA', reduce_to=32, dim=16, out_channels=64),
            dict(type='CMSA', reduce_to=32, dim=16, out_channels=64),
            dict(
                type='CMSA', lateral_channels=128, dim=32, out_channels=64)
        ]),
    neck=dict(channels=64),
    decode_head=dict(
        in_channels=64,
        # as in the other nano models
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
        ]))

# Language-driven attention in Swin-B, after the abstract, with BERT-base.
_base_ = './mpg-lqgnet_swin-b.py'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(fusion=dict(type='LDA'), gate=None, query_stages=()),
    neck=dict(
        _delete_=True,
        type='ASPPNeck',
        in_channels=[128, 256, 512, 1024],
        # strides 8, 16 and 32; the map of stride 4 goes to the decoder as it
        # is
        dilations=[None, (1, 6, 12, 18), (1, 6, 12), (1, 3, 6)],
        channels=256,
        norm_cfg=norm_cfg,
        decoder=dict(
            type='ReferringPixelDecoder',
            in_channels=[128, 256, 256, 256],
            channels=512,
            out_channels=256,
            out_indices=(0, ),
            norm_cfg=norm_cfg)),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=256,
        channels=256,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)))

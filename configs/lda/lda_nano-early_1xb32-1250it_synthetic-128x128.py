# LDA's parts in the nano model of MPG-LQGNet: same widths, data, schedule and
# losses, so that the two can be compared on synthetic scenes.
_base_ = '../mpg_lqgnet/mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
losses = _base_.model.decode_head.loss_decode
model = dict(
    backbone=dict(fusion=dict(type='LDA'), gate=None, query_stages=()),
    neck=dict(
        _delete_=True,
        type='ASPPNeck',
        in_channels=[32, 64, 128, 256],
        # rates that fit maps of 16, 8 and 4
        dilations=[None, (1, 2, 4, 6), (1, 2, 4), (1, 2)],
        channels=64,
        decoder=dict(
            type='ReferringPixelDecoder',
            in_channels=[32, 64, 64, 64],
            channels=64,
            out_channels=64,
            out_indices=(0, ),
            out_norm_cfg=dict(type='GN', num_groups=8))),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=64,
        channels=64,
        loss_decode=losses))

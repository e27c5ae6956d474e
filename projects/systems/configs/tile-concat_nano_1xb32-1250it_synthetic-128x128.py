# Tile-and-concat in the nano model of MPG-LQGNet, without gate and LQPG: the
# plainest way to use a sentence.
_base_ = '../../../configs/mpg_lqgnet/mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'  # noqa: E501
model = dict(
    backbone=dict(
        fusion=dict(_delete_=True, type='TileConcat'),
        gate=None,
        query_stages=()),
    # the finest map alone is decoded, with the two coordinates
    neck=dict(out_indices=(0, )),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels={{_base_.model.decode_head.in_channels}},
        channels={{_base_.model.decode_head.channels}},
        norm_cfg={{_base_.model.decode_head.norm_cfg}},
        loss_decode={{_base_.model.decode_head.loss_decode}}))

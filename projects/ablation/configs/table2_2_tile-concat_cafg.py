# Tile-and-concat fusion and CAFG; no LQPG.
_base_ = './full.py'
model = dict(
    backbone=dict(
        fusion=dict(_delete_=True, type='TileConcat'),
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

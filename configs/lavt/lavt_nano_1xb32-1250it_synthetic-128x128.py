# LAVT's parts in the nano model of MPG-LQGNet: same widths, data, schedule and
# losses, so that the two can be compared on synthetic scenes.
_base_ = '../mpg_lqgnet/mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
model = dict(
    backbone=dict(
        fusion=dict(type='PWAM'),
        gate=dict(_delete_=True, type='LanguageGate'),
        output_norm=True,
        query_stages=()),
    neck=dict(out_channels=None, out_indices=(0, ), align_corners=True),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=64,
        kernel_size=1,
        with_coords=False,
        align_corners=True,
        loss_decode=[
            dict(type='CrossEntropyLoss', avg_non_ignore=True),
            dict(
                type='DiceLoss',
                use_sigmoid=False,
                naive_dice=True,
                ignore_index=0)
        ]))

# RefSegformer's fusion in the nano model of MPG-LQGNet, for 128 x 128
# synthetic scenes on a CPU.
_base_ = './mpg-lqgnet_nano.py'
# There is no pretrained backbone to be spared: the fusion starts at full size.
fusion_start = dict(init_std=0.02, init_scale=1.)
model = dict(
    backbone=dict(
        fusion=[
            None,
            dict(type='VLTF', num_heads=2, **fusion_start),
            dict(type='VLTF', num_heads=4, **fusion_start),
            dict(type='VLTF', num_heads=8, **fusion_start)
        ],
        gate=None,
        query_stages=()),
    neck=dict(out_indices=(0, )),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=64,
        kernel_size=1,
        with_coords=False,
        loss_decode=[
            dict(type='CrossEntropyLoss', avg_non_ignore=True),
            dict(
                type='DiceLoss',
                use_sigmoid=False,
                naive_dice=True,
                ignore_index=0)
        ]))

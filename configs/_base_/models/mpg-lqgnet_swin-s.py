# MPG-LQGNet with Swin-S: Swin-T's widths, Swin-B's depths; the decoder is 384
# wide (C_4 / 2). ImageNet-22K weights.
_base_ = './mpg-lqgnet_swin-b.py'
model = dict(
    backbone=dict(
        embed_dims=96,
        depths=[2, 2, 18, 2],
        num_heads=[3, 6, 12, 24],
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.8/swin_small_patch4_window7_224_22k.pth')),
    neck=dict(in_channels=[96, 192, 384, 768], channels=384))

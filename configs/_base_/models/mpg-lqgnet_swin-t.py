# MPG-LQGNet with Swin-T: the decoder is half as wide (C_4 / 2 = 384).
_base_ = './mpg-lqgnet_swin-b.py'
model = dict(
    backbone=dict(
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_tiny_patch4_window7_224.pth')),
    neck=dict(in_channels=[96, 192, 384, 768], channels=384))

# MPG-LQGNet with Swin-L: the decoder is 768 wide (C_4 / 2). ImageNet-22K
# weights.
_base_ = './mpg-lqgnet_swin-b.py'
model = dict(
    backbone=dict(
        embed_dims=192,
        depths=[2, 2, 18, 2],
        num_heads=[6, 12, 24, 48],
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_large_patch4_window7_224_22k.pth')),
    neck=dict(in_channels=[192, 384, 768, 1536], channels=768))

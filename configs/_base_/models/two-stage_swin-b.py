# Two-stage multi-modal interaction on Swin-B, after the abstract, with
# BERT-base.
_base_ = './mpg-lqgnet_swin-b.py'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    # language comes after it
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=7,
        drop_path_rate=0.3,
        # ImageNet-22K weights in mmseg's format; a local path works as well.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/'
            'pretrain/swin/swin_base_patch4_window7_224_22k_20220317-'
            '4f79f7c0.pth')),
    # stage one
    neck=dict(
        _delete_=True,
        type='MultiLevelInteraction',
        in_channels=[128, 256, 512, 1024],
        channels=256,
        num_layers=2,
        num_heads=8,
        ffn_channels=1024,
        decoder=dict(
            type='ReferringPixelDecoder',
            in_channels=[128, 256, 256, 256],
            channels=512,
            out_channels=256,
            out_indices=(0, ),
            norm_cfg=norm_cfg)),
    # stage two is the alignment
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=256,
        channels=256,
        norm_cfg=norm_cfg,
        alignment=dict(
            type='GlobalAlignment',
            language_channels='auto',
            channels=256,
            pixel_weight=0.1,
            region_weight=0.1),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)))

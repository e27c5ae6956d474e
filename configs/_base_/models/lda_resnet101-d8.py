# Language-driven attention on a dilated ResNet-101, after the abstract, with
# BERT-base: levels 3 to 5, all of stride 8.
_base_ = './mpg-lqgnet_swin-b.py'
norm_cfg = dict(type='BN', requires_grad=True)
in_channels = [512, 1024, 2048]
model = dict(
    backbone=dict(
        _delete_=True,
        type='LateFusionBackbone',
        backbone=dict(
            type='ResNetV1c',
            depth=101,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            out_indices=(1, 2, 3),
            norm_cfg=norm_cfg,
            # 8 images are few: the statistics of ImageNet stay
            norm_eval=True,
            contract_dilation=True,
            init_cfg=dict(
                type='Pretrained', checkpoint='open-mmlab://resnet101_v1c')),
        in_channels=in_channels,
        fusion=dict(type='LDA'),
        query_stages=()),
    neck=dict(
        _delete_=True,
        type='ASPPNeck',
        in_channels=in_channels,
        dilations=[(1, 6, 12, 18)] * 3,
        channels=256,
        norm_cfg=norm_cfg),
    decode_head=dict(
        _delete_=True,
        type='CoordMaskHead',
        in_channels=3 * 256,
        channels=256,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)))

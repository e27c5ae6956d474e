# Two-stage interaction in the size of MPG-LQGNet's nano: same data, schedule
# and losses of the mask, so that the two can be compared on synthetic scenes.
_base_ = '../mpg_lqgnet/mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
losses = _base_.model.decode_head.loss_decode
backbone = _base_.model.backbone
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        **{k: backbone[k] for k in ('embed_dims', 'depths', 'num_heads',
                                    'window_size', 'drop_path_rate')}),
    neck=dict(
        _delete_=True,
        type='MultiLevelInteraction',
        in_channels=[32, 64, 128, 256],
        channels=128,
        num_heads=4,
        ffn_channels=256,
        decoder=dict(
            type='ReferringPixelDecoder',
            in_channels=[32, 128, 128, 128],
            channels=64,
            out_channels=64,
            out_indices=(0, ),
            out_norm_cfg=dict(type='GN', num_groups=8))),
    decode_head=dict(
        _delete_=True, type='CoordMaskHead', in_channels=64, channels=64,
        alignment=dict(language_channels='auto', channels=64),
        loss_decode=losses))

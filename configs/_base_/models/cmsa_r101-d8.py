# CMSA-Net: ResNet-101 at stride 8, cross-modal self-attention at three
# levels, gated multi-level fusion; a learned vector for each word.
model = dict(
    type='ReferringEncoderDecoder',
    # what the weights of Caffe's style were trained on
    data_preprocessor=dict(
        type='RefSegDataPreProcessor',
        mean=[103.53, 116.28, 123.675],
        std=[1., 1., 1.],
        bgr_to_rgb=False),
    language_encoder=dict(
        type='WordEmbeddingEncoder',
        # tools/dataset_converters/make_vocabulary.py makes it
        vocab='data/coco/refcoco/words.txt',
        channels=1000,
        max_tokens=20),
    backbone=dict(
        type='LateFusionBackbone',
        backbone=dict(
            type='ResNet',
            depth=101,
            # stage 1 has stride 4, all others 8
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            contract_dilation=False,
            out_indices=(1, 2, 3),
            style='caffe',
            norm_eval=True,
            # ImageNet weights; a local path works as well
            init_cfg=dict(
                type='Pretrained',
                checkpoint='open-mmlab://detectron2/resnet101_caffe')),
        in_channels=[512, 1024, 2048],
        frozen=True,
        fusion=[
            dict(type='CMSA', reduce_to=128, dim=64, out_channels=500),
            dict(type='CMSA', reduce_to=256, dim=128, out_channels=500),
            dict(
                type='CMSA',
                lateral_channels=1000,
                dim=512,
                out_channels=500)
        ],
        query_stages=()),
    neck=dict(type='GatedMultiLevelFusion', channels=500),
    # one 3x3 convolution
    decode_head=dict(
        type='CoordMaskHead',
        in_channels=500,
        kernel_size=1,
        logit_kernel_size=3,
        with_coords=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole', output_size='original'))

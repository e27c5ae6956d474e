# Windows of 7, for which the published size of LAVT was counted: 118.71 M
# parameters and 191.44 G multiply-adds without BERT.
_base_ = './lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'
model = dict(
    backbone=dict(
        window_size=7,
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_base_patch4_window7_224_22k.pth')))

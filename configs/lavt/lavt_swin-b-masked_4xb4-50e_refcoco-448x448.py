# Masked training (MaskRIS) of LAVT: see the config of MPG-LQGNet. Windows of
# 7 need no padding at 448.
_base_ = [
    '../_base_/models/lavt_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_masked_50e.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=4)
model = dict(
    backbone=dict(
        window_size=7,
        init_cfg=dict(
            checkpoint='https://github.com/SwinTransformer/storage/releases/'
            'download/v1.0.0/swin_base_patch4_window7_224_22k.pth')),
    train_cfg=dict(masked=dict(type='MaskedTraining')))
sync_bn = 'torch'

# Masked training (MaskRIS), with the patches of the config of MPG-LQGNet.
_base_ = './lavt_nano_1xb32-1250it_synthetic-128x128.py'
model = dict(
    train_cfg=dict(masked=dict(type='MaskedTraining', patch_size=8)))

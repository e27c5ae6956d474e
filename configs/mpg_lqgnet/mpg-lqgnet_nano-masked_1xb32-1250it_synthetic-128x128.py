# Masked training (MaskRIS). Patches of 8: a scene of 128 has 16 x 16 of them,
# as an image of 448 has 14 x 14 patches of 32.
_base_ = './mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
model = dict(
    train_cfg=dict(masked=dict(type='MaskedTraining', patch_size=8)))

# Masked training (MaskRIS): each step has a second pass, on the image with
# 75 % of its 32 x 32 patches at 0 and the sentence with 15 % of its tokens
# replaced. Both passes are kept until the backward pass: 4 sentences need the
# memory of 8.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_masked_50e.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=4)
model = dict(train_cfg=dict(masked=dict(type='MaskedTraining')))
sync_bn = 'torch'

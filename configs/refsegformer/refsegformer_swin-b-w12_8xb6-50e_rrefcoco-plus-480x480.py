# R-RefCOCO+: eight GPUs, six sentences on each. Of each ref one sentence is
# drawn for an epoch, true or false: both stand in one batch.
_base_ = [
    '../_base_/models/refsegformer_swin-b.py',
    '../_base_/datasets/rrefcoco_plus_480.py',
    '../_base_/schedules/schedule_50e.py', '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=6)
sync_bn = 'torch'

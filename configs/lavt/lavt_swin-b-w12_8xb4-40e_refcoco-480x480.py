# LAVT's recipe: eight GPUs, four sentences on each, 1,325 iterations an
# epoch. Windows of 12 tile the finer maps of 120 and 60; those of 30 and 15
# are padded to 36 and 24.
_base_ = [
    '../_base_/models/lavt_swin-b.py',
    '../_base_/datasets/refcoco_480_pillow.py',
    '../_base_/schedules/schedule_40e.py', '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=4)
sync_bn = 'torch'

# Second part of the run behind the packaged weights: 9,600 visits to 12,200
# scenes, 41 % of these of the kind of the first part, from whose weights
# (mpg-lqgnet_nano_1xb32-10000it_synthetic-128x128.py) it starts. Commands, and
# 650 iterations more: README.md in this folder.
_base_ = [
    '../_base_/models/mpg-lqgnet_nano.py',
    '../_base_/datasets/synthetic_varied_128.py',
    '../_base_/schedules/schedule_synthetic.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=32, sampler=dict(refs_per_image=4))
model = dict(train_cfg=dict(share_images=True))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=250, max_keep_ckpts=1))
max_iters = 1200
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
# two fifths of the learning rates from scratch, warmed up for 100 iterations
optim_wrapper = dict(
    optimizer=dict(lr=1.2e-3), paramwise_cfg=dict(muon_lr=0.004))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = 100
param_scheduler[1].end = max_iters

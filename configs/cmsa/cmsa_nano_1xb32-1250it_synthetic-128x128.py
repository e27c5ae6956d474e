# CMSA-Net in small: data, schedule and losses of MPG-LQGNet's nano model, so
# that the two can be compared on synthetic scenes.
_base_ = [
    '../_base_/models/cmsa_nano.py',
    '../_base_/datasets/synthetic_refs_128.py',
    '../_base_/schedules/schedule_synthetic.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=32, sampler=dict(refs_per_image=4))
model = dict(train_cfg=dict(share_images=True))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))

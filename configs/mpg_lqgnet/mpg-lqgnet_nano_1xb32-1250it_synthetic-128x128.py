# The run of `make demo`: about 10 minutes on 2 CPU cores.
_base_ = [
    '../_base_/models/mpg-lqgnet_nano.py',
    '../_base_/datasets/synthetic_refs_128.py',
    '../_base_/schedules/schedule_synthetic.py',
    '../_base_/default_runtime.py'
]
# A batch asks 4 things of each of its 8 images: only the sentence tells them
# apart, and the layers before the first fusion run once for an image.
train_dataloader = dict(batch_size=32, sampler=dict(refs_per_image=4))
model = dict(train_cfg=dict(share_images=True))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))

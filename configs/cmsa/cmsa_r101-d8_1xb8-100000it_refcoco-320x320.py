# CMSA-Net with frozen ImageNet weights in the backbone. Another vocabulary:
# model.language_encoder.vocab.
_base_ = [
    '../_base_/models/cmsa_r101-d8.py', '../_base_/datasets/refcoco_320.py',
    '../_base_/schedules/schedule_100000it.py',
    '../_base_/default_runtime.py'
]
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=10000, max_keep_ckpts=2))

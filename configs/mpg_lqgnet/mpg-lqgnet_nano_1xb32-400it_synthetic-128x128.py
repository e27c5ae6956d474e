# The run of the ablations: 400 iterations of 32 sentences, 12,800, about half
# a visit to each ref; 4 to 5 minutes on one CPU core.
_base_ = './mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
max_iters = 400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
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

# CMSA-Net's schedule: Adam without weight decay, 800,000 sentences, polynomial
# decay; published with 800,000 iterations of one sentence.
max_iters = 100000
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='RefSegOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2.5e-4, weight_decay=0.))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=1e-5,
        begin=0,
        end=max_iters,
        by_epoch=False)
]

# With --auto-scale-lr the rate grows with the effective batch,
# (number of GPUs) x (batch of one GPU), over this one.
auto_scale_lr = dict(enable=False, base_batch_size=8)

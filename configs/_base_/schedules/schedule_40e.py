# LAVT's schedule: AdamW, 40 epochs, batch 32, polynomial decay.
# An epoch visits each ref once, with one of its sentences: RefCOCO has
# 42,404 refs, 1,325 iterations of 32, 53,000 in all.
max_epochs = 40
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='RefSegOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-5, weight_decay=0.01),
    # No weight decay for the norms of the backbone and for relative position
    # tables; those of BERT and the decoder are decayed.
    paramwise_cfg=dict(norm_decay_mult=dict(backbone=0.)))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        # the rate falls at every iteration, not at every epoch
        convert_to_iter_based=True)
]

# With --auto-scale-lr the rate grows with the effective batch,
# (number of GPUs) x (batch of one GPU), over this one.
auto_scale_lr = dict(enable=False, base_batch_size=32)

# LAVT's schedule: AdamW, 40 epochs, batch 32, polynomial decay.
# An epoch visits each ref once, with one of its sentences: RefCOCO has
# 42,404 refs, 1,325 iterations of 32, 53,000 in all.
_base_ = './schedule_35e.py'
max_epochs = 40
train_cfg = dict(max_epochs=max_epochs)

optim_wrapper = dict(
    optimizer=dict(lr=5e-5),
    # No weight decay for the norms of the backbone and for relative position
    # tables; those of BERT and the decoder are decayed.
    paramwise_cfg=dict(norm_decay_mult=dict(backbone=0.)))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_epochs

# With --auto-scale-lr the rate grows with the effective batch,
# (number of GPUs) x (batch of one GPU), over this one.
auto_scale_lr = dict(base_batch_size=32)

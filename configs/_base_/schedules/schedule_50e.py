# RefSegformer's schedule: AdamW, 50 epochs, batch 48, polynomial decay.
# An epoch visits each ref once, with one of its sentences, true or false.
_base_ = './schedule_35e.py'
max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)

optim_wrapper = dict(optimizer=dict(lr=3e-5))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_epochs

# With --auto-scale-lr the rate grows with the effective batch,
# (number of GPUs) x (batch of one GPU), over this one.
auto_scale_lr = dict(base_batch_size=48)

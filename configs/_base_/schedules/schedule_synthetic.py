# A fixed number of iterations, so that the result is the same everywhere.
# 1,250 iterations of 32 sentences are 40,000 sentences, 1.7 visits to each of
# the about 23,800 refs of the training scenes.
max_iters = 1250
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# Muon for the weights of linear layers: per image it learns several times
# faster from scratch than AdamW alone. bfloat16 halves the time of a step.
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    dtype='bfloat16',
    constructor='RefSegOptimWrapperConstructor',
    optimizer=dict(
        type='MuonAdamW', lr=3e-3, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(muon_lr=0.01),
    clip_grad=dict(max_norm=1.0))
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
auto_scale_lr = dict(enable=False, base_batch_size=32)

default_scope = 'mmrefseg'

# every random number follows from the seed, the iteration and the process
randomness = dict(seed=0)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        by_epoch=True,
        interval=1,
        max_keep_ckpts=2,
        save_best='oIoU',
        rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='RefVisualizationHook'))
custom_hooks = [
    dict(type='IterationSeedHook'),
    # one BN statistic for all processes before it is saved or tested
    dict(type='SyncBuffersHook')
]

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='RefSegVisualizer', name='visualizer', vis_backends=vis_backends)

log_processor = dict(by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False

# The run of the ablations: 400 iterations of 32 sentences, 12,800, about half
# a visit to each ref; 4 to 5 minutes on one CPU core.
_base_ = './mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
max_iters = 400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
# the inherited warm-up and cosine, over these iterations
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = max_iters // 20
param_scheduler[1].end = max_iters

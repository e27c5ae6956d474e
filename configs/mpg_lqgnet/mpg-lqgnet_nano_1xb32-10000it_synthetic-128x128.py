# The run behind the weights that come with the package, on more scenes:
#   python tools/dataset_converters/make_synthetic_refs.py \
#       data/synthetic_refs_32k --train 32000
# 10,000 iterations of 32 sentences: 320,000, two or three visits to each of
# the about 127,000 refs.
_base_ = './mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
data_root = 'data/synthetic_refs_32k'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
max_iters = 10000
train_cfg = dict(max_iters=max_iters, val_interval=2500)
# the inherited warm-up and cosine, over these iterations
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = max_iters // 20
param_scheduler[1].end = max_iters

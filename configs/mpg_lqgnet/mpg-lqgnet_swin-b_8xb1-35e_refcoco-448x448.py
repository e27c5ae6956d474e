# Eight GPUs, one sentence on each: the same effective batch of 8, so the rate
# stays as it is. Batch norms see all eight.
_base_ = './mpg-lqgnet_swin-b_1xb8-35e_refcoco-448x448.py'
train_dataloader = dict(batch_size=1)
sync_bn = 'torch'

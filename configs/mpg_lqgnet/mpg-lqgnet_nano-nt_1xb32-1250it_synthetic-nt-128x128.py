# The nano model with a head that can say "nothing there", on scenes where some
# sentences mean several objects and some none.
# 1,250 iterations of 32 sentences: 40,000, not quite one visit to each of the
# about 52,000 refs, of which 24,000 have one target.
_base_ = [
    '../_base_/models/mpg-lqgnet_nano.py',
    '../_base_/datasets/synthetic_refs_nt_128.py',
    '../_base_/schedules/schedule_synthetic.py',
    '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(vocab='synthetic-any'),
    decode_head=dict(existence=dict(channels=64)),
    train_cfg=dict(share_images=True))
train_dataloader = dict(batch_size=32, sampler=dict(refs_per_image=4))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))

# Synthetic scenes with sentences about one object, several or none, at
# 128 x 128, made by
#   python tools/dataset_converters/make_synthetic_refs.py \
#       data/synthetic_refs_any --targets any
# Pictures and sentences about one object are those of synthetic_refs_128.py.
_base_ = './synthetic_refs_128.py'

changes = dict(
    type='GRefCOCODataset',
    data_root='data/synthetic_refs_any',
    extra_fields=('kind', 'wrong'))

train_dataloader = dict(dataset=changes)
val_dataloader = dict(dataset=changes)
test_dataloader = dict(dataset=changes)

# gIoU, cIoU, N-acc and T-acc beside the classic scores; of no-target sentences
# also by what is wrong in them
val_evaluator = dict(no_target='rela', breakdown=('kind', 'wrong'))
test_evaluator = dict(no_target='rela', breakdown=('kind', 'wrong'))

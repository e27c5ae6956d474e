# SAM 3, the union of all instances: several targets or none.
_base_ = ['../_base_/unresized/grefcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='SAM3Segmentor',
    pretrained='facebook/sam3',
    instances='union',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.3)

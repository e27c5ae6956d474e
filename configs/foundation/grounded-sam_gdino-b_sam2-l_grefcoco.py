# Several targets or none: the union of the boxes above the threshold at which
# transformers cuts them. Needs transformers 4.56 and torchvision.
_base_ = ['../_base_/unresized/grefcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='GroundedSAM',
    detector='IDEA-Research/grounding-dino-base',
    segmenter='facebook/sam2.1-hiera-large',
    boxes='all',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.25)

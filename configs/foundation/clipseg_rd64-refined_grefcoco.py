# CLIPSeg on gRefCOCO: no pixel above one half means no target.
_base_ = ['../_base_/unresized/grefcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='CLIPSegSegmentor',
    pretrained='CIDAS/clipseg-rd64-refined',
    template='{}',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.5)

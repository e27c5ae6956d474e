# Licensed under the Apache License, Version 2.0.
"""From a training checkpoint to a folder that can be given away."""

import hashlib
import json
import os
import os.path as osp
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config

from mmrefseg.fileio import write_atomically
from mmrefseg.fileio.packages import PREFIX
from mmrefseg.fileio.weights import StateDict
from mmrefseg.models.packaged_parts import drop_packaged_parts
from mmrefseg.registry import MODELS
from mmrefseg.version import __version__
from .checkpoint import config_of, read_checkpoint
from .init_model import init_model, load_config, scope_of
from .model_zoo import METADATA, read_metadata
from .portable_config import make_portable
from .weights_file import serialize_weights, tensors_digest

_HEADER = '''# Licensed under the Apache License, Version 2.0.
# {name}
# The whole model and how it is tested, with nothing inherited.
# Written by tools/model_converters/publish_model.py.
'''
_METRICS = ('oIoU', 'mIoU', 'P0.')


def publish_model(checkpoint: str,
                  out_dir: str,
                  *,
                  name: str | None = None,
                  config: str | None = None,
                  half: bool = False,
                  safetensors: bool = False,
                  metrics: Mapping[str, float] | None = None,
                  metrics_file: str | None = None,
                  note: str | None = None,
                  trusted: bool = False) -> dict[str, Any]:
    """Write a model without what only training needs.

    The folder gets ``config.py`` (nothing inherited, no paths of this
    machine), the weights, ``metadata.json`` and, where it is not packaged,
    the vocabulary. ``init_model(out_dir)`` builds the model. The file of the
    weights also holds the config, what was measured and a checksum, so that
    ``init_model(None, file)`` needs nothing else but the vocabulary, beside
    it. Frozen parts that have the weights of an installed package
    (``pretrained='package:...'``) stay there. Files of an earlier publication
    in the same folder are replaced.

    Args:
        checkpoint (str): What a training run wrote, or other weights.
        out_dir (str): The folder.
        name (str, optional): Name of the model. Defaults to the folder's.
        config (str, optional): Its config. Defaults to the one in the
            checkpoint.
        half (bool): Store numbers as float16, also statistics of norms; they
            are read as float32. Numbers beyond float16 keep float32.
        safetensors (bool): Write a ``.safetensors`` file instead of a
            ``.pth`` file. Our commands read it; MMEngine alone does not.
        metrics (Mapping[str, float], optional): What was measured.
        metrics_file (str, optional): A JSON file to take it from, see
            :func:`read_metrics`.
        note (str, optional): How the model came to be.
        trusted (bool): Also read a checkpoint that can run code.

    Returns:
        dict: What ``metadata.json`` says, ``changes`` (what was changed in
        the config), ``left_to_packages`` (tensors), ``folder`` and
        ``folder_bytes``.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: The checkpoint does not fit the config, or has none.

    Example:
        >>> from mmrefseg.apis import publish_model
        >>> from mmrefseg.apis.checkpoints.model_zoo import find_model
        >>> config, weights = find_model('mpg-lqgnet_nano')
        >>> published = publish_model(weights, 'mine', half=True)
        >>> published['config'], published['dtype'], published['params']
        ('config.py', 'float16', 2912523)
    """
    content = read_checkpoint(checkpoint, trusted=trusted)
    cfg: Config = (
        config_of(content, checkpoint)
        if config is None else load_config(config)[0])
    portable = make_portable(cfg)
    name = name or osp.basename(osp.abspath(out_dir))
    text = portable.config.pretty_text
    trained, packaged = content['state_dict'], 0
    if PREFIX in text:
        with scope_of(cfg):
            model = MODELS.build(cfg.model)
        trained, packaged = drop_packaged_parts(model, trained)
    weights, kept = _shrink(trained, half)
    meta = content.get('meta') or {}
    measured = dict(read_metrics(metrics_file, meta) if metrics_file else {})
    measured.update(metrics or {})

    inside = dict(
        name=name,
        dtype='float16' if half else 'float32',
        params=sum(w.numel() for w in weights.values()
                   if w.is_floating_point()),
        metrics=measured,
        note=note,
        trained=dict(
            epoch=meta.get('epoch'), iter=meta.get('iter'),
            seed=meta.get('seed')),
        published=time.strftime('%Y-%m-%d'),
        versions=dict(mmrefseg=__version__, torch=str(torch.__version__)),
        tensors_sha256=tensors_digest(weights))
    header = dict(cfg=text, published=inside)
    if meta.get('dataset_meta') is not None:
        header['dataset_meta'] = dict(meta['dataset_meta'])
    kind = 'safetensors' if safetensors else 'pth'
    data = serialize_weights(weights, header, kind)
    digest = hashlib.sha256(data).hexdigest()
    metadata: dict[str, Any] = dict(
        inside,
        config='config.py',
        weights=f'{name}-{digest[:8]}.{kind}',
        sha256=digest,
        bytes=len(data))

    files = {path: own.read_bytes() for path, own in portable.files.items()}
    files['config.py'] = (_HEADER.format(name=name) + text).encode()
    files[metadata['weights']] = data
    metadata['files'] = [*files, METADATA]
    # Last, so that a folder with this file has all the others.
    files[METADATA] = (json.dumps(metadata, indent=2) + '\n').encode()
    with tempfile.TemporaryDirectory() as trial:
        _write(files, trial)
        init_model(trial, device='cpu')  # what does not load is not published
    _write(files, out_dir)
    return dict(
        metadata,
        changes=portable.changes,
        kept_float32=kept,
        left_to_packages=packaged,
        folder=out_dir,
        folder_bytes=sum(map(len, files.values())))


def read_metrics(path: str, meta: Mapping[str, Any]) -> dict[str, float]:
    """Read what a test or a training run measured.

    Args:
        path (str): The JSON file that ``tools/test.py`` leaves in its work
            directory, or the ``scalars.json`` of a training run.
        meta (Mapping): Of the checkpoint: its ``epoch`` and ``iter`` say
            which line of ``scalars.json`` is its own.

    Returns:
        dict[str, float]: Those of the referring metric, in percent.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no such metric, or none of this checkpoint.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'There is no file {path} with metrics.')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    try:
        try:
            lines = [json.loads(text)]
        except ValueError:  # one object per line
            lines = [json.loads(x) for x in text.splitlines() if x.strip()]
    except ValueError:
        raise ValueError(f'{path} is no JSON file.') from None
    lines = [x for x in lines if isinstance(x, dict) and 'oIoU' in x]
    if not lines:
        raise ValueError(f'{path} has no oIoU: give the JSON file that '
                         'tools/test.py wrote.')
    if 'step' in lines[0]:  # a training run, measured many times
        own = [
            x for count in (meta.get('epoch'), meta.get('iter')) for x in lines
            if x['step'] == count
        ]
        if not own:
            raise ValueError(
                f'{path} has no measurement of epoch {meta.get("epoch")}, '
                f'iteration {meta.get("iter")}, at which the checkpoint was '
                'written: test it and give the JSON file of that.')
        lines = own
    return {
        key: value
        for key, value in lines[0].items()
        if key.split('/')[-1].startswith(_METRICS)
    }


def _shrink(state_dict: StateDict, half: bool) -> tuple[StateDict, list[str]]:
    """Store numbers as short as they may be; the names of those that are
    beyond float16, though ``half``, come second."""
    result, kept = {}, []
    for name, value in state_dict.items():
        if name.endswith('num_batches_tracked'):
            continue  # a count of training steps
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.float()
            if half:
                shorter = value.half()
                if torch.isfinite(shorter).equal(torch.isfinite(value)):
                    value = shorter
                else:
                    kept.append(name)
        elif name.endswith('relative_position_index'):
            value = value.short()  # at most (2 * window - 1)^2
        # Not a view into a larger tensor, which would be written whole.
        result[name] = value.clone().contiguous()
    return result, kept


def _write(files: Mapping[str, bytes], folder: str) -> None:
    """Write files, and remove those of an earlier publication."""
    old = set()
    if osp.isfile(osp.join(folder, METADATA)):
        old = set(read_metadata(folder).get('files', ()))
    for name, content in files.items():
        write_atomically(osp.join(folder, name), content)
    for name in old - set(files):
        path = osp.realpath(osp.join(folder, name))
        if path.startswith(osp.realpath(folder) + osp.sep) and osp.isfile(
                path):
            os.remove(path)

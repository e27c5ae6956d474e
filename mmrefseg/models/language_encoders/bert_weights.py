# Licensed under the Apache License, Version 2.0.
"""Weights of a pretrained BERT, from the files that people have."""


import torch
from mmengine.logging import print_log
from transformers import BertModel

from .bert_files import find_weights

# Heads that files of weights have and an encoder of words does not.
_HEADS = ('pooler.', 'cls.', 'classifier.', 'qa_outputs.',
          'embeddings.position_ids', 'embeddings.token_type_ids')


def read_state_dict(pretrained: str) -> dict[str, torch.Tensor]:
    """Read the weights of a pretrained BERT, in BertModel's names.

    Args:
        pretrained (str): Folder or hub name; ``model.safetensors`` goes
            before ``pytorch_model.bin``.

    Returns:
        dict[str, Tensor]: Names without prefix (``embeddings.``,
        ``encoder.``, ...), norms named weight and bias.

    Raises:
        FileNotFoundError: There are no weights; the message says what to set.
        ValueError: The file cannot be read as tensors.
    """
    path = find_weights(pretrained)
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file
            state_dict = load_file(str(path))
        else:
            state_dict = torch.load(
                str(path), map_location='cpu', weights_only=True)
    except Exception as error:  # pickle, zip and safetensors have their own
        raise ValueError(f'The BERT weights {path} cannot be read as a file '
                         f'of tensors ({error}): download them anew, or '
                         'delete them if another format lies beside them.'
                         ) from error
    return {_own_name(name): value for name, value in state_dict.items()}


def _own_name(name: str) -> str:
    for prefix in ('module.', 'bert.'):
        if name.startswith(prefix):
            name = name[len(prefix):]
    # Files written before 2019 name the parts of a LayerNorm so.
    if name.endswith('LayerNorm.gamma'):
        name = name[:-len('gamma')] + 'weight'
    elif name.endswith('LayerNorm.beta'):
        name = name[:-len('beta')] + 'bias'
    return name


def load_bert_weights(bert: BertModel, pretrained: str) -> None:
    """Load the weights of a folder or hub name into a BERT.

    Heads are left out. Layers that the file has beyond those of ``bert`` are
    left out too, and named in the log.

    Args:
        bert (BertModel): The model, without pooler.
        pretrained (str): Folder or hub name.

    Raises:
        FileNotFoundError: There are no weights.
        ValueError: Nothing matches, a tensor is missing, or shapes differ.
    """
    given = read_state_dict(pretrained)
    wanted = bert.state_dict()
    matched = {name: given[name] for name in wanted if name in given}
    if not matched:
        raise ValueError(
            f"Nothing in the weights of '{pretrained}' matches a BERT: its "
            f'tensors are named like {", ".join(list(given)[:3])}.')
    missing = [name for name in wanted if name not in given]
    if missing:
        raise ValueError(
            f"The weights of '{pretrained}' lack {len(missing)} tensors of "
            f'this BERT ({", ".join(missing[:3])}, ...): make arch fit them.')
    for name, tensor in matched.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(
                f"'{name}' has shape {tuple(tensor.shape)} in the weights of "
                f"'{pretrained}' and {tuple(wanted[name].shape)} in this "
                'BERT: make arch and vocab fit them.')
    bert.load_state_dict(matched)
    left_out = [
        name for name in given
        if name not in matched and not name.startswith(_HEADS)
    ]
    message = f"BERT: loaded {len(matched)} tensors of '{pretrained}'"
    if left_out:
        message += (f'; left out {len(left_out)} that this BERT does not have '
                    f'({", ".join(left_out[:3])}, ...)')
    print_log(message + '.', 'current')

# Licensed under the Apache License, Version 2.0.
"""R-RefCOCO, R-RefCOCO+, R-RefCOCOg: some sentences without a target."""

from mmrefseg.registry import DATASETS
from .field_checks import is_truth, show
from .refcoco import RefCOCODataset


@DATASETS.register_module()
class RRefCOCODataset(RefCOCODataset):
    """Referring expressions in the layout of R-RefCOCO.

    As :class:`RefCOCODataset` (the refs file may also be JSON), but a
    sentence may carry ``exist``. Where it is false, the sentence has no
    target in the image, though its ref has an annotation: the mask is empty.

    An item also has ``no_target`` (bool), the opposite of ``exist``; false
    where the sentence does not say.

    Args:
        others: See :class:`RefCOCODataset`.

    Raises:
        FileNotFoundError: See :class:`RefCOCODataset`.
        ValueError: See there; also where ``exist`` is neither true nor false.

    Example:
        >>> config = dict(type='RRefCOCODataset', split='val', split_by='unc',
        ...               data_root='data/coco/rrefcoco')
    """

    refs_names = ('refs({}).p', 'refs({}).json')

    def _parse_sentence(self, sentence: dict, ref: dict, where: str) -> dict:
        fields = super()._parse_sentence(sentence, ref, where)
        exist = sentence.get('exist', True)
        if not is_truth(exist):
            raise ValueError(
                f'{where}: sentence {sentence.get("sent_id")} has '
                f'exist={show(exist)}, which is neither true nor '
                'false: correct the file, see docs/data.md.')
        fields.update(no_target=not exist)
        return fields

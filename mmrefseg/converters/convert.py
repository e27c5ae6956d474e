# Licensed under the Apache License, Version 2.0.
"""One way to convert each format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .guess import OTHERS, guess_format
from .hf_refcoco import read_hf_refcoco
from .lvis import convert_lvis
from .mdetr import read_mdetr
from .phrasecut import read_phrasecut
from .ris_cq import read_ris_cq
from .rrsis_d import read_rrsis_d
from .source import Source
from .talk2car import read_talk2car
from .writer import Report, write_lines

_COMMAND = 'python tools/dataset_converters/convert_refs.py'


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        source (str): What is given as the source.
        options (tuple[str]): Options that it has.
        read (Callable): Gives the lines of a source; or
        convert (Callable): writes them itself.
    """
    source: str
    options: tuple[str, ...]
    read: Callable[..., Any] | None = None
    convert: Callable[..., Report] | None = None


FORMATS: dict[str, Format] = {
    'ris-cq':
    Format('a JSON file of RIS-CQ', ('masks', 'split', 'skip_missing'),
           read_ris_cq),
    'talk2car-regseg':
    Format('an annotation file of Talk2Car-RegSeg',
           ('masks', 'split', 'skip_missing'), read_talk2car),
    'lvis':
    Format('lvis_v1_train.json, of which sentences are derived',
           ('images', 'split'),
           convert=convert_lvis),
    'mdetr':
    Format('finetune_refcoco_train.json and the like', ('instances', 'split'),
           read_mdetr),
    'hf-refcoco':
    Format('parquet files of jxu124/refcoco or lmms-lab/RefCOCO',
           ('split', 'sentence_field', 'save_images'), read_hf_refcoco),
    'phrasecut':
    Format('refer_train.json of PhraseCut', ('split', 'image_data', 'draw'),
           read_phrasecut),
    'rrsis-d':
    Format('the folder of refs(unc).p and instances.json of RRSIS-D',
           ('split', 'sentence_field'), read_rrsis_d),
}


def convert_refs(name: str, source: str | Path, out: str | Path,
                 **options: Any) -> Report:
    """Convert a set of referring expressions to JSON lines.

    Args:
        name (str): A format of ``FORMATS``.
        source (str | Path): Its file or folder.
        out (str | Path): The file to write, for
            :class:`~mmrefseg.datasets.JSONLinesRefDataset`.
        **options: Of the format; None is as if not given.

    Returns:
        Report: What was written, and what was left out for which reason.

    Raises:
        FileNotFoundError: A file is missing.
        ImportError: A package is missing that reads the format.
        ValueError: The source is of another format (the message says which),
            damaged, or has nothing to be written; or an option is not of
            this format. Nothing is written then.

    Example:
        >>> import json, tempfile
        >>> from mmrefseg.converters import convert_refs
        >>> folder = tempfile.mkdtemp()
        >>> task = dict(task_id='1__2', image_id=1, ann_ids=[2],
        ...             phrase='wooden table', Polygons=[
        ...                 [[[2, 2], [9, 2], [9, 9]]]])
        >>> with open(f'{folder}/refer_val.json', 'w') as file:
        ...     json.dump([task], file)
        >>> print(convert_refs('phrasecut', f'{folder}/refer_val.json',
        ...                    f'{folder}/val.jsonl'))
        1 sentences about 1 objects in 1 images (val 1)
    """
    form = FORMATS.get(name)
    if form is None:
        raise ValueError(f'There is no format {name!r}: choose of '
                         f'{", ".join(FORMATS)}.')
    options = {key: x for key, x in options.items() if x is not None}
    for key in options.keys() - set(form.options):
        takes = ', '.join(_flag(x) for x in form.options)
        raise ValueError(f'{_flag(key)} is not for {name}, which takes '
                         f'{takes}: leave it out.')
    given = Source(source)
    if given.path.resolve() == Path(out).resolve():
        raise ValueError(f'{out} is the source itself: give another name for '
                         'what is written.')
    _refuse_others(name, given)
    if form.convert is not None:
        return form.convert(given, out, **options)
    assert form.read is not None
    return write_lines(form.read(given, **options), out)


def _refuse_others(name: str, source: Source) -> None:
    """Raise where the source is clearly of another format."""
    found = guess_format(source)
    if found in (None, name) or (name, found) == ('rrsis-d', 'refer'):
        return
    if found in FORMATS:
        what = f'{found}: run {_COMMAND} {found} {source} OUT.jsonl'
    else:
        what = OTHERS[str(found)]
    raise ValueError(f'{source} is not of the format {name}. It looks like '
                     f'{what}.')


def _flag(option: str) -> str:
    return '--' + option.replace('_', '-')

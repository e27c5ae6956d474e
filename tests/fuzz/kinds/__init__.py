# Licensed under the Apache License, Version 2.0.
"""The kinds of cases: how each is made, and how it is judged.

A kind is a class with ``share`` (of all cases), ``draw`` (the case, made by
hypothesis) and ``run`` (its outcome, or :class:`oracle.Fault`).
"""

from .handed import Handed
from .image_files import Images, Masks
from .json_lines import LinesBytes, LinesValues, Outlines
from .refer_files import (GeneralRefs, InstancesBytes, InstancesValues,
                          RefsBytes, RefsCode, RefsValues)
from .sentences import Sentences

KINDS = {
    'refs pickle, values': RefsValues,
    'refs pickle, bytes': RefsBytes,
    'refs pickle, code': RefsCode,
    'instances.json, values': InstancesValues,
    'instances.json, bytes': InstancesBytes,
    'gRefCOCO and R-RefCOCO refs': GeneralRefs,
    'JSON lines, values': LinesValues,
    'JSON lines, bytes': LinesBytes,
    'polygons and run lengths': Outlines,
    'mask files': Masks,
    'image files': Images,
    'sentences': Sentences,
    'arrays, PIL images, texts': Handed,
}

# Licensed under the Apache License, Version 2.0.
import collections
import os
import pickle

import numpy as np
import pytest

from mmrefseg.fileio.plain_pickle import PlainPickleError, loads_plain_pickle

PLAIN = [
    dict(a=1, b=[1.5, -2.25, 10**30], c=('x', True, False, None)),
    {'umlaut': 'Ärger über Öl', 'emoji': '\U0001f600'},
    {1, 2, 3},
    frozenset('ab'),
    b'\x00\xff bytes',
    b'',
]


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol(protocol):
    assert loads_plain_pickle(pickle.dumps(PLAIN, protocol), 'f') == PLAIN


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_and_ordered_dict_become_plain(protocol):
    data = dict(
        order=collections.OrderedDict(b=1, a=2),
        small=np.int64(7),
        real=np.float32(0.5),
        yes=np.bool_(True),
        grid=np.arange(6, dtype=np.int32).reshape(2, 3),
        columns=np.asfortranarray(np.arange(6.).reshape(2, 3)),
        swapped=np.arange(3, dtype='>i4'))
    read = loads_plain_pickle(pickle.dumps(data, protocol), 'f')
    assert read == dict(
        order=dict(b=1, a=2),
        small=7,
        real=0.5,
        yes=True,
        grid=[[0, 1, 2], [3, 4, 5]],
        columns=[[0., 1., 2.], [3., 4., 5.]],
        swapped=[0, 1, 2])
    assert list(read['order']) == ['b', 'a']
    assert type(read['small']) is int and type(read['real']) is float
    assert type(read['order']) is dict


def test_numpy_names_of_old_and_new_numpy():
    """numpy 2 writes numpy._core, numpy 1 numpy.core; both are read."""
    new = pickle.dumps(np.float64(3.5), 2)
    old = new.replace(b'numpy._core.', b'numpy.core.')
    new = old.replace(b'numpy.core.', b'numpy._core.')
    assert loads_plain_pickle(old, 'f') == 3.5
    assert loads_plain_pickle(new, 'f') == 3.5


@pytest.mark.parametrize(
    'content, expected',
    [
        # cPickle of Python 2: {'a': 'x'}, long, unicode, non-ASCII str.
        (b"(dp1\nS'a'\np2\nS'x'\np3\ns.", {'a': 'x'}),
        (b'(lp1\nL12345678901L\naVm\\u00e9t\np2\na.',
         [12345678901, 'm\u00e9t']),
        (b"S'caf\\xc3\\xa9'\n.", 'caf\u00e9'),  # UTF-8 bytes
        (b"S'caf\\xe9'\n.", 'caf\u00e9'),  # latin1 bytes
        (b'\x80\x02U\x04caf\xe9.', 'caf\u00e9'),
    ])
def test_pickles_of_python_2(content, expected):
    assert loads_plain_pickle(content, 'f') == expected


class _Runs:
    """A pickle of this runs a shell command when it is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command, )


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_does_not_run(tmp_path, protocol):
    trace = tmp_path / 'it_ran'
    content = pickle.dumps([{'ref_id': 1}, _Runs(f'touch {trace}')], protocol)

    with pytest.raises(PlainPickleError) as info:
        loads_plain_pickle(content, 'refs(unc).p')
    assert not trace.exists()
    message = str(info.value)
    for piece in ('refs(unc).p', 'refused', 'nothing in it was run',
                  '.system', 'docs/data.md'):
        assert piece in message

    pickle.loads(content)  # the standard loader does run it
    assert trace.exists()


@pytest.mark.parametrize('name', [
    'builtins eval', 'builtins exec', 'builtins getattr', '__builtin__ eval',
    'os system', 'subprocess Popen', 'numpy load', 'functools partial',
    'numpy.core.multiarray loads', 'collections namedtuple',
    'copyreg _reconstructor',
    'builtins __import__', 'builtins.eval x', 'torch load'
])
def test_other_names_are_refused(name):
    module, attribute = name.split()
    text = f'c{module}\n{attribute}\n(S"1"\ntR.'.encode()
    with pytest.raises(PlainPickleError, match='refused'):
        loads_plain_pickle(text, 'f')


@pytest.mark.parametrize('array', [
    np.array([{}], dtype=object),
    np.array([(1, 2.)], dtype=[('a', 'i4'), ('b', 'f8')]),
    np.array(['2020-01-01'], dtype='M8[D]'),
])
def test_arrays_of_more_than_numbers_are_refused(array):
    with pytest.raises(PlainPickleError, match='refused.*numpy.dtype'):
        loads_plain_pickle(pickle.dumps(array, 2), 'f')


@pytest.mark.parametrize('content, piece', [
    (b'', 'empty'),
    (pickle.dumps(PLAIN, 2)[:-20], 'cut off'),
    (pickle.dumps(PLAIN, 4)[:-20], 'cut off'),
    (b'\n<!DOCTYPE html><html>404', 'a web page'),
    (b'version https://git-lfs.github.com/spec/v1', 'a Git LFS pointer'),
    (b'PK\x03\x04....', 'a zip archive'),
    (b'{"data": 1}', 'a JSON file'),
    (b'\x80\x09K\x01.', 'not a readable pickle'),
    (bytes(range(256)), 'not a readable pickle'),
])
def test_what_is_no_pickle_is_named(content, piece):
    with pytest.raises(PlainPickleError) as info:
        loads_plain_pickle(content, 'some/refs(unc).p')
    assert piece in str(info.value)
    assert str(info.value).startswith('some/refs(unc).p')

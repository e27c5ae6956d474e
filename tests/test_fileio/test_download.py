# Licensed under the Apache License, Version 2.0.
"""Files are fetched once, and are whole or not there."""

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

import mmrefseg
from mmrefseg.fileio import download_file, read_weights

ROOT = Path(mmrefseg.__file__).parents[1]


class _Handler(BaseHTTPRequestHandler):
    """Gives a file slowly, cut off, or not at all."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path.startswith('/none'):
            self.send_error(404)
            return
        content = self.server.content
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if self.path.startswith('/cut'):
            content = content[:len(content) // 2]
        middle = len(content) // 2
        self.wfile.write(content[:middle])
        time.sleep(self.server.pause)
        self.wfile.write(content[middle:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    torch.save(dict(x=torch.ones(3)), tmp_path / 'source.pth')
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.content = (tmp_path / 'source.pth').read_bytes()
    server.requests, server.pause = [], 0.
    server.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """PyTorch's hub folder."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    return tmp_path / 'torch/hub/checkpoints'


def test_once(server, cache):
    for _ in range(2):
        read = read_weights(f'{server.url}/some/x%20y.pth?token=3')
        assert torch.equal(read['x'], torch.ones(3))
    assert server.requests == ['/some/x%20y.pth?token=3']
    assert [path.name for path in cache.iterdir()] == ['x y.pth']


def test_several_processes(server, tmp_path):
    server.pause = 3.
    code = (f'import sys; sys.path.insert(0, {str(ROOT)!r})\n'
            'from mmrefseg.fileio import download_file\n'
            f'print(download_file("{server.url}/x.pth", '
            f'{str(tmp_path / "there")!r}).stat().st_size)')
    runs = [
        subprocess.Popen([sys.executable, '-c', code],
                         stdout=subprocess.PIPE,
                         text=True) for _ in range(3)
    ]
    size = str(len(server.content))
    assert [run.communicate(timeout=120)[0].split()[-1]
            for run in runs] == [size] * 3
    assert server.requests == ['/x.pth']
    assert [path.name for path in (tmp_path / 'there').iterdir()] == ['x.pth']


@pytest.mark.parametrize('name, message', [
    ('cut.pth', r'\d+ of \d+ bytes arrived'),
    ('none.pth', '404'),
])
def test_what_fails_leaves_nothing(server, cache, name, message):
    with pytest.raises(OSError, match=message):
        download_file(f'{server.url}/{name}')
    assert list(cache.iterdir()) == []
    with pytest.raises(
            FileNotFoundError,
            match=f"{name}' cannot be downloaded .*{message}.*: fetch them"):
        read_weights(f'{server.url}/{name}')


def test_no_half_file_while_it_arrives(server, cache):
    server.pause = 1.
    thread = threading.Thread(
        target=download_file, args=(f'{server.url}/x.pth', ))
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    time.sleep(0.3)
    assert not (cache / 'x.pth').exists()
    thread.join()
    assert (cache / 'x.pth').read_bytes() == server.content

# Licensed under the Apache License, Version 2.0.
"""Kills training runs, fills the disk, and takes processes away. Linux.

Usage:
    python tests/faults/run.py [--kills 20] [--seed 0] [--out FILE.json]
        [--part kills|disk|processes]
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import training
from prettytable import PrettyTable
from training import EPOCHS, FullDisk, SlowFile

from mmrefseg.engine.hooks import is_complete_checkpoint

TICK = os.sysconf('SC_CLK_TCK')
LONGEST = 900  # seconds of the clock for one run, on a busy machine
# What a run of several processes has to end, once one of them is dead.
PATIENCE = 60


def processor_time(pid):
    """Seconds of processor time that a process has used."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1]
    except FileNotFoundError:
        return 0.
    fields = fields.split()
    return (int(fields[11]) + int(fields[12])) / TICK


def ended(pid):
    """Exit status of a child, or None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return status if done else None


def wait(pid, kill=lambda: False):
    """Wait for a child, and kill it when ``kill`` says so; its status."""
    deadline = time.monotonic() + LONGEST
    while True:
        status = ended(pid)
        if status is not None:
            return status
        if kill() or time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.002)


def checkpoints(work_dir):
    """Names of the checkpoints in a folder, and whether each is whole."""
    return {
        path.name: is_complete_checkpoint(str(path))
        for path in sorted(Path(work_dir).glob('*.pth'))
    }


def compare(whole, work_dir):
    """What differs between a run and the one never interrupted."""
    faults = []
    if training.losses(work_dir) != training.losses(whole):
        faults.append('losses differ')
    for name, first, second in zip(('weights', 'state of the optimizer'),
                                   training.weights(whole),
                                   training.weights(work_dir)):
        if not training.equal(first, second):
            faults.append(f'{name} differ')
    if list(Path(work_dir).glob('*.tmp')):
        faults.append('a .tmp file was left')
    return faults


def kill_once(config, whole, folder, moment, writing):
    """Kill a run and resume it.

    Args:
        moment (float): Where, from 0 to 1: a share of the iterations of a
            whole run or, while writing, of the writing of checkpoints.
        writing (bool): Whether to aim at the writing of checkpoints.
    """
    how = {}
    if writing:
        # A checkpoint is written in each epoch. Of the chosen one a part
        # gets to the disk, how much is chance.
        wanted, share = int(moment * EPOCHS), moment * EPOCHS % 1
        seen, since = [], [None]

        def kill():
            for path in folder.glob('*epoch*.tmp'):
                try:
                    file = path.name, path.stat().st_ino
                except FileNotFoundError:
                    continue
                if file not in seen:
                    seen.append(file)
                    if len(seen) == wanted + 1:
                        since[0] = time.monotonic()
            return since[0] is not None and (
                time.monotonic() - since[0] > 0.3 * share)

        how = dict(writer=SlowFile)
    else:
        # So many iterations, and a part of the time of another one.
        total = len(training.losses(whole))
        step = json.loads((whole / 'seconds').read_text()) / total
        wanted, share = max(1, int(moment * total)), moment * total % 1
        since = [None]

        def kill():
            if since[0] is None and len(training.losses(folder)) >= wanted:
                since[0] = processor_time(pid)
            return since[0] is not None and (
                processor_time(pid) - since[0] >= step * share)

    pid = training.start(config, folder, **how)
    status = wait(pid, kill)
    found = dict(
        moment=round(moment, 3),
        aimed_at='writing' if writing else 'any moment',
        killed=status == signal.SIGKILL,
        iterations=len(training.losses(folder)),
        in_writing=bool(list(folder.glob('*.tmp'))),
        checkpoints=checkpoints(folder))
    before = training.losses(folder)
    faults = [
        f'{name} is not whole'
        for name, whole_ in found['checkpoints'].items() if not whole_
    ]
    expected = training.losses(whole)
    if any(expected[i] != loss for i, loss in before.items()):
        faults.append('losses differ before the kill')
    status = wait(training.start(config, folder, resume=True))
    found['resumed'] = status == 0
    if status == 0:
        faults += compare(whole, folder)
    else:
        faults.append((folder / 'error.txt').read_text()[:300])
    return dict(found, faults=faults)


def try_kills(config, whole, folder, count, seed):
    """Kill ``count`` runs, two of five while checkpoints are written."""
    rng = random.Random(seed)
    found = []
    for i in range(count):
        writing = i % 5 in (1, 3)
        work_dir = folder / f'kill_{i}'
        found.append(
            kill_once(config, whole, work_dir, rng.random(), writing))
        shutil.rmtree(work_dir)
        print(f'kill {i + 1}: {json.dumps(found[-1])}', flush=True)
    return found


def try_full_disk(config, whole, folder):
    """The disk is full while the second checkpoint is written."""
    size = (whole / f'epoch_{EPOCHS}.pth').stat().st_size
    ways = {
        'no space left on the device':
        dict(writer=FullDisk),
        'limit on the size of files':
        dict(limit=size // 2),
    }
    found = []
    for i, (name, how) in enumerate(ways.items()):
        work_dir = folder / f'disk_{i}'
        if 'limit' in how:
            # The first checkpoint is written without the limit.
            pid = training.start(config, work_dir)
            pointer = work_dir / 'last_checkpoint'
            wait(pid, pointer.exists)
            status = wait(
                training.start(config, work_dir, resume=True, **how))
        else:
            FullDisk.room = size + size // 2
            status = wait(training.start(config, work_dir, **how))
        error = work_dir / 'error.txt'
        says = error.read_text() if error.exists() else ''
        faults = [] if status else ['it did not end with an error']
        if '.pth' not in says or 'could not be written' not in says:
            faults.append('the error does not name the file')
        there = checkpoints(work_dir)
        if not there or not all(there.values()):
            faults.append(f'checkpoints: {there}')
        elif not training.equal(
                training.weights(work_dir, 1), _first_weights(whole)):
            faults.append('the last checkpoint is another one')
        status = wait(training.start(config, work_dir, resume=True))
        if status == 0:
            faults += compare(whole, work_dir)
        else:
            faults.append('resuming failed')
        found.append(
            dict(way=name, says=says.replace(str(folder), '...'),
                 checkpoints=there, resumed=status == 0, faults=faults))
        print(f'disk: {json.dumps(found[-1])}', flush=True)
    return found


def _first_weights(whole):
    return training.weights(whole / 'first', 1)


def _environment(**variables):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    here = str(Path(__file__).parent)
    return {
        **os.environ, 'PYTHONPATH':
        os.pathsep.join([str(training.ROOT), here]),
        'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '-1',
        'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port),
        'PORT': str(port), 'KILL_AT': '1', **variables
    }


def try_dead_process(config, folder, victim, torchrun):
    """One of two processes is killed in its second iteration."""
    name = f'{"torchrun" if torchrun else "plain"}_{victim}'
    work_dir = folder / name
    work_dir.mkdir()
    tool = training.ROOT / 'tools'
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ['PATH']])
    options = ['--work-dir', str(work_dir)]
    options += ['--cfg-options', 'train_dataloader.batch_size=2']
    environment = _environment(KILL_RANK=str(victim), PATH=path)
    out = open(work_dir / 'out.txt', 'w+')
    if torchrun:
        commands = [(['bash', str(tool / 'dist_train.sh'),
                      str(config), '2'] + options, {})]
    else:
        commands = [([
            sys.executable, str(tool / 'train.py'), str(config),
            '--launcher', 'pytorch'
        ] + options, dict(RANK=str(i), LOCAL_RANK=str(i), WORLD_SIZE='2'))
                    for i in range(2)]
    processes = [
        subprocess.Popen(
            command, env={**environment, **more}, stdout=out, stderr=out,
            cwd=folder) for command, more in commands
    ]
    others = [p for i, p in enumerate(processes) if torchrun or i != victim]
    killed_at = work_dir / 'killed_at'
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline and any(
            p.poll() is None for p in others):
        time.sleep(0.05)
        if killed_at.exists() and killed_at.read_text() and (
                time.time() - float(killed_at.read_text()) > 4 * PATIENCE):
            break
    end = time.time()
    faults = []
    if any(p.poll() is None for p in others):
        faults.append('it hangs')
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    if not killed_at.exists():
        faults.append('nothing was killed')
    seconds = end - float(killed_at.read_text()) if killed_at.exists() else -1
    if seconds > PATIENCE:
        faults.append(f'it took {seconds:.0f} s to end')
    if any(p.returncode == 0 for p in others):
        faults.append('it ended as if all were well')
    out.seek(0)
    lines = [x.strip() for x in out.read().splitlines() if 'Error' in x]
    found = dict(
        started_by='torchrun' if torchrun else 'variables',
        killed=f'process {victim}',
        seconds_to_end=round(seconds, 1),
        says=(lines or [''])[-1][:300],
        faults=faults)
    print(f'processes: {json.dumps(found)}', flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', help='file for the figures, JSON')
    parser.add_argument(
        '--part', choices=['kills', 'disk', 'processes'], action='append')
    args = parser.parse_args()
    parts = args.part or ['kills', 'disk', 'processes']
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        config = training.make_workplace(folder)
        if 'kills' in parts or 'disk' in parts:
            whole = folder / 'whole'
            pid = training.start(config, whole)
            # Processor time up to the first iteration, and to the end.
            spent = [0., 0.]

            def follow():
                spent[1] = max(spent[1], processor_time(pid))
                if not spent[0] and training.losses(whole):
                    spent[0] = spent[1]
                first = whole / 'epoch_1.pth'
                if first.exists() and not (whole / 'first').exists():
                    (whole / 'first').mkdir()
                    os.link(first, whole / 'first' / 'epoch_1.pth')

            if wait(pid, follow) != 0:
                sys.exit((whole / 'out.txt').read_text()[-3000:])
            (whole / 'seconds').write_text(json.dumps(spent[1] - spent[0]))
            print(f'a whole run: {len(training.losses(whole))} iterations, '
                  f'{spent[1]:.1f} s of processor time, the first iteration '
                  f'after {spent[0]:.1f} s', flush=True)
        if 'kills' in parts:
            figures['kills'] = try_kills(
                config, whole, folder, args.kills, args.seed)
        if 'disk' in parts:
            figures['disk'] = try_full_disk(config, whole, folder)
        if 'processes' in parts:
            figures['processes'] = [
                try_dead_process(config, folder, *how)
                for how in ((1, False), (0, False), (1, True))
            ]
    return report(figures, args.out)


def report(figures, out):
    """Print the table, write the file; the exit code."""
    table = PrettyTable(['what', 'tried', 'as it should be'])
    table.align = 'l'
    kills = figures.get('kills', [])
    rows = [
        ('killed at any moment, resumed, equal to the last bit',
         [x for x in kills if x['aimed_at'] == 'any moment']),
        ('killed while a checkpoint was written, likewise',
         [x for x in kills if x['aimed_at'] == 'writing']),
        ('full disk: clear error, checkpoint intact, resumed, equal',
         figures.get('disk', [])),
        (f'one of two processes killed: the other ends within {PATIENCE} s',
         figures.get('processes', [])),
    ]
    failed = 0
    for name, found in rows:
        good = sum(not x['faults'] for x in found)
        failed += len(found) - good
        table.add_row([name, len(found), good])
    print(table)
    print(f'{sum(x["killed"] for x in kills)} of {len(kills)} runs were '
          'killed before they ended: '
          f'{sum(x["in_writing"] for x in kills)} kills left a half-written '
          'file, '
          f'{sum(not x["iterations"] for x in kills)} came before the first '
          f'iteration, {sum(not x["checkpoints"] for x in kills)} before the '
          'first checkpoint')
    if out:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(figures, indent=1))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

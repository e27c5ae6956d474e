# Licensed under the Apache License, Version 2.0.
"""Hands thousands of damaged inputs to everything that reads files.

Usage:
    python tests/fuzz/run.py [--cases 10000] [--kind NAME] [--only NUMBER]
        [--out FILE.json] [--keep FOLDER]

Each kind runs in a process of its own, so that a crash is told, with a limit
of time and memory for each case. The cases follow from the seed alone. Linux.
"""

import argparse
import ctypes
import faulthandler
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as seeded
from hypothesis import settings
from hypothesis import strategies as st
from kinds import KINDS
from oracle import ACCEPTED, REFUSED, Fault, Oracle
from prettytable import PrettyTable

SECONDS = 10  # of processor time, for one case
SILENCE = 240  # seconds of the clock until a process is given up
GIGABYTE = 1 << 30
GROWTH = 0.75 * GIGABYTE  # of memory, in one case
# What no reader of data has a reason to do.
FORBIDDEN = ('os.system', 'subprocess.Popen', 'os.exec', 'os.posix_spawn',
             'os.fork', 'os.forkpty', 'ctypes.dlopen', 'pty.spawn')


class Hang(BaseException):
    """A case took too long; no ``except Exception`` swallows it."""


class Watch:
    """What a case must not do while it runs."""

    def __init__(self, canary):
        self.canary, self.on, self.seen = canary, False, []
        sys.addaudithook(self._hook)
        signal.signal(signal.SIGPROF, self._late)

    def _hook(self, event, arguments):
        if self.on and event in FORBIDDEN:
            self.seen.append(event)

    @staticmethod
    def _late(*_):
        raise Hang

    def judge(self, kind, case):
        """Run a case; its outcome, or Fault."""
        self.seen.clear()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        self.on = True
        try:
            outcome = kind.run(case)
        except Hang:
            raise Fault(f'took more than {SECONDS} s') from None
        except Fault:
            raise
        except Exception as error:
            raise Fault(f'{type(error).__name__}: {error!s:.200}',
                        error) from error
        finally:
            self.on = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        if self.canary.exists() or self.seen:
            self.canary.unlink(missing_ok=True)
            raise Fault(f'code ran: {self.seen}')
        grown = resource.getrusage(
            resource.RUSAGE_SELF).ru_maxrss - before
        if grown * 1024 > GROWTH:
            raise Fault(f'took {grown / 1024:.0f} MB of memory')
        return outcome


def describe(case, folder):
    """Put down what a case consists of, to be looked at."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = case if isinstance(case, tuple) else (case, )
    for i, part in enumerate(parts):
        if isinstance(part, bytes):
            (folder / f'{i}.bin').write_bytes(part)
        else:
            buffer = io.StringIO()
            try:
                buffer.write(repr(part))
            except (RecursionError, ValueError) as error:
                buffer.write(f'not to be printed: {error}')
            (folder / f'{i}.txt').write_text(
                buffer.getvalue(), errors='backslashreplace')


def run_kind(name, count, seed, only, keep, folder, report):
    """Run the cases of one kind and write each outcome to ``report``."""
    canary = folder / 'canary'
    kind = KINDS[name](folder / 'set', Oracle(), canary)
    watch = Watch(canary)
    number = -1

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck))
    @given(st.data())
    def every(data):
        nonlocal number
        case = kind.draw(data.draw)
        number += 1
        if only is not None and number != only:
            return
        report({'start': number})
        try:
            report({'outcome': watch.judge(kind, case)})
        except Fault as fault:
            report({'fault': str(fault), 'where': fault.where,
                    'number': number})
            if keep:
                describe(case, Path(keep) / f'{name} {number}')
            if only is not None:
                raise

    every()


def _child(path, name, *arguments):
    """Body of the process of one kind."""
    # It must not outlive the one that watches it.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + 8 * GIGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(open(f'{path}.trace', 'w'))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    with open(path, 'w', buffering=1) as file:
        run_kind(name, *arguments,
                 lambda entry: file.write(json.dumps(entry) + '\n'))


def try_kind(name, count, seed, only, keep):
    """Fork a process for a kind and gather what it reports.

    Returns:
        dict: ``tried``, ``refused``, ``accepted``, ``seconds``, ``faults``
        (a dict of what was wrong: how often, and the first case).
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'report.jsonl'
        path.touch()
        (Path(folder) / 'set').mkdir()
        pid = os.fork()
        if pid == 0:
            try:
                _child(path, name, count, seed, only, keep, Path(folder))
            except BaseException as error:
                with open(path, 'a') as file:
                    file.write(json.dumps({'end': repr(error)}) + '\n')
                os._exit(1)
            os._exit(0)
        status, size, moved = None, 0, time.monotonic()
        while status is None:
            time.sleep(0.05)
            done, code = os.waitpid(pid, os.WNOHANG)
            if done:
                status = code
            elif path.stat().st_size != size:
                size, moved = path.stat().st_size, time.monotonic()
            elif time.monotonic() - moved > SILENCE:
                os.kill(pid, signal.SIGKILL)
        entries = [json.loads(x) for x in path.read_text().splitlines()]
        trace = Path(f'{path}.trace')
        trace = trace.read_text() if trace.exists() else ''
    outcomes = Counter(x['outcome'] for x in entries if 'outcome' in x)
    faults = {}
    for entry in entries:
        if 'fault' in entry:
            fault = faults.setdefault(
                entry['where'],
                dict(times=0, first=entry['number'], says=entry['fault']))
            fault['times'] += 1
    if status != 0:
        last = [x['start'] for x in entries if 'start' in x][-1:]
        end = next((x['end'] for x in entries if 'end' in x), '')
        signal_of = f'killed by signal {status & 127}' if status & 127 else end
        faults[signal_of] = dict(times=1, first=last, says=trace[-1500:])
    return dict(
        tried=sum('start' in x for x in entries),
        refused=outcomes[REFUSED],
        accepted=outcomes[ACCEPTED],
        seconds=round(time.monotonic() - started, 1),
        faults=faults)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--cases', type=int, default=10000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--kind', choices=list(KINDS), action='append')
    parser.add_argument('--only', type=int, help='run a single case')
    parser.add_argument('--out', help='file for the figures, JSON')
    parser.add_argument('--keep', help='folder for the cases at fault')
    args = parser.parse_args()
    shares = sum(kind.share for kind in KINDS.values())
    names = args.kind or list(KINDS)
    table = PrettyTable(
        ['kind', 'tried', 'refused', 'accepted', 'faults', 'seconds'])
    table.align = 'r'
    table.align['kind'] = 'l'
    figures = {}
    for name in names:
        # Rounded up, so that no fewer are tried than were asked for.
        count = -(-args.cases * KINDS[name].share // shares)
        figures[name] = found = try_kind(
            name, count, args.seed, args.only, args.keep)
        print(f'{name}: {found["tried"]} tried, {len(found["faults"])} faults',
              flush=True)
        table.add_row([
            name, found['tried'], found['refused'], found['accepted'],
            sum(x['times'] for x in found['faults'].values()),
            found['seconds']
        ])
    columns = list(zip(*table.rows))[1:]
    table.add_row(['all'] + [round(sum(x), 1) for x in columns])
    print(table)
    for name, found in figures.items():
        for where, fault in found['faults'].items():
            print(f'\n{name}: {where}, {fault["times"]} times, first in case '
                  f'{fault["first"]}:\n  {fault["says"]}')
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(
            json.dumps(
                dict(cases=args.cases, seed=args.seed, kinds=figures),
                indent=1))
    return 1 if any(x['faults'] for x in figures.values()) else 0


if __name__ == '__main__':
    sys.exit(main())

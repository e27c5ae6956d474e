#!/usr/bin/env bash
# Train in several processes: tools/dist_train.sh CONFIG GPUS [arguments of
# tools/train.py]. On a machine without a GPU, GPUS is the number of processes.
set -e

if [ $# -lt 2 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
PORT=${PORT:-29500}
MASTER_ADDR=${MASTER_ADDR:-"127.0.0.1"}
HERE=$(cd "$(dirname "$0")" && pwd)

if [ -z "${OMP_NUM_THREADS:-}" ]; then
    THREADS=1
    if ! command -v nvidia-smi > /dev/null; then
        # The processes share the cores: more threads slow each other down.
        THREADS=$(($(getconf _NPROCESSORS_ONLN) / GPUS))
    fi
    export OMP_NUM_THREADS=$((THREADS > 0 ? THREADS : 1))
fi
export MKL_NUM_THREADS=${MKL_NUM_THREADS:-$OMP_NUM_THREADS}

PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}" \
python -m torch.distributed.run \
    --nnodes="$NNODES" \
    --node_rank="$NODE_RANK" \
    --master_addr="$MASTER_ADDR" \
    --nproc_per_node="$GPUS" \
    --master_port="$PORT" \
    "$HERE/train.py" \
    "$CONFIG" \
    --launcher pytorch "${@:3}"

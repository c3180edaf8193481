#!/usr/bin/env bash
# Measure in a quarter of an hour on a machine with a GPU and no network, from the root of the checkout (docs/gpu.md).
#
#   bash docs/gpu_session.sh                      # run it again to resume, also on another machine of the kind
#   REHEARSE=1 bash docs/gpu_session.sh           # run all commands on a CPU, at tiny sizes
#   SHOW=1 bash docs/gpu_session.sh               # print the commands and run none
#
# BUDGET   seconds for everything
# OUT      folder of the folders of results
# WHEELS   folder of wheels to install; its file COMMIT holds the commit of the checkout
# JOBS     cells measured side by side; timings always run alone
# NAME     name of the device in the names of the folders
set -u
OUT=${OUT:-results} WHEELS=${WHEELS:-wheels} JOBS=${JOBS:-4}
if [ -n "${REHEARSE:-}" ]; then
    BUDGET=${BUDGET:-270} REPORT=20
    NAME=rehearsal DEVICE=cpu COSTS=docs/rehearsal/gpu.toml PAPER=docs/rehearsal/paper.toml
    SIZES=(--limit 8MiB --grid 32)
    TESTS=(tests/bench/studies/test_largest_image.py)
else
    BUDGET=${BUDGET:-840} REPORT=30
    NAME=${NAME:-} DEVICE=cuda COSTS=gpu PAPER=paper
    SIZES=()
    TESTS=(tests/bench/operators/test_compiled.py tests/bench/operators/test_cuda_graphs.py tests/bench/measurement/test_memory.py tests/bench/utils/test_determinism.py tests/bench/studies/test_largest_image.py)
fi
BEGIN=$(date +%s)

# Print the seconds of a share of the budget, in percent, or the seconds left if they are fewer.
share() {
    local most=$((BUDGET * $1 / 100)) left=$((BEGIN + BUDGET - $(date +%s)))
    echo $((most < left ? most : left))
}

# Print a command and run it. A failure does not end the session: finished measurements are stored.
line() {
    printf '+ '
    printf '%q ' "$@"
    echo
    [ -n "${SHOW:-}" ] || "$@" || echo "ended with $?"
}

# Run a command that ends by itself; kill it a minute after the whole budget; skip it if under 15 seconds are left.
most() {
    local left
    left=$(share 100)
    if [ "$left" -ge 15 ]; then line timeout -k 10 $((left + 60)) "$@"; else echo "- no time is left for: $*"; fi
}

# Measure a profile within a number of seconds, which includes writing its tables and figures.
measure() {
    local profile=$1 out=$2 seconds=$3
    most python -m bench run "$profile" --out "$out" --device "$DEVICE" --jobs "$JOBS" \
        --within $((seconds > 2 * REPORT ? seconds - REPORT : REPORT))s
}

if compgen -G "$WHEELS/*.whl" >/dev/null; then
    line python -m pip install --quiet --no-index --no-deps --upgrade --target site "$WHEELS"/*.whl
    export PYTHONPATH=$PWD/site${PYTHONPATH:+:$PYTHONPATH}
    [ -n "${EQGRAD_COMMIT:-}" ] || EQGRAD_COMMIT=$(cat "$WHEELS/COMMIT" 2>/dev/null)
    export EQGRAD_COMMIT
fi
if [ -z "$NAME" ]; then
    NAME=$(python -c "import torch; print(torch.cuda.get_device_name().lower().removeprefix('nvidia ').replace(' ', '-'))") ||
        NAME=gpu
fi

measure "$COSTS" "$OUT/gpu-$NAME" "$(share 40)"
measure "$PAPER" "$OUT/paper-$NAME" "$(share 35)"
seconds=$(share 15)
most python -m bench largest --out "$OUT/largest-$NAME" --device "$DEVICE" ${SIZES[@]+"${SIZES[@]}"} \
    --within $((seconds > 5 ? seconds : 5))s
most python -m pytest -q -p no:cacheprovider "${TESTS[@]}"

echo "=== $(($(date +%s) - BEGIN)) of $BUDGET seconds"
for folder in "gpu-$NAME" "paper-$NAME" "largest-$NAME"; do
    [ -d "$OUT/$folder" ] || continue
    # Without learned weights of networks, 3 MB a cell.
    line tar -czf "$OUT/$folder.tar.gz" -C "$OUT" --exclude weights --exclude checkpoints --exclude locks "$folder"
    for table in "$OUT/$folder/tables/headline.md" "$OUT/$folder/tables/tables.md" "$OUT/$folder/largest.md"; do
        [ ! -f "$table" ] || { echo "=== $table" && head -n 60 "$table"; }
    done
done

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the model of wake-up and reclaim, and that it finds each of the bugs that can be planted in it.
# Needs spin and a C compiler; ends with "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../build"
dir=$(mktemp -d "$here/../../build/model.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0
failed=0

# check NAME clean|bug DEFINE...: a search that is cut short (memory, depth, time) counts as failed.
check() {
    name=$1 expected=$2
    shift 2
    found=incomplete
    if spin "$@" -a "$here/wake.pml" >spin.log 2>&1 &&
        ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >cc.log 2>&1; then
        timeout "${MODEL_SECONDS:-50}" ./pan -m100000 -w22 >pan.log 2>&1
        if grep -q 'errors: 1' pan.log; then
            found=bug
        elif grep -q 'errors: 0' pan.log && ! grep -Eq 'max search depth|Search not completed' pan.log; then
            found=clean
        fi
    fi
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log 2>/dev/null)
    if [ "$found" = "$expected" ]; then
        passed=$((passed + 1))
        echo "ok   $name: $found, ${states:-?} states"
    else
        failed=$((failed + 1))
        echo "FAIL $name: $found, expected $expected"
        cat spin.log cc.log pan.log 2>/dev/null | tail -n 15
    fi
    rm -f pan pan.* ./*.log ./*.trail
}

# Every interleaving of one reader with two appenders, the committer and the keeper.  Two readers have more than fit
# into a minute; the planted bugs are looked for with two.
check 'one worker, a segment a record' clean -DEACH=1 -DWORKERS=1
check 'one worker, two records a segment' clean -DEACH=2 -DSEGMENT=2 -DWORKERS=1
for bug in LOOK_FIRST NO_SECOND_LOOK WAKE_FIRST LATE_CLEAR FREE_AT_ONCE GENERATION_FIRST \
    UNREGISTERED LOAD_FIRST HELD NEVER_PASSES; do
    check "planted: $bug" bug -DEACH=1 "-DBUG_$bug"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

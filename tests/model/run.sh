#!/bin/sh
# run.sh MODEL pass [-DNAME...]        spin's search of all runs of the model is complete and finds no error
# run.sh MODEL 'ERROR' [-DNAME...]     it finds this one ("assertion violated", "invalid end state"): a rule is left out
# In a fresh directory; CC names the compiler.
set -eu

model=$(basename "$1")
expected=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$1" "$dir"
cd "$dir"
shift 2

spin "$@" -a "$model"
# What is searched through to the end is worth optimizing; errors are found at once.
optimize=-O2 hash_bits=24
if [ "$expected" != pass ]; then
    optimize=-O1 hash_bits=20
fi
${CC:-cc} $optimize -w -DSAFETY -DVECTORSZ=256 -DMEMLIM=3000 -o pan pan.c
./pan -m100000 -w$hash_bits >out 2>&1 || true
grep -E '^pan:1|errors:|states, stored|elapsed' out || true

if [ "$expected" = pass ]; then
    if grep -q 'errors: 0' out && ! grep -qE 'not completed|max search depth too small|out of memory' out; then
        exit 0
    fi
    echo "the model has an error, or the search was not complete:"
    grep -E 'not completed|depth too small|memory' out || true
    [ ! -e "$model.trail" ] || spin "$@" -t -p "$model" | tail -100
    exit 1
fi
if grep -q "^pan:1: $expected" out; then
    exit 0
fi
echo "the model leaves a rule out, and spin did not find \"$expected\""
exit 1

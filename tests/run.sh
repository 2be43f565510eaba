#!/bin/sh
# Every test:
#
#     sh tests/run.sh
#
# Installs the missing packages, builds the presets release, dev (address and undefined sanitizers), tsan (threads, for tests
# that start some or handle signals) and fuzz (ten seconds for each target), and runs the tests of each while the next one is built.
# The last line is `N passed, N failed`; the exit status is 0 only when nothing failed. A build that fails, or a program that is missing, counts as a failure.
set -u

cd "$(dirname "$0")/.." || exit 1
. cli/packages.sh

passed=0
failed=0
unmounted=0
jobs=$(($(nproc) + 1)) # many tests wait for something most of the time
log=$(mktemp) || exit 1
build_log=$(mktemp) || exit 1
builder=
trap 'rm -f "$log" "$build_log"; [ -z "$builder" ] || kill "$builder" 2>/dev/null' EXIT
trap 'exit 130' INT TERM

finish() {
    if [ "$unmounted" -gt 0 ]; then
        echo "There is no /dev/fuse here: $unmounted tests of the mount did not run."
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

# begin PRESET TARGET...: builds it in the background, in what time the tests leave. One at a time.
begin() {
    echo "$1: building"
    building=$1
    (
        cmake --preset "$1" -DPLASMITE_TESTS=ON || exit
        shift
        exec nice -n 19 ninja -C "build/$building" "$@"
    ) >"$build_log" 2>&1 &
    builder=$!
}

# Waits until it is built; one failure when it does not build.
await() {
    wait "$builder"
    built=$?
    builder=
    if [ $built -ne 0 ]; then
        cat "$build_log"
        echo "$building: the build failed"
        failed=$((failed + 1))
    fi
}

# The sanitizers of gcc 12 do not know address spaces as widely shuffled as new kernels make them.
calmly() {
    if setarch -R true 2>/dev/null; then
        setarch -R "$@"
    else
        "$@"
    fi
}

# count TEXT: how many tests ctest says so of.
count() {
    grep -c "^ *[0-9]*/[0-9]* Test .*$1" "$log"
}

# check PRESET CTEST-ARGUMENT...: runs tests of what was last waited for, if it was built; shows what failed, in full.
check() {
    [ "$built" -eq 0 ] || return
    preset=$1
    shift
    start=$(date +%s)
    calmly ctest --test-dir "build/$preset" -j"$jobs" --output-on-failure --no-tests=error "$@" >"$log" 2>&1
    status=$?
    good=$(count ' Passed ')
    skipped=$(count '\*\*\*Skipped ')
    bad=$(count '\*\*\*[A-RT-Z]')
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1 # ctest itself failed
    fi
    if [ "$bad" -gt 0 ]; then
        grep -v -e '^ *Start *[0-9]*:' -e '^ *[0-9]*/[0-9]* Test .* Passed ' "$log"
    fi
    echo "$preset: $good passed, $bad failed, in $(($(date +%s) - start)) s"
    passed=$((passed + good))
    failed=$((failed + bad))
    unmounted=$((unmounted + skipped))
}

# shellcheck disable=SC2086 # lists of words
if ! install_packages $build_packages $test_packages; then
    failed=1
    finish
fi
begin release
await
begin dev
check release
await
begin tsan tsan_tests
check dev -L '^(unit|cli|fs)$'
await
begin fuzz fuzz_targets
check tsan -L '^tsan$'
await
check fuzz -L '^fuzz$'
finish

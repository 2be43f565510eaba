#!/bin/sh
# Every test:
#
#     sh tests/run.sh
#
# Installs the missing packages, builds the presets release, dev (address and undefined sanitizers), tsan (threads, for tests that start some or handle signals) and fuzz (ten
# seconds for each target), and runs the tests of each. The last line is `N passed, N failed`; the exit status is 0 only when nothing failed.
# A build that fails, or a program that is missing, counts as a failure.
set -u

cd "$(dirname "$0")/.." || exit 1
. cli/packages.sh

passed=0
failed=0
unmounted=0
jobs=$(($(nproc) + 1)) # many tests wait for something most of the time
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

finish() {
    if [ "$unmounted" -gt 0 ]; then
        echo "There is no /dev/fuse here: $unmounted tests of the mount did not run."
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

# build PRESET BUILD-ARGUMENT...: one failure when it does not build.
build() {
    preset=$1
    shift
    echo "$preset: building"
    if cmake --preset "$preset" -DPLASMITE_TESTS=ON >"$log" 2>&1 &&
        cmake --build --preset "$preset" "$@" >>"$log" 2>&1; then
        return 0
    fi
    cat "$log"
    echo "$preset: the build failed"
    failed=$((failed + 1))
    return 1
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

# check PRESET CTEST-ARGUMENT...: runs tests; shows what failed, in full.
check() {
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
build release && check release
build dev && check dev -L '^(unit|cli|fs)$'
build tsan --target tsan_tests && check tsan -L '^tsan$'
build fuzz --target fuzz_targets && check fuzz -L '^fuzz$'
finish

#!/bin/sh
# From a bare Debian 12 to a mounted pool directory, and a first look at what it does:
#
#     sh cli/quickstart.sh [MOUNTPOINT]
#
# Installs the missing packages, builds a release, mounts the pools of ~/.plasmite/pools at MOUNTPOINT (else
# ~/plasmite), and lets one program wait for another through the mount. May be run again.
set -u

cd "$(dirname "$0")/.." || exit 1
. cli/packages.sh

bin=$PWD/build/release/bin
pools=$HOME/.plasmite/pools
mnt=${1:-$HOME/plasmite}

die() {
    echo "quickstart: $*" >&2
    exit 1
}

# Waits up to ten seconds for a command to succeed.
wait_until() {
    tries=200
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

build() {
    log=$(mktemp) || return 1
    if cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DPLASMITE_TESTS=OFF >"$log" 2>&1 &&
        cmake --build build/release >>"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    return 1
}

has_fuse() {
    [ -c /dev/fuse ] && { [ "$(id -u)" -ne 0 ] || (: <>/dev/fuse) 2>/dev/null; }
}

is_mounted() {
    grep -q " $mnt fuse.plasmite " /proc/mounts
}

# A mount of an earlier run is replaced, so that the program just built serves it; one in use stays.
mount_pools() {
    mkdir -p "$pools" || return 1
    if is_mounted && ! fusermount3 -u "$mnt" 2>/dev/null; then
        ls "$mnt" >/dev/null 2>&1 && return 0 # somebody uses it
    fi
    [ -d "$mnt" ] || mkdir -p "$mnt" 2>/dev/null
    "$bin/plasmite" mount "$pools" "$mnt" && wait_until is_mounted
}

reader_has_opened() {
    # shellcheck disable=SC2010 # the names are descriptors
    ls -l "/proc/$reader/fd" 2>/dev/null | grep -q " $mnt/ci/"
}

gate_through_mount() {
    [ -d "$mnt/ci" ] || mkdir "$mnt/ci" || return 1
    echo "  \$ cd $mnt"
    echo "  \$ grep -m1 '\"status\":\"green\"' ci/follow &     # a deploy script: waits until the tests are green"
    (cd "$mnt" && exec grep -m1 '"status":"green"' ci/follow) >"$shown" &
    reader=$!
    wait_until reader_has_opened || return 1
    echo "      (it waits, and costs nothing meanwhile)"
    echo "  \$ echo '{\"status\":\"red\"}' > ci/append           # the test runner: not yet"
    echo '{"status":"red"}' >"$mnt/ci/append" || return 1
    sleep 1 # for those who watch
    kill -0 $reader 2>/dev/null || return 1
    echo "      (it still waits)"
    echo "  \$ echo '{\"status\":\"green\"}' > ci/append         # the test runner: all tests passed"
    echo '{"status":"green"}' >"$mnt/ci/append" || return 1
    wait_until_gone || return 1
    echo "      (and grep goes on, having printed:)"
    sed 's/^/  /' "$shown"
}

reader_has_mapped() {
    grep -q 'ci\.plasmite' "/proc/$reader/maps" 2>/dev/null
}

gate_through_commands() {
    echo "  \$ pls follow ci --tag green --one &              # a deploy script: waits until the tests are green"
    "$bin/pls" follow ci --create --tag green --one --timeout 1m >"$shown" &
    reader=$!
    wait_until reader_has_mapped || return 1
    echo "      (it waits, and costs nothing meanwhile)"
    echo "  \$ pls feed ci --tag red '{\"status\":\"red\"}'       # the test runner: not yet"
    "$bin/pls" feed ci --tag red '{"status":"red"}' >/dev/null || return 1
    sleep 1 # for those who watch
    kill -0 $reader 2>/dev/null || return 1
    echo "      (it still waits)"
    echo "  \$ pls feed ci --tag green '{\"status\":\"green\"}'   # the test runner: all tests passed"
    "$bin/pls" feed ci --tag green '{"status":"green"}' >/dev/null || return 1
    wait_until_gone || return 1
    echo "      (and follow goes on, having printed:)"
    sed 's/^/  /' "$shown"
}

reader_is_gone() {
    ! kill -0 $reader 2>/dev/null || grep -qs '^State:.*zombie' "/proc/$reader/status"
}

wait_until_gone() {
    wait_until reader_is_gone && wait $reader
}

cleanup() {
    [ -z "$reader" ] || kill $reader 2>/dev/null
    rm -f "$shown"
}

reader=
shown=$(mktemp) || die "no temporary file"
trap cleanup EXIT
trap 'exit 130' INT TERM

echo "== Packages"
# shellcheck disable=SC2086 # a list of words
install_packages $build_packages || die "packages are missing"

echo "== Building (build/release)"
build || die "the build failed"

echo "== One program waits for another"
if ! has_fuse; then
    echo "There is no /dev/fuse here, so pools cannot be mounted (in a container: --device /dev/fuse --cap-add SYS_ADMIN)."
    echo "The same with two commands; the pool is $pools/ci.plasmite:"
    echo
    gate_through_commands || die "the reader did not go on"
    cat <<END

Try next:
  $bin/pls feed ci '{"hello":"world"}'
  $bin/pls follow ci --tail 3 --no-follow
  $bin/pls pool list
END
    exit 0
fi
mount_pools || die "could not mount $pools at $mnt"
echo "The pools of $pools are directories in $mnt now."
echo
gate_through_mount || die "the reader did not go on"
cat <<END

Try next:
  cat $mnt/ci/tail
  head -n1 $mnt/ci/follow     # and in another terminal: echo '{"hello":"world"}' > $mnt/ci/append
  $bin/pls follow ci --tail 3
$mnt/README tells the rest. Unmount:
  $bin/pls umount $mnt
END

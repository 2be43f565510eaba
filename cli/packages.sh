# The Debian packages this project needs, in one place. Sourced, not run.
#
#     . cli/packages.sh
#     install_packages $build_packages
#
# shellcheck shell=sh disable=SC2034

# To build and to mount.
build_packages="gcc libc6-dev cmake ninja-build pkgconf libfuse3-dev fuse3 libjq-dev libonig-dev"

# To build the tests, and the programs that the tests drive.
test_packages="libcmocka-dev libjansson-dev spin mandoc procps python3 jq rsync moreutils busybox gawk mawk perl bash
    clang libclang-rt-14-dev dash sed grep tar findutils coreutils diffutils cpp util-linux zsh fish strace
    less inotify-tools entr rsyslog systemd ed curl socat nodejs"

# Packages among "$@" that are not installed, on one line.
missing_packages() {
    missing=
    for package in "$@"; do
        # shellcheck disable=SC2016 # the braces are dpkg's
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)
        [ "$status" = installed ] || missing="$missing $package"
    done
    echo "$missing"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root, and there is no sudo. As root, run:" >&2
        echo "    $*" >&2
        return 1
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install "$@"
}

# Installs what is missing among "$@"; the package lists are fetched only when they do not do as they are.
install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "Not a Debian system: these are expected to be there already: $*" >&2
        return 0
    fi
    # shellcheck disable=SC2046,SC2086 # a list of words
    set -- $(missing_packages "$@")
    [ $# -eq 0 ] && return 0
    echo "Installing: $*"
    install_log=$(mktemp) || return 1
    if apt_install "$@" >"$install_log" 2>&1 ||
        { as_root apt-get -qq update >>"$install_log" 2>&1 && apt_install "$@" >>"$install_log" 2>&1; }; then
        rm -f "$install_log"
        return 0
    fi
    cat "$install_log" >&2
    rm -f "$install_log"
    echo "Could not install: $*" >&2
    return 1
}
